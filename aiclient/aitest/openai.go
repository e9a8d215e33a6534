package aitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// openAIWire is OpenAI's Chat Completions format.
var openAIWire = wire{
	decode: decodeOpenAI,
	encode: encodeOpenAI,
	fault: func(f Fault) any {
		return object{"error": object{"message": f.Message, "type": f.Code, "code": f.Code}}
	},
	inline: func(f Fault) event {
		return event{data: object{"error": object{"message": f.Message, "type": f.Code, "code": f.Code}}}
	},
	models: func(names []string) any {
		list := []any{}
		for _, name := range names {
			list = append(list, object{"id": name, "object": "model", "owned_by": "aitest"})
		}
		return object{"object": "list", "data": list}
	},
}

type object map[string]any

func decodeOpenAI(_ string, body []byte) (Request, error) {
	var in struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role      string          `json:"role"`
			Content   json.RawMessage `json:"content"`
			Reasoning string          `json:"reasoning_content"`
			ToolCalls []struct {
				ID       string `json:"id"`
				Function struct {
					Name      string `json:"name"`
					Arguments string `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
			ToolCallID string `json:"tool_call_id"`
		} `json:"messages"`
		Tools []struct {
			Function struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
			} `json:"function"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Request{}, err
	}
	if len(in.Messages) == 0 {
		return Request{}, errNoMessages
	}
	req := Request{Format: OpenAI, Model: in.Model, Stream: in.Stream}
	for i, m := range in.Messages {
		out := Message{Role: m.Role, Reasoning: m.Reasoning, ToolCallID: m.ToolCallID}
		if m.Role == "developer" {
			out.Role = "system"
		}
		var err error
		if out.Text, out.Files, err = openAIContent(m.Content); err != nil {
			return Request{}, fmt.Errorf("message %d: %w", i, err)
		}
		for _, c := range m.ToolCalls {
			out.ToolCalls = append(out.ToolCalls, ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
		}
		req.Messages = append(req.Messages, out)
	}
	if err := errors.Join(pairCalls(req.Messages), checkIDs(req.Messages, 40)); err != nil {
		return Request{}, err
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, Tool{Name: t.Function.Name, Description: t.Function.Description, Schema: t.Function.Parameters})
	}
	return req, nil
}

// openAIContent reads content, which is a string, a list of parts or null.
func openAIContent(raw json.RawMessage) (text string, files []string, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil, nil
	}
	if raw[0] == '"' {
		err = json.Unmarshal(raw, &text)
		return text, nil, err
	}
	var parts []struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		ImageURL struct {
			URL string `json:"url"`
		} `json:"image_url"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", nil, err
	}
	if len(parts) == 0 {
		return "", nil, errors.New("content: empty array")
	}
	for _, p := range parts {
		switch p.Type {
		case "text":
			text += p.Text
		case "image_url":
			files = append(files, mediaType(p.ImageURL.URL))
		default:
			files = append(files, p.Type)
		}
	}
	return text, files, nil
}

// mediaType returns the type of a data URL, or the URL.
func mediaType(url string) string {
	if rest, ok := strings.CutPrefix(url, "data:"); ok {
		kind, _, _ := strings.Cut(rest, ";")
		return kind
	}
	return url
}

// pairCalls checks what providers check: that every call is followed by its
// result, every result belongs to a call, and names are names of tools. It fills
// in the results' names.
func pairCalls(messages []Message) error {
	open := map[string]string{}
	for i := range messages {
		m := &messages[i]
		if m.Role == "tool" {
			name, ok := open[m.ToolCallID]
			if !ok {
				return fmt.Errorf("message %d: a result for call %q, which is not open", i, m.ToolCallID)
			}
			m.ToolName = name
			delete(open, m.ToolCallID)
			continue
		}
		if len(open) > 0 {
			return fmt.Errorf("message %d: %d tool calls before it have no result", i, len(open))
		}
		for _, c := range m.ToolCalls {
			if err := tool.CheckName(c.Name); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
			open[c.ID] = c.Name
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("the last %d tool calls have no result", len(open))
	}
	return nil
}

// checkIDs checks that IDs of calls are not longer than a provider lets them be.
func checkIDs(messages []Message, longest int) error {
	for i, m := range messages {
		for _, c := range m.ToolCalls {
			if c.ID == "" || len(c.ID) > longest {
				return fmt.Errorf("message %d: ID of a call %q: want 1 to %d bytes", i, c.ID, longest)
			}
		}
	}
	return nil
}

func encodeOpenAI(req Request, r Reply) (any, []event) {
	head := object{"id": fmt.Sprintf("chatcmpl-%d", req.Index), "created": 1700000000, "model": req.Model}
	usage := object{
		"prompt_tokens":             r.Usage.Input + r.Usage.CachedRead + r.Usage.CacheWrite,
		"completion_tokens":         r.Usage.Output,
		"total_tokens":              r.Usage.Input + r.Usage.CachedRead + r.Usage.CacheWrite + r.Usage.Output,
		"prompt_tokens_details":     object{"cached_tokens": r.Usage.CachedRead},
		"completion_tokens_details": object{"reasoning_tokens": r.Usage.Reasoning},
	}
	if r.Usage.CacheWrite > 0 {
		usage["prompt_tokens_details"] = object{"cached_tokens": r.Usage.CachedRead, "cache_write_tokens": r.Usage.CacheWrite}
	}
	if req.Stream {
		return nil, streamOpenAI(head, r, usage)
	}
	message := object{"role": "assistant", "content": nil}
	if r.Text != "" || len(r.ToolCalls) == 0 {
		message["content"] = r.Text
	}
	if r.Reasoning != "" {
		message["reasoning_content"] = r.Reasoning
	}
	var calls []object
	for _, c := range r.ToolCalls {
		calls = append(calls, object{"id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": c.Arguments}})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	head["object"] = "chat.completion"
	head["choices"] = []object{{"index": 0, "message": message, "finish_reason": r.finish()}}
	head["usage"] = usage
	return head, nil
}

func streamOpenAI(head object, r Reply, usage object) []event {
	var events []event
	add := func(extra object, choices ...object) {
		chunk := object{"object": "chat.completion.chunk", "choices": choices}
		if choices == nil {
			chunk["choices"] = []object{}
		}
		for k, v := range head {
			chunk[k] = v
		}
		for k, v := range extra {
			chunk[k] = v
		}
		events = append(events, event{data: chunk})
	}
	delta := func(d object) { add(nil, object{"index": 0, "delta": d, "finish_reason": nil}) }
	delta(object{"role": "assistant", "content": ""})
	for _, p := range pieces(r.Reasoning, r.Piece) {
		delta(object{"reasoning_content": p})
	}
	for _, p := range pieces(r.Text, r.Piece) {
		delta(object{"content": p})
	}
	for i, c := range r.ToolCalls {
		delta(object{"tool_calls": []object{{"index": i, "id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": ""}}}})
		for _, p := range pieces(c.Arguments, r.Piece) {
			delta(object{"tool_calls": []object{{"index": i, "function": object{"arguments": p}}}})
		}
	}
	add(nil, object{"index": 0, "delta": object{}, "finish_reason": r.finish()})
	add(object{"usage": usage})
	return append(events, event{data: "[DONE]"})
}
