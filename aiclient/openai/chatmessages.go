package openai

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

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

func (c *chat) encodeMessages(out *chatRequest, req *aiclient.Request, warn func(string, ...any)) error {
	cache := c.provider.dialect.CacheControl
	ids := &transport.CallIDs{Max: maxCallID}
	if c.provider.dialect.ShortCallIDs {
		ids.Exact = 9
	}
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
	last := transport.LastUser(req.Messages)
	for i, m := range req.Messages {
		var err error
		switch m.Role {
		case aiclient.RoleSystem:
			out.Messages = append(out.Messages, chatMessage{Role: "system", Content: m.Text()})
		case aiclient.RoleAssistant:
			if reply := c.assistant(m, ids); !reply.empty() {
				out.Messages = append(out.Messages, c.withReasoning(reply, req))
			}
		case aiclient.RoleUser:
			var content any
			if content, err = userContent(m.Parts, i < last, warn); err == nil && len(m.Parts) > 0 {
				out.Messages = append(out.Messages, chatMessage{Role: "user", Content: content})
			}
		case aiclient.RoleTool:
			err = toolMessages(out, m, ids, warn)
		}
		if err != nil {
			return fmt.Errorf("message %d (%s): %w", i, m.Role, err)
		}
		at := m.Cache
		if i == len(req.Messages)-1 && at == aiclient.CacheNone {
			at = req.CacheHistory
		}
		if cache && at != aiclient.CacheNone && len(out.Messages) > 0 {
			mark(&out.Messages[len(out.Messages)-1], at)
		}
	}
	if c.provider.dialect.Alternate {
		out.Messages = alternate(out.Messages)
	}
	return nil
}

// maxCallID is how long OpenAI lets the ID of a tool call be.
const maxCallID = 40

// empty reports whether a message says nothing, which several services refuse.
func (m *chatMessage) empty() bool {
	return len(m.ToolCalls) == 0 && m.Content == "" && m.ReasoningContent == "" && m.Reasoning == "" && len(m.ReasoningDetails) == 0
}

// withReasoning fills in the reasoning that a service wants with calls, which
// those that came from another model, or without thinking, do not have.
func (c *chat) withReasoning(m chatMessage, req *aiclient.Request) chatMessage {
	if c.provider.dialect.ReasoningInCalls && len(m.ToolCalls) > 0 && m.ReasoningContent == "" && req.Reasoning.Effort != "none" {
		m.ReasoningContent = " " // an empty one counts as missing
	}
	return m
}

// alternate joins messages of the user that follow each other.
func alternate(messages []chatMessage) []chatMessage {
	out := messages[:0]
	for _, m := range messages {
		if n := len(out); n > 0 && m.Role == "user" && out[n-1].Role == "user" {
			out[n-1].Content = join(out[n-1].Content, m.Content)
			continue
		}
		out = append(out, m)
	}
	return out
}

func join(a, b any) any {
	first, ok := a.(string)
	second, both := b.(string)
	if ok && both {
		return first + "\n\n" + second
	}
	return append(contentParts(a), contentParts(b)...)
}

func contentParts(content any) []contentPart {
	if text, ok := content.(string); ok {
		return []contentPart{{Type: "text", Text: text}}
	}
	parts, _ := content.([]contentPart)
	return parts
}

func (c *chat) assistant(m aiclient.Message, ids *transport.CallIDs) chatMessage {
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
			out.ToolCalls = append(out.ToolCalls, chatCall{ID: ids.Call(p.Call.ID), Type: "function",
				Function: chatFunction{Name: transport.CallName(p.Call.Name), Arguments: &arguments}})
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

func toolMessages(out *chatRequest, m aiclient.Message, ids *transport.CallIDs, warn func(string, ...any)) error {
	// The API takes text only as a result; files follow in a message of the
	// user, after all results.
	var files []contentPart
	for _, p := range m.Parts {
		if p.Kind != aiclient.KindToolResult {
			return fmt.Errorf("a %s part where only tool results belong", p.Kind)
		}
		out.Messages = append(out.Messages, chatMessage{Role: "tool", Content: p.Result.Text, ToolCallID: ids.Result(p.Result.CallID)})
		for i := range p.Result.Files {
			part, err := filePart(&p.Result.Files[i])
			if err != nil {
				warn("the result of %s: %v", p.Result.Name, err)
				part = contentPart{Type: "text", Text: transport.Unreadable(&p.Result.Files[i])}
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
func userContent(parts []aiclient.Part, earlier bool, warn func(string, ...any)) (any, error) {
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
				if !earlier {
					return nil, err
				}
				warn("an earlier message: %v", err)
				part = contentPart{Type: "text", Text: transport.Unreadable(p.File)}
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
		return contentPart{Type: "input_audio", InputAudio: &audioValue{Data: base64.StdEncoding.EncodeToString(f.Data), Format: transport.Format(f.MediaType)}}, nil
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
