package aitest

import (
	"encoding/json"
	"errors"
	"fmt"
)

// responsesWire is OpenAI's Responses format.
var responsesWire = wire{
	decode: decodeResponses,
	encode: encodeResponses,
	fault:  openAIWire.fault,
	inline: func(f Fault) event {
		return event{"error", object{"type": "error", "code": f.Code, "message": f.Message}}
	},
	models: openAIWire.models,
}

func decodeResponses(_ string, body []byte) (Request, error) {
	var in struct {
		Model        string          `json:"model"`
		Stream       bool            `json:"stream"`
		Instructions string          `json:"instructions"`
		Input        json.RawMessage `json:"input"`
		Tools        []struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Request{}, err
	}
	req := Request{Format: Responses, Model: in.Model, Stream: in.Stream}
	if in.Instructions != "" {
		req.Messages = append(req.Messages, Message{Role: "system", Text: in.Instructions})
	}
	if len(in.Input) > 0 && in.Input[0] == '"' {
		m := Message{Role: "user"}
		if err := json.Unmarshal(in.Input, &m.Text); err != nil {
			return Request{}, err
		}
		req.Messages = append(req.Messages, m)
	} else {
		var items []responsesItem
		if err := json.Unmarshal(in.Input, &items); err != nil {
			return Request{}, fmt.Errorf("input: %w", err)
		}
		for i, item := range items {
			if err := item.add(&req); err != nil {
				return Request{}, fmt.Errorf("input[%d]: %w", i, err)
			}
		}
	}
	if len(req.Messages) == 0 {
		return Request{}, errNoMessages
	}
	if err := errors.Join(pairCalls(req.Messages), checkIDs(req.Messages, 64)); err != nil {
		return Request{}, err
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, Tool{Name: t.Name, Description: t.Description, Schema: t.Parameters})
	}
	return req, nil
}

type responsesItem struct {
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments string          `json:"arguments"`
	Output    json.RawMessage `json:"output"`
	Encrypted string          `json:"encrypted_content"`
	Summary   []struct {
		Text string `json:"text"`
	} `json:"summary"`
}

// add adds an item to the conversation. Items of one reply of the model make
// one message.
func (item responsesItem) add(req *Request) error {
	assistant := func() *Message {
		if n := len(req.Messages); n == 0 || req.Messages[n-1].Role != "assistant" {
			req.Messages = append(req.Messages, Message{Role: "assistant"})
		}
		return &req.Messages[len(req.Messages)-1]
	}
	switch item.Type {
	case "", "message":
		text, files, err := responsesContent(item.Content)
		if err != nil {
			return err
		}
		if item.Role == "assistant" {
			assistant().Text += text
			return nil
		}
		role := item.Role
		if role == "developer" {
			role = "system"
		}
		req.Messages = append(req.Messages, Message{Role: role, Text: text, Files: files})
	case "function_call":
		m := assistant()
		m.ToolCalls = append(m.ToolCalls, ToolCall{ID: item.CallID, Name: item.Name, Arguments: item.Arguments})
	case "function_call_output":
		text, files, err := responsesContent(item.Output)
		if err != nil {
			return err
		}
		req.Messages = append(req.Messages, Message{Role: "tool", Text: text, Files: files, ToolCallID: item.CallID})
	case "reasoning":
		m := assistant()
		m.Signature += item.Encrypted
		for _, s := range item.Summary {
			m.Reasoning += s.Text
		}
	}
	return nil
}

func responsesContent(raw json.RawMessage) (text string, files []string, err error) {
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
		ImageURL string `json:"image_url"`
		FileData string `json:"file_data"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", nil, err
	}
	for _, p := range parts {
		text += p.Text
		if p.ImageURL+p.FileData != "" {
			files = append(files, mediaType(p.ImageURL+p.FileData))
		}
	}
	return text, files, nil
}

func encodeResponses(req Request, r Reply) (any, []event) {
	id := fmt.Sprintf("resp_%d", req.Index)
	status, incomplete := "completed", any(nil)
	switch r.finish() {
	case "length":
		status, incomplete = "incomplete", object{"reason": "max_output_tokens"}
	case "content_filter":
		status, incomplete = "incomplete", object{"reason": "content_filter"}
	}
	var output []object
	var events []event
	sequence := 0
	add := func(name string, data object) {
		data["type"], data["sequence_number"] = name, sequence
		sequence++
		events = append(events, event{name, data})
	}
	item := func(start, done object, inner func(index int)) {
		index := len(output)
		add("response.output_item.added", object{"output_index": index, "item": start})
		inner(index)
		add("response.output_item.done", object{"output_index": index, "item": done})
		output = append(output, done)
	}
	add("response.created", object{"response": object{"id": id, "status": "in_progress", "model": req.Model, "output": []object{}}})
	if r.Reasoning != "" || r.Signature != "" {
		rid := id + "_rs"
		done := object{"id": rid, "type": "reasoning", "encrypted_content": r.Signature, "summary": []object{}}
		if r.Reasoning != "" {
			done["summary"] = []object{{"type": "summary_text", "text": r.Reasoning}}
		}
		item(object{"id": rid, "type": "reasoning", "summary": []object{}}, done, func(index int) {
			for _, p := range pieces(r.Reasoning, r.Piece) {
				add("response.reasoning_summary_text.delta", object{"item_id": rid, "output_index": index, "summary_index": 0, "delta": p})
			}
		})
	}
	if r.Text != "" {
		mid := id + "_msg"
		message := func(status string, content []object) object {
			return object{"id": mid, "type": "message", "role": "assistant", "status": status, "content": content}
		}
		whole := []object{{"type": "output_text", "text": r.Text, "annotations": []object{}}}
		item(message("in_progress", []object{}), message("completed", whole), func(index int) {
			for _, p := range pieces(r.Text, r.Piece) {
				add("response.output_text.delta", object{"item_id": mid, "output_index": index, "content_index": 0, "delta": p})
			}
			add("response.output_text.done", object{"item_id": mid, "output_index": index, "content_index": 0, "text": r.Text})
		})
	}
	for i, c := range r.ToolCalls {
		fid := fmt.Sprintf("%s_fc%d", id, i)
		call := func(status, arguments string) object {
			return object{"id": fid, "type": "function_call", "status": status, "call_id": c.ID, "name": c.Name, "arguments": arguments}
		}
		item(call("in_progress", ""), call("completed", c.Arguments), func(index int) {
			for _, p := range pieces(c.Arguments, r.Piece) {
				add("response.function_call_arguments.delta", object{"item_id": fid, "output_index": index, "delta": p})
			}
			add("response.function_call_arguments.done", object{"item_id": fid, "output_index": index, "arguments": c.Arguments})
		})
	}
	input := r.Usage.Input + r.Usage.CachedRead + r.Usage.CacheWrite
	response := object{"id": id, "object": "response", "status": status, "model": req.Model, "output": output,
		"incomplete_details": incomplete, "error": nil,
		"usage": object{"input_tokens": input, "input_tokens_details": object{"cached_tokens": r.Usage.CachedRead},
			"output_tokens": r.Usage.Output, "output_tokens_details": object{"reasoning_tokens": r.Usage.Reasoning},
			"total_tokens": input + r.Usage.Output}}
	if output == nil {
		response["output"] = []object{}
	}
	add("response."+status, object{"response": response})
	return response, events
}
