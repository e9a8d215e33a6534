package aitest

import (
	"encoding/json"
	"net/http"
	"time"
)

// Script decides what the model answers. It is called once per request, from
// several goroutines at once when requests overlap.
type Script func(Request) Reply

// Request is a decoded request of a client, the same for every wire format.
type Request struct {
	Format   Format
	Model    string
	Stream   bool
	Messages []Message // system prompts included
	Tools    []Tool

	Index  int             // of the request on its server, from 0
	Path   string          // of the URL
	Header http.Header     // as it came, credentials included
	Body   json.RawMessage // as it came
}

// Format names a wire format.
type Format string

// The wire formats that a [Server] speaks.
const (
	OpenAI    Format = "openai"           // Chat Completions
	Responses Format = "openai-responses" // OpenAI Responses
	Anthropic Format = "anthropic"        // Messages
	Gemini    Format = "gemini"           // generateContent
)

// Message is a decoded message. Tool results are messages of their own, with
// the role "tool", whatever the wire format does.
type Message struct {
	Role      string // "system", "user", "assistant" or "tool"
	Text      string // all text of the message
	Reasoning string // text of reasoning that the client sent back
	Signature string // opaque reasoning data that the client sent back
	ToolCalls []ToolCall
	Files     []string // media types of images and files

	ToolCallID string // of a tool result
	ToolName   string // of a tool result, where it is known
}

// ToolCall is a call that the model makes.
type ToolCall struct {
	ID        string // empty in a Reply means one that is unique in the conversation
	Name      string
	Arguments string // JSON; whatever it holds is sent as it is
}

// Tool is a tool that the client offers.
type Tool struct {
	Name        string
	Description string
	Schema      json.RawMessage
}

// Last returns the last message, or an empty one.
func (r Request) Last() Message {
	if len(r.Messages) == 0 {
		return Message{}
	}
	return r.Messages[len(r.Messages)-1]
}

// LastUser returns the text of the last message of the user.
func (r Request) LastUser() string {
	for i := len(r.Messages) - 1; i >= 0; i-- {
		if r.Messages[i].Role == "user" {
			return r.Messages[i].Text
		}
	}
	return ""
}

// System returns the text of the system messages, joined with newlines.
func (r Request) System() string {
	text := ""
	for _, m := range r.Messages {
		if m.Role == "system" {
			if text != "" {
				text += "\n"
			}
			text += m.Text
		}
	}
	return text
}

// ToolResults returns the results that follow the last assistant message, in
// order.
func (r Request) ToolResults() []Message {
	from := len(r.Messages)
	for from > 0 && r.Messages[from-1].Role != "assistant" {
		from--
	}
	var results []Message
	for _, m := range r.Messages[from:] {
		if m.Role == "tool" {
			results = append(results, m)
		}
	}
	return results
}

// Calls returns every call of the named tool in the conversation, oldest first.
// An empty name means any tool.
func (r Request) Calls(name string) []ToolCall {
	var calls []ToolCall
	for _, m := range r.Messages {
		for _, c := range m.ToolCalls {
			if name == "" || c.Name == name {
				calls = append(calls, c)
			}
		}
	}
	return calls
}

// Reply is what the model answers. The zero value is an empty text.
type Reply struct {
	Reasoning string
	Signature string // opaque data that goes with the reasoning
	Text      string
	ToolCalls []ToolCall

	// Finish is the reason for stopping in OpenAI's words: "stop", "length",
	// "tool_calls" or "content_filter". Empty means "tool_calls" when there are
	// some and "stop" otherwise.
	Finish string

	// Usage is what the reply is said to have cost. The zero value means a
	// count made from the sizes of request and reply.
	Usage Usage

	Piece int           // bytes of text per stream event; 0 means 16
	Delay time.Duration // before anything is sent
	Pause time.Duration // before each stream event but the first
	Fault Fault
}

// Usage counts tokens. Input excludes what was read from or written to the
// cache; Output includes Reasoning.
type Usage struct {
	Input, CachedRead, CacheWrite, Output, Reasoning int64
}

// Text returns a reply of text.
func Text(text string) Reply { return Reply{Text: text} }

// Call returns a reply that calls one tool. Use Reply.ToolCalls for several.
func Call(name, arguments string) Reply {
	return Reply{ToolCalls: []ToolCall{{Name: name, Arguments: arguments}}}
}

// Fault makes a reply go wrong. The zero value is none.
type Fault struct {
	Kind FaultKind

	// After is how many stream events are sent before the fault happens;
	// Status ignores it. Beyond the end it means just before the last event.
	After int

	Status     int           // of [Status]; 0 means 500
	RetryAfter time.Duration // of [Status]; 0 means no header
	Code       string        // of [Status] and [ErrorEvent]
	Message    string        // of [Status] and [ErrorEvent]
}

// FaultKind is a way of going wrong.
type FaultKind int

// The ways of going wrong.
const (
	NoFault    FaultKind = iota
	Status               // answers with an HTTP error status
	Cut                  // breaks the connection
	End                  // ends the stream properly but too early
	Garbage              // sends something that is not JSON
	ErrorEvent           // sends the provider's error event in the stream
	Hang                 // stops sending until the client goes away
)

// Fail returns a reply with an HTTP error status.
func Fail(status int, message string) Reply {
	return Reply{Fault: Fault{Kind: Status, Status: status, Message: message}}
}

// RateLimited returns a reply with status 429 and a Retry-After header.
func RateLimited(retryAfter time.Duration) Reply {
	return Reply{Fault: Fault{Kind: Status, Status: http.StatusTooManyRequests, RetryAfter: retryAfter,
		Code: "rate_limit_exceeded", Message: "rate limit reached"}}
}

// finish returns the reason for stopping.
func (r Reply) finish() string {
	switch {
	case r.Finish != "":
		return r.Finish
	case len(r.ToolCalls) > 0:
		return "tool_calls"
	}
	return "stop"
}
