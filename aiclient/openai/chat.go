package openai

import (
	"context"
	"io"
	"iter"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// chat is a model over the Chat Completions API.
type chat struct {
	provider *Provider
	model    string
	path     string // empty means "/chat/completions"
}

// Model implements [aiclient.Chat].
func (c *chat) Model() aiclient.Model {
	return aiclient.Model{Provider: c.provider.name, ID: c.model}
}

// Rules returns what the API cannot take; see [aiclient.RulesOf].
func (c *chat) Rules() aiclient.Rules {
	r := aiclient.Rules{Name: c.provider.name, Media: []string{"image/*", "audio/*", "application/pdf", "text/*"}, URLs: []string{"image/*"}}
	if c.provider.dialect == OpenAI {
		r.MaxStop, r.MaxTools = 4, 128
	}
	return r
}

func (c *chat) call(req *aiclient.Request, stream bool) (transport.Call, []string, error) {
	if err := c.provider.ready(c.model); err != nil {
		return transport.Call{}, nil, err
	}
	body, warnings, err := c.encode(req, stream)
	if err != nil {
		return transport.Call{}, nil, c.provider.client.Refuse(c.model, err)
	}
	path := c.path
	if path == "" {
		path = "/chat/completions"
	}
	return transport.Call{Path: path, Model: c.model, Body: body}, warnings, nil
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
	call, warnings, err := c.call(req, true)
	if err != nil {
		return err
	}
	s, err := c.provider.client.Stream(ctx, call)
	if err != nil {
		return err
	}
	defer s.Close()

	d := decoder{provider: c.provider.name}
	d.finish.Warnings, d.finish.Headers = warnings, s.Header
	for {
		ev, err := s.Next()
		if err == io.EOF {
			// Some services leave out [DONE]. When the reason for stopping and
			// the usage have come, nothing is missing.
			if !d.stopped || !d.hasUsage {
				return s.Truncated()
			}
			d.end(yield)
			return nil
		}
		if err != nil {
			return err
		}
		if string(ev.Data) == "[DONE]" {
			if !d.stopped {
				return s.Truncated()
			}
			if d.end(yield) {
				s.Finish()
			}
			return nil
		}
		if len(ev.Data) == 0 {
			continue
		}
		if err := d.chunk(ev.Data); err != nil {
			return s.Malformed(ev, err)
		}
		if d.failed {
			return s.EventError(ev.Data)
		}
		if !d.emit(yield) {
			return nil
		}
	}
}

// Generate implements [aiclient.Chat].
func (c *chat) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
	call, warnings, err := c.call(req, false)
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
	d := decoder{provider: c.provider.name}
	d.finish.Warnings, d.finish.Headers = warnings, header
	if err := d.chunk(body); err != nil {
		return nil, client.Malformed(c.model, header, body, err)
	}
	if d.failed {
		return nil, client.Reported(c.model, header, body)
	}
	if !d.choice {
		return nil, client.Missing(c.model, header, "choices")
	}
	add := func(p aiclient.Part, _ error) bool { collect.Add(p); return true }
	d.emit(add)
	d.end(add)
	return collect.Response(), nil
}
