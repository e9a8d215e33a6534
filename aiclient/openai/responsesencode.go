package openai

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// responsesRequest is the body of a Responses request.
type responsesRequest struct {
	Model             string            `json:"model"`
	Input             []any             `json:"input"`
	Tools             []map[string]any  `json:"tools,omitempty"`
	ToolChoice        any               `json:"tool_choice,omitempty"`
	ParallelToolCalls *bool             `json:"parallel_tool_calls,omitempty"`
	Temperature       *float64          `json:"temperature,omitempty"`
	TopP              *float64          `json:"top_p,omitempty"`
	MaxOutputTokens   int64             `json:"max_output_tokens,omitempty"`
	Reasoning         map[string]any    `json:"reasoning,omitempty"`
	Text              map[string]any    `json:"text,omitempty"`
	Include           []string          `json:"include,omitempty"`
	Store             bool              `json:"store"`
	Metadata          map[string]string `json:"metadata,omitempty"`
	Stream            bool              `json:"stream,omitempty"`
}

// responsesEncoder writes one request.
type responsesEncoder struct {
	chat     *responses
	req      *aiclient.Request
	out      responsesRequest
	warnings []string
	ids      transport.CallIDs
}

func (e *responsesEncoder) warn(format string, args ...any) {
	e.warnings = append(e.warnings, fmt.Sprintf(format, args...))
}

func (e *responsesEncoder) encode(stream bool) ([]byte, error) {
	req, name := e.req, e.chat.provider.name
	if err := transport.CheckParts(req); err != nil {
		return nil, err
	}
	e.out = responsesRequest{
		Model: e.chat.model, Temperature: req.Temperature, TopP: req.TopP, MaxOutputTokens: req.MaxTokens,
		Metadata: req.Metadata, Stream: stream,
	}
	if e.chat.reasons() {
		e.out.Include = []string{"reasoning.encrypted_content"}
		if e.out.Temperature != nil || e.out.TopP != nil {
			e.out.Temperature, e.out.TopP = nil, nil
			e.warn("%s reasons and takes neither temperature nor top-p: they are left out", e.chat.model)
		}
	}
	if effort := req.Reasoning.Effort; effort != "" {
		e.out.Reasoning = map[string]any{"effort": effort}
	} else if req.Reasoning.Budget > 0 {
		e.warn("%s takes a reasoning effort, not a budget in tokens", name)
	}
	for _, left := range []struct {
		set  bool
		what string
	}{
		{req.TopK != nil, "top-k"}, {req.Seed != nil, "the seed"}, {len(req.Stop) > 0, "stop texts"},
		{req.FrequencyPenalty != nil || req.PresencePenalty != nil, "penalties"},
	} {
		if left.set {
			e.warn("the Responses API has no setting for %s", left.what)
		}
	}
	e.tools()
	e.output()
	if err := e.input(); err != nil {
		return nil, err
	}
	return transport.Body(e.out, req.Options[name])
}

func (e *responsesEncoder) tools() {
	for _, t := range e.req.Tools {
		definition := map[string]any{"type": "function", "name": t.Name, "parameters": transport.Schema(t.Schema), "strict": false}
		if t.Description != "" {
			definition["description"] = t.Description
		}
		e.out.Tools = append(e.out.Tools, definition)
	}
	if w := e.req.WebSearch; w != nil {
		search := map[string]any{"type": "web_search"}
		if len(w.AllowedDomains) > 0 {
			search["filters"] = map[string]any{"allowed_domains": w.AllowedDomains}
		}
		if len(w.BlockedDomains) > 0 {
			e.warn("the search of %s cannot block domains", e.chat.provider.name)
		}
		e.out.Tools = append(e.out.Tools, search)
	}
	if len(e.out.Tools) == 0 {
		return
	}
	if name, ok := e.req.ToolChoice.Tool(); ok {
		e.out.ToolChoice = map[string]string{"type": "function", "name": name}
	} else if e.req.ToolChoice != aiclient.ToolAuto {
		e.out.ToolChoice = string(e.req.ToolChoice)
	}
	if e.req.SequentialTools {
		e.out.ParallelToolCalls = new(false)
	}
}

func (e *responsesEncoder) output() {
	f := e.req.Output
	switch {
	case f == nil:
	case len(f.Schema) == 0:
		e.out.Text = map[string]any{"format": map[string]any{"type": "json_object"}}
	default:
		name := f.Name
		if name == "" {
			name = "output"
		}
		format := map[string]any{"type": "json_schema", "name": name, "schema": f.Schema, "strict": isStrict(f.Schema)}
		if f.Description != "" {
			format["description"] = f.Description
		}
		e.out.Text = map[string]any{"format": format}
	}
}

// maxItemCallID is how long the Responses API lets the ID of a tool call be.
const maxItemCallID = 64

func (e *responsesEncoder) add(item map[string]any) { e.out.Input = append(e.out.Input, item) }

func (e *responsesEncoder) input() error {
	e.ids.Max = maxItemCallID
	if text := e.req.SystemText(); text != "" {
		e.add(map[string]any{"role": "developer", "content": text})
	}
	last := transport.LastUser(e.req.Messages)
	for i, m := range e.req.Messages {
		var err error
		switch m.Role {
		case aiclient.RoleSystem:
			e.add(map[string]any{"role": "developer", "content": m.Text()})
		case aiclient.RoleUser:
			var content []map[string]any
			if content, err = e.inputContent(m.Parts, i < last); err == nil && len(content) > 0 {
				e.add(map[string]any{"role": "user", "content": content})
			}
		case aiclient.RoleAssistant:
			e.assistant(m)
		case aiclient.RoleTool:
			err = e.results(m)
		}
		if err != nil {
			return fmt.Errorf("message %d (%s): %w", i, m.Role, err)
		}
	}
	if len(e.out.Input) == 0 {
		return errors.New("there is no message to answer")
	}
	return nil
}

// assistant adds the items of a reply in their order, which the API wants kept
// between reasoning and what followed it.
func (e *responsesEncoder) assistant(m aiclient.Message) {
	// Reasoning that nothing follows, of a reply that was cut off, is refused.
	for n := len(m.Parts); n > 0 && m.Parts[n-1].Kind == aiclient.KindReasoning; n-- {
		m.Parts = m.Parts[:n-1]
	}
	for _, p := range m.Parts {
		data := itemData{}
		own := p.Provider.For(e.chat.provider.name, &data)
		switch p.Kind {
		case aiclient.KindText:
			if p.Text != "" {
				e.add(map[string]any{"type": "message", "role": "assistant",
					"content": []map[string]any{{"type": "output_text", "text": p.Text}}})
			}
		case aiclient.KindReasoning:
			if !own || data.Encrypted == "" {
				continue // nothing that the API could use
			}
			summary := []map[string]any{}
			for _, text := range data.Summary {
				summary = append(summary, map[string]any{"type": "summary_text", "text": text})
			}
			e.add(map[string]any{"type": "reasoning", "id": data.ID, "summary": summary, "encrypted_content": data.Encrypted})
		case aiclient.KindToolCall:
			e.add(map[string]any{"type": "function_call", "call_id": e.ids.Call(p.Call.ID), "name": transport.CallName(p.Call.Name), "arguments": string(p.Call.Input())})
		case aiclient.KindOpaque:
			if own && len(data.Item) > 0 {
				e.out.Input = append(e.out.Input, data.Item)
			}
		}
	}
}

func (e *responsesEncoder) results(m aiclient.Message) error {
	for _, p := range m.Parts {
		if p.Kind != aiclient.KindToolResult {
			return fmt.Errorf("a %s part where only tool results belong", p.Kind)
		}
		var output any = p.Result.Text
		if len(p.Result.Files) > 0 {
			content := []map[string]any{}
			if p.Result.Text != "" {
				content = append(content, map[string]any{"type": "input_text", "text": p.Result.Text})
			}
			for i := range p.Result.Files {
				file, err := inputFile(&p.Result.Files[i])
				if err != nil {
					e.warn("the result of %s: %v", p.Result.Name, err)
					file = map[string]any{"type": "input_text", "text": transport.Unreadable(&p.Result.Files[i])}
				}
				content = append(content, file)
			}
			output = content
		}
		e.add(map[string]any{"type": "function_call_output", "call_id": e.ids.Result(p.Result.CallID), "output": output})
	}
	return nil
}

func (e *responsesEncoder) inputContent(parts []aiclient.Part, earlier bool) ([]map[string]any, error) {
	content := make([]map[string]any, 0, len(parts))
	for _, p := range parts {
		switch p.Kind {
		case aiclient.KindText:
			content = append(content, map[string]any{"type": "input_text", "text": p.Text})
		case aiclient.KindFile:
			file, err := inputFile(p.File)
			if err != nil {
				if !earlier {
					return nil, err
				}
				e.warn("an earlier message: %v", err)
				file = map[string]any{"type": "input_text", "text": transport.Unreadable(p.File)}
			}
			content = append(content, file)
		default:
			return nil, fmt.Errorf("a %s part, which a user message cannot hold", p.Kind)
		}
	}
	return content, nil
}

func inputFile(f *aiclient.File) (map[string]any, error) {
	image := strings.HasPrefix(f.MediaType, "image/")
	switch {
	case f.ID != "" && image:
		return map[string]any{"type": "input_image", "file_id": f.ID}, nil
	case f.ID != "":
		return map[string]any{"type": "input_file", "file_id": f.ID}, nil
	case image && f.URL != "":
		return map[string]any{"type": "input_image", "image_url": f.URL}, nil
	case image:
		return map[string]any{"type": "input_image", "image_url": transport.DataURL(f.MediaType, f.Data)}, nil
	case f.URL != "":
		return map[string]any{"type": "input_file", "file_url": f.URL}, nil
	case f.MediaType == "application/pdf":
		name := f.Name
		if name == "" {
			name = "document.pdf"
		}
		return map[string]any{"type": "input_file", "filename": name, "file_data": transport.DataURL(f.MediaType, f.Data)}, nil
	case strings.HasPrefix(f.MediaType, "text/"):
		return map[string]any{"type": "input_text", "text": string(f.Data)}, nil
	}
	return nil, fmt.Errorf("a file of type %q: images, PDF and text can be sent", f.MediaType)
}
