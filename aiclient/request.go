package aiclient

import (
	"encoding/json"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Request is what a model is asked. The zero value of a field leaves the choice
// to the provider. Pointers tell "not set" from zero: new(0.2), new(int64(7)).
type Request struct {
	// System is the system prompt.
	System string

	// Context are texts that belong to the system prompt but change from
	// request to request, such as memories. They are sent after System and
	// after its cache mark.
	Context []string

	// CacheSystem asks the provider to cache the tools and System.
	CacheSystem CacheMark

	// CacheHistory asks the provider to cache everything up to the last message,
	// so that the next request of the conversation pays little for what both
	// share. Providers that cache by themselves ignore it.
	CacheHistory CacheMark

	// Messages are the conversation so far, oldest first.
	Messages []Message

	// Tools are what the model may call. Only names, descriptions and schemas
	// are sent; nothing here runs them.
	Tools []tool.Tool

	// ToolChoice says whether the model may, must or must not call tools.
	ToolChoice ToolChoice

	// SequentialTools asks for at most one tool call per reply.
	SequentialTools bool

	// WebSearch lets the model search with the provider's own tool.
	WebSearch *WebSearch

	Temperature      *float64
	TopP             *float64
	TopK             *int64
	FrequencyPenalty *float64
	PresencePenalty  *float64
	Seed             *int64

	// Stop are texts that end the reply when the model writes them.
	Stop []string

	// MaxTokens bounds the reply in tokens, reasoning included. 0 means the
	// provider's or the adapter's default.
	MaxTokens int64

	// Reasoning says how much the model should think.
	Reasoning ReasoningOptions

	// Output asks for a JSON document instead of prose.
	Output *OutputFormat

	// Options are settings that only one provider knows, by [Model.Provider]:
	// each is a JSON object that the adapter merges into its request body.
	Options map[string]json.RawMessage

	// Metadata travels with the request where the provider accepts it.
	Metadata map[string]string
}

// SystemText returns System and Context joined by blank lines, for providers
// that take one system text.
func (r *Request) SystemText() string {
	if len(r.Context) == 0 {
		return r.System
	}
	texts := make([]string, 0, 1+len(r.Context))
	if r.System != "" {
		texts = append(texts, r.System)
	}
	return strings.Join(append(texts, r.Context...), "\n\n")
}

// ToolChoice says what a model may do with its tools: one of the constants, or
// [UseTool] of a name.
type ToolChoice string

// The tool choices.
const (
	ToolAuto     ToolChoice = ""         // the model decides
	ToolNone     ToolChoice = "none"     // no calls
	ToolRequired ToolChoice = "required" // at least one call
)

const useTool = "tool:"

// UseTool is the choice of exactly the tool of that name.
func UseTool(name string) ToolChoice { return ToolChoice(useTool + name) }

// Tool returns the name that [UseTool] was given, and whether c is such a choice.
func (c ToolChoice) Tool() (name string, ok bool) {
	return strings.CutPrefix(string(c), useTool)
}

// ReasoningOptions say how much a model should think before it answers.
type ReasoningOptions struct {
	// Effort is the provider's word for it: "none", "minimal", "low", "medium",
	// "high" and so on. Adapters translate it to a budget where the provider
	// has only budgets. Empty means the model's default.
	Effort string `json:"effort,omitempty"`

	// Budget bounds the thinking in tokens, where the provider has budgets.
	Budget int64 `json:"budget,omitempty"`

	// Hidden asks the provider not to send the thinking, where it can.
	Hidden bool `json:"hidden,omitempty"`
}

// OutputFormat describes a JSON document that the model must answer with.
type OutputFormat struct {
	Name        string          `json:"name,omitempty"` // letters, digits, '_' and '-'; empty means "output"
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"` // empty means any JSON object
}

// WebSearch are settings of the provider's own search.
type WebSearch struct {
	MaxUses        int      `json:"maxUses,omitempty"` // 0 means the provider's default
	AllowedDomains []string `json:"allowedDomains,omitempty"`
	BlockedDomains []string `json:"blockedDomains,omitempty"`
}

// MarshalJSON encodes the request as far as it reaches a model: of the tools
// that is the name, the description and the schema. Equal requests have equal
// encodings, so that it can serve as a key.
func (r *Request) MarshalJSON() ([]byte, error) {
	type toolJSON struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Schema      json.RawMessage `json:"schema,omitempty"`
	}
	tools := make([]toolJSON, len(r.Tools))
	for i, t := range r.Tools {
		tools[i] = toolJSON{Name: t.Name, Description: t.Description, Schema: t.Schema}
	}
	return json.Marshal(struct {
		System           string                     `json:"system,omitempty"`
		Context          []string                   `json:"context,omitempty"`
		CacheSystem      CacheMark                  `json:"cacheSystem,omitempty"`
		CacheHistory     CacheMark                  `json:"cacheHistory,omitempty"`
		Messages         []Message                  `json:"messages"`
		Tools            []toolJSON                 `json:"tools,omitempty"`
		ToolChoice       ToolChoice                 `json:"toolChoice,omitempty"`
		SequentialTools  bool                       `json:"sequentialTools,omitempty"`
		WebSearch        *WebSearch                 `json:"webSearch,omitempty"`
		Temperature      *float64                   `json:"temperature,omitempty"`
		TopP             *float64                   `json:"topP,omitempty"`
		TopK             *int64                     `json:"topK,omitempty"`
		FrequencyPenalty *float64                   `json:"frequencyPenalty,omitempty"`
		PresencePenalty  *float64                   `json:"presencePenalty,omitempty"`
		Seed             *int64                     `json:"seed,omitempty"`
		Stop             []string                   `json:"stop,omitempty"`
		MaxTokens        int64                      `json:"maxTokens,omitempty"`
		Reasoning        ReasoningOptions           `json:"reasoning,omitzero"`
		Output           *OutputFormat              `json:"output,omitempty"`
		Options          map[string]json.RawMessage `json:"options,omitempty"`
		Metadata         map[string]string          `json:"metadata,omitempty"`
	}{
		r.System, r.Context, r.CacheSystem, r.CacheHistory, r.Messages, tools, r.ToolChoice, r.SequentialTools,
		r.WebSearch, r.Temperature, r.TopP, r.TopK, r.FrequencyPenalty, r.PresencePenalty, r.Seed,
		r.Stop, r.MaxTokens, r.Reasoning, r.Output, r.Options, r.Metadata,
	})
}
