package google_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestThinking(t *testing.T) {
	for name, tt := range map[string]struct {
		model  string
		r      aiclient.ReasoningOptions
		config string
	}{
		"none":      {"gemini-2.5-flash", aiclient.ReasoningOptions{}, ``},
		"budget":    {"gemini-2.5-flash", aiclient.ReasoningOptions{Budget: 128}, `{"includeThoughts":true,"thinkingBudget":128}`},
		"effort":    {"gemini-2.5-flash", aiclient.ReasoningOptions{Effort: "low"}, `{"includeThoughts":true,"thinkingBudget":1024}`},
		"off":       {"gemini-2.5-flash", aiclient.ReasoningOptions{Effort: "none"}, `{"thinkingBudget":0}`},
		"hidden":    {"gemini-2.5-flash", aiclient.ReasoningOptions{Effort: "high", Hidden: true}, `{"thinkingBudget":24576}`},
		"pro, off":  {"gemini-2.5-pro", aiclient.ReasoningOptions{Effort: "none"}, `{"thinkingBudget":128}`},
		"new, off":  {"gemini-3-pro", aiclient.ReasoningOptions{Effort: "none"}, `{"thinkingLevel":"low"}`},
		"later":     {"gemini-10-pro", aiclient.ReasoningOptions{Effort: "high"}, `{"includeThoughts":true,"thinkingLevel":"high"}`},
		"latest":    {"gemini-flash-latest", aiclient.ReasoningOptions{Effort: "high"}, `{"includeThoughts":true,"thinkingLevel":"high"}`},
		"new model": {"gemini-3-pro", aiclient.ReasoningOptions{Effort: "high"}, `{"includeThoughts":true,"thinkingLevel":"high"}`},
	} {
		t.Run(name, func(t *testing.T) {
			server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
			chat := google.New(google.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat(tt.model)
			_, err := chat.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}, Reasoning: tt.r,
				Options: map[string]json.RawMessage{"google": []byte(`{"generationConfig":{"mediaResolution":"LOW"}}`)}})
			require.NoError(t, err)
			var body struct {
				Config struct {
					Thinking   json.RawMessage `json:"thinkingConfig"`
					Resolution string          `json:"mediaResolution"`
				} `json:"generationConfig"`
			}
			require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
			assert.Equal(t, "LOW", body.Config.Resolution, "options are merged into nested settings")
			if tt.config == "" {
				assert.Empty(t, body.Config.Thinking)
				return
			}
			assert.JSONEq(t, tt.config, string(body.Config.Thinking))
		})
	}
}

// answering returns a chat whose service answers every request with body.
func answering(t *testing.T, body string) aiclient.Chat {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	t.Cleanup(server.Close)
	return google.New(google.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat("m")
}

func TestBlockedPrompt(t *testing.T) {
	const body = `{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}`
	_, err := answering(t, body).Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}})
	assert.Equal(t, aiclient.ClassContentFilter, aiclient.ClassOf(err))
	_, err = aiclient.Collect(answering(t, "data: "+body+"\n\n").Stream(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}}))
	assert.Equal(t, aiclient.ClassContentFilter, aiclient.ClassOf(err))
	assert.ErrorContains(t, err, "SAFETY")
}

// TestMalformedCalls checks that a call which Google could not read is an error
// that a retry may mend, and no silent end of the turn.
func TestMalformedCalls(t *testing.T) {
	const body = `{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"Malformed function call: print(look())"}]}`
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}}
	for _, ask := range []func() (*aiclient.Response, error){
		func() (*aiclient.Response, error) { return answering(t, body).Generate(t.Context(), req) },
		func() (*aiclient.Response, error) {
			return aiclient.Collect(answering(t, "data: "+body+"\n\n").Stream(t.Context(), req))
		},
	} {
		_, err := ask()
		require.Error(t, err)
		assert.True(t, aiclient.ClassOf(err).Retryable())
		assert.ErrorContains(t, err, "MALFORMED_FUNCTION_CALL")
		assert.ErrorContains(t, err, "print(look())")
	}
}

func TestGroundedAnswer(t *testing.T) {
	resp, err := answering(t, `{"candidates":[{"content":{"parts":[{"text":"Spain won."},{"executableCode":{"code":"1+1"}}]},"finishReason":"STOP",
		"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a.example","title":"a"}},{"web":{"uri":"https://b.example","title":"b"}}],
		"groundingSupports":[{"segment":{"endIndex":10,"text":"Spain won."},"groundingChunkIndices":[0,9]}]}}],
		"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":2,"toolUsePromptTokenCount":3}}`).
		Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("who won?")}, WebSearch: &aiclient.WebSearch{}})
	require.NoError(t, err)
	require.Len(t, resp.Sources(), 2)
	assert.Equal(t, aiclient.Source{URL: "https://a.example", Title: "a", End: 10}, *resp.Sources()[0])
	assert.Equal(t, aiclient.Usage{Input: 9, CachedRead: 4, Output: 7, Reasoning: 2}, resp.Usage)
	assert.Equal(t, aiclient.KindOpaque, resp.Message.Parts[1].Kind)
}

func TestFunctionIDsGoBackOnlyWhenTheyCame(t *testing.T) {
	chat, server := newChat(t, func(r aitest.Request) aitest.Reply {
		if len(r.ToolResults()) > 0 {
			return aitest.Text("done")
		}
		return aitest.Call("f", `{}`)
	})
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}, Tools: []tool.Tool{{Name: "f"}}}
	resp, err := chat.Generate(t.Context(), req)
	require.NoError(t, err)
	id := resp.Calls()[0].ID
	require.NotEmpty(t, id)
	req.Messages = append(req.Messages, resp.Message, aiclient.ToolResults(aiclient.ToolResult{CallID: id, Text: "1", IsError: true}))
	_, err = chat.Generate(t.Context(), req)
	require.NoError(t, err)
	body := string(server.Requests()[1].Body)
	assert.NotContains(t, body, id, "Google would not know an ID that we made up")
	assert.Contains(t, body, `"functionResponse":{"name":"f","response":{"error":"1"}}`)
}

// TestForeignCallsHaveASignature checks that calls of another model reach models
// that refuse calls without a signature, and that no other gets one made up.
func TestForeignCallsHaveASignature(t *testing.T) {
	own := aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "f"})
	own.Provider = aiclient.NewProviderData("google", map[string]string{"signature": "c2ln"})
	foreign := aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "f"})
	second := aiclient.ToolCallPart(aiclient.ToolCall{ID: "2", Name: "f"})
	const made = "skip_thought_signature_validator"
	for name, test := range map[string]struct {
		model string
		first aiclient.Part
		want  []string
	}{
		"own":       {"gemini-3-pro-preview", own, []string{"c2ln", ""}},
		"foreign":   {"gemini-3-pro-preview", foreign, []string{made, ""}},
		"later":     {"gemini-4-flash", foreign, []string{made, ""}},
		"old model": {"gemini-2.5-flash", foreign, []string{"", ""}},
		"another":   {"gemma-3-27b", foreign, []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
			chat := google.New(google.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat(test.model)
			_, err := chat.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x"), aiclient.Assistant(test.first, second),
				aiclient.ToolResults(aiclient.ToolResult{CallID: "1", Name: "f"}, aiclient.ToolResult{CallID: "2", Name: "f"})}})
			require.NoError(t, err)
			var body struct {
				Contents []struct {
					Parts []struct {
						Call      json.RawMessage `json:"functionCall"`
						Signature string          `json:"thoughtSignature"`
					}
				}
			}
			require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
			var got []string
			for _, c := range body.Contents {
				for _, p := range c.Parts {
					if p.Call != nil {
						got = append(got, p.Signature)
					}
				}
			}
			assert.Equal(t, test.want, got)
		})
	}
}
