package openai_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// wireMessage is a message as it is sent.
type wireMessage struct {
	Role             string          `json:"role"`
	Content          json.RawMessage `json:"content"`
	ReasoningContent string          `json:"reasoning_content"`
	ToolCallID       string          `json:"tool_call_id"`
	ToolCalls        []struct {
		ID string `json:"id"`
	} `json:"tool_calls"`
}

// messagesTo returns the messages of a request as a preset sends them.
func messagesTo(t *testing.T, preset string, req *aiclient.Request) []wireMessage {
	t.Helper()
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
	p, err := openai.NewPreset(preset, openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
	require.NoError(t, err)
	_, err = p.Chat("m").Generate(t.Context(), req)
	require.NoError(t, err)
	var body struct{ Messages []wireMessage }
	require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
	return body.Messages
}

// foreign is a history that began with another provider's model and was cut off.
func foreign() *aiclient.Request {
	return &aiclient.Request{Messages: []aiclient.Message{
		aiclient.User("look"),
		aiclient.Assistant(aiclient.ToolCallPart(aiclient.ToolCall{ID: "toolu_01AbCdEfGhIjKlMnOpQrStUv", Name: "shot"})),
		aiclient.ToolResults(aiclient.ToolResult{CallID: "toolu_01AbCdEfGhIjKlMnOpQrStUv", Name: "shot", Text: "none"}),
		aiclient.Assistant(),
		aiclient.User("first"),
		aiclient.User("second", aiclient.Image("image/png", []byte("x"))),
		aiclient.User("third"),
	}}
}

func TestMistralGetsShortCallIDs(t *testing.T) {
	messages := messagesTo(t, "mistral", foreign())
	id := messages[1].ToolCalls[0].ID
	assert.Regexp(t, regexp.MustCompile(`^[a-zA-Z0-9]{9}$`), id)
	assert.Equal(t, id, messages[2].ToolCallID)

	assert.Equal(t, "toolu_01AbCdEfGhIjKlMnOpQrStUv", messagesTo(t, "groq", foreign())[1].ToolCalls[0].ID)
}

func TestRolesAlternateWhereTheyMust(t *testing.T) {
	for _, preset := range []string{"perplexity", "vllm", "llamacpp", "ollama", "lmstudio"} {
		messages := messagesTo(t, preset, foreign())
		require.Len(t, messages, 4, preset)
		var parts []struct{ Type, Text string }
		require.NoError(t, json.Unmarshal(messages[3].Content, &parts))
		require.Len(t, parts, 4, preset)
		assert.Equal(t, "first", parts[0].Text)
		assert.Equal(t, "image_url", parts[2].Type)
		assert.Equal(t, "third", parts[3].Text)
	}
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("first"), aiclient.User("second")}}
	messages := messagesTo(t, "perplexity", req)
	require.Len(t, messages, 1)
	assert.JSONEq(t, `"first\n\nsecond"`, string(messages[0].Content), "text stays text")
	assert.Len(t, messagesTo(t, "groq", req), 2)
	assert.Len(t, req.Messages, 2)
}

func TestReasoningGoesWithCallsWhereItMust(t *testing.T) {
	for _, preset := range []string{"moonshot", "deepseek"} {
		assert.Equal(t, " ", messagesTo(t, preset, foreign())[1].ReasoningContent, preset)
		req := foreign()
		req.Reasoning.Effort = "none"
		assert.Empty(t, messagesTo(t, preset, req)[1].ReasoningContent, preset)
	}
	assert.Empty(t, messagesTo(t, "groq", foreign())[1].ReasoningContent)
}

func TestEmptyRepliesAreLeftOut(t *testing.T) {
	for _, m := range messagesTo(t, "moonshot", foreign()) {
		assert.NotEqual(t, `""`, string(m.Content))
	}
}

func TestTheCacheMarkMovesWithTheHistory(t *testing.T) {
	req := foreign()
	req.CacheHistory = aiclient.CacheShort
	messages := messagesTo(t, "openrouter", req)
	assert.JSONEq(t, `[{"type":"text","text":"third","cache_control":{"type":"ephemeral"}}]`, string(messages[len(messages)-1].Content))
	assert.NotContains(t, string(messages[0].Content), "cache_control")
	for _, m := range messagesTo(t, "groq", req) {
		assert.NotContains(t, string(m.Content), "cache_control")
	}
}

// TestReasoningThatNothingFollowsIsLeftOut checks replies that were cut off while
// the model was thinking: the Responses API refuses reasoning without what it led
// to.
func TestReasoningThatNothingFollowsIsLeftOut(t *testing.T) {
	reasoning := aiclient.Part{Kind: aiclient.KindReasoning, Provider: aiclient.NewProviderData("openai", map[string]string{"id": "rs_1", "encrypted": "c2ln"})}
	for want, parts := range map[string][]aiclient.Part{
		"user user":                   {reasoning},
		"user reasoning message user": {reasoning, aiclient.Text("so"), reasoning},
	} {
		server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
		chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Responses("gpt-5")
		_, err := chat.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x"), aiclient.Assistant(parts...), aiclient.User("go on")}})
		require.NoError(t, err)
		var body struct {
			Input []struct{ Type, Role string }
		}
		require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
		var got []string
		for _, item := range body.Input {
			if item.Type == "" {
				item.Type = item.Role
			}
			got = append(got, item.Type)
		}
		assert.Equal(t, want, strings.Join(got, " "))
	}
}
