package openai_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

func TestPresets(t *testing.T) {
	for _, preset := range openai.Presets() {
		t.Run(preset.Name, func(t *testing.T) {
			for _, variable := range preset.KeyEnv {
				t.Setenv(variable, "")
			}
			p, err := openai.NewPreset(preset.Name, openai.Options{})
			require.NoError(t, err)
			assert.Equal(t, preset.Name, p.Chat("m").Model().Provider)
			assert.True(t, strings.HasPrefix(preset.BaseURL, "https://") || strings.HasPrefix(preset.BaseURL, "http://localhost:"))
			if len(preset.KeyEnv) > 0 {
				_, err = p.Chat("m").Generate(t.Context(), ask("x"))
				assert.Equal(t, aiclient.ClassAuth, aiclient.ClassOf(err))
				assert.ErrorContains(t, err, preset.KeyEnv[0])
			}
		})
	}
	_, err := openai.NewPreset("nobody", openai.Options{})
	assert.ErrorContains(t, err, "openrouter")
}

// TestPresetsConform proves that no dialect breaks a conversation.
func TestPresetsConform(t *testing.T) {
	for _, preset := range openai.Presets() {
		t.Run(preset.Name, func(t *testing.T) {
			server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply {
				if results := r.ToolResults(); len(results) > 0 {
					return aitest.Text(results[0].Text)
				}
				return aitest.Call("f", `{}`)
			})
			p, err := openai.NewPreset(preset.Name, openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
			require.NoError(t, err)
			chat := p.Chat("m")
			req := ask("x")
			req.Temperature, req.Seed, req.TopK, req.FrequencyPenalty = new(0.5), new(int64(7)), new(int64(5)), new(0.1)
			req.MaxTokens, req.Reasoning.Effort, req.SequentialTools = 100, "low", true
			req.WebSearch = &aiclient.WebSearch{MaxUses: 3}
			req.CacheSystem = aiclient.CacheShort
			resp, err := chat.Generate(t.Context(), req)
			require.NoError(t, err)
			req.Messages = append(req.Messages, resp.Message, aiclient.ToolResults(aiclient.ToolResult{CallID: resp.Calls()[0].ID, Name: "f", Text: "42"}))
			resp, err = aiclient.Collect(chat.Stream(t.Context(), req))
			require.NoError(t, err)
			assert.Equal(t, "42", resp.Text())
			assert.Equal(t, "be brief", server.Requests()[1].System())
		})
	}
}

func TestList(t *testing.T) {
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply { return aitest.Text(r.Model) })
	server.SetModels("a", "b")
	p := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
	list, err := p.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []aiclient.Listed{{ID: "a"}, {ID: "b"}}, list)

	var reg aiclient.ChatRegistry
	require.NoError(t, reg.Add(p.Chats(aiclient.ModelSpec{ID: "a"}, aiclient.ModelSpec{ID: "gone"})))
	defer func() { require.NoError(t, reg.Close(context.WithoutCancel(t.Context()))) }()
	status, err := reg.Status(t.Context(), "openai:a")
	require.NoError(t, err)
	assert.Equal(t, aiclient.StatusOnline, status)
	status, _ = reg.Status(t.Context(), "openai:gone")
	assert.Equal(t, aiclient.StatusOffline, status)
}
