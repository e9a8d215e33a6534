package aitest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// anthropicWire is Anthropic's Messages format.
var anthropicWire = wire{
	decode: decodeAnthropic,
	encode: encodeAnthropic,
	fault:  anthropicFault,
	inline: func(f Fault) event { return event{"error", anthropicFault(f)} },
	models: func(names []string) any {
		list := []any{}
		for _, name := range names {
			list = append(list, object{"type": "model", "id": name, "display_name": name})
		}
		return object{"data": list, "has_more": false}
	},
}

func anthropicFault(f Fault) any {
	return object{"type": "error", "error": object{"type": f.Code, "message": f.Message}}
}

var anthropicID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	Signature string          `json:"signature"`
	Data      string          `json:"data"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   json.RawMessage `json:"content"`
	Source    struct {
		MediaType string `json:"media_type"`
		URL       string `json:"url"`
	} `json:"source"`
}

// anthropicBlocks reads content, which is a string or a list of blocks.
func anthropicBlocks(raw json.RawMessage) ([]anthropicBlock, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] == '"' {
		block := anthropicBlock{Type: "text"}
		err := json.Unmarshal(raw, &block.Text)
		return []anthropicBlock{block}, err
	}
	var blocks []anthropicBlock
	err := json.Unmarshal(raw, &blocks)
	return blocks, err
}

func decodeAnthropic(_ string, body []byte) (Request, error) {
	var in struct {
		Model    string          `json:"model"`
		Stream   bool            `json:"stream"`
		System   json.RawMessage `json:"system"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Schema      json.RawMessage `json:"input_schema"`
		} `json:"tools"`
		MaxTokens int `json:"max_tokens"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Request{}, err
	}
	if len(in.Messages) == 0 {
		return Request{}, errNoMessages
	}
	if in.MaxTokens <= 0 {
		return Request{}, fmt.Errorf("max_tokens: field required")
	}
	req := Request{Format: Anthropic, Model: in.Model, Stream: in.Stream}
	system, err := anthropicBlocks(in.System)
	if err != nil {
		return Request{}, fmt.Errorf("system: %w", err)
	}
	for _, b := range system {
		req.Messages = append(req.Messages, Message{Role: "system", Text: b.Text})
	}
	for i, m := range in.Messages {
		blocks, err := anthropicBlocks(m.Content)
		if err != nil {
			return Request{}, fmt.Errorf("messages.%d: %w", i, err)
		}
		if len(blocks) == 0 {
			return Request{}, fmt.Errorf("messages.%d: content must not be empty", i)
		}
		if last := blocks[len(blocks)-1].Type; m.Role == "assistant" && (last == "thinking" || last == "redacted_thinking") {
			return Request{}, fmt.Errorf("messages.%d: The final block in an assistant message cannot be `%s`", i, last)
		}
		if err := anthropicMessage(&req, m.Role, blocks); err != nil {
			return Request{}, fmt.Errorf("messages.%d: %w", i, err)
		}
	}
	if err := pairCalls(req.Messages); err != nil {
		return Request{}, err
	}
	given := map[string]bool{}
	for i, m := range req.Messages {
		for _, c := range m.ToolCalls {
			if !anthropicID.MatchString(c.ID) {
				return Request{}, fmt.Errorf("message %d: tool_use.id %q should match pattern %s", i, c.ID, anthropicID)
			}
			if given[c.ID] {
				return Request{}, fmt.Errorf("message %d: tool_use ids must be unique: %q", i, c.ID)
			}
			given[c.ID] = true
		}
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, Tool{Name: t.Name, Description: t.Description, Schema: t.Schema})
	}
	return req, nil
}

func anthropicMessage(req *Request, role string, blocks []anthropicBlock) error {
	out := Message{Role: role}
	other := false
	for _, b := range blocks {
		switch b.Type {
		case "text":
			if b.Text == "" {
				return fmt.Errorf("text content blocks must be non-empty")
			}
			out.Text += b.Text
		case "thinking":
			out.Reasoning += b.Thinking
			out.Signature += b.Signature
		case "redacted_thinking":
			out.Signature += b.Data
		case "tool_use":
			out.ToolCalls = append(out.ToolCalls, ToolCall{ID: b.ID, Name: b.Name, Arguments: string(b.Input)})
		case "tool_result":
			if other {
				return fmt.Errorf("tool results must come before other content")
			}
			result := Message{Role: "tool", ToolCallID: b.ToolUseID}
			inner, err := anthropicBlocks(b.Content)
			if err != nil {
				return err
			}
			for _, block := range inner {
				result.Text += block.Text
				if block.Type != "text" {
					if err := block.checkFile(); err != nil {
						return err
					}
					result.Files = append(result.Files, block.Source.MediaType+block.Source.URL)
				}
			}
			req.Messages = append(req.Messages, result)
			continue
		case "image", "document":
			if role == "assistant" {
				return fmt.Errorf("%s blocks are not permitted in assistant messages", b.Type)
			}
			if err := b.checkFile(); err != nil {
				return err
			}
			out.Files = append(out.Files, b.Source.MediaType+b.Source.URL)
		}
		other = true
	}
	if other {
		req.Messages = append(req.Messages, out)
	}
	return nil
}

var anthropicMedia = map[string]string{
	"image": "image/jpeg image/png image/gif image/webp", "document": "application/pdf text/plain",
}

// checkFile refuses the media types that the API refuses.
func (b anthropicBlock) checkFile() error {
	if kind := b.Source.MediaType; kind != "" && !strings.Contains(anthropicMedia[b.Type], kind) {
		return fmt.Errorf("%s: media_type: input should be one of %s, not %s", b.Type, anthropicMedia[b.Type], kind)
	}
	return nil
}

var anthropicReasons = map[string]string{
	"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal",
}

func encodeAnthropic(req Request, r Reply) (any, []event) {
	reason := anthropicReasons[r.finish()]
	if reason == "" {
		reason = r.finish()
	}
	input := object{"input_tokens": r.Usage.Input, "cache_read_input_tokens": r.Usage.CachedRead,
		"cache_creation_input_tokens": r.Usage.CacheWrite, "output_tokens": 1}
	output := object{"input_tokens": r.Usage.Input, "cache_read_input_tokens": r.Usage.CachedRead,
		"cache_creation_input_tokens": r.Usage.CacheWrite, "output_tokens": r.Usage.Output}
	message := object{"id": fmt.Sprintf("msg_%d", req.Index), "type": "message", "role": "assistant", "model": req.Model}
	if !req.Stream {
		content := []object{}
		if r.Reasoning != "" || r.Signature != "" {
			content = append(content, object{"type": "thinking", "thinking": r.Reasoning, "signature": r.Signature})
		}
		if r.Text != "" {
			content = append(content, object{"type": "text", "text": r.Text})
		}
		for _, c := range r.ToolCalls {
			content = append(content, object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": rawObject(c.Arguments)})
		}
		message["content"], message["stop_reason"], message["usage"] = content, reason, output
		return message, nil
	}

	message["content"], message["stop_reason"], message["usage"] = []object{}, nil, input
	var events []event
	add := func(name string, data object) {
		data["type"] = name
		events = append(events, event{name, data})
	}
	index := 0
	block := func(start object, deltas []object) {
		add("content_block_start", object{"index": index, "content_block": start})
		for _, d := range deltas {
			add("content_block_delta", object{"index": index, "delta": d})
		}
		add("content_block_stop", object{"index": index})
		index++
	}
	add("message_start", object{"message": message})
	add("ping", object{})
	if r.Reasoning != "" || r.Signature != "" {
		var deltas []object
		for _, p := range pieces(r.Reasoning, r.Piece) {
			deltas = append(deltas, object{"type": "thinking_delta", "thinking": p})
		}
		deltas = append(deltas, object{"type": "signature_delta", "signature": r.Signature})
		block(object{"type": "thinking", "thinking": "", "signature": ""}, deltas)
	}
	if r.Text != "" {
		var deltas []object
		for _, p := range pieces(r.Text, r.Piece) {
			deltas = append(deltas, object{"type": "text_delta", "text": p})
		}
		block(object{"type": "text", "text": ""}, deltas)
	}
	for _, c := range r.ToolCalls {
		deltas := []object{{"type": "input_json_delta", "partial_json": ""}}
		for _, p := range pieces(c.Arguments, r.Piece) {
			deltas = append(deltas, object{"type": "input_json_delta", "partial_json": p})
		}
		block(object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": object{}}, deltas)
	}
	add("message_delta", object{"delta": object{"stop_reason": reason, "stop_sequence": nil}, "usage": output})
	add("message_stop", object{})
	return nil, events
}

// rawObject returns arguments as JSON where the format cannot hold anything
// else.
func rawObject(arguments string) any {
	if json.Valid([]byte(arguments)) {
		return json.RawMessage(arguments)
	}
	return object{}
}
