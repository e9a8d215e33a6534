package openai

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// chatRequest is the body of a Chat Completions request, as far as every
// service knows it.
type chatRequest struct {
	Model               string            `json:"model"`
	Messages            []chatMessage     `json:"messages"`
	Tools               []chatTool        `json:"tools,omitempty"`
	ToolChoice          any               `json:"tool_choice,omitempty"`
	ParallelToolCalls   *bool             `json:"parallel_tool_calls,omitempty"`
	Temperature         *float64          `json:"temperature,omitempty"`
	TopP                *float64          `json:"top_p,omitempty"`
	TopK                *int64            `json:"top_k,omitempty"`
	FrequencyPenalty    *float64          `json:"frequency_penalty,omitempty"`
	PresencePenalty     *float64          `json:"presence_penalty,omitempty"`
	Seed                *int64            `json:"seed,omitempty"`
	RandomSeed          *int64            `json:"random_seed,omitempty"`
	Stop                []string          `json:"stop,omitempty"`
	MaxTokens           int64             `json:"max_tokens,omitempty"`
	MaxCompletionTokens int64             `json:"max_completion_tokens,omitempty"`
	ReasoningEffort     string            `json:"reasoning_effort,omitempty"`
	Reasoning           *reasoningObject  `json:"reasoning,omitempty"`
	Thinking            map[string]any    `json:"thinking,omitempty"`
	EnableThinking      *bool             `json:"enable_thinking,omitempty"`
	ThinkingBudget      int64             `json:"thinking_budget,omitempty"`
	TemplateKwargs      map[string]any    `json:"chat_template_kwargs,omitempty"`
	ResponseFormat      map[string]any    `json:"response_format,omitempty"`
	WebSearchOptions    *struct{}         `json:"web_search_options,omitempty"`
	SearchParameters    map[string]any    `json:"search_parameters,omitempty"`
	Plugins             []map[string]any  `json:"plugins,omitempty"`
	DomainFilter        []string          `json:"search_domain_filter,omitempty"`
	EnableSearch        bool              `json:"enable_search,omitempty"`
	Usage               map[string]bool   `json:"usage,omitempty"`
	Metadata            map[string]string `json:"metadata,omitempty"`
	StreamOptions       map[string]bool   `json:"stream_options,omitempty"`
	Stream              bool              `json:"stream,omitempty"`
}

type reasoningObject struct {
	Effort    string `json:"effort,omitempty"`
	MaxTokens int64  `json:"max_tokens,omitempty"`
	Exclude   bool   `json:"exclude,omitempty"`
}

type chatFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Arguments   *string         `json:"arguments,omitempty"`
}

type chatTool struct {
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

// encode returns the body of a request, and what of it is not honoured.
func (c *chat) encode(req *aiclient.Request, stream bool) ([]byte, []string, error) {
	dialect := &c.provider.dialect
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }

	out := chatRequest{
		Model: c.model, Temperature: req.Temperature, TopP: req.TopP, FrequencyPenalty: req.FrequencyPenalty,
		PresencePenalty: req.PresencePenalty, Seed: req.Seed, Stop: req.Stop, Metadata: req.Metadata, Stream: stream,
	}
	if err := transport.CheckParts(req); err != nil {
		return nil, nil, err
	}
	if err := c.encodeMessages(&out, req, warn); err != nil {
		return nil, nil, err
	}
	c.encodeTools(&out, req)

	if dialect.MaxCompletionTokens {
		out.MaxCompletionTokens = req.MaxTokens
	} else {
		out.MaxTokens = req.MaxTokens
	}
	if req.TopK != nil {
		if dialect.TopK {
			out.TopK = req.TopK
		} else {
			warn("%s has no setting for top-k", c.provider.name)
		}
	}
	if req.Seed != nil {
		switch {
		case dialect.NoSeed:
			out.Seed = nil
			warn("%s has no setting for the seed", c.provider.name)
		case dialect.SeedName == "random_seed":
			out.Seed, out.RandomSeed = nil, req.Seed
		}
	}
	if dialect.NoPenalties && (req.FrequencyPenalty != nil || req.PresencePenalty != nil) {
		out.FrequencyPenalty, out.PresencePenalty = nil, nil
		warn("%s has no settings for penalties", c.provider.name)
	}
	c.encodeReasoning(&out, req, warn)
	c.encodeOutput(&out, req)
	c.encodeSearch(&out, req, warn)
	if dialect.UsageOption {
		out.Usage = map[string]bool{"include": true}
	}
	if stream && !dialect.NoStreamOptions {
		out.StreamOptions = map[string]bool{"include_usage": true}
	}
	body, err := transport.Body(out, req.Options[c.provider.name])
	return body, warnings, err
}

func (c *chat) encodeTools(out *chatRequest, req *aiclient.Request) {
	if len(req.Tools) == 0 {
		return
	}
	for _, t := range req.Tools {
		out.Tools = append(out.Tools, chatTool{Type: "function", Function: chatFunction{
			Name: t.Name, Description: t.Description, Parameters: transport.Schema(t.Schema)}})
	}
	dialect := &c.provider.dialect
	if name, ok := req.ToolChoice.Tool(); ok {
		out.ToolChoice = map[string]any{"type": "function", "function": map[string]string{"name": name}}
	} else if req.ToolChoice == aiclient.ToolRequired && dialect.RequiredWord != "" {
		out.ToolChoice = dialect.RequiredWord
	} else if req.ToolChoice != aiclient.ToolAuto {
		out.ToolChoice = string(req.ToolChoice)
	}
	if req.SequentialTools && !dialect.NoParallelOption {
		out.ParallelToolCalls = new(false)
	}
}

// budgets are the tokens of thinking that an effort stands for, where a service
// takes only budgets.
var budgets = map[string]int64{"minimal": 512, "low": 1024, "medium": 8192, "high": 24576}

func (c *chat) encodeReasoning(out *chatRequest, req *aiclient.Request, warn func(string, ...any)) {
	r := req.Reasoning
	if r == (aiclient.ReasoningOptions{}) {
		return
	}
	enabled := r.Effort != "none"
	switch c.provider.dialect.Reasoning {
	case ReasoningEffort:
		out.ReasoningEffort = r.Effort
		if r.Effort == "" && r.Budget > 0 {
			warn("%s takes a reasoning effort, not a budget in tokens", c.provider.name)
		}
	case ReasoningObject:
		out.Reasoning = &reasoningObject{Effort: r.Effort, MaxTokens: r.Budget, Exclude: r.Hidden}
		if r.Budget > 0 {
			out.Reasoning.Effort = "" // only one of the two is allowed
		}
	case ReasoningThinking, ReasoningThinkingEffort:
		out.Thinking = map[string]any{"type": "enabled"}
		switch {
		case !enabled:
			out.Thinking["type"] = "disabled"
		case c.provider.dialect.Reasoning == ReasoningThinkingEffort:
			out.ReasoningEffort = r.Effort
		case r.Effort != "":
			warn("%s thinks or does not: it takes no effort", c.provider.name)
		}
	case ReasoningEnable:
		out.EnableThinking = &enabled
		if !enabled {
			break
		}
		if out.ThinkingBudget = r.Budget; r.Budget == 0 && r.Effort != "" {
			if out.ThinkingBudget = budgets[r.Effort]; out.ThinkingBudget == 0 {
				warn("unknown reasoning effort %q: %s thinks as much as it likes", r.Effort, c.provider.name)
			}
		}
	case ReasoningTemplate:
		out.ReasoningEffort = r.Effort
		out.TemplateKwargs = map[string]any{"enable_thinking": enabled}
	case ReasoningNone:
		warn("%s has no setting for reasoning", c.provider.name)
	}
}

// schemaPrompt introduces a schema to a service that has no field for it.
const schemaPrompt = "Answer with one JSON object only, without any text around it, that fits this JSON schema:\n"

func (c *chat) encodeOutput(out *chatRequest, req *aiclient.Request) {
	f := req.Output
	if f == nil {
		return
	}
	if len(f.Schema) == 0 || c.provider.dialect.JSONObject {
		out.ResponseFormat = map[string]any{"type": "json_object"}
		if len(f.Schema) > 0 {
			out.Messages = append([]chatMessage{{Role: "system", Content: schemaPrompt + string(f.Schema)}}, out.Messages...)
		}
		return
	}
	name := f.Name
	if name == "" {
		name = "output"
	}
	schema := map[string]any{"name": name, "schema": f.Schema, "strict": isStrict(f.Schema)}
	if f.Description != "" {
		schema["description"] = f.Description
	}
	out.ResponseFormat = map[string]any{"type": "json_schema", "json_schema": schema}
}

func (c *chat) encodeSearch(out *chatRequest, req *aiclient.Request, warn func(string, ...any)) {
	w := req.WebSearch
	if w == nil {
		return
	}
	switch c.provider.dialect.WebSearch {
	case SearchNone:
		warn("%s has no web search over this API", c.provider.name)
	case SearchOptions:
		out.WebSearchOptions = &struct{}{}
	case SearchParameters:
		out.SearchParameters = map[string]any{"mode": "on", "return_citations": true}
		if w.MaxUses > 0 {
			out.SearchParameters["max_search_results"] = w.MaxUses
		}
	case SearchPlugin:
		plugin := map[string]any{"id": "web"}
		if w.MaxUses > 0 {
			plugin["max_results"] = w.MaxUses
		}
		out.Plugins = append(out.Plugins, plugin)
	case SearchFilter:
		out.DomainFilter = append(out.DomainFilter, w.AllowedDomains...)
		for _, domain := range w.BlockedDomains {
			out.DomainFilter = append(out.DomainFilter, "-"+domain)
		}
	case SearchEnable:
		out.EnableSearch = true
	}
}

// isStrict reports whether a JSON schema keeps the rules of OpenAI's strict mode:
// every object closes itself to other properties and requires all of its own.
func isStrict(schema json.RawMessage) bool {
	var value any
	if json.Unmarshal(schema, &value) != nil {
		return false
	}
	return strict(value)
}

func strict(value any) bool {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			if !strict(item) {
				return false
			}
		}
	case map[string]any:
		properties, isObject := v["properties"].(map[string]any)
		if isObject || v["type"] == "object" {
			if v["additionalProperties"] != false {
				return false
			}
			required, _ := v["required"].([]any)
			names := map[string]bool{}
			for _, name := range required {
				if text, ok := name.(string); ok {
					names[text] = true
				}
			}
			for name := range maps.Keys(properties) {
				if !names[name] || !strict(properties[name]) {
					return false
				}
			}
		}
		for name, item := range v {
			if name != "properties" && name != "additionalProperties" && !strict(item) {
				return false
			}
		}
	}
	return true
}
