package google

import (
	"context"
	"io"
	"iter"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// chat is a Gemini model.
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
	return aiclient.Rules{Name: c.provider.name, MaxStop: 5}
}

func (c *chat) call(req *aiclient.Request, method string) (transport.Call, []string, error) {
	if err := c.provider.ready(c.model); err != nil {
		return transport.Call{}, nil, err
	}
	e := encoder{chat: c, req: req}
	body, err := e.encode()
	if err != nil {
		return transport.Call{}, nil, c.provider.client.Refuse(c.model, err)
	}
	return transport.Call{Path: path(c.model, method), Model: c.model, Body: body}, e.warnings, nil
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
	call, warnings, err := c.call(req, "streamGenerateContent?alt=sse")
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
			// The API has no terminal event but the reason for finishing, which
			// the last chunk brings.
			if !d.stopped {
				return s.Truncated()
			}
			if err := c.spoiled(&d); err != nil {
				return err
			}
			d.end(yield)
			return nil
		}
		if err != nil {
			return err
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
		if d.blocked != "" {
			return c.blocked(d.blocked)
		}
		if !d.emit(yield) {
			return nil
		}
	}
}

// Generate implements [aiclient.Chat].
func (c *chat) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
	call, warnings, err := c.call(req, "generateContent")
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
	switch {
	case d.failed:
		return nil, client.Reported(c.model, header, body)
	case d.blocked != "":
		return nil, c.blocked(d.blocked)
	case !d.stopped:
		return nil, client.Missing(c.model, header, "finish reason")
	}
	add := func(p aiclient.Part, _ error) bool { collect.Add(p); return true }
	d.emit(add)
	if err := c.spoiled(&d); err != nil {
		return collect.Response(), err
	}
	d.end(add)
	return collect.Response(), nil
}

// spoiled returns the error of a reply that Google could not read itself, most
// often because of a call that the model wrote wrongly. To ask again may help.
func (c *chat) spoiled(d *decoder) error {
	switch d.finish.RawReason {
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE":
		message := d.message
		if message == "" {
			message = "the model's reply is malformed"
		}
		return &aiclient.APIError{Provider: c.provider.name, Model: c.model, Class: aiclient.ClassServer,
			Code: d.finish.RawReason, Message: message}
	}
	return nil
}

// blocked returns the error of a prompt that Google refuses to answer.
func (c *chat) blocked(reason string) error {
	return &aiclient.APIError{Provider: c.provider.name, Model: c.model, Class: aiclient.ClassContentFilter,
		Code: reason, Message: "the prompt was blocked"}
}
