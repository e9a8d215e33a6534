package aitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// geminiWire is Google's generateContent format.
var geminiWire = wire{
	decode: decodeGemini,
	encode: encodeGemini,
	fault:  geminiFault,
	inline: func(f Fault) event { return event{data: geminiFault(f)} },
	models: func(names []string) any {
		list := []any{}
		for _, name := range names {
			list = append(list, object{"name": "models/" + name, "displayName": name})
		}
		return object{"models": list}
	},
}

func geminiFault(f Fault) any {
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	fault := object{"code": status, "message": f.Message, "status": f.Code}
	if f.RetryAfter > 0 {
		fault["details"] = []object{{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": fmt.Sprintf("%gs", f.RetryAfter.Seconds())}}
	}
	return object{"error": fault}
}

type geminiPart struct {
	Text         string `json:"text"`
	Thought      bool   `json:"thought"`
	Signature    string `json:"thoughtSignature"`
	FunctionCall *struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args json.RawMessage `json:"args"`
	} `json:"functionCall"`
	FunctionResponse *struct {
		ID       string         `json:"id"`
		Name     string         `json:"name"`
		Response map[string]any `json:"response"`
	} `json:"functionResponse"`
	InlineData *struct {
		MimeType string `json:"mimeType"`
	} `json:"inlineData"`
	FileData *struct {
		URI string `json:"fileUri"`
	} `json:"fileData"`
}

type geminiContent struct {
	Role  string       `json:"role"`
	Parts []geminiPart `json:"parts"`
}

func decodeGemini(path string, body []byte) (Request, error) {
	var in struct {
		System   geminiContent   `json:"systemInstruction"`
		Contents []geminiContent `json:"contents"`
		Tools    []struct {
			Functions []struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
				Schema      json.RawMessage `json:"parametersJsonSchema"`
			} `json:"functionDeclarations"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Request{}, err
	}
	if len(in.Contents) == 0 {
		return Request{}, errNoMessages
	}
	model, method, _ := strings.Cut(path[strings.LastIndexByte(path, '/')+1:], ":")
	req := Request{Format: Gemini, Model: model, Stream: method == "streamGenerateContent"}
	for _, p := range in.System.Parts {
		req.Messages = append(req.Messages, Message{Role: "system", Text: p.Text})
	}
	d := geminiDecoder{}
	for i, c := range in.Contents {
		if len(c.Parts) == 0 {
			return Request{}, fmt.Errorf("contents[%d]: no parts", i)
		}
		if err := d.content(&req, c); err != nil {
			return Request{}, fmt.Errorf("contents[%d]: %w", i, err)
		}
	}
	if err := pairCalls(req.Messages); err != nil {
		return Request{}, err
	}
	for _, t := range in.Tools {
		for _, f := range t.Functions {
			schema := f.Schema
			if len(schema) == 0 {
				schema = f.Parameters
			}
			req.Tools = append(req.Tools, Tool{Name: f.Name, Description: f.Description, Schema: schema})
		}
	}
	return req, nil
}

// geminiDecoder gives calls an ID where the client sends none: results belong
// to calls by name and order.
type geminiDecoder struct {
	calls   int
	waiting []ToolCall
}

func (d *geminiDecoder) content(req *Request, c geminiContent) error {
	role := c.Role
	if role == "model" {
		role = "assistant"
	}
	out := Message{Role: role}
	other := false
	for _, p := range c.Parts {
		if p.FunctionResponse != nil {
			result := Message{Role: "tool", ToolCallID: p.FunctionResponse.ID, ToolName: p.FunctionResponse.Name}
			for i, call := range d.waiting {
				if call.Name == result.ToolName && (result.ToolCallID == "" || result.ToolCallID == call.ID) {
					result.ToolCallID = call.ID
					d.waiting = append(d.waiting[:i:i], d.waiting[i+1:]...)
					break
				}
			}
			for _, name := range []string{"result", "output", "error"} {
				if text, ok := p.FunctionResponse.Response[name].(string); ok {
					result.Text += text
				}
			}
			req.Messages = append(req.Messages, result)
			continue
		}
		other = true
		out.Signature += p.Signature
		switch {
		case p.FunctionCall != nil:
			call := ToolCall{ID: p.FunctionCall.ID, Name: p.FunctionCall.Name, Arguments: string(p.FunctionCall.Args)}
			if call.ID == "" {
				call.ID = fmt.Sprintf("unnamed_%d", d.calls)
			}
			d.calls++
			d.waiting = append(d.waiting, call)
			out.ToolCalls = append(out.ToolCalls, call)
		case p.InlineData != nil:
			out.Files = append(out.Files, p.InlineData.MimeType)
		case p.FileData != nil:
			out.Files = append(out.Files, p.FileData.URI)
		case p.Thought:
			out.Reasoning += p.Text
		default:
			out.Text += p.Text
		}
	}
	if other {
		req.Messages = append(req.Messages, out)
	}
	return nil
}

var geminiReasons = map[string]string{"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}

func encodeGemini(req Request, r Reply) (any, []event) {
	reason := geminiReasons[r.finish()]
	if reason == "" {
		reason = r.finish()
	}
	prompt := r.Usage.Input + r.Usage.CachedRead + r.Usage.CacheWrite
	usage := object{"promptTokenCount": prompt, "cachedContentTokenCount": r.Usage.CachedRead,
		"candidatesTokenCount": r.Usage.Output - r.Usage.Reasoning, "thoughtsTokenCount": r.Usage.Reasoning,
		"totalTokenCount": prompt + r.Usage.Output}
	answer := func(parts []object, last bool) object {
		candidate := object{"index": 0, "content": object{"role": "model", "parts": parts}}
		if last {
			candidate["finishReason"] = reason
		}
		return object{"candidates": []object{candidate}, "usageMetadata": usage, "modelVersion": req.Model,
			"responseId": fmt.Sprintf("resp-%d", req.Index)}
	}
	var calls []object
	for i, c := range r.ToolCalls {
		part := object{"functionCall": object{"name": c.Name, "args": rawObject(c.Arguments)}}
		if i == 0 && r.Signature != "" {
			part["thoughtSignature"] = r.Signature
		}
		calls = append(calls, part)
	}
	if !req.Stream {
		var parts []object
		if r.Reasoning != "" {
			parts = append(parts, object{"text": r.Reasoning, "thought": true})
		}
		if r.Text != "" {
			parts = append(parts, object{"text": r.Text})
		}
		return answer(append(parts, calls...), true), nil
	}
	var events []event
	for _, p := range pieces(r.Reasoning, r.Piece) {
		events = append(events, event{data: answer([]object{{"text": p, "thought": true}}, false)})
	}
	for _, p := range pieces(r.Text, r.Piece) {
		events = append(events, event{data: answer([]object{{"text": p}}, false)})
	}
	return nil, append(events, event{data: answer(calls, true)})
}
