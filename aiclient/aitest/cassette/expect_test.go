package cassette_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
)

// expectation is what a recorded response says, read without any code of the
// adapters.
type expectation struct {
	text, reasoning string
	calls           []aiclient.ToolCall // IDs are empty where the provider gives none
	usage           aiclient.Usage
	finish          aiclient.FinishReason
	model           string
	citations       int
}

type object = map[string]any

// events returns the JSON documents of a recorded body: one, or those of the
// events of a stream.
func events(t *testing.T, body []byte) []object {
	t.Helper()
	trimmed := strings.TrimSpace(string(body))
	if strings.HasPrefix(trimmed, "{") {
		var doc object
		require.NoError(t, json.Unmarshal([]byte(trimmed), &doc))
		return []object{doc}
	}
	var docs []object
	for line := range strings.SplitSeq(strings.ReplaceAll(trimmed, "\r\n", "\n"), "\n") {
		data, ok := strings.CutPrefix(line, "data:")
		if data = strings.TrimSpace(data); !ok || data == "[DONE]" {
			continue
		}
		var doc object
		require.NoError(t, json.Unmarshal([]byte(data), &doc), "%s", data)
		docs = append(docs, doc)
	}
	return docs
}

// at walks into a document; what is missing is nil.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(object)
			v = m[step]
		case int:
			a, _ := v.([]any)
			if step >= len(a) {
				return nil
			}
			v = a[step]
		}
	}
	return v
}

func str(v any, path ...any) string { s, _ := at(v, path...).(string); return s }
func num(v any, path ...any) int64  { f, _ := at(v, path...).(float64); return int64(f) }
func list(v any, path ...any) []any { a, _ := at(v, path...).([]any); return a }

func expect(t *testing.T, format aitest.Format, body []byte) expectation {
	t.Helper()
	docs := events(t, body)
	switch format {
	case aitest.OpenAI:
		return expectOpenAI(docs)
	case aitest.Responses:
		return expectResponses(docs)
	case aitest.Anthropic:
		return expectAnthropic(docs)
	case aitest.Gemini:
		return expectGemini(t, docs)
	}
	require.FailNow(t, "unknown format", format)
	return expectation{}
}

func expectOpenAI(docs []object) expectation {
	var e expectation
	calls := map[int]*aiclient.ToolCall{}
	var order []int
	for _, doc := range docs {
		if e.model == "" {
			e.model = str(doc, "model")
		}
		choice := at(doc, "choices", 0)
		message := at(choice, "delta")
		if message == nil {
			message = at(choice, "message")
		}
		e.text += str(message, "content")
		if r := str(message, "reasoning_content"); r != "" {
			e.reasoning += r
		} else {
			e.reasoning += str(message, "reasoning")
		}
		for i, c := range list(message, "tool_calls") {
			index := i
			if f, ok := at(c, "index").(float64); ok {
				index = int(f)
			}
			if calls[index] == nil {
				calls[index] = &aiclient.ToolCall{}
				order = append(order, index)
			}
			calls[index].ID += str(c, "id")
			calls[index].Name += str(c, "function", "name")
			calls[index].Arguments += str(c, "function", "arguments")
		}
		switch str(choice, "finish_reason") {
		case "stop":
			e.finish = aiclient.FinishStop
		case "tool_calls":
			e.finish = aiclient.FinishToolCalls
		case "length":
			e.finish = aiclient.FinishLength
		}
		if u := at(doc, "usage"); u != nil {
			cached := num(u, "prompt_tokens_details", "cached_tokens")
			reasoning := num(u, "completion_tokens_details", "reasoning_tokens")
			e.usage = aiclient.Usage{
				Input: num(u, "prompt_tokens") - cached, CachedRead: cached,
				Output: num(u, "total_tokens") - num(u, "prompt_tokens"), Reasoning: reasoning,
			}
		}
	}
	for _, i := range order {
		e.calls = append(e.calls, *calls[i])
	}
	return e
}

func expectResponses(docs []object) expectation {
	doc := docs[len(docs)-1]
	if r, ok := doc["response"].(object); ok {
		doc = r
	}
	e := expectation{model: str(doc, "model"), finish: aiclient.FinishStop}
	for _, item := range list(doc, "output") {
		switch str(item, "type") {
		case "message":
			for _, c := range list(item, "content") {
				e.text += str(c, "text")
			}
		case "function_call":
			e.finish = aiclient.FinishToolCalls
			e.calls = append(e.calls, aiclient.ToolCall{ID: str(item, "call_id"), Name: str(item, "name"), Arguments: str(item, "arguments")})
		}
	}
	cached := num(doc, "usage", "input_tokens_details", "cached_tokens")
	e.usage = aiclient.Usage{Input: num(doc, "usage", "input_tokens") - cached, CachedRead: cached,
		Output: num(doc, "usage", "output_tokens"), Reasoning: num(doc, "usage", "output_tokens_details", "reasoning_tokens")}
	return e
}

func expectAnthropic(docs []object) expectation {
	var e expectation
	var stop string
	inputs := map[int64]*aiclient.ToolCall{}
	block := func(b any) {
		switch str(b, "type") {
		case "text":
			e.text += str(b, "text")
			e.citations += len(list(b, "citations"))
		case "thinking":
			e.reasoning += str(b, "thinking")
		case "tool_use":
			call := aiclient.ToolCall{ID: str(b, "id"), Name: str(b, "name")}
			if input, _ := at(b, "input").(object); len(input) > 0 {
				data, _ := json.Marshal(input)
				call.Arguments = string(data)
			}
			e.calls = append(e.calls, call)
		}
	}
	usage := func(u any) {
		if u == nil {
			return
		}
		e.usage = aiclient.Usage{Input: num(u, "input_tokens"), CachedRead: num(u, "cache_read_input_tokens"),
			CacheWrite: num(u, "cache_creation_input_tokens"), Output: num(u, "output_tokens")}
	}
	for _, doc := range docs {
		switch str(doc, "type") {
		case "message":
			for _, b := range list(doc, "content") {
				block(b)
			}
			usage(at(doc, "usage"))
			stop, e.model = str(doc, "stop_reason"), str(doc, "model")
		case "message_start":
			e.model = str(doc, "message", "model")
		case "content_block_start":
			before := len(e.calls)
			block(at(doc, "content_block"))
			if len(e.calls) > before {
				inputs[num(doc, "index")] = &aiclient.ToolCall{Name: e.calls[before].ID}
			}
		case "content_block_delta":
			e.text += str(doc, "delta", "text")
			e.reasoning += str(doc, "delta", "thinking")
			if str(doc, "delta", "type") == "citations_delta" {
				e.citations++
			}
			if in := inputs[num(doc, "index")]; in != nil {
				in.Arguments += str(doc, "delta", "partial_json")
			}
		case "message_delta":
			stop = str(doc, "delta", "stop_reason")
			usage(at(doc, "usage"))
		}
	}
	for _, in := range inputs {
		for i := range e.calls {
			if e.calls[i].ID == in.Name {
				e.calls[i].Arguments = in.Arguments
			}
		}
	}
	e.finish = map[string]aiclient.FinishReason{"end_turn": aiclient.FinishStop, "tool_use": aiclient.FinishToolCalls}[stop]
	return e
}

func expectGemini(t *testing.T, docs []object) expectation {
	e := expectation{finish: aiclient.FinishStop}
	for _, doc := range docs {
		e.model = str(doc, "modelVersion")
		for _, p := range list(doc, "candidates", 0, "content", "parts") {
			if call := at(p, "functionCall"); call != nil {
				args, err := json.Marshal(at(call, "args"))
				require.NoError(t, err)
				e.calls = append(e.calls, aiclient.ToolCall{Name: str(call, "name"), Arguments: string(args)})
				e.finish = aiclient.FinishToolCalls
			} else if at(p, "thought") == true {
				e.reasoning += str(p, "text")
			} else {
				e.text += str(p, "text")
			}
		}
		if u := at(doc, "usageMetadata"); u != nil {
			cached := num(u, "cachedContentTokenCount")
			e.usage = aiclient.Usage{Input: num(u, "promptTokenCount") - cached, CachedRead: cached,
				Output: num(u, "totalTokenCount") - num(u, "promptTokenCount"), Reasoning: num(u, "thoughtsTokenCount")}
		}
	}
	return e
}
