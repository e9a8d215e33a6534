package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// request is the body of a Messages request.
type request struct {
	Model         string            `json:"model"`
	MaxTokens     int64             `json:"max_tokens"`
	System        []*contentBlock   `json:"system,omitempty"`
	Messages      []message         `json:"messages"`
	Tools         []map[string]any  `json:"tools,omitempty"`
	ToolChoice    map[string]any    `json:"tool_choice,omitempty"`
	Thinking      map[string]any    `json:"thinking,omitempty"`
	OutputConfig  map[string]any    `json:"output_config,omitempty"`
	Temperature   *float64          `json:"temperature,omitempty"`
	TopP          *float64          `json:"top_p,omitempty"`
	TopK          *int64            `json:"top_k,omitempty"`
	StopSequences []string          `json:"stop_sequences,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Stream        bool              `json:"stream,omitempty"`
}

type message struct {
	Role    string          `json:"role"`
	Content []*contentBlock `json:"content"`
}

// contentBlock is a block of a request. A block that is kept as it came has
// only raw.
type contentBlock struct {
	Type         string            `json:"type"`
	Text         string            `json:"text,omitempty"`
	Citations    []json.RawMessage `json:"citations,omitempty"`
	Thinking     *string           `json:"thinking,omitempty"`
	Signature    string            `json:"signature,omitempty"`
	Data         string            `json:"data,omitempty"`
	Source       map[string]any    `json:"source,omitempty"`
	Title        string            `json:"title,omitempty"`
	ID           string            `json:"id,omitempty"`
	Name         string            `json:"name,omitempty"`
	Input        json.RawMessage   `json:"input,omitempty"`
	ToolUseID    string            `json:"tool_use_id,omitempty"`
	Content      []*contentBlock   `json:"content,omitempty"`
	IsError      bool              `json:"is_error,omitempty"`
	CacheControl map[string]any    `json:"cache_control,omitempty"`

	raw json.RawMessage
}

// MarshalJSON implements [json.Marshaler].
func (b *contentBlock) MarshalJSON() ([]byte, error) {
	if b.raw != nil {
		return b.raw, nil
	}
	type plain contentBlock
	return transport.Body((*plain)(b), nil)
}

// maxMarks is how many cache marks the API takes in one request.
const maxMarks = 4

// maxCallID bounds IDs of tool calls. The API names no bound; its own IDs are
// much shorter.
const maxCallID = 64

// encoder writes one request.
type encoder struct {
	chat       *chat
	req        *aiclient.Request
	out        request
	warnings   []string
	outputTool string
	thinks     bool            // the model will think
	marks      []*contentBlock // of messages, in order
	ids        transport.CallIDs
}

func (e *encoder) warn(format string, args ...any) {
	e.warnings = append(e.warnings, fmt.Sprintf(format, args...))
}

func (e *encoder) encode(stream bool) ([]byte, error) {
	req, provider := e.req, e.chat.provider
	if err := transport.CheckParts(req); err != nil {
		return nil, err
	}
	e.ids.Max = maxCallID
	e.out = request{
		Model: e.chat.model, MaxTokens: req.MaxTokens, Temperature: req.Temperature, TopP: req.TopP, TopK: req.TopK,
		StopSequences: req.Stop, Stream: stream,
	}
	if id := req.Metadata["user_id"]; id != "" {
		e.out.Metadata = map[string]string{"user_id": id}
	}
	e.thinking()
	e.tools()
	e.output()
	if err := e.messages(); err != nil {
		return nil, err
	}
	e.unthought()
	e.system()
	if req.Seed != nil {
		e.warn("%s has no setting for the seed", provider.name)
	}
	if req.FrequencyPenalty != nil || req.PresencePenalty != nil {
		e.warn("%s has no settings for penalties", provider.name)
	}
	return transport.Body(e.out, req.Options[provider.name])
}

func (e *encoder) tools() {
	req := e.req
	for _, t := range req.Tools {
		definition := map[string]any{"name": t.Name, "input_schema": transport.Schema(t.Schema)}
		if t.Description != "" {
			definition["description"] = t.Description
		}
		e.out.Tools = append(e.out.Tools, definition)
	}
	if w := req.WebSearch; w != nil {
		search := map[string]any{"type": "web_search_20250305", "name": "web_search"}
		if w.MaxUses > 0 {
			search["max_uses"] = w.MaxUses
		}
		if len(w.AllowedDomains) > 0 {
			search["allowed_domains"] = w.AllowedDomains
		}
		if len(w.BlockedDomains) > 0 {
			search["blocked_domains"] = w.BlockedDomains
		}
		e.out.Tools = append(e.out.Tools, search)
	}
	if len(e.out.Tools) == 0 {
		return
	}
	choice := map[string]any{"type": "auto"}
	name, one := req.ToolChoice.Tool()
	switch {
	case req.ToolChoice == aiclient.ToolNone:
		choice["type"] = "none"
	case e.thinks && req.ToolChoice != aiclient.ToolAuto:
		e.warn("thinking does not go with a forced tool call: the model decides")
	case req.ToolChoice == aiclient.ToolRequired:
		choice["type"] = "any"
	case one:
		choice["type"], choice["name"] = "tool", name
	}
	if req.SequentialTools && choice["type"] != "none" {
		choice["disable_parallel_tool_use"] = true
	}
	if len(choice) > 1 || choice["type"] != "auto" {
		e.out.ToolChoice = choice
	}
}

// output asks for a JSON document: with a tool whose arguments are the
// document, or in words where a tool cannot be forced or takes no such arguments.
func (e *encoder) output() {
	f := e.req.Output
	if f == nil {
		return
	}
	schema := transport.Schema(f.Schema)
	var shape struct {
		Type string `json:"type"`
	}
	object := json.Unmarshal(schema, &shape) == nil && shape.Type == "object"
	if len(e.out.Tools) > 0 || e.thinks || !object {
		e.out.System = append(e.out.System, &contentBlock{Type: "text",
			Text: "Answer with one JSON document only, without any text around it, that fits this JSON schema:\n" + string(schema)})
		return
	}
	e.outputTool = f.Name
	if e.outputTool == "" {
		e.outputTool = "output"
	}
	description := f.Description
	if description == "" {
		description = "Takes the answer."
	}
	e.out.Tools = []map[string]any{{"name": e.outputTool, "description": description, "input_schema": schema}}
	e.out.ToolChoice = map[string]any{"type": "tool", "name": e.outputTool}
}

// system puts the system prompt first and what changes behind its cache mark.
func (e *encoder) system() {
	var blocks []*contentBlock
	if e.req.System != "" {
		b := &contentBlock{Type: "text", Text: e.req.System, CacheControl: cacheControl(e.req.CacheSystem)}
		blocks = append(blocks, b)
	} else if e.req.CacheSystem != aiclient.CacheNone && len(e.out.Tools) > 0 {
		e.out.Tools[len(e.out.Tools)-1]["cache_control"] = cacheControl(e.req.CacheSystem)
	}
	for _, text := range e.req.Context {
		if text != "" {
			blocks = append(blocks, &contentBlock{Type: "text", Text: text})
		}
	}
	e.out.System = append(blocks, e.out.System...)

	left := maxMarks
	if e.req.CacheSystem != aiclient.CacheNone {
		left--
	}
	for i := range max(0, len(e.marks)-left) { // the newest marks matter most
		e.marks[i].CacheControl = nil
	}
	// The API takes no long mark behind a short one.
	short := e.req.CacheSystem == aiclient.CacheShort
	for _, b := range e.marks {
		if b.CacheControl == nil {
			continue
		}
		if b.CacheControl["ttl"] == nil {
			short = true
		} else if short {
			delete(b.CacheControl, "ttl")
		}
	}
}

func (e *encoder) messages() error {
	last := transport.LastUser(e.req.Messages)
	for i, m := range e.req.Messages {
		role, blocks, err := e.message(m, i < last)
		if err != nil {
			return fmt.Errorf("message %d (%s): %w", i, m.Role, err)
		}
		if m.Role == aiclient.RoleSystem && len(e.out.Messages) == 0 {
			e.out.System = append(e.out.System, blocks...)
			continue
		}
		if len(blocks) == 0 {
			continue // only reasoning of another provider, or nothing
		}
		if m.Cache != aiclient.CacheNone {
			e.mark(blocks[len(blocks)-1], m.Cache)
		}
		if n := len(e.out.Messages); n > 0 && e.out.Messages[n-1].Role == role {
			e.out.Messages[n-1].Content = append(e.out.Messages[n-1].Content, blocks...)
			continue
		}
		e.out.Messages = append(e.out.Messages, message{Role: role, Content: blocks})
	}
	if len(e.out.Messages) == 0 {
		return errors.New("there is no message to answer")
	}
	// Here, because the last message may have been left out.
	if blocks := e.out.Messages[len(e.out.Messages)-1].Content; e.req.CacheHistory != aiclient.CacheNone {
		e.mark(blocks[len(blocks)-1], e.req.CacheHistory)
	}
	// A reply that the model is to continue must not end in white space.
	if last := e.out.Messages[len(e.out.Messages)-1]; last.Role == "assistant" {
		if b := last.Content[len(last.Content)-1]; b.Type == "text" && b.raw == nil {
			b.Text = strings.TrimRight(b.Text, " \t\r\n")
		}
	}
	return nil
}

// mark puts a cache mark on a block that can have one.
func (e *encoder) mark(b *contentBlock, mark aiclient.CacheMark) {
	if b.raw != nil || b.thinks() || b.CacheControl != nil {
		return
	}
	b.CacheControl = cacheControl(mark)
	e.marks = append(e.marks, b)
}

func (e *encoder) message(m aiclient.Message, earlier bool) (role string, blocks []*contentBlock, err error) {
	role = "user"
	if m.Role == aiclient.RoleAssistant {
		role = "assistant"
	}
	for _, p := range m.Parts {
		var b *contentBlock
		switch p.Kind {
		case aiclient.KindText:
			if strings.TrimSpace(p.Text) != "" {
				data := blockData{}
				p.Provider.For(e.chat.provider.name, &data)
				b = &contentBlock{Type: "text", Text: p.Text, Citations: data.Citations}
			}
		case aiclient.KindReasoning:
			b = e.reasoning(p)
		case aiclient.KindFile:
			if role == "assistant" {
				e.warn("files that a model made are left out: %s takes files from the user only", e.chat.provider.name)
			} else if b, err = fileBlock(p.File); err != nil && earlier {
				e.warn("an earlier message: %v", err)
				b, err = &contentBlock{Type: "text", Text: transport.Unreadable(p.File)}, nil
			}
		case aiclient.KindToolCall:
			b = &contentBlock{Type: "tool_use", ID: e.ids.Call(p.Call.ID), Name: transport.CallName(p.Call.Name), Input: p.Call.Input()}
		case aiclient.KindToolResult:
			b = e.resultBlock(p.Result)
		case aiclient.KindOpaque:
			data := blockData{}
			if p.Provider.For(e.chat.provider.name, &data) && len(data.Block) > 0 {
				b = &contentBlock{raw: data.Block}
			}
		case aiclient.KindSource:
		default:
			err = fmt.Errorf("a %s part, which a message cannot hold", p.Kind)
		}
		if err != nil {
			return role, nil, err
		}
		if b != nil {
			blocks = append(blocks, b)
		}
	}
	// Thinking that nothing follows, of a reply that was cut off, is refused.
	for len(blocks) > 0 && blocks[len(blocks)-1].thinks() {
		blocks = blocks[:len(blocks)-1]
	}
	return role, blocks, nil
}

func (b *contentBlock) thinks() bool { return b.Type == "thinking" || b.Type == "redacted_thinking" }

// reasoning returns thinking that Anthropic signed. Any other is dropped: the
// API refuses it.
func (e *encoder) reasoning(p aiclient.Part) *contentBlock {
	data := blockData{}
	if !p.Provider.For(e.chat.provider.name, &data) {
		return nil
	}
	switch {
	case data.Redacted != "":
		return &contentBlock{Type: "redacted_thinking", Data: data.Redacted}
	case data.Signature != "":
		text := p.Text
		return &contentBlock{Type: "thinking", Thinking: &text, Signature: data.Signature}
	}
	return nil
}

func (e *encoder) resultBlock(r *aiclient.ToolResult) *contentBlock {
	b := &contentBlock{Type: "tool_result", ToolUseID: e.ids.Result(r.CallID), IsError: r.IsError}
	if r.Text != "" {
		b.Content = append(b.Content, &contentBlock{Type: "text", Text: r.Text})
	}
	for i := range r.Files {
		file, err := fileBlock(&r.Files[i])
		if err != nil {
			e.warn("the result of %s: %v", r.Name, err)
			file = &contentBlock{Type: "text", Text: transport.Unreadable(&r.Files[i])}
		}
		b.Content = append(b.Content, file)
	}
	return b
}

// images are the types of images that the API takes.
var images = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

func fileBlock(f *aiclient.File) (*contentBlock, error) {
	kind := "document"
	switch {
	case slices.Contains(images, f.MediaType):
		kind = "image"
	case f.MediaType == "application/pdf", strings.HasPrefix(f.MediaType, "text/"), f.ID != "":
	default:
		return nil, fmt.Errorf("a file of type %q: JPEG, PNG, GIF, WebP, PDF and text can be sent", f.MediaType)
	}
	b := &contentBlock{Type: kind}
	if kind == "document" {
		b.Title = f.Name
	}
	switch {
	case f.ID != "":
		b.Source = map[string]any{"type": "file", "file_id": f.ID}
	case f.URL != "":
		b.Source = map[string]any{"type": "url", "url": f.URL}
	case strings.HasPrefix(f.MediaType, "text/"):
		b.Source = map[string]any{"type": "text", "media_type": "text/plain", "data": string(f.Data)}
	default:
		b.Source = map[string]any{"type": "base64", "media_type": f.MediaType, "data": f.Data}
	}
	return b, nil
}

func cacheControl(mark aiclient.CacheMark) map[string]any {
	switch mark {
	case aiclient.CacheNone:
		return nil
	case aiclient.CacheLong:
		return map[string]any{"type": "ephemeral", "ttl": "1h"}
	}
	return map[string]any{"type": "ephemeral"}
}
