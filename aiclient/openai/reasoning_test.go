package openai_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// TestHowServicesAreAskedToThink compares what is sent for an effort with what the
// service documents. What a service has no field for is a warning.
func TestHowServicesAreAskedToThink(t *testing.T) {
	effort := func(word string) aiclient.ReasoningOptions { return aiclient.ReasoningOptions{Effort: word} }
	for name, tt := range map[string]struct {
		preset    string
		reasoning aiclient.ReasoningOptions
		want      string
		warnings  int
	}{
		"openai":             {"openai", effort("low"), `{"reasoning_effort":"low"}`, 0},
		"a budget":           {"groq", aiclient.ReasoningOptions{Budget: 9}, `{}`, 1},
		"openrouter":         {"openrouter", aiclient.ReasoningOptions{Effort: "high", Hidden: true}, `{"reasoning":{"effort":"high","exclude":true}}`, 0},
		"openrouter, budget": {"openrouter", aiclient.ReasoningOptions{Effort: "high", Budget: 9}, `{"reasoning":{"max_tokens":9}}`, 0},
		"deepseek":           {"deepseek", effort("max"), `{"thinking":{"type":"enabled"},"reasoning_effort":"max"}`, 0},
		"deepseek, off":      {"deepseek", effort("none"), `{"thinking":{"type":"disabled"}}`, 0},
		"zai":                {"zai", effort("high"), `{"thinking":{"type":"enabled"},"reasoning_effort":"high"}`, 0},
		"moonshot":           {"moonshot", effort("high"), `{"thinking":{"type":"enabled"}}`, 1},
		"moonshot, off":      {"moonshot", effort("none"), `{"thinking":{"type":"disabled"}}`, 0},
		"qwen":               {"qwen", aiclient.ReasoningOptions{Effort: "low", Budget: 9}, `{"enable_thinking":true,"thinking_budget":9}`, 0},
		"qwen, effort":       {"qwen", effort("low"), `{"enable_thinking":true,"thinking_budget":1024}`, 0},
		"qwen, unknown word": {"qwen", effort("huge"), `{"enable_thinking":true}`, 1},
		"qwen, off":          {"qwen", effort("none"), `{"enable_thinking":false}`, 0},
		"vllm":               {"vllm", effort("low"), `{"reasoning_effort":"low","chat_template_kwargs":{"enable_thinking":true}}`, 0},
		"mistral":            {"mistral", effort("low"), `{}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
			p, err := openai.NewPreset(tt.preset, openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
			require.NoError(t, err)
			req := ask("x")
			req.Reasoning = tt.reasoning
			resp, err := p.Chat("m").Generate(t.Context(), req)
			require.NoError(t, err)
			var body, sent map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
			sent = map[string]json.RawMessage{}
			for _, field := range []string{"reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget", "chat_template_kwargs"} {
				if body[field] != nil {
					sent[field] = body[field]
				}
			}
			got, err := json.Marshal(sent)
			require.NoError(t, err)
			assert.JSONEq(t, tt.want, string(got))
			assert.Len(t, resp.Warnings, tt.warnings)
		})
	}
}

// TestWhichModelsReason asks models for their encrypted reasoning, which those
// that do not reason refuse.
func TestWhichModelsReason(t *testing.T) {
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply {
		return aitest.Text(fmt.Sprint(strings.Contains(string(r.Body), "reasoning.encrypted_content")))
	})
	provider := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
	for model, want := range map[string]string{
		"gpt-4o": "false", "gpt-4.1-mini": "false", "gpt-5-chat-latest": "false", "llama-3": "false", "gpt-": "false", "omni-moderation": "false",
		"o1": "true", "o3-mini": "true", "o5": "true", "gpt-5": "true", "gpt-5.1": "true", "gpt-7-nano": "true", "gpt-12": "true",
		"openai/gpt-oss-120b": "true", "openai/gpt-5-mini": "true", "codex-mini-latest": "true", "computer-use-preview": "true",
	} {
		reply, err := provider.Responses(model).Generate(t.Context(), ask("x"))
		require.NoError(t, err)
		assert.Equal(t, want, reply.Text(), model)
	}
}
