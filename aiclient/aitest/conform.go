package aitest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Conformance says what an implementation of aiclient.Chat is asked to prove.
type Conformance struct {
	// New returns a client of a model that answers with script. An adapter
	// starts a [Server] with t and points the client at its URL; an
	// implementation without a wire calls the script itself. The connections of
	// the client must end with t.
	New func(t testing.TB, script Script) aiclient.Chat

	// Streams is how many streams are read at once; 0 means 100.
	Streams int

	// NoReasoning, NoSignature and NoCacheWrite say what the wire format does
	// not carry. ObjectArguments says that arguments which are no JSON object
	// cannot arrive. NoHTTP says that there is no wire: the faults of one are
	// left out.
	NoReasoning     bool
	NoSignature     bool
	NoReasoningUse  bool // no count of reasoning tokens
	NoCacheWrite    bool
	ObjectArguments bool
	NoHTTP          bool
}

// ConformChat checks that an implementation of aiclient.Chat keeps its
// promises: streamed and whole replies agree, calls are assembled, history goes
// back to the model unharmed, requests are not changed, errors are classified,
// broken streams are errors that keep what had arrived, cancelling and stopping
// release everything, and concurrent use is safe.
func ConformChat(t *testing.T, c Conformance) {
	t.Helper()
	suite := conformance{c}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
		skip bool
	}{
		{"Text", suite.text, false},
		{"EmptyText", suite.emptyText, false},
		{"Reasoning", suite.reasoning, c.NoReasoning},
		{"ToolCalls", suite.toolCalls, false},
		{"MalformedArguments", suite.malformedArguments, c.ObjectArguments},
		{"History", suite.history, false},
		{"ForeignData", suite.foreignData, false},
		{"ForeignCalls", suite.foreignCalls, false},
		{"Usage", suite.usage, false},
		{"FinishReasons", suite.finishReasons, false},
		{"Files", suite.files, false},
		{"RefusedFiles", suite.refusedFiles, false},
		{"RequestIsLeftAlone", suite.requestIsLeftAlone, false},
		{"LastPartIsFinish", suite.lastPart, false},
		{"Errors", suite.errors, c.NoHTTP},
		{"BrokenStreams", suite.brokenStreams, c.NoHTTP},
		{"BrokenAnswers", suite.brokenAnswers, c.NoHTTP},
		{"Cancel", suite.cancel, c.NoHTTP},
		{"CancelledBefore", suite.cancelledBefore, false},
		{"Stop", suite.stop, false},
		{"Concurrent", suite.concurrent, false},
	} {
		if !test.skip {
			t.Run(test.name, test.run)
		}
	}
}

type conformance struct{ Conformance }

// ask returns a request with a system prompt and one message.
func ask(text string) *aiclient.Request {
	return &aiclient.Request{System: "be brief", Messages: []aiclient.Message{aiclient.User(text)}}
}

var weather = tool.Tool{Name: "weather", Description: "tells the weather",
	Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)}

// both runs f on the streamed and on the whole reply.
func (s conformance) both(t *testing.T, script Script, req *aiclient.Request, f func(t *testing.T, chat aiclient.Chat, resp *aiclient.Response, err error)) {
	t.Helper()
	t.Run("stream", func(t *testing.T) {
		chat := s.New(t, script)
		resp, err := aiclient.Collect(chat.Stream(t.Context(), req))
		f(t, chat, resp, err)
	})
	t.Run("generate", func(t *testing.T) {
		chat := s.New(t, script)
		resp, err := chat.Generate(t.Context(), req)
		f(t, chat, resp, err)
	})
}

// same fails the test at once when got is not want.
func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%s:\n got  %#v\n want %#v", what, got, want)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func (s conformance) text(t *testing.T) {
	text := strings.Repeat("Olá, \"wörld\" \\ \n\t<b>&amp;</b> 😀 \u2028", 40)
	s.both(t, func(Request) Reply { return Text(text) }, ask("hi"), func(t *testing.T, chat aiclient.Chat, resp *aiclient.Response, err error) {
		noError(t, err)
		same(t, "text", text, resp.Text())
		same(t, "role", aiclient.RoleAssistant, resp.Message.Role)
		same(t, "finish reason", aiclient.FinishStop, resp.Reason)
		same(t, "parts", 1, len(resp.Message.Parts))
		if chat.Model().Provider == "" || chat.Model().ID == "" {
			t.Errorf("Model is not filled in: %+v", chat.Model())
		}
		if resp.Timing.Total <= 0 || resp.Timing.FirstPart <= 0 || resp.Timing.FirstPart > resp.Timing.Total {
			t.Errorf("the timing is not right: %+v", resp.Timing)
		}
		if !s.NoHTTP && resp.Headers.Get("Date") == "" {
			t.Errorf("the raw headers are missing: %v", resp.Headers)
		}
	})
}

func (s conformance) emptyText(t *testing.T) {
	s.both(t, func(Request) Reply { return Reply{} }, ask("hi"), func(t *testing.T, _ aiclient.Chat, resp *aiclient.Response, err error) {
		noError(t, err)
		same(t, "text", "", resp.Text())
		same(t, "finish reason", aiclient.FinishStop, resp.Reason)
	})
}

func (s conformance) reasoning(t *testing.T) {
	script := func(r Request) Reply {
		if len(r.ToolResults()) > 0 {
			before := r.Messages[len(r.Messages)-2]
			return Text(before.Signature)
		}
		return Reply{Reasoning: "let me think about the weather", Signature: "c2lnbmF0dXJl", ToolCalls: []ToolCall{{Name: "weather", Arguments: `{"city":"Porto"}`}}}
	}
	req := ask("weather?")
	req.Tools = []tool.Tool{weather}
	s.both(t, script, req, func(t *testing.T, chat aiclient.Chat, resp *aiclient.Response, err error) {
		noError(t, err)
		same(t, "reasoning", "let me think about the weather", resp.Message.Reasoning())
		if s.NoSignature {
			return
		}
		// The signature goes back unchanged, also after a round trip through a
		// stored history.
		data, err := json.Marshal(resp.Message)
		noError(t, err)
		var stored aiclient.Message
		noError(t, json.Unmarshal(data, &stored))
		next := *req
		next.Messages = append(next.Messages[:1:1], stored, aiclient.ToolResults(aiclient.ToolResult{
			CallID: resp.Calls()[0].ID, Name: "weather", Text: "sunny"}))
		resp, err = chat.Generate(t.Context(), &next)
		noError(t, err)
		same(t, "signature", "c2lnbmF0dXJl", resp.Text())
	})
}

func (s conformance) toolCalls(t *testing.T) {
	arguments := `{"city": "São Paulo", "note": "` + strings.Repeat("long ", 50) + `"}`
	script := func(r Request) Reply {
		if len(r.Tools) != 2 || r.Tools[0].Name != "weather" || r.Tools[0].Description != weather.Description || !strings.Contains(string(r.Tools[0].Schema), "city") {
			return Text(fmt.Sprintf("the tools did not arrive: %+v", r.Tools))
		}
		return Reply{Text: "calling", ToolCalls: []ToolCall{{ID: "call_a", Name: "weather", Arguments: arguments},
			{ID: "call_b", Name: "now", Arguments: "{}"}, {ID: "call_c", Name: "weather", Arguments: `{"city":"Faro"}`}}}
	}
	req := ask("weather?")
	req.Tools = []tool.Tool{weather, {Name: "now", Description: "the time"}}
	s.both(t, script, req, func(t *testing.T, _ aiclient.Chat, resp *aiclient.Response, err error) {
		noError(t, err)
		same(t, "text", "calling", resp.Text())
		same(t, "finish reason", aiclient.FinishToolCalls, resp.Reason)
		calls := resp.Calls()
		same(t, "number of calls", 3, len(calls))
		ids := map[string]bool{}
		for i, name := range []string{"weather", "now", "weather"} {
			same(t, "name", name, calls[i].Name)
			ids[calls[i].ID] = true
		}
		if len(ids) != 3 || ids[""] {
			t.Errorf("the calls have no distinct IDs: %v", ids)
		}
		var want, got any
		noError(t, json.Unmarshal([]byte(arguments), &want))
		noError(t, json.Unmarshal([]byte(calls[0].Arguments), &got))
		same(t, "arguments", want, got)
		same(t, "no arguments", "{}", string(calls[1].Input()))
	})
}

func (s conformance) malformedArguments(t *testing.T) {
	const malformed = `{"city": "Por`
	chat := s.New(t, func(r Request) Reply {
		if results := r.ToolResults(); len(results) > 0 {
			return Text(results[0].Text)
		}
		return Call("weather", malformed)
	})
	req := ask("weather?")
	req.Tools = []tool.Tool{weather}
	resp, err := aiclient.Collect(chat.Stream(t.Context(), req))
	noError(t, err)
	same(t, "number of calls", 1, len(resp.Calls()))
	same(t, "arguments are kept verbatim", malformed, resp.Calls()[0].Arguments)

	req.Messages = append(req.Messages, resp.Message, aiclient.ToolResults(aiclient.ToolResult{
		CallID: resp.Calls()[0].ID, Name: "weather", Text: "not JSON", IsError: true}))
	resp, err = chat.Generate(t.Context(), req)
	noError(t, err)
	same(t, "the model is told", "not JSON", resp.Text())
}

func (s conformance) history(t *testing.T) {
	script := func(r Request) Reply {
		switch {
		case r.LastUser() == "and now?" && r.Last().Role == "user":
			return Text(fmt.Sprintf("%d messages, %d calls", len(r.Messages), len(r.Calls(""))))
		case len(r.ToolResults()) == 2:
			results := r.ToolResults()
			return Text(results[0].ToolName + "=" + results[0].Text + " " + results[1].ToolName + "=" + results[1].Text)
		}
		return Reply{ToolCalls: []ToolCall{{Name: "weather", Arguments: `{"city":"Faro"}`}, {Name: "weather", Arguments: `{"city":"Porto"}`}}}
	}
	req := ask("weather?")
	req.Tools = []tool.Tool{weather}
	s.both(t, script, req, func(t *testing.T, chat aiclient.Chat, resp *aiclient.Response, err error) {
		noError(t, err)
		calls := resp.Calls()
		same(t, "number of calls", 2, len(calls))
		next := *req
		next.Messages = append(next.Messages[:1:1], resp.Message, aiclient.ToolResults(
			aiclient.ToolResult{CallID: calls[0].ID, Name: "weather", Text: "sunny"},
			aiclient.ToolResult{CallID: calls[1].ID, Name: "weather", Text: "rain"}))
		resp, err = chat.Generate(t.Context(), &next)
		noError(t, err)
		same(t, "answer", "weather=sunny weather=rain", resp.Text())

		next.Messages = append(next.Messages, resp.Message, aiclient.User("and now?"))
		resp, err = chat.Generate(t.Context(), &next)
		noError(t, err)
		same(t, "answer", "7 messages, 2 calls", resp.Text())
	})
}

func (s conformance) foreignData(t *testing.T) {
	foreign := aiclient.NewProviderData("another-provider", map[string]string{"signature": "x", "block": "{}", "field": "reasoning"})
	chat := s.New(t, func(r Request) Reply {
		return Text(fmt.Sprintf("%d %q %q", len(r.Messages), r.Messages[2].Reasoning, r.Messages[2].Signature))
	})
	req := ask("hi")
	req.Messages = append(req.Messages, aiclient.Assistant(
		aiclient.Part{Kind: aiclient.KindReasoning, Text: "secret thoughts", Provider: foreign},
		aiclient.Part{Kind: aiclient.KindOpaque, Provider: foreign},
		aiclient.Part{Kind: aiclient.KindText, Text: "hello", Provider: foreign},
		aiclient.Part{Kind: aiclient.KindSource, Source: &aiclient.Source{URL: "https://example.com"}},
	), aiclient.User("again"))
	resp, err := chat.Generate(t.Context(), req)
	noError(t, err)
	same(t, "what arrives", `4 "" ""`, resp.Text())
}

// foreignCalls gives the model a history with calls that another model made: with
// IDs that are too long, hold other characters or come again, with names that no
// tool can have, and with an empty reply. Results must still belong to their
// calls.
func (s conformance) foreignCalls(t *testing.T) {
	ids := []string{"functions.weather:0", strings.Repeat("long", 20), "call_1", "call_1", "9 lives"}
	chat := s.New(t, func(r Request) Reply {
		text := ""
		for i, m := range r.Messages {
			if m.Role == "tool" {
				text += m.Text + " "
			}
			for _, c := range m.ToolCalls {
				var args struct{ City string }
				if json.Unmarshal([]byte(c.Arguments), &args) != nil || r.Messages[i+1].Text != "weather in "+args.City {
					text += fmt.Sprintf("(%s is not the result of %s) ", r.Messages[i+1].Text, c.Arguments)
				}
			}
		}
		return Text(text)
	})
	req := ask("hi")
	want := ""
	for i, id := range ids {
		name, city := "weather", fmt.Sprintf("city %d", i)
		if i == 1 {
			name = "functions.weather<|channel|>"
		}
		req.Messages = append(req.Messages,
			aiclient.Assistant(aiclient.ToolCallPart(aiclient.ToolCall{ID: id, Name: name, Arguments: fmt.Sprintf(`{"city":%q}`, city)})),
			aiclient.ToolResults(aiclient.ToolResult{CallID: id, Name: name, Text: "weather in " + city}))
		want += "weather in " + city + " "
	}
	req.Messages = append(req.Messages, aiclient.Assistant(), aiclient.User("still there?"), aiclient.User("hello?"))
	noError(t, aiclient.Validate(req, aiclient.Rules{}))
	resp, err := chat.Generate(t.Context(), req)
	noError(t, err)
	same(t, "results", want, resp.Text())
}

func (s conformance) usage(t *testing.T) {
	want := Usage{Input: 120, CachedRead: 40, CacheWrite: 7, Output: 33, Reasoning: 11}
	if s.NoCacheWrite {
		want.CacheWrite = 0
	}
	if s.NoReasoningUse {
		want.Reasoning = 0
	}
	s.both(t, func(Request) Reply { return Reply{Text: "x", Usage: want} }, ask("hi"), func(t *testing.T, _ aiclient.Chat, resp *aiclient.Response, err error) {
		noError(t, err)
		same(t, "usage", aiclient.Usage(want), resp.Usage)
	})
}

func (s conformance) finishReasons(t *testing.T) {
	for reason, want := range map[string]aiclient.FinishReason{
		"stop": aiclient.FinishStop, "length": aiclient.FinishLength, "content_filter": aiclient.FinishContentFilter,
	} {
		s.both(t, func(Request) Reply { return Reply{Text: "some", Finish: reason} }, ask("hi"), func(t *testing.T, _ aiclient.Chat, resp *aiclient.Response, err error) {
			noError(t, err)
			same(t, "finish reason", want, resp.Reason)
			same(t, "text", "some", resp.Text())
		})
	}
}

func (s conformance) files(t *testing.T) {
	chat := s.New(t, func(r Request) Reply { return Text(strings.Join(r.Last().Files, " ")) })
	req := ask("")
	req.Messages = []aiclient.Message{aiclient.User("what is this?", aiclient.Image("image/png", []byte("\x89PNG not really")))}
	resp, err := chat.Generate(t.Context(), req)
	noError(t, err)
	same(t, "files", "image/png", resp.Text())
}

// refusedFiles gives the model a file that it does not take. The user is told so,
// and the conversation goes on behind it.
func (s conformance) refusedFiles(t *testing.T) {
	chat := s.New(t, func(r Request) Reply { return Text(strings.Join(r.Last().Files, " ") + r.LastUser()) })
	if aiclient.RulesOf(chat).Media == nil {
		return // it takes any, or does not say
	}
	req := ask("")
	req.Messages = []aiclient.Message{aiclient.User("what is this?", aiclient.Image("application/x-unheard-of", []byte("?")))}
	_, err := chat.Generate(t.Context(), req)
	same(t, "class", aiclient.ClassBadRequest, aiclient.ClassOf(err))
	if !strings.Contains(err.Error(), "application/x-unheard-of") {
		t.Errorf("the error does not name the type: %v", err)
	}
	req.Messages = append(req.Messages, aiclient.User("never mind"))
	s.both(t, func(r Request) Reply {
		return Text(fmt.Sprintf("%d %s %t", len(r.Last().Files), r.Last().Text, strings.Contains(string(r.Body), "a file of type application/x-unheard-of")))
	}, req, func(t *testing.T, _ aiclient.Chat, resp *aiclient.Response, err error) {
		noError(t, err)
		if !strings.HasPrefix(resp.Text(), "0 ") || !strings.Contains(resp.Text(), "never mind") {
			t.Errorf("the last message did not arrive: %q", resp.Text())
		}
		if !s.NoHTTP && !strings.HasSuffix(resp.Text(), " true") {
			t.Errorf("the model is not told of the file: %q", resp.Text())
		}
		if len(resp.Warnings) == 0 {
			t.Error("there is no warning about the file")
		}
	})
}

func (s conformance) requestIsLeftAlone(t *testing.T) {
	chat := s.New(t, func(Request) Reply { return Text("ok") })
	req := ask("hi")
	req.Tools = []tool.Tool{weather}
	req.Context = []string{"one", "two"}
	req.Messages = append(req.Messages,
		aiclient.Assistant(aiclient.Text("a  "), aiclient.ToolCallPart(aiclient.ToolCall{ID: "c1", Name: "weather", Arguments: "{bad"})),
		aiclient.ToolResults(aiclient.ToolResult{CallID: "c1", Name: "weather", Text: "r"}))
	before, err := json.Marshal(req)
	noError(t, err)
	for range 2 {
		_, err = chat.Generate(t.Context(), req)
		noError(t, err)
		_, err = aiclient.Collect(chat.Stream(t.Context(), req))
		noError(t, err)
	}
	after, err := json.Marshal(req)
	noError(t, err)
	same(t, "request", string(before), string(after))
}

func (s conformance) lastPart(t *testing.T) {
	chat := s.New(t, func(Request) Reply {
		return Reply{Text: "text", ToolCalls: []ToolCall{{Name: "weather", Arguments: `{"city":"Faro"}`}}}
	})
	stream := chat.Stream(t.Context(), ask("hi"))
	for range 2 { // a stream may be iterated again: it asks again
		var kinds []aiclient.Kind
		for p, err := range stream {
			noError(t, err)
			kinds = append(kinds, p.Kind)
		}
		for i, kind := range kinds {
			if (kind == aiclient.KindFinish) != (i == len(kinds)-1) {
				t.Errorf("the finish is not exactly the last part: %v", kinds)
			}
		}
		if len(kinds) < 3 {
			t.Errorf("parts are missing: %v", kinds)
		}
	}
}

func (s conformance) concurrent(t *testing.T) {
	streams := s.Streams
	if streams == 0 {
		streams = 100
	}
	chat := s.New(t, func(r Request) Reply { return Text(strings.Repeat(r.LastUser()+" ", 20)) })
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() {
			name := fmt.Sprintf("stream-%d", i)
			resp, err := aiclient.Collect(chat.Stream(t.Context(), ask(name)))
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
				return
			}
			if want := strings.Repeat(name+" ", 20); resp.Text() != want {
				t.Errorf("stream %d: got %q", i, resp.Text())
			}
		})
	}
	wg.Wait()
}
