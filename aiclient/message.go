package aiclient

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Role says who a message is from.
type Role string

// The roles of messages.
const (
	RoleSystem    Role = "system"    // the program; usually [Request.System] serves instead
	RoleUser      Role = "user"      // the person, or the program on their behalf
	RoleAssistant Role = "assistant" // the model
	RoleTool      Role = "tool"      // results of tool calls, one part per call
)

// Message is one entry of a conversation. Messages are values that share their
// parts: a message in use must not be changed.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts"`

	// Cache asks the provider to cache the prompt up to and including this
	// message. Providers that cache by themselves ignore it.
	Cache CacheMark `json:"cache,omitempty"`

	// Interrupted marks a reply that was cut off: it holds what had arrived.
	Interrupted bool `json:"interrupted,omitempty"`

	// Provider is provider data of the message as a whole, such as the ID
	// under which the provider stored the reply.
	Provider *ProviderData `json:"provider,omitempty"`
}

// CacheMark says how long a provider should keep a cached prompt.
type CacheMark string

// The cache marks. Providers round to what they offer.
const (
	CacheNone  CacheMark = ""
	CacheShort CacheMark = "5m"
	CacheLong  CacheMark = "1h"
)

// System returns a system message.
func System(text string) Message { return Message{Role: RoleSystem, Parts: []Part{Text(text)}} }

// User returns a user message of text followed by other parts, such as images.
func User(text string, more ...Part) Message {
	parts := make([]Part, 0, 1+len(more))
	if text != "" || len(more) == 0 {
		parts = append(parts, Text(text))
	}
	return Message{Role: RoleUser, Parts: append(parts, more...)}
}

// Assistant returns a model's message.
func Assistant(parts ...Part) Message { return Message{Role: RoleAssistant, Parts: parts} }

// ToolResults returns the message that answers a model's tool calls.
func ToolResults(results ...ToolResult) Message {
	parts := make([]Part, len(results))
	for i := range results {
		parts[i] = ToolResultPart(results[i])
	}
	return Message{Role: RoleTool, Parts: parts}
}

// Text returns the message's visible text.
func (m Message) Text() string { return m.join(KindText) }

// Reasoning returns the text of the message's reasoning parts.
func (m Message) Reasoning() string { return m.join(KindReasoning) }

func (m Message) join(kind Kind) string {
	var first string
	var b strings.Builder
	n := 0
	for i := range m.Parts {
		if m.Parts[i].Kind != kind {
			continue
		}
		switch n++; n {
		case 1:
			first = m.Parts[i].Text
		case 2:
			b.WriteString(first)
			fallthrough
		default:
			b.WriteString(m.Parts[i].Text)
		}
	}
	if n < 2 {
		return first
	}
	return b.String()
}

// Calls returns the tool calls of the message in order.
func (m Message) Calls() []*ToolCall {
	var calls []*ToolCall
	for i := range m.Parts {
		if m.Parts[i].Kind == KindToolCall && m.Parts[i].Call != nil {
			calls = append(calls, m.Parts[i].Call)
		}
	}
	return calls
}

func (m Message) hasCalls() bool {
	return slices.ContainsFunc(m.Parts, func(p Part) bool { return p.Kind == KindToolCall && p.Call != nil })
}

// jsonObject returns s as a JSON object, {} when it is blank or null, and
// whether it is one.
func jsonObject(s string) (json.RawMessage, bool) {
	trimmed := strings.TrimSpace(s)
	switch {
	case trimmed == "" || trimmed == "null":
		return json.RawMessage("{}"), true
	case trimmed[0] == '{' && utf8.ValidString(trimmed):
		object := json.RawMessage(trimmed)
		return object, json.Valid(object)
	}
	return nil, false
}
