package openai

import (
	"context"
	"io"
	"iter"
	"regexp"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// Responses returns the named model over the Responses API, which OpenAI's
// reasoning models are made for: their encrypted reasoning goes back to them
// with the history. Nothing is stored at OpenAI unless the request's options
// say so.
func (p *Provider) Responses(model string) aiclient.Chat {
	return &responses{provider: p, model: model}
}

// responses is a model over the Responses API.
type responses struct {
	provider *Provider
	model    string
	path     string // empty means "/responses"
}

// Model implements [aiclient.Chat].
func (c *responses) Model() aiclient.Model {
	return aiclient.Model{Provider: c.provider.name, ID: c.model}
}

// Rules returns what the API cannot take; see [aiclient.RulesOf].
func (c *responses) Rules() aiclient.Rules {
	return aiclient.Rules{Name: c.provider.name, Media: []string{"image/*", "application/pdf", "text/*"}, MaxTools: 128}
}

// reasoning matches the names of the models that reason: o1 and its followers, and
// GPT from version 5 on.
var reasoning = regexp.MustCompile(`^(o[0-9]|gpt-([5-9]|[1-9][0-9])|gpt-oss|codex|computer-use)`)

// reasons reports whether the model reasons, and so takes the settings for it.
func (c *responses) reasons() bool {
	name := c.model[strings.LastIndexByte(c.model, '/')+1:]
	return reasoning.MatchString(name) && !strings.HasPrefix(name, "gpt-5-chat")
}

func (c *responses) call(req *aiclient.Request, stream bool) (transport.Call, []string, error) {
	if err := c.provider.ready(c.model); err != nil {
		return transport.Call{}, nil, err
	}
	e := responsesEncoder{chat: c, req: req}
	body, err := e.encode(stream)
	if err != nil {
		return transport.Call{}, nil, c.provider.client.Refuse(c.model, err)
	}
	path := c.path
	if path == "" {
		path = "/responses"
	}
	return transport.Call{Path: path, Model: c.model, Body: body}, e.warnings, nil
}

// Stream implements [aiclient.Chat].
func (c *responses) Stream(ctx context.Context, req *aiclient.Request) iter.Seq2[aiclient.Part, error] {
	return func(yield func(aiclient.Part, error) bool) {
		if err := c.stream(ctx, req, yield); err != nil {
			yield(aiclient.Part{}, err)
		}
	}
}

// stream yields the parts of a reply. It returns nil when the consumer has
// stopped.
func (c *responses) stream(ctx context.Context, req *aiclient.Request, yield func(aiclient.Part, error) bool) error {
	call, warnings, err := c.call(req, true)
	if err != nil {
		return err
	}
	s, err := c.provider.client.Stream(ctx, call)
	if err != nil {
		return err
	}
	defer s.Close()
	d := responsesDecoder{provider: c.provider.name, streamed: true}
	d.finish.Warnings, d.finish.Headers = warnings, s.Header
	for {
		ev, err := s.Next()
		if err == io.EOF {
			return s.Truncated()
		}
		if err != nil {
			return err
		}
		if len(ev.Data) == 0 || string(ev.Data) == "[DONE]" {
			continue
		}
		if err := d.event(ev.Data); err != nil {
			return s.Malformed(ev, err)
		}
		if d.failure != nil {
			return s.EventError(d.failure)
		}
		if !d.emit(yield) {
			return nil
		}
		if d.done {
			if d.end(yield) {
				s.Finish()
			}
			return nil
		}
	}
}

// Generate implements [aiclient.Chat].
func (c *responses) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
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
	d := responsesDecoder{provider: c.provider.name}
	d.finish.Warnings, d.finish.Headers = warnings, header
	if err := d.whole(body); err != nil {
		return nil, client.Malformed(c.model, header, body, err)
	}
	if d.failure != nil {
		return nil, client.Reported(c.model, header, body)
	}
	if !d.done {
		return nil, client.Missing(c.model, header, "final status")
	}
	add := func(p aiclient.Part, _ error) bool { collect.Add(p); return true }
	d.emit(add)
	d.end(add)
	return collect.Response(), nil
}
