package openai

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

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

type chatMessage struct {
	Role             string            `json:"role"`
	Content          any               `json:"content"` // string, []contentPart or nil
	ReasoningContent string            `json:"reasoning_content,omitempty"`
	Reasoning        string            `json:"reasoning,omitempty"`
	ReasoningDetails []json.RawMessage `json:"reasoning_details,omitempty"`
	ToolCalls        []chatCall        `json:"tool_calls,omitempty"`
	ToolCallID       string            `json:"tool_call_id,omitempty"`
}

type contentPart struct {
	Type         string         `json:"type"`
	Text         string         `json:"text,omitempty"`
	ImageURL     *urlValue      `json:"image_url,omitempty"`
	InputAudio   *audioValue    `json:"input_audio,omitempty"`
	File         *fileValue     `json:"file,omitempty"`
	Thinking     []contentPart  `json:"thinking,omitempty"`
	CacheControl map[string]any `json:"cache_control,omitempty"`
}

type urlValue struct {
	URL string `json:"url"`
}

type audioValue struct {
	Data   string `json:"data"`
	Format string `json:"format"`
}

type fileValue struct {
	Name string `json:"filename,omitempty"`
	Data string `json:"file_data,omitempty"`
	ID   string `json:"file_id,omitempty"`
}

type chatCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
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
	if err := c.encodeMessages(&out, req); err != nil {
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
	case ReasoningThinking:
		out.Thinking = map[string]any{"type": "enabled"}
		if !enabled {
			out.Thinking["type"] = "disabled"
		}
	case ReasoningEnable:
		out.EnableThinking = &enabled
		if enabled {
			out.ThinkingBudget = r.Budget
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

func (c *chat) encodeMessages(out *chatRequest, req *aiclient.Request) error {
	cache := c.provider.dialect.CacheControl
	out.Messages = make([]chatMessage, 0, len(req.Messages)+2)
	if req.System != "" || len(req.Context) > 0 {
		m := chatMessage{Role: "system", Content: req.SystemText()}
		if cache && req.CacheSystem != aiclient.CacheNone && req.System != "" {
			parts := []contentPart{{Type: "text", Text: req.System, CacheControl: cacheControl(req.CacheSystem)}}
			if len(req.Context) > 0 {
				parts = append(parts, contentPart{Type: "text", Text: strings.Join(req.Context, "\n\n")})
			}
			m.Content = parts
		}
		out.Messages = append(out.Messages, m)
	}
	for i, m := range req.Messages {
		var err error
		switch m.Role {
		case aiclient.RoleSystem:
			out.Messages = append(out.Messages, chatMessage{Role: "system", Content: m.Text()})
		case aiclient.RoleAssistant:
			out.Messages = append(out.Messages, c.assistant(m))
		case aiclient.RoleUser:
			var content any
			if content, err = userContent(m.Parts); err == nil {
				out.Messages = append(out.Messages, chatMessage{Role: "user", Content: content})
			}
		case aiclient.RoleTool:
			err = toolMessages(out, m)
		default:
			err = fmt.Errorf("unknown role %q", m.Role)
		}
		if err != nil {
			return fmt.Errorf("message %d (%s): %w", i, m.Role, err)
		}
		if cache && m.Cache != aiclient.CacheNone && len(out.Messages) > 0 {
			mark(&out.Messages[len(out.Messages)-1], m.Cache)
		}
	}
	return nil
}

func (c *chat) assistant(m aiclient.Message) chatMessage {
	out := chatMessage{Role: "assistant"}
	var mistral []contentPart
	for _, p := range m.Parts {
		switch p.Kind {
		case aiclient.KindReasoning:
			data := reasoningData{}
			if !p.Provider.For(c.provider.name, &data) {
				continue
			}
			switch {
			case len(data.Details) > 0:
				out.ReasoningDetails = append(out.ReasoningDetails, data.Details...)
			case data.Field == "reasoning_content":
				out.ReasoningContent += p.Text
			case data.Field == "reasoning":
				out.Reasoning += p.Text
			case data.Field == "thinking" && p.Text != "":
				mistral = append(mistral, contentPart{Type: "thinking", Thinking: []contentPart{{Type: "text", Text: p.Text}}})
			}
		case aiclient.KindToolCall:
			arguments := string(p.Call.Input())
			out.ToolCalls = append(out.ToolCalls, chatCall{ID: p.Call.ID, Type: "function",
				Function: chatFunction{Name: p.Call.Name, Arguments: &arguments}})
		}
	}
	if text := m.Text(); text != "" || len(out.ToolCalls) == 0 {
		out.Content = text
		if mistral != nil {
			out.Content = append(mistral, contentPart{Type: "text", Text: text})
		}
	}
	return out
}

func toolMessages(out *chatRequest, m aiclient.Message) error {
	// The API takes text only as a result; files follow in a message of the
	// user, after all results.
	var files []contentPart
	for _, p := range m.Parts {
		if p.Kind != aiclient.KindToolResult || p.Result == nil {
			return fmt.Errorf("a %s part where only tool results belong", p.Kind)
		}
		out.Messages = append(out.Messages, chatMessage{Role: "tool", Content: p.Result.Text, ToolCallID: p.Result.CallID})
		for i := range p.Result.Files {
			part, err := filePart(&p.Result.Files[i])
			if err != nil {
				return err
			}
			if i == 0 {
				files = append(files, contentPart{Type: "text", Text: "Files of the result of " + p.Result.Name + " (" + p.Result.CallID + "):"})
			}
			files = append(files, part)
		}
	}
	if files != nil {
		out.Messages = append(out.Messages, chatMessage{Role: "user", Content: files})
	}
	return nil
}

// userContent returns a string when the message is only text, which every
// service understands, and a list of parts otherwise.
func userContent(parts []aiclient.Part) (any, error) {
	if len(parts) == 1 && parts[0].Kind == aiclient.KindText {
		return parts[0].Text, nil
	}
	out := make([]contentPart, 0, len(parts))
	for _, p := range parts {
		switch p.Kind {
		case aiclient.KindText:
			out = append(out, contentPart{Type: "text", Text: p.Text})
		case aiclient.KindFile:
			part, err := filePart(p.File)
			if err != nil {
				return nil, err
			}
			out = append(out, part)
		default:
			return nil, fmt.Errorf("a %s part, which a user message cannot hold", p.Kind)
		}
	}
	return out, nil
}

func filePart(f *aiclient.File) (contentPart, error) {
	kind, _, _ := strings.Cut(f.MediaType, "/")
	switch {
	case f.ID != "":
		return contentPart{Type: "file", File: &fileValue{ID: f.ID}}, nil
	case kind == "image" && f.URL != "":
		return contentPart{Type: "image_url", ImageURL: &urlValue{URL: f.URL}}, nil
	case kind == "image":
		return contentPart{Type: "image_url", ImageURL: &urlValue{URL: transport.DataURL(f.MediaType, f.Data)}}, nil
	case f.URL != "":
		return contentPart{}, fmt.Errorf("a %s by URL: only images can be sent by URL, others by their bytes", f.MediaType)
	case kind == "audio":
		format := strings.TrimPrefix(strings.TrimPrefix(f.MediaType, "audio/"), "x-")
		if format == "mpeg" {
			format = "mp3"
		}
		return contentPart{Type: "input_audio", InputAudio: &audioValue{Data: base64.StdEncoding.EncodeToString(f.Data), Format: format}}, nil
	case f.MediaType == "application/pdf":
		name := f.Name
		if name == "" {
			name = "document.pdf"
		}
		return contentPart{Type: "file", File: &fileValue{Name: name, Data: transport.DataURL(f.MediaType, f.Data)}}, nil
	case kind == "text":
		text := string(f.Data)
		if f.Name != "" {
			text = f.Name + ":\n" + text
		}
		return contentPart{Type: "text", Text: text}, nil
	}
	return contentPart{}, fmt.Errorf("a file of type %q: images, audio, PDF and text can be sent", f.MediaType)
}

// dataFile decodes a data: URL.
func dataFile(url string) (aiclient.File, bool) {
	head, encoded, ok := strings.Cut(strings.TrimPrefix(url, "data:"), ",")
	mediaType, isBase64 := strings.CutSuffix(head, ";base64")
	if !ok || !isBase64 {
		return aiclient.File{}, false
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	return aiclient.File{MediaType: mediaType, Data: data}, err == nil
}

// mark puts a cache mark on the last part of a message.
func mark(m *chatMessage, cache aiclient.CacheMark) {
	switch content := m.Content.(type) {
	case string:
		if content != "" {
			m.Content = []contentPart{{Type: "text", Text: content, CacheControl: cacheControl(cache)}}
		}
	case []contentPart:
		if len(content) > 0 {
			content[len(content)-1].CacheControl = cacheControl(cache)
		}
	}
}

func cacheControl(mark aiclient.CacheMark) map[string]any {
	control := map[string]any{"type": "ephemeral"}
	if mark == aiclient.CacheLong {
		control["ttl"] = "1h"
	}
	return control
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
