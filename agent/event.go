package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// Event is one entry of an agent's event log. Events are values: they may be
// kept, sent to another process as JSON and read back without loss.
type Event struct {
	// Seq numbers the events of an agent from 1 without holes. It keeps
	// rising over restores: a restored agent goes on behind the time in
	// microseconds since 1970, so that a cursor of an earlier life never names
	// another event.
	Seq uint64
	// First is set when one event stands for several: adjacent text deltas
	// that a late reader receives joined, or a [Lagged]. The event then covers
	// First to Seq. Otherwise it is 0.
	First uint64
	Time  time.Time
	// Input is the ID of the input that was running, or "".
	Input string
	// Body says what happened: an [Output], a [ToolStarted] and so on.
	Body Body
}

// Body is what an [Event] says. The set is closed so that every event can be
// stored and read back; hosts add their own as [Custom].
type Body interface {
	// Kind is the stable name of the body's type in JSON.
	Kind() Kind
	// size is what the body costs in the log, in bytes.
	size() int
}

// Kind names a type of [Body], for example "output".
type Kind string

// bodyCost is charged for each event beside its text: the log's own entry and
// the boxed body.
const bodyCost = 96

type (
	// Output is text for the person, mostly a piece of a model's reply.
	Output struct {
		Text string `json:"text"`
	}
	// Reasoning is a piece of what a model thinks aloud.
	Reasoning struct {
		Text string `json:"text"`
	}
	// Message is a notice of the system with its severity.
	Message struct {
		Level slog.Level `json:"level"`
		Text  string     `json:"text"`
	}
	// Busy says that the agent began to work after it was idle.
	Busy struct{}
	// Idle says that no input runs and none waits.
	Idle struct{}
	// Aborting says that the running input was told to end; the end itself is
	// its [InputFinished].
	Aborting struct {
		ID     string    `json:"id"`
		Reason string    `json:"reason"`
		Mode   AbortMode `json:"mode"`
	}
	// Exit is the last event of an agent in this process.
	Exit struct {
		Reason string `json:"reason"`
	}
	// InputReceived says that an input was accepted.
	InputReceived struct {
		ID      string `json:"id"`
		Text    string `json:"text"`
		Source  string `json:"source,omitempty"`
		Resumed bool   `json:"resumed,omitempty"`
	}
	// InputFinished ends an input. Every accepted input has exactly one.
	InputFinished struct {
		ID       string        `json:"id"`
		State    RunState      `json:"state"`
		Error    string        `json:"error,omitempty"`
		Duration time.Duration `json:"duration"`
	}
	// ToolStarted says that a tool call passed all hooks and begins.
	ToolStarted struct {
		Call ToolCall `json:"call"`
	}
	// ToolFinished ends a tool call, also one that never ran because it was
	// denied or answered by a hook.
	ToolFinished struct {
		Call     ToolCall      `json:"call"`
		Result   string        `json:"result"`
		Failed   bool          `json:"failed,omitempty"`
		Duration time.Duration `json:"duration"`
	}
	// Asked says that a person is asked something.
	Asked struct {
		Request Request `json:"request"`
	}
	// Answered ends a request. Secrets are removed from Response.
	Answered struct {
		ID       string   `json:"id"`
		Response Response `json:"response"`
		Error    string   `json:"error,omitempty"`
	}
	// HookRan reports one execution of a hook.
	HookRan struct {
		Point    Point         `json:"point"`
		Name     string        `json:"name"`
		Error    string        `json:"error,omitempty"`
		Duration time.Duration `json:"duration"`
	}
	// Checkpointed says that a checkpoint is durable.
	Checkpointed struct {
		ID    string `json:"id"`
		Bytes int64  `json:"bytes"`
	}
	// WasReset says that state was thrown away on request.
	WasReset struct {
		Scope string `json:"scope"`
	}
	// SubAgent reports the life of a sub-agent to its parent.
	SubAgent struct {
		ID    string `json:"id"`
		Type  string `json:"type"`
		State string `json:"state"` // "spawned", "stopped"
	}
	// Custom is an event of the host's own.
	Custom struct {
		Name string          `json:"name"`
		Data json.RawMessage `json:"data,omitempty"`
	}
	// Lagged tells a reader that the events From to To were dropped from the
	// bounded log before it came to them. It is made for that reader; the log
	// itself does not hold it.
	Lagged struct {
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
	}
	// Unknown is the body of an event that a newer version wrote. It is kept
	// as it is.
	Unknown struct {
		Name Kind
		Data json.RawMessage
	}
)

func (Output) Kind() Kind        { return "output" }
func (Reasoning) Kind() Kind     { return "reasoning" }
func (Message) Kind() Kind       { return "message" }
func (Busy) Kind() Kind          { return "busy" }
func (Idle) Kind() Kind          { return "idle" }
func (Aborting) Kind() Kind      { return "aborting" }
func (Exit) Kind() Kind          { return "exit" }
func (InputReceived) Kind() Kind { return "input.received" }
func (InputFinished) Kind() Kind { return "input.finished" }
func (ToolStarted) Kind() Kind   { return "tool.started" }
func (ToolFinished) Kind() Kind  { return "tool.finished" }
func (Asked) Kind() Kind         { return "asked" }
func (Answered) Kind() Kind      { return "answered" }
func (HookRan) Kind() Kind       { return "hook" }
func (Checkpointed) Kind() Kind  { return "checkpoint" }
func (WasReset) Kind() Kind      { return "reset" }
func (SubAgent) Kind() Kind      { return "subagent" }
func (Custom) Kind() Kind        { return "custom" }
func (Lagged) Kind() Kind        { return "lagged" }
func (u Unknown) Kind() Kind     { return u.Name }

func (b Output) size() int        { return len(b.Text) }
func (b Reasoning) size() int     { return len(b.Text) }
func (b Message) size() int       { return len(b.Text) }
func (Busy) size() int            { return 0 }
func (Idle) size() int            { return 0 }
func (b Aborting) size() int      { return len(b.Reason) }
func (b Exit) size() int          { return len(b.Reason) }
func (b InputReceived) size() int { return len(b.Text) + len(b.ID) }
func (b InputFinished) size() int { return len(b.Error) + len(b.ID) }
func (b ToolStarted) size() int   { return b.Call.size() }
func (b ToolFinished) size() int  { return b.Call.size() + len(b.Result) }
func (b Asked) size() int         { return b.Request.size() }
func (b Answered) size() int      { return len(b.Error) + b.Response.size() }
func (b HookRan) size() int       { return len(b.Error) + len(b.Name) }
func (b Checkpointed) size() int  { return len(b.ID) }
func (b WasReset) size() int      { return len(b.Scope) }
func (b SubAgent) size() int      { return len(b.ID) + len(b.Type) }
func (b Custom) size() int        { return len(b.Name) + len(b.Data) }
func (Lagged) size() int          { return 0 }
func (b Unknown) size() int       { return len(b.Name) + len(b.Data) }

// terminal reports whether b ends something that a reader may wait for; such
// events outlive the bounds of the log.
func terminal(b Body) bool {
	switch b.(type) {
	case InputFinished, Exit:
		return true
	}
	return false
}

// wireEvent is the JSON form of an Event.
type wireEvent struct {
	Seq   uint64          `json:"seq"`
	First uint64          `json:"first,omitempty"`
	Time  time.Time       `json:"time"`
	Input string          `json:"input,omitempty"`
	Kind  Kind            `json:"kind"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// MarshalJSON writes {"seq", "first", "time", "input", "kind", "body"}. What is to
// be JSON in a body and is not, such as a tool call's arguments that a model
// wrote badly, becomes a string.
func (e Event) MarshalJSON() ([]byte, error) {
	w := wireEvent{Seq: e.Seq, First: e.First, Time: e.Time, Input: e.Input}
	switch b := sound(e.Body).(type) {
	case nil:
	case Unknown:
		w.Kind, w.Body = b.Name, b.Data
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("agent: event %d of kind %q: %w", e.Seq, b.Kind(), err)
		}
		w.Kind, w.Body = b.Kind(), data
	}
	return json.Marshal(w)
}

// sound returns b with what is not JSON in it as strings.
func sound(b Body) Body {
	switch b := b.(type) {
	case ToolStarted:
		b.Call.Args = soundJSON(b.Call.Args)
		return b
	case ToolFinished:
		b.Call.Args = soundJSON(b.Call.Args)
		return b
	case Asked:
		b.Request.Data = soundJSON(b.Request.Data)
		return b
	case Custom:
		b.Data = soundJSON(b.Data)
		return b
	case Unknown:
		b.Data = soundJSON(b.Data)
		return b
	}
	return b
}

func soundJSON(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || json.Valid(raw) {
		return raw
	}
	text, _ := json.Marshal(string(raw)) // a string always can be
	return text
}

// UnmarshalJSON reads what MarshalJSON wrote. A kind that this version does not
// know becomes an [Unknown] and is written back unchanged.
func (e *Event) UnmarshalJSON(data []byte) error {
	var w wireEvent
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("agent: event: %w", err)
	}
	ev := Event{Seq: w.Seq, First: w.First, Time: w.Time, Input: w.Input}
	if w.Kind != "" {
		decode, ok := bodies[w.Kind]
		if !ok {
			decode = func(raw json.RawMessage) (Body, error) { return Unknown{Name: w.Kind, Data: raw}, nil }
		}
		body, err := decode(w.Body)
		if err != nil {
			return fmt.Errorf("agent: event %d of kind %q: %w", w.Seq, w.Kind, err)
		}
		ev.Body = body
	}
	*e = ev
	return nil
}

var bodies = func() map[Kind]func(json.RawMessage) (Body, error) {
	m := map[Kind]func(json.RawMessage) (Body, error){}
	addBody[Output](m)
	addBody[Reasoning](m)
	addBody[Message](m)
	addBody[Busy](m)
	addBody[Idle](m)
	addBody[Aborting](m)
	addBody[Exit](m)
	addBody[InputReceived](m)
	addBody[InputFinished](m)
	addBody[ToolStarted](m)
	addBody[ToolFinished](m)
	addBody[Asked](m)
	addBody[Answered](m)
	addBody[HookRan](m)
	addBody[Checkpointed](m)
	addBody[WasReset](m)
	addBody[SubAgent](m)
	addBody[Custom](m)
	addBody[Lagged](m)
	return m
}()

func addBody[B Body](m map[Kind]func(json.RawMessage) (Body, error)) {
	var zero B
	m[zero.Kind()] = func(raw json.RawMessage) (Body, error) {
		var b B
		if len(raw) == 0 {
			return b, nil
		}
		err := json.Unmarshal(raw, &b)
		return b, err
	}
}
