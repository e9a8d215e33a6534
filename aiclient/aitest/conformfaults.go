package aitest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

func (s conformance) errors(t *testing.T) {
	for _, test := range []struct {
		fault Fault
		class aiclient.Class
	}{
		{Fault{Status: 400, Message: "temperature out of range"}, aiclient.ClassBadRequest},
		{Fault{Status: 400, Message: "prompt is too long: 250000 tokens"}, aiclient.ClassContextLength},
		{Fault{Status: 401, Message: "no such key"}, aiclient.ClassAuth},
		{Fault{Status: 403, Message: "not allowed"}, aiclient.ClassAuth},
		{Fault{Status: 404, Message: "no such model"}, aiclient.ClassNotFound},
		{Fault{Status: 429, RetryAfter: 7 * time.Second, Message: "slow down"}, aiclient.ClassRateLimit},
		{Fault{Status: 500, Message: "oops"}, aiclient.ClassServer},
		{Fault{Status: 503, Message: "busy"}, aiclient.ClassOverloaded},
		{Fault{Status: 529, Code: "overloaded_error", Message: "overloaded"}, aiclient.ClassOverloaded},
	} {
		test.fault.Kind = Status
		s.both(t, func(Request) Reply { return Reply{Fault: test.fault} }, ask("hi"), func(t *testing.T, chat aiclient.Chat, _ *aiclient.Response, err error) {
			api, ok := errors.AsType[*aiclient.APIError](err)
			if !ok {
				t.Fatalf("status %d: want an *APIError, got %v", test.fault.Status, err)
			}
			same(t, "class", test.class, api.Class)
			same(t, "status", test.fault.Status, api.Status)
			same(t, "retry after", test.fault.RetryAfter, api.RetryAfter)
			same(t, "provider", chat.Model().Provider, api.Provider)
			same(t, "model", chat.Model().ID, api.Model)
			if !strings.Contains(api.Message, test.fault.Message) {
				t.Errorf("the provider's message is lost: %v", err)
			}
		})
	}
}

// brokenReply is a reply with everything in it.
func brokenReply(fault Fault) Reply {
	return Reply{Reasoning: "thinking first", Signature: "c2ln", Text: "some text that comes in several pieces",
		ToolCalls: []ToolCall{{Name: "weather", Arguments: `{"city":"Porto","why":"no reason"}`}}, Fault: fault}
}

func (s conformance) brokenStreams(t *testing.T) {
	for kind, classes := range map[FaultKind][]aiclient.Class{
		Cut:        {aiclient.ClassTruncated, aiclient.ClassNetwork},
		End:        {aiclient.ClassTruncated},
		Garbage:    {aiclient.ClassProtocol},
		ErrorEvent: {aiclient.ClassOverloaded},
	} {
		for after := range 11 { // the very last event may be mere framing
			chat := s.New(t, func(Request) Reply {
				return brokenReply(Fault{Kind: kind, After: after, Code: "overloaded_error", Message: "overloaded now"})
			})
			resp, err := aiclient.Collect(chat.Stream(t.Context(), ask("hi")))
			class := aiclient.ClassOf(err)
			found := false
			for _, want := range classes {
				found = found || class == want
			}
			if !found {
				t.Errorf("fault %d after %d events: want class %v, got %q: %v", kind, after, classes, class, err)
			}
			if resp != nil && resp.Reason != "" {
				t.Errorf("fault %d after %d events: the broken reply says that it finished: %s", kind, after, resp.Reason)
			}
		}
	}
}

func (s conformance) brokenAnswers(t *testing.T) {
	for _, kind := range []FaultKind{Cut, End, Garbage, ErrorEvent} {
		chat := s.New(t, func(Request) Reply {
			return brokenReply(Fault{Kind: kind, Code: "overloaded_error", Message: "overloaded now"})
		})
		if _, err := chat.Generate(t.Context(), ask("hi")); aiclient.ClassOf(err) == "" {
			t.Errorf("fault %d: want an *APIError, got %v", kind, err)
		}
	}
}

func (s conformance) cancel(t *testing.T) {
	for after := range 10 {
		chat := s.New(t, func(Request) Reply { return brokenReply(Fault{Kind: Hang, After: after + 1}) })
		ctx, cancel := context.WithCancel(t.Context())
		var last error
		go cancel() // in the middle of whatever
		start := time.Now()
		for p, err := range chat.Stream(ctx, ask("hi")) {
			last = err
			_ = p
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("want context.Canceled, got %v", last)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("cancelling took %s", d)
		}
		cancel()
	}

	// In the consumer's hands, after each part.
	for stop := 1; stop < 8; stop++ {
		chat := s.New(t, func(Request) Reply { return brokenReply(Fault{}) })
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		var last error
		for _, err := range chat.Stream(ctx, ask("hi")) {
			if last = err; err != nil {
				break
			}
			if n++; n == stop {
				cancel()
			}
		}
		cancel()
		if last != nil && !errors.Is(last, context.Canceled) {
			t.Errorf("cancelled after part %d: %v", stop, last)
		}
	}

	chat := s.New(t, func(Request) Reply { return Reply{Fault: Fault{Kind: Hang}} })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := chat.Generate(ctx, ask("hi"))
	if !errors.Is(err, context.DeadlineExceeded) || aiclient.ClassOf(err) != aiclient.ClassTimeout {
		t.Errorf("want a timeout that wraps context.DeadlineExceeded, got %v", err)
	}
}

func (s conformance) cancelledBefore(t *testing.T) {
	chat := s.New(t, func(Request) Reply { return Text("too late") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := chat.Generate(ctx, ask("hi")); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	if _, err := aiclient.Collect(chat.Stream(ctx, ask("hi"))); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
}

func (s conformance) stop(t *testing.T) {
	for stop := range 14 {
		chat := s.New(t, func(Request) Reply { return brokenReply(Fault{}) })
		n := 0
		for _, err := range chat.Stream(t.Context(), ask("hi")) {
			noError(t, err)
			if n++; n > stop {
				break
			}
		}
	}
}
