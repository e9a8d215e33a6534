package anthropic_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// sent returns what a request looks like on the wire, and the reply to it.
func sent(t *testing.T, req *aiclient.Request) (map[string]any, *aiclient.Response) {
	t.Helper()
	chat, server := newChat(t, func(r aitest.Request) aitest.Reply {
		if len(r.Tools) == 1 && r.Tools[0].Name == "city" {
			return aitest.Call("city", `{"name":"Lisbon"}`)
		}
		return aitest.Text("ok")
	})
	resp, err := chat.Generate(t.Context(), req)
	require.NoError(t, err)
	var body map[string]any
	require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
	return body, resp
}

func user(text string) []aiclient.Message { return []aiclient.Message{aiclient.User(text)} }

func TestThinking(t *testing.T) {
	for name, tt := range map[string]struct {
		req      aiclient.Request
		thinking any
		tokens   float64
		warnings int
	}{
		"none":          {aiclient.Request{}, nil, 16384, 0},
		"bound":         {aiclient.Request{MaxTokens: 100}, nil, 100, 0},
		"budget":        {aiclient.Request{Reasoning: aiclient.ReasoningOptions{Budget: 2000}}, 2000.0, 18384, 0},
		"effort":        {aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "low"}}, 4096.0, 20480, 0},
		"off":           {aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "none"}}, nil, 16384, 0},
		"too small":     {aiclient.Request{Reasoning: aiclient.ReasoningOptions{Budget: 5}}, 1024.0, 17408, 0},
		"within bound":  {aiclient.Request{MaxTokens: 5000, Reasoning: aiclient.ReasoningOptions{Effort: "high"}}, 2500.0, 5000, 0},
		"no room":       {aiclient.Request{MaxTokens: 1000, Reasoning: aiclient.ReasoningOptions{Effort: "high"}}, nil, 1000, 1},
		"unknown word":  {aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "huge"}}, 10240.0, 26624, 1},
		"temperature":   {aiclient.Request{Temperature: new(0.0), Reasoning: aiclient.ReasoningOptions{Budget: 2000}}, 2000.0, 18384, 1},
		"seed, penalty": {aiclient.Request{Seed: new(int64(1)), PresencePenalty: new(1.0)}, nil, 16384, 2},
	} {
		t.Run(name, func(t *testing.T) {
			tt.req.Messages = user("x")
			body, resp := sent(t, &tt.req)
			thinking, _ := body["thinking"].(map[string]any)
			assert.Equal(t, tt.thinking, thinking["budget_tokens"])
			assert.Equal(t, tt.tokens, body["max_tokens"])
			assert.Len(t, resp.Warnings, tt.warnings)
		})
	}
}

func TestZeroTemperatureIsSent(t *testing.T) {
	body, _ := sent(t, &aiclient.Request{Messages: user("x"), Temperature: new(0.0)})
	assert.Equal(t, 0.0, body["temperature"])
	body, _ = sent(t, &aiclient.Request{Messages: user("x")})
	assert.NotContains(t, body, "temperature")
}

func TestCacheMarks(t *testing.T) {
	req := &aiclient.Request{System: "rules", Context: []string{"today"}, CacheSystem: aiclient.CacheLong}
	for range 6 {
		m := aiclient.User("hello")
		m.Cache = aiclient.CacheShort
		req.Messages = append(req.Messages, m, aiclient.Assistant(aiclient.Text("hi")))
	}
	req.Messages = append(req.Messages, aiclient.User("last"))
	body, _ := sent(t, req)
	text, err := json.Marshal(body)
	require.NoError(t, err)
	assert.Equal(t, 4, strings.Count(string(text), "cache_control"), "the API takes four")
	system := body["system"].([]any)
	assert.Equal(t, map[string]any{"type": "ephemeral", "ttl": "1h"}, system[0].(map[string]any)["cache_control"])
	assert.NotContains(t, system[1], "cache_control", "what changes comes behind the mark")
	messages := body["messages"].([]any)
	marked := messages[10].(map[string]any)["content"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"type": "ephemeral"}, marked["cache_control"])
}

// TestTheCacheMarkMovesWithTheHistory checks where the mark of the history is, and
// that a long mark does not follow a short one, which the API refuses.
func TestTheCacheMarkMovesWithTheHistory(t *testing.T) {
	call := aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "f"})
	for name, test := range map[string]struct {
		system, history aiclient.CacheMark
		last            aiclient.Message
		want            map[string]any
	}{
		"user":       {aiclient.CacheLong, aiclient.CacheLong, aiclient.User("x"), map[string]any{"type": "ephemeral", "ttl": "1h"}},
		"result":     {aiclient.CacheNone, aiclient.CacheShort, aiclient.ToolResults(aiclient.ToolResult{CallID: "1", Name: "f", Text: "x"}), map[string]any{"type": "ephemeral"}},
		"downgraded": {aiclient.CacheShort, aiclient.CacheLong, aiclient.User("x"), map[string]any{"type": "ephemeral"}},
		"none":       {aiclient.CacheShort, aiclient.CacheNone, aiclient.User("x"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			req := &aiclient.Request{System: "rules", CacheSystem: test.system, CacheHistory: test.history, Messages: user("go")}
			if test.last.Role == aiclient.RoleTool {
				req.Messages = append(req.Messages, aiclient.Assistant(call))
			}
			req.Messages = append(req.Messages, test.last, aiclient.Assistant()) // an empty message is left out
			body, _ := sent(t, req)
			messages := body["messages"].([]any)
			blocks := messages[len(messages)-1].(map[string]any)["content"].([]any)
			got, _ := blocks[len(blocks)-1].(map[string]any)["cache_control"].(map[string]any)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestStructuredOutput(t *testing.T) {
	req := &aiclient.Request{Messages: user("a city"), Output: &aiclient.OutputFormat{Name: "city",
		Schema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}}}`)}}
	body, resp := sent(t, req)
	assert.Equal(t, map[string]any{"type": "tool", "name": "city"}, body["tool_choice"])
	assert.JSONEq(t, `{"name":"Lisbon"}`, resp.Text())
	assert.Empty(t, resp.Calls())
	assert.Equal(t, aiclient.FinishStop, resp.Reason)

	chat, _ := newChat(t, func(aitest.Request) aitest.Reply { return aitest.Call("city", `{"name":"Lisbon"}`) })
	streamed, err := aiclient.Collect(chat.Stream(t.Context(), req))
	require.NoError(t, err)
	assert.JSONEq(t, `{"name":"Lisbon"}`, streamed.Text())

	req.Tools = []tool.Tool{{Name: "other"}} // the model must be free to call it
	body, _ = sent(t, req)
	assert.NotContains(t, body, "tool_choice")
	assert.Contains(t, body["system"].([]any)[0].(map[string]any)["text"], `"name"`)
}

func TestWebSearchAndOptions(t *testing.T) {
	body, _ := sent(t, &aiclient.Request{Messages: user("x"), WebSearch: &aiclient.WebSearch{MaxUses: 1, AllowedDomains: []string{"example.com"}},
		Options: map[string]json.RawMessage{"anthropic": []byte(`{"service_tier":"auto"}`), "openai": []byte(`{"store":true}`)}})
	search := body["tools"].([]any)[0].(map[string]any)
	assert.Equal(t, 1.0, search["max_uses"])
	assert.Equal(t, "web_search", search["name"])
	assert.Equal(t, "auto", body["service_tier"])
	assert.NotContains(t, body, "store")
}

func TestHistoryThatTheAPIWouldRefuse(t *testing.T) {
	chat, _ := newChat(t, func(r aitest.Request) aitest.Reply {
		var roles []string
		for _, m := range r.Messages {
			roles = append(roles, m.Role)
		}
		return aitest.Text(strings.Join(roles, " "))
	})
	resp, err := chat.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{
		aiclient.System("a rule"), aiclient.User("a"), aiclient.Assistant(aiclient.Reasoning("of another model")),
		aiclient.Assistant(aiclient.Text("  ")), aiclient.User("b"), aiclient.Assistant(aiclient.Text("go on ")),
	}})
	require.NoError(t, err)
	assert.Equal(t, "system user assistant", resp.Text())

	_, err = chat.Generate(t.Context(), &aiclient.Request{})
	assert.Equal(t, aiclient.ClassBadRequest, aiclient.ClassOf(err))
	_, err = chat.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("", aiclient.Image("video/mp4", []byte("x")))}})
	assert.Equal(t, aiclient.ClassBadRequest, aiclient.ClassOf(err))
}

// TestThinkingThatNothingFollowsIsLeftOut checks replies that were cut off while
// the model was thinking: the API refuses them, and the conversation with them.
func TestThinkingThatNothingFollowsIsLeftOut(t *testing.T) {
	thinking := aiclient.Part{Kind: aiclient.KindReasoning, Text: "hm", Provider: aiclient.NewProviderData("anthropic", map[string]string{"signature": "c2ln"})}
	for name, test := range map[string]struct {
		parts []aiclient.Part
		kinds []string // of the blocks that are sent, nil for no message at all
	}{
		"only thinking":     {[]aiclient.Part{thinking}, nil},
		"thinking at last":  {[]aiclient.Part{thinking, aiclient.Text("so"), thinking}, []string{"thinking", "text"}},
		"thinking and text": {[]aiclient.Part{thinking, aiclient.Text("so")}, []string{"thinking", "text"}},
	} {
		t.Run(name, func(t *testing.T) {
			body, _ := sent(t, &aiclient.Request{Messages: append(user("x"), aiclient.Assistant(test.parts...), aiclient.User("go on"))})
			var kinds []string
			for _, m := range body["messages"].([]any) {
				if m := m.(map[string]any); m["role"] == "assistant" {
					for _, b := range m["content"].([]any) {
						kinds = append(kinds, b.(map[string]any)["type"].(string))
					}
				}
			}
			assert.Equal(t, test.kinds, kinds)
		})
	}
}

// TestCallsOfAnotherModelGoOnWithoutThinking checks a turn that another model, or
// one that did not think, began: the API refuses to think in the middle of it.
func TestCallsOfAnotherModelGoOnWithoutThinking(t *testing.T) {
	thinking := aiclient.Part{Kind: aiclient.KindReasoning, Text: "hm", Provider: aiclient.NewProviderData("anthropic", map[string]string{"signature": "c2ln"})}
	call := aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "f"})
	results := aiclient.ToolResults(aiclient.ToolResult{CallID: "1", Name: "f", Text: "42"})
	for name, test := range map[string]struct {
		more   []aiclient.Message
		thinks bool
	}{
		"own":          {[]aiclient.Message{aiclient.Assistant(thinking, call), results}, true},
		"foreign":      {[]aiclient.Message{aiclient.Assistant(aiclient.Reasoning("hm"), call), results}, false},
		"steered":      {[]aiclient.Message{aiclient.Assistant(call), results, aiclient.User("hurry")}, false},
		"a turn later": {[]aiclient.Message{aiclient.Assistant(call), results, aiclient.Assistant(aiclient.Text("42")), aiclient.User("thanks")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			body, reply := sent(t, &aiclient.Request{Messages: append(user("x"), test.more...), Reasoning: aiclient.ReasoningOptions{Effort: "low"}})
			assert.Equal(t, test.thinks, body["thinking"] != nil)
			assert.Equal(t, test.thinks, len(reply.Warnings) == 0)
		})
	}
}
