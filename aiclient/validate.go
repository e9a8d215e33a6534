package aiclient

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Rules are what a provider or a model cannot take. The zero value forbids
// nothing beyond what no provider takes. See [RulesOf] for those of a provider and
// [ModelSpec.Rules] for those of a model.
type Rules struct {
	// Name of the provider or model, for messages.
	Name string

	// Media are patterns of the media types that the user may send, such as
	// "image/*", and URLs those of files that may be given by their URL. Nil
	// means any, empty none. They are about the last message of the user: what
	// the provider does not take of earlier ones, and of tool results, adapters
	// replace by a note, so that no file ends a conversation.
	Media, URLs []string

	// MaxFile bounds the bytes of one file. 0 means no bound.
	MaxFile int

	NoTools     bool // tools are not supported
	NoReasoning bool // reasoning settings are not supported
	NoOutput    bool // structured output is not supported
	NoSampling  bool // temperature, top-p and top-k cannot be set
	MaxStop     int  // stop texts; 0 means any number, negative none
	MaxTools    int  // 0 means any number
	MaxTokens   int64

	// MaxTemperature bounds the temperature. 0 means 2.
	MaxTemperature float64
}

// RulesOf returns what the provider of chat cannot take: what the Rules method of
// chat says, if it has one, or else the zero value. The middleware of this package
// passes the rules of the Chat that it wraps on, and a route those of its first.
func RulesOf(chat Chat) Rules {
	if r, ok := chat.(interface{ Rules() Rules }); ok {
		return r.Rules()
	}
	return Rules{}
}

// Rules returns what the model cannot take, as far as the spec knows.
func (s ModelSpec) Rules() Rules { return s.add(Rules{}) }

// add adds to the rules of the model's provider.
func (s ModelSpec) add(r Rules) Rules {
	r.Name, r.NoTools = s.Model().String(), r.NoTools || s.NoTools
	if s.MaxOutput > 0 {
		r.MaxTokens = s.MaxOutput
	}
	if s.textOnly() {
		r.Media = s.Input
	}
	return r
}

func (s ModelSpec) textOnly() bool { return s.Input != nil && len(s.Input) == 0 }

// lastUser returns the index of the last message of the user, -1 without one.
func lastUser(messages []Message) int {
	i := len(messages) - 1
	for i >= 0 && messages[i].Role != RoleUser {
		i--
	}
	return i
}

// Validate explains what of req cannot be sent: what no provider takes, such as
// a tool call without a result, and what rules forbid. It joins all it finds.
func Validate(req *Request, rules Rules) error {
	v := validator{rules: rules}
	v.history(req.Messages)
	v.tools(req)
	v.settings(req)
	if len(v.errs) == 0 {
		return nil
	}
	who := "the request cannot be sent"
	if rules.Name != "" {
		who = "the request cannot be sent to " + rules.Name
	}
	return fmt.Errorf("%s: %w", who, errors.Join(v.errs...))
}

type validator struct {
	rules Rules
	last  int // the last message of the user
	errs  []error
}

func (v *validator) add(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

// history checks that messages follow each other as every provider wants.
func (v *validator) history(messages []Message) {
	if len(messages) == 0 {
		v.add("there are no messages")
		return
	}
	said, something := false, false
	v.last = lastUser(messages)
	for i, m := range messages {
		switch m.Role {
		case RoleUser:
			said = true
			something = something || slices.ContainsFunc(m.Parts, func(p Part) bool {
				return p.Kind == KindFile || strings.TrimSpace(p.Text) != ""
			})
		case RoleSystem:
		case RoleAssistant:
			if !said {
				v.add("message %d: the model speaks before the user", i)
				said = true
			}
			v.answered(messages, i)
		case RoleTool:
			if i == 0 || messages[i-1].Role != RoleAssistant || len(messages[i-1].Calls()) == 0 {
				v.add("message %d: tool results without calls before them", i)
			}
		default:
			v.add("message %d: unknown role %q", i, m.Role)
		}
		for j, p := range m.Parts {
			v.part(m.Role, p, i, j)
		}
	}
	switch {
	case !said:
		v.add("there is no message of the user")
	case !something:
		v.add("the user says nothing")
	}
	if last := messages[len(messages)-1]; last.Role == RoleAssistant && len(last.Calls()) > 0 {
		v.add("message %d: its tool calls have no results", len(messages)-1)
	}
}

// answered checks that the calls of message i have their results behind it.
func (v *validator) answered(messages []Message, i int) {
	calls := messages[i].Calls()
	if len(calls) == 0 || i+1 == len(messages) {
		return
	}
	if messages[i+1].Role != RoleTool {
		v.add("message %d: its tool calls have no results", i)
		return
	}
	results := make(map[string]int)
	for _, p := range messages[i+1].Parts {
		if p.Result != nil {
			results[p.Result.CallID]++
		}
	}
	for _, call := range calls {
		switch results[call.ID] {
		case 1:
		case 0:
			v.add("message %d: call %q of %s has no result", i, call.ID, call.Name)
		default:
			v.add("message %d: call %q of %s has %d results", i, call.ID, call.Name, results[call.ID])
		}
		delete(results, call.ID)
	}
	for id := range results {
		v.add("message %d: result of %q, which was not called", i+1, id)
	}
}

func (v *validator) part(role Role, p Part, i, j int) {
	where := fmt.Sprintf("message %d, part %d", i, j)
	allowed := false
	switch p.Kind {
	case KindText:
		allowed = role != RoleTool
	case KindFile:
		allowed = role == RoleUser || role == RoleAssistant
		if p.File == nil {
			v.add("%s: a file part without a file", where)
			break
		}
		v.file(p.File, where)
		if role == RoleUser && i == v.last {
			v.accepted(p.File, where)
		}
	case KindReasoning, KindSource, KindOpaque:
		allowed = role == RoleAssistant
	case KindToolCall:
		allowed = role == RoleAssistant
		if p.Call == nil {
			v.add("%s: a call part without a call", where)
		} else if p.Call.ID == "" {
			v.add("%s: a call of %q without an ID", where, p.Call.Name)
		}
	case KindToolResult:
		allowed = role == RoleTool
		if p.Result == nil {
			v.add("%s: a result part without a result", where)
		} else {
			for i := range p.Result.Files {
				v.file(&p.Result.Files[i], where)
			}
		}
	}
	if !allowed {
		v.add("%s: %s has no place in a message of role %q", where, p.Kind, role)
	}
}

func (v *validator) file(f *File, where string) {
	if err := f.check(); err != nil {
		v.add("%s: %w", where, err)
	}
}

// accepted checks a file against the rules.
func (v *validator) accepted(f *File, where string) {
	if f.URL != "" && !strings.HasPrefix(f.URL, "data:") && !matches(v.rules.URLs, f.MediaType) {
		v.add("%s: a file of type %s by URL; give its bytes", where, f.MediaType)
	}
	if v.rules.MaxFile > 0 && len(f.Data) > v.rules.MaxFile {
		v.add("%s: a file of %d bytes; at most %d are accepted", where, len(f.Data), v.rules.MaxFile)
	}
	if f.MediaType != "" && !matches(v.rules.Media, f.MediaType) {
		accepted := strings.Join(v.rules.Media, ", ")
		if accepted == "" {
			accepted = "none"
		}
		v.add("%s: a file of type %s; accepted are: %s", where, f.MediaType, accepted)
	}
}

// matches reports whether s fits one of the patterns; nil stands for any.
func matches(patterns []string, s string) bool {
	return patterns == nil || slices.ContainsFunc(patterns, func(pattern string) bool { return wildcard(pattern, s) })
}

func (v *validator) tools(req *Request) {
	if v.rules.NoTools && len(req.Tools) > 0 {
		v.add("tools are not supported")
	}
	if v.rules.MaxTools > 0 && len(req.Tools) > v.rules.MaxTools {
		v.add("%d tools; at most %d are accepted", len(req.Tools), v.rules.MaxTools)
	}
	names := make(map[string]bool, len(req.Tools))
	for _, t := range req.Tools {
		if err := tool.CheckName(t.Name); err != nil {
			v.errs = append(v.errs, err)
		}
		if names[t.Name] {
			v.add("two tools are named %q", t.Name)
		}
		names[t.Name] = true
		if _, ok := jsonObject(string(t.Schema)); !ok {
			v.add("tool %s: its schema is not a JSON object", t.Name)
		}
	}
	switch name, one := req.ToolChoice.Tool(); {
	case one && !names[name]:
		v.add("the tool choice is %q, which is not among the tools", name)
	case one:
	case req.ToolChoice == ToolRequired && len(req.Tools) == 0:
		v.add("a tool call is required and there are no tools")
	case req.ToolChoice != ToolAuto && req.ToolChoice != ToolNone && req.ToolChoice != ToolRequired:
		v.add("unknown tool choice %q", req.ToolChoice)
	}
}

func (v *validator) settings(req *Request) {
	between := func(name string, value *float64, low, high float64) {
		if value != nil && !(*value >= low && *value <= high) {
			v.add("%s is %v; it must be from %v to %v", name, *value, low, high)
		}
	}
	hottest := 2.0
	if v.rules.MaxTemperature > 0 {
		hottest = v.rules.MaxTemperature
	}
	between("temperature", req.Temperature, 0, hottest)
	between("top-p", req.TopP, 0, 1)
	between("frequency penalty", req.FrequencyPenalty, -2, 2)
	between("presence penalty", req.PresencePenalty, -2, 2)
	if req.TopK != nil && *req.TopK < 1 {
		v.add("top-k is %d; it must be at least 1", *req.TopK)
	}
	if v.rules.NoSampling && (req.Temperature != nil || req.TopP != nil || req.TopK != nil) {
		v.add("temperature, top-p and top-k cannot be set")
	}
	if req.MaxTokens < 0 {
		v.add("max tokens is %d", req.MaxTokens)
	} else if v.rules.MaxTokens > 0 && req.MaxTokens > v.rules.MaxTokens {
		v.add("max tokens is %d; it must be at most %d", req.MaxTokens, v.rules.MaxTokens)
	}
	if n := len(req.Stop); n > 0 && v.rules.MaxStop != 0 && n > v.rules.MaxStop {
		v.add("%d stop texts; at most %d are accepted", n, max(v.rules.MaxStop, 0))
	}
	if v.rules.NoReasoning && req.Reasoning != (ReasoningOptions{}) {
		v.add("reasoning settings are not supported")
	}
	if req.Reasoning.Budget < 0 {
		v.add("the reasoning budget is %d", req.Reasoning.Budget)
	}
	if req.Output != nil {
		if v.rules.NoOutput {
			v.add("structured output is not supported")
		}
		if req.Output.Name != "" {
			if err := tool.CheckName(req.Output.Name); err != nil {
				v.add("the output: %w", err)
			}
		}
		if _, ok := jsonObject(string(req.Output.Schema)); !ok {
			v.add("the schema of the output is not a JSON object")
		}
	}
	for name, options := range req.Options {
		if _, ok := jsonObject(string(options)); !ok {
			v.add("the options for %s are not a JSON object", name)
		}
	}
}
