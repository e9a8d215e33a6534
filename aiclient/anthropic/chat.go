package anthropic

import (
	"context"
	"io"
	"iter"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// chat is a model over the Messages API.
type chat struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.Chat].
func (c *chat) Model() aiclient.Model {
	return aiclient.Model{Provider: c.provider.name, ID: c.model}
}

// Rules returns what the API cannot take; see [aiclient.RulesOf].
func (c *chat) Rules() aiclient.Rules {
	return aiclient.Rules{
		Name: c.provider.name, MaxTemperature: 1,
		Media: append([]string{"application/pdf", "text/*"}, images...),
	}
}

func (c *chat) call(req *aiclient.Request, stream bool) (transport.Call, *encoder, error) {
	if c.provider.needKey {
		return transport.Call{}, nil, c.provider.client.NoKey(c.model, "ANTHROPIC_API_KEY")
	}
	e := &encoder{chat: c, req: req}
	body, err := e.encode(stream)
	if err != nil {
		return transport.Call{}, nil, c.provider.client.Refuse(c.model, err)
	}
	return transport.Call{Path: "/messages", Model: c.model, Body: body}, e, nil
}

// Stream implements [aiclient.Chat].
func (c *chat) Stream(ctx context.Context, req *aiclient.Request) iter.Seq2[aiclient.Part, error] {
	return func(yield func(aiclient.Part, error) bool) {
		if err := c.stream(ctx, req, yield); err != nil {
			yield(aiclient.Part{}, err)
		}
	}
}

// stream yields the parts of a reply. It returns nil when the consumer has
// stopped.
func (c *chat) stream(ctx context.Context, req *aiclient.Request, yield func(aiclient.Part, error) bool) error {
	call, e, err := c.call(req, true)
	if err != nil {
		return err
	}
	s, err := c.provider.client.Stream(ctx, call)
	if err != nil {
		return err
	}
	defer s.Close()
	d := decoder{provider: c.provider.name, outputTool: e.outputTool}
	d.finish.Warnings, d.finish.Headers = e.warnings, s.Header
	for {
		ev, err := s.Next()
		if err == io.EOF {
			return s.Truncated()
		}
		if err != nil {
			return err
		}
		if len(ev.Data) == 0 {
			continue
		}
		if err := d.event(ev.Data); err != nil {
			return s.Malformed(ev, err)
		}
		if d.failed {
			return s.EventError(ev.Data)
		}
		if !d.emit(yield) {
			return nil
		}
		if d.done {
			if !d.stopped {
				return s.Truncated()
			}
			if d.end(yield) {
				s.Finish()
			}
			return nil
		}
	}
}

// Generate implements [aiclient.Chat].
func (c *chat) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
	call, e, err := c.call(req, false)
	if err != nil {
		return nil, err
	}
	collect := aiclient.Collector{}
	collect.Start()
	client := c.provider.client
	body, header, err := client.Do(ctx, call)
	if err != nil {
		return nil, err
	}
	d := decoder{provider: c.provider.name, outputTool: e.outputTool}
	d.finish.Warnings, d.finish.Headers = e.warnings, header
	add := func(p aiclient.Part, _ error) bool { collect.Add(p); return true }
	if err := d.message(body, add); err != nil {
		return nil, client.Malformed(c.model, header, body, err)
	}
	if d.failed {
		return nil, client.Reported(c.model, header, body)
	}
	if !d.stopped {
		return nil, client.Missing(c.model, header, "stop reason")
	}
	d.end(add)
	return collect.Response(), nil
}
