package anthropic_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/catalogue"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// TestAdaptiveThinking checks what the models take that think as much as they find
// right: those since 4.7 refuse budgets and sampling settings, some cannot be kept
// from thinking, and a forced call goes with none that thinks.
func TestAdaptiveThinking(t *testing.T) {
	type object = map[string]any
	low := aiclient.ReasoningOptions{Effort: "low"}
	city := []tool.Tool{{Name: "city"}}
	for name, tt := range map[string]struct {
		model    string
		req      aiclient.Request
		thinking any
		effort   any
		tokens   float64
		warnings int
		choice   any
	}{
		"4.5 has budgets":            {"claude-sonnet-4-5-20250929", aiclient.Request{Reasoning: low}, object{"type": "enabled", "budget_tokens": 4096.0}, nil, 20480, 0, nil},
		"4 has budgets":              {"claude-opus-4-20250514", aiclient.Request{Reasoning: low}, object{"type": "enabled", "budget_tokens": 4096.0}, nil, 20480, 0, nil},
		"another's model too":        {"kimi-k2", aiclient.Request{Reasoning: low}, object{"type": "enabled", "budget_tokens": 4096.0}, nil, 20480, 0, nil},
		"4.6":                        {"claude-opus-4-6", aiclient.Request{Reasoning: low}, object{"type": "adaptive"}, "low", 20480, 0, nil},
		"4.6 takes a budget":         {"claude-sonnet-4.6", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Budget: 2000}}, object{"type": "enabled", "budget_tokens": 2000.0}, nil, 18384, 0, nil},
		"4.6 does not know xhigh":    {"claude-opus-4-6", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "xhigh"}}, object{"type": "adaptive"}, "high", 40960, 0, nil},
		"4.6, nothing asked":         {"claude-opus-4-6", aiclient.Request{Temperature: new(0.5)}, nil, nil, 16384, 0, nil},
		"4.7":                        {"claude-opus-4-7", aiclient.Request{MaxTokens: 500, Reasoning: aiclient.ReasoningOptions{Effort: "max"}}, object{"type": "adaptive", "display": "summarized"}, "max", 500, 0, nil},
		"4.7 takes no budget":        {"claude-opus-4.7-fast", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Budget: 2000}}, object{"type": "adaptive", "display": "summarized"}, nil, 40960, 1, nil},
		"4.7 hidden":                 {"claude-opus-4-7", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "minimal", Hidden: true}}, object{"type": "adaptive", "display": "omitted"}, "low", 20480, 0, nil},
		"4.7 does not sample":        {"claude-opus-4-7", aiclient.Request{Temperature: new(0.5), TopP: new(0.5)}, nil, nil, 16384, 1, nil},
		"4.7 off":                    {"claude-opus-4-7", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "none"}}, nil, nil, 16384, 0, nil},
		"5 thinks unasked":           {"claude-opus-5", aiclient.Request{}, nil, nil, 40960, 0, nil},
		"5 off":                      {"claude-sonnet-5", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "none"}}, object{"type": "disabled"}, nil, 16384, 0, nil},
		"5 unknown word":             {"claude-opus-5", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "huge"}}, object{"type": "adaptive", "display": "summarized"}, "medium", 26624, 1, nil},
		"5 with a forced call":       {"claude-opus-5", aiclient.Request{Tools: city, ToolChoice: aiclient.ToolRequired}, object{"type": "disabled"}, nil, 16384, 0, object{"type": "any"}},
		"5, thinking asked for too":  {"claude-opus-5", aiclient.Request{Tools: city, ToolChoice: aiclient.ToolRequired, Reasoning: low}, object{"type": "adaptive", "display": "summarized"}, "low", 20480, 1, nil},
		"5 with a document":          {"claude-opus-5", aiclient.Request{Output: &aiclient.OutputFormat{Name: "city"}}, object{"type": "disabled"}, nil, 16384, 0, object{"type": "tool", "name": "city"}},
		"fable always thinks":        {"claude-fable-5", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "none"}}, nil, nil, 40960, 1, nil},
		"fable, with a forced call":  {"claude-mythos-5", aiclient.Request{Tools: city, ToolChoice: aiclient.ToolRequired}, nil, nil, 40960, 1, nil},
		"5.5 cannot be switched off": {"claude-opus-5-5", aiclient.Request{Reasoning: aiclient.ReasoningOptions{Effort: "none"}}, nil, nil, 40960, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
			chat := anthropic.New(anthropic.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat(tt.model)
			tt.req.Messages = user("x")
			resp, err := chat.Generate(t.Context(), &tt.req)
			require.NoError(t, err)
			var body struct {
				Thinking     any            `json:"thinking"`
				OutputConfig map[string]any `json:"output_config"`
				MaxTokens    float64        `json:"max_tokens"`
				ToolChoice   any            `json:"tool_choice"`
				Temperature  any            `json:"temperature"`
				TopP         any            `json:"top_p"`
			}
			require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
			assert.Equal(t, tt.thinking, body.Thinking)
			assert.Equal(t, tt.effort, body.OutputConfig["effort"])
			assert.Equal(t, tt.tokens, body.MaxTokens)
			assert.Equal(t, tt.choice, body.ToolChoice)
			assert.Len(t, resp.Warnings, tt.warnings)
			if tt.model != "claude-opus-4-6" {
				assert.Nil(t, body.Temperature)
				assert.Nil(t, body.TopP)
			}
		})
	}
}

// TestEffortsOfTheCatalogue sends every effort that the catalogue names for a
// model of ours: none may turn into another.
func TestEffortsOfTheCatalogue(t *testing.T) {
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
	provider := anthropic.New(anthropic.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
	tried := 0
	for _, spec := range catalogue.Default().Models("anthropic") {
		for _, effort := range spec.Efforts {
			req := &aiclient.Request{Messages: user("x"), Reasoning: aiclient.ReasoningOptions{Effort: effort}}
			resp, err := provider.Chat(spec.ID).Generate(t.Context(), req)
			require.NoError(t, err)
			assert.Empty(t, resp.Warnings, "%s, %s", spec.ID, effort)
			requests := server.Requests()
			body := string(requests[len(requests)-1].Body)
			if spec.Efforts[len(spec.Efforts)-1] == "max" { // only those since 4.6 have it
				assert.Contains(t, body, `"output_config":{"effort":"`+effort+`"}`, spec.ID)
			} else {
				assert.Contains(t, body, `"budget_tokens"`, spec.ID)
			}
			tried++
		}
	}
	assert.Greater(t, tried, 30)
}
