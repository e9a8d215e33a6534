package aitest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Tape records everything that a conversation learns from outside, model, tools,
// clock and IDs, and plays it back: the same program then runs again without any
// of them, and the first request that differs from the recorded one fails with a
// diff.
//
//	tape := aitest.NewTape()                   // or LoadTape(file)
//	conv := aiclient.NewConversation(tape.Chat(chat), aiclient.ConversationOptions{Tools: tape.Tools(tools)})
//	…
//	err := tape.Save(file)                     // or tape.Err()
//
// It is safe for concurrent use. Requests to models must come in the recorded
// order; calls of tools are told apart by name and arguments, because a
// conversation makes several at once.
type Tape struct {
	mu      sync.Mutex
	replay  bool
	entries []*entry
	err     error
}

// entry is one line of a tape.
type entry struct {
	Kind     string          `json:"kind"` // "model", "tool", "time" or "id"
	Model    *aiclient.Model `json:"model,omitempty"`
	Request  json.RawMessage `json:"request,omitempty"`
	Parts    []aiclient.Part `json:"parts,omitempty"`
	Tool     string          `json:"tool,omitempty"`
	Args     string          `json:"args,omitempty"`
	Result   *tool.Result    `json:"result,omitempty"`
	Time     time.Time       `json:"time,omitzero"`
	ID       string          `json:"id,omitempty"`
	Error    string          `json:"error,omitempty"`
	Invalid  bool            `json:"invalid,omitempty"` // Error is a *tool.ArgumentError
	APIError *apiError       `json:"apiError,omitempty"`

	played bool
}

// apiError is what of an *aiclient.APIError can be written down.
type apiError struct {
	Provider, Model   string
	Class             aiclient.Class
	Status            int
	Code, Message, ID string
	RetryAfter        time.Duration
}

// NewTape returns a tape that records.
func NewTape() *Tape { return &Tape{} }

// LoadTape returns a tape that plays what [Tape.Save] wrote.
func LoadTape(r io.Reader) (*Tape, error) {
	t := &Tape{replay: true}
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		e := &entry{}
		err := dec.Decode(e)
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("aitest: tape, entry %d: %w", len(t.entries), err)
		}
		t.entries = append(t.entries, e)
	}
}

// Save writes what has been recorded, one JSON document per line.
func (t *Tape) Save(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i, e := range t.entries {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("aitest: tape, entry %d: %w", i, err)
		}
	}
	return nil
}

// Err reports the first difference between what is played and what was
// recorded, or else what was recorded and has not been asked for. It is nil for
// a tape that records.
func (t *Tape) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil || !t.replay {
		return t.err
	}
	for i, e := range t.entries {
		if !e.played {
			return fmt.Errorf("aitest: tape: entry %d (%s%s) was recorded and not asked for", i, e.Kind, strings.TrimSuffix(" "+e.Tool, " "))
		}
	}
	return nil
}

func (t *Tape) record(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, e)
}

// next returns the next unplayed entry that fits.
func (t *Tape) next(what string, fits func(*entry) bool) (*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if !e.played && fits(e) {
			e.played = true
			return e, nil
		}
	}
	return nil, t.fail(fmt.Errorf("aitest: tape: nothing is recorded for %s", what))
}

func (t *Tape) fail(err error) error {
	if t.err == nil {
		t.err = err
	}
	return err
}

// Chat records chat, or plays what was recorded of it: chat may then be nil.
func (t *Tape) Chat(chat aiclient.Chat) aiclient.Chat { return &tapedChat{t, chat} }

type tapedChat struct {
	tape *Tape
	chat aiclient.Chat
}

// Model implements [aiclient.Chat].
func (c *tapedChat) Model() aiclient.Model {
	if !c.tape.replay {
		return c.chat.Model()
	}
	for _, e := range c.tape.entries {
		if e.Model != nil {
			return *e.Model
		}
	}
	return aiclient.Model{Provider: "tape", ID: "empty"}
}

// Stream implements [aiclient.Chat].
func (c *tapedChat) Stream(ctx context.Context, req *aiclient.Request) iter.Seq2[aiclient.Part, error] {
	return func(yield func(aiclient.Part, error) bool) {
		request, err := json.Marshal(req)
		if err != nil {
			yield(aiclient.Part{}, err)
			return
		}
		if c.tape.replay {
			c.play(ctx, request, yield)
			return
		}
		model := c.chat.Model()
		e := &entry{Kind: "model", Model: &model, Request: request}
		defer c.tape.record(e)
		for part, err := range c.chat.Stream(ctx, req) {
			if err != nil {
				e.setError(err)
			} else {
				kept := part
				if kept.Finish != nil {
					finish := *kept.Finish
					finish.Headers = nil // dates and IDs of one day
					kept.Finish = &finish
				}
				e.Parts = append(e.Parts, kept)
			}
			if !yield(part, err) {
				return
			}
		}
	}
}

func (c *tapedChat) play(ctx context.Context, request []byte, yield func(aiclient.Part, error) bool) {
	e, err := c.tape.next("another request to the model", func(e *entry) bool { return e.Kind == "model" })
	if err == nil {
		if difference := diffJSON(e.Request, request); difference != "" {
			c.tape.mu.Lock()
			err = c.tape.fail(fmt.Errorf("aitest: tape: a request to the model differs from the recorded one:\n%s", difference))
			c.tape.mu.Unlock()
		}
	}
	if err != nil {
		yield(aiclient.Part{}, err)
		return
	}
	for _, part := range e.Parts {
		if ctx.Err() != nil {
			yield(aiclient.Part{}, ctx.Err())
			return
		}
		if !yield(part, nil) {
			return
		}
	}
	if err := e.error(); err != nil {
		yield(aiclient.Part{}, err)
	}
}

// Generate implements [aiclient.Chat].
func (c *tapedChat) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
	return aiclient.Collect(c.Stream(ctx, req))
}

// Tools records the calls of tools, or plays what was recorded of them.
func (t *Tape) Tools(tools []tool.Tool) []tool.Tool {
	out := make([]tool.Tool, len(tools))
	for i, wrapped := range tools {
		out[i] = wrapped
		out[i].Call = func(ctx context.Context, args json.RawMessage) (tool.Result, error) {
			if t.replay {
				e, err := t.next(fmt.Sprintf("a call of %s(%s)", wrapped.Name, args), func(e *entry) bool {
					return e.Kind == "tool" && e.Tool == wrapped.Name && e.Args == string(args)
				})
				if err != nil {
					return tool.Result{}, err
				}
				if e.Result == nil {
					e.Result = &tool.Result{}
				}
				return *e.Result, e.error()
			}
			result, err := wrapped.Call(ctx, args)
			e := &entry{Kind: "tool", Tool: wrapped.Name, Args: string(args), Result: &result}
			e.setError(err)
			t.record(e)
			return result, err
		}
	}
	return out
}

// Now records a clock, or plays what was recorded of it: now may then be nil.
// After the last recorded time the clock stands still.
func (t *Tape) Now(now func() time.Time) func() time.Time {
	last := time.Time{}
	return func() time.Time {
		if !t.replay {
			at := now()
			t.record(&entry{Kind: "time", Time: at})
			return at
		}
		e, err := t.next("the time", func(e *entry) bool { return e.Kind == "time" })
		t.mu.Lock()
		defer t.mu.Unlock()
		if err == nil {
			last = e.Time
		}
		return last
	}
}

// ID records a source of IDs, or plays what was recorded of it: newID may then
// be nil. After the last recorded ID it returns empty ones.
func (t *Tape) ID(newID func() string) func() string {
	return func() string {
		if !t.replay {
			id := newID()
			t.record(&entry{Kind: "id", ID: id})
			return id
		}
		e, err := t.next("an ID", func(e *entry) bool { return e.Kind == "id" })
		if err != nil {
			return ""
		}
		return e.ID
	}
}

func (e *entry) setError(err error) {
	if err == nil {
		return
	}
	e.Error = err.Error()
	_, e.Invalid = errors.AsType[*tool.ArgumentError](err)
	if api, ok := errors.AsType[*aiclient.APIError](err); ok {
		e.APIError = &apiError{api.Provider, api.Model, api.Class, api.Status, api.Code, api.Message, api.RequestID, api.RetryAfter}
	}
}

func (e *entry) error() error {
	if a := e.APIError; a != nil {
		return &aiclient.APIError{Provider: a.Provider, Model: a.Model, Class: a.Class, Status: a.Status, Code: a.Code,
			Message: a.Message, RequestID: a.ID, RetryAfter: a.RetryAfter}
	}
	if e.Invalid {
		return &invalidArguments{e.Error, &tool.ArgumentError{Tool: e.Tool, Err: errors.New(e.Error)}}
	}
	if e.Error != "" {
		return errors.New(e.Error)
	}
	return nil
}

// invalidArguments is a *tool.ArgumentError with the text that was recorded.
type invalidArguments struct {
	text  string
	cause *tool.ArgumentError
}

func (e *invalidArguments) Error() string { return e.text }
func (e *invalidArguments) Unwrap() error { return e.cause }

// diffJSON returns the first lines that differ between two documents, with what
// comes before them, or "" when they are equal.
func diffJSON(recorded, got []byte) string {
	a, b := indent(recorded), indent(got)
	for i := range max(len(a), len(b)) {
		if i < len(a) && i < len(b) && a[i] == b[i] {
			continue
		}
		var out strings.Builder
		for _, line := range a[max(0, i-3):min(i, len(a))] {
			out.WriteString("  " + line + "\n")
		}
		for _, line := range a[min(i, len(a)):min(i+3, len(a))] {
			out.WriteString("- " + line + "\n")
		}
		for _, line := range b[min(i, len(b)):min(i+3, len(b))] {
			out.WriteString("+ " + line + "\n")
		}
		return strings.TrimSuffix(out.String(), "\n")
	}
	return ""
}

func indent(doc []byte) []string {
	var v any
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return strings.Split(string(doc), "\n")
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return strings.Split(string(doc), "\n")
	}
	return strings.Split(string(text), "\n")
}
