package google

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// request is the body of a generateContent request.
type request struct {
	System   *content         `json:"systemInstruction,omitempty"`
	Contents []content        `json:"contents"`
	Tools    []map[string]any `json:"tools,omitempty"`
	Choice   map[string]any   `json:"toolConfig,omitempty"`
	Config   generationConfig `json:"generationConfig,omitzero"`
}

type generationConfig struct {
	Temperature      *float64        `json:"temperature,omitempty"`
	TopP             *float64        `json:"topP,omitempty"`
	TopK             *int64          `json:"topK,omitempty"`
	FrequencyPenalty *float64        `json:"frequencyPenalty,omitempty"`
	PresencePenalty  *float64        `json:"presencePenalty,omitempty"`
	Seed             *int64          `json:"seed,omitempty"`
	Stop             []string        `json:"stopSequences,omitempty"`
	MaxTokens        int64           `json:"maxOutputTokens,omitempty"`
	Thinking         *thinkingConfig `json:"thinkingConfig,omitempty"`
	MimeType         string          `json:"responseMimeType,omitempty"`
	Schema           json.RawMessage `json:"responseJsonSchema,omitempty"`
}

type thinkingConfig struct {
	Include bool   `json:"includeThoughts,omitempty"`
	Budget  *int64 `json:"thinkingBudget,omitempty"`
	Level   string `json:"thinkingLevel,omitempty"`
}

type content struct {
	Role  string `json:"role,omitempty"`
	Parts []part `json:"parts"`
}

// part is a part of a request. A part that is kept as it came has only raw.
type part struct {
	Text             *string           `json:"text,omitempty"`
	Thought          bool              `json:"thought,omitempty"`
	Signature        string            `json:"thoughtSignature,omitempty"`
	InlineData       *blob             `json:"inlineData,omitempty"`
	FileData         *fileData         `json:"fileData,omitempty"`
	FunctionCall     *functionCall     `json:"functionCall,omitempty"`
	FunctionResponse *functionResponse `json:"functionResponse,omitempty"`

	raw json.RawMessage
}

// MarshalJSON implements [json.Marshaler].
func (p part) MarshalJSON() ([]byte, error) {
	if p.raw != nil {
		return p.raw, nil
	}
	type plain part
	return transport.Body(plain(p), nil)
}

type blob struct {
	MimeType string `json:"mimeType"`
	Data     []byte `json:"data"`
}

type fileData struct {
	MimeType string `json:"mimeType,omitempty"`
	URI      string `json:"fileUri"`
}

type functionCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

type functionResponse struct {
	ID       string         `json:"id,omitempty"`
	Name     string         `json:"name"`
	Response map[string]any `json:"response"`
}

// encoder writes one request.
type encoder struct {
	chat     *chat
	req      *aiclient.Request
	out      request
	warnings []string
	calls    map[string]functionCall // calls of the history, by our ID
}

func (e *encoder) warn(format string, args ...any) {
	e.warnings = append(e.warnings, fmt.Sprintf(format, args...))
}

func (e *encoder) encode() ([]byte, error) {
	req, name := e.req, e.chat.provider.name
	if err := transport.CheckParts(req); err != nil {
		return nil, err
	}
	e.calls = map[string]functionCall{}
	e.out.Config = generationConfig{
		Temperature: req.Temperature, TopP: req.TopP, TopK: req.TopK, FrequencyPenalty: req.FrequencyPenalty,
		PresencePenalty: req.PresencePenalty, Seed: req.Seed, Stop: req.Stop, MaxTokens: req.MaxTokens,
	}
	if f := req.Output; f != nil {
		e.out.Config.MimeType = "application/json"
		if len(f.Schema) > 0 {
			e.out.Config.Schema = f.Schema
		}
	}
	e.thinking()
	e.tools()
	if err := e.contents(); err != nil {
		return nil, err
	}
	return transport.Body(e.out, req.Options[name])
}

// budgets are the tokens of thinking that an effort stands for, for models
// before Gemini 3.
var budgets = map[string]int64{"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576}

// minBudgetPro is the smallest budget that Gemini 2.5 Pro takes.
const minBudgetPro = 128

func (e *encoder) thinking() {
	r := e.req.Reasoning
	if r == (aiclient.ReasoningOptions{}) {
		return
	}
	config := &thinkingConfig{Include: !r.Hidden && r.Effort != "none"}
	switch {
	case r.Budget > 0:
		config.Budget = &r.Budget
	case r.Effort == "":
	case e.chat.signs():
		config.Level = r.Effort
		if r.Effort == "none" {
			config.Level = "low" // the lowest that all of them have
			e.warn("%s always thinks", e.chat.model)
		}
	default:
		budget, ok := budgets[r.Effort]
		if !ok {
			budget = budgets["high"]
			e.warn("unknown reasoning effort %q: thinking with at most %d tokens", r.Effort, budget)
		}
		if strings.Contains(e.chat.model, "2.5-pro") && budget < minBudgetPro {
			budget = minBudgetPro
			e.warn("%s always thinks", e.chat.model)
		}
		config.Budget = &budget
	}
	e.out.Config.Thinking = config
}

func (e *encoder) tools() {
	var functions []map[string]any
	for _, t := range e.req.Tools {
		f := map[string]any{"name": t.Name, "description": t.Description}
		if len(t.Schema) > 0 {
			f["parametersJsonSchema"] = t.Schema
		}
		functions = append(functions, f)
	}
	if functions != nil {
		e.out.Tools = append(e.out.Tools, map[string]any{"functionDeclarations": functions})
		config := map[string]any{}
		if name, one := e.req.ToolChoice.Tool(); one {
			config["mode"], config["allowedFunctionNames"] = "ANY", []string{name}
		} else if e.req.ToolChoice == aiclient.ToolRequired {
			config["mode"] = "ANY"
		} else if e.req.ToolChoice == aiclient.ToolNone {
			config["mode"] = "NONE"
		}
		if len(config) > 0 {
			e.out.Choice = map[string]any{"functionCallingConfig": config}
		}
		if e.req.SequentialTools {
			e.warn("%s has no setting for one call at a time", e.chat.provider.name)
		}
	}
	if e.req.WebSearch != nil {
		e.out.Tools = append(e.out.Tools, map[string]any{"googleSearch": struct{}{}})
	}
}

func (e *encoder) contents() error {
	var system []part
	for _, text := range append([]string{e.req.System}, e.req.Context...) {
		if text != "" {
			system = append(system, part{Text: &text})
		}
	}
	for i, m := range e.req.Messages {
		role, parts, err := e.message(m)
		if err != nil {
			return fmt.Errorf("message %d (%s): %w", i, m.Role, err)
		}
		if m.Role == aiclient.RoleSystem && len(e.out.Contents) == 0 {
			system = append(system, parts...)
			continue
		}
		if len(parts) == 0 {
			continue
		}
		if n := len(e.out.Contents); n > 0 && e.out.Contents[n-1].Role == role {
			e.out.Contents[n-1].Parts = append(e.out.Contents[n-1].Parts, parts...)
			continue
		}
		e.out.Contents = append(e.out.Contents, content{Role: role, Parts: parts})
	}
	if len(e.out.Contents) == 0 {
		return errors.New("there is no message to answer")
	}
	if system != nil {
		e.out.System = &content{Parts: system}
	}
	return nil
}

// signs reports whether the model is of Gemini 3 or later, as a name without a
// version is: it takes levels of thinking instead of budgets, and refuses calls
// without a signature.
func (c *chat) signs() bool {
	version, ok := strings.CutPrefix(c.model, "gemini-")
	return ok && !strings.HasPrefix(version, "1.") && !strings.HasPrefix(version, "2.")
}

// noSignature is what Google says to send instead of the signature of a call that
// another model made; see ai.google.dev/gemini-api/docs/thought-signatures.
const noSignature = "skip_thought_signature_validator"

func (e *encoder) message(m aiclient.Message) (role string, parts []part, err error) {
	role = "user"
	if m.Role == aiclient.RoleAssistant {
		role = "model"
	}
	var files []part // of results, which follow all of them
	signed := !e.chat.signs()
	for _, p := range m.Parts {
		data := partData{}
		p.Provider.For(e.chat.provider.name, &data)
		switch p.Kind {
		case aiclient.KindText:
			if p.Text != "" || data.Signature != "" {
				parts = append(parts, part{Text: &p.Text, Signature: data.Signature})
			}
		case aiclient.KindReasoning:
			// Thoughts are summaries that Google does not want back; what
			// counts is the signature.
			if data.Signature != "" {
				parts = append(parts, part{Text: &p.Text, Thought: true, Signature: data.Signature})
			}
		case aiclient.KindFile:
			file, err := filePart(p.File)
			if err != nil {
				return role, nil, err
			}
			parts = append(parts, file)
		case aiclient.KindToolCall:
			call := functionCall{ID: data.ID, Name: transport.CallName(p.Call.Name), Args: p.Call.Input()}
			e.calls[p.Call.ID] = call
			if data.Signature == "" && !signed {
				data.Signature = noSignature
			}
			signed = true // the first of parallel calls stands for all
			parts = append(parts, part{FunctionCall: &call, Signature: data.Signature})
		case aiclient.KindToolResult:
			parts = append(parts, e.result(p.Result))
			for i := range p.Result.Files {
				file, err := filePart(&p.Result.Files[i])
				if err != nil {
					e.warn("the result of %s: %v", p.Result.Name, err)
					file = part{Text: new(transport.Unreadable(&p.Result.Files[i]))}
				}
				files = append(files, file)
			}
		case aiclient.KindOpaque:
			if len(data.Part) > 0 {
				parts = append(parts, part{raw: data.Part})
			}
		case aiclient.KindSource:
		default:
			return role, nil, fmt.Errorf("a %s part, which a message cannot hold", p.Kind)
		}
	}
	return role, append(parts, files...), nil
}

func (e *encoder) result(r *aiclient.ToolResult) part {
	call := e.calls[r.CallID]
	name := call.Name
	if name == "" {
		name = transport.CallName(r.Name)
	}
	key := "result"
	if r.IsError {
		key = "error"
	}
	return part{FunctionResponse: &functionResponse{ID: call.ID, Name: name, Response: map[string]any{key: r.Text}}}
}

func filePart(f *aiclient.File) (part, error) {
	switch {
	case f.ID != "":
		return part{FileData: &fileData{MimeType: f.MediaType, URI: f.ID}}, nil
	case f.URL != "":
		return part{FileData: &fileData{MimeType: f.MediaType, URI: f.URL}}, nil
	case f.MediaType == "":
		return part{}, errors.New("a file without a media type")
	}
	return part{InlineData: &blob{MimeType: f.MediaType, Data: f.Data}}, nil
}
