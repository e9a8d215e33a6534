package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/sse"
)

// drainTime bounds how long a finished stream waits for the end of its body.
// The end usually comes with the last event, and reading it lets the connection
// be used again; a server that keeps it open must not hold up the caller.
const drainTime = 50 * time.Millisecond

// Stream is an open event stream. It is not safe for concurrent use.
type Stream struct {
	// Header are the headers of the answer.
	Header http.Header

	client *Client
	ctx    context.Context
	cancel context.CancelFunc
	model  string
	resp   *http.Response
	events *sse.Reader
}

// Stream sends a request whose answer is an event stream. The stream must be
// closed.
func (c *Client) Stream(ctx context.Context, call Call) (*Stream, error) {
	call.Accept = "text/event-stream"
	inner, cancel := context.WithCancel(ctx)
	resp, err := c.send(inner, call)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &Stream{Header: PublicHeader(resp.Header), client: c, ctx: ctx, cancel: cancel, model: call.Model, resp: resp}
	switch mediaTypeOf(resp.Header) {
	case "application/json", "text/html", "application/problem+json":
		// Not a stream at all: gateways answer errors with status 200.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		s.Close()
		return nil, c.unexpected(call.Model, resp, body)
	}
	s.events = sse.NewReader(resp.Body, 0)
	return s, nil
}

func (c *Client) unexpected(model string, resp *http.Response, body []byte) error {
	if e := c.BodyError(model, body); e != nil {
		e.RequestID = requestID(resp.Header)
		return e
	}
	return c.errorOf(model, resp, aiclient.ClassProtocol, fmt.Sprintf("expected an event stream, got %s: %q", mediaTypeOf(resp.Header), c.excerpt(body, 200)), nil)
}

// Next returns the next event, which is valid until the following call. io.EOF
// is the end of the stream, which only the adapter can judge: see Truncated.
func (s *Stream) Next() (sse.Event, error) {
	ev, err := s.events.Next()
	switch {
	case err == nil, err == io.EOF && s.ctx.Err() == nil:
		return ev, err
	case errors.Is(err, sse.ErrTooLong):
		return ev, s.client.errorOf(s.model, s.resp, aiclient.ClassProtocol, "", err)
	}
	return ev, s.client.readError(s.ctx, s.model, s.resp, err)
}

// Truncated returns the error of a stream that ended too early.
func (s *Stream) Truncated() error {
	return s.client.errorOf(s.model, s.resp, aiclient.ClassTruncated, "the stream ended without its terminal event", nil)
}

// Malformed returns the error of an event that cannot be read. One that the end
// of the stream cut short counts as truncated.
func (s *Stream) Malformed(ev sse.Event, err error) error {
	if ev.Cut {
		return s.client.errorOf(s.model, s.resp, aiclient.ClassTruncated, "the stream ended in the middle of an event", err)
	}
	return s.client.errorOf(s.model, s.resp, aiclient.ClassProtocol, fmt.Sprintf("an event of the stream cannot be read: %q", s.client.excerpt(ev.Data, 200)), err)
}

// EventError returns the error that an event of the stream reports.
func (s *Stream) EventError(data []byte) error {
	return s.client.Reported(s.model, s.Header, data)
}

// Finish reads what is left of the body after the terminal event, so that the
// connection can be used again, but waits only briefly.
func (s *Stream) Finish() {
	timer := time.AfterFunc(drainTime, s.cancel)
	defer timer.Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(s.resp.Body, 64<<10))
}

// Close releases the stream's connection.
func (s *Stream) Close() {
	s.cancel()
	_ = s.resp.Body.Close()
}

// Reported returns the error that a document with status 200 reports. It is
// never nil: an error that cannot be read is one, too.
func (c *Client) Reported(model string, header http.Header, data []byte) error {
	e := c.BodyError(model, data)
	if e == nil {
		e = &aiclient.APIError{Provider: c.Provider, Model: model, Class: aiclient.ClassServer,
			Message: fmt.Sprintf("the provider reports an error: %q", c.excerpt(data, 200))}
	}
	if e.RequestID == "" {
		e.RequestID = requestID(header)
	}
	return e
}

// Malformed returns the error of an answer that cannot be read.
func (c *Client) Malformed(model string, header http.Header, body []byte, err error) error {
	class, message := aiclient.ClassProtocol, fmt.Sprintf("the answer cannot be read: %q", c.excerpt(body, 200))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		class, message = aiclient.ClassTruncated, "the answer ended in the middle"
	}
	return &aiclient.APIError{Provider: c.Provider, Model: model, Class: class, Message: message,
		RequestID: requestID(header), Err: err}
}

// Missing returns the error of an answer that lacks what every answer has.
func (c *Client) Missing(model string, header http.Header, what string) error {
	return &aiclient.APIError{Provider: c.Provider, Model: model, Class: aiclient.ClassProtocol,
		Message: "the answer has no " + what, RequestID: requestID(header)}
}

// Refuse returns the error of a request that cannot be sent as it is.
func (c *Client) Refuse(model string, err error) error {
	return &aiclient.APIError{Provider: c.Provider, Model: model, Class: aiclient.ClassBadRequest,
		Message: "the request cannot be sent", Err: err}
}

// NoKey returns the error of a provider that has no key.
func (c *Client) NoKey(model, where string) error {
	return &aiclient.APIError{Provider: c.Provider, Model: model, Class: aiclient.ClassAuth,
		Message: "no API key: set Options.APIKey or the environment variable " + where}
}
