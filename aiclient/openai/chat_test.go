package openai_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client whose connections end with the test.
func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func newChat(t testing.TB, script aitest.Script) (aiclient.Chat, *aitest.Server) {
	server := aitest.NewServer(t, script)
	provider := openai.New(openai.Options{BaseURL: server.URL, APIKey: "sk-secret-123", HTTPClient: newClient(t)})
	return provider.Chat("test-model"), server
}

func ask(text string) *aiclient.Request {
	return &aiclient.Request{System: "be brief", Messages: []aiclient.Message{aiclient.User(text)}}
}

// both runs f on the streamed and on the whole reply, which must not differ.
func both(t *testing.T, chat aiclient.Chat, req *aiclient.Request, f func(t *testing.T, resp *aiclient.Response, err error)) {
	t.Run("stream", func(t *testing.T) {
		resp, err := aiclient.Collect(chat.Stream(t.Context(), req))
		f(t, resp, err)
	})
	t.Run("generate", func(t *testing.T) {
		resp, err := chat.Generate(t.Context(), req)
		f(t, resp, err)
	})
}

func TestTextReply(t *testing.T) {
	text := strings.Repeat("Olá, \"world\"\n😀 ", 50)
	chat, server := newChat(t, func(r aitest.Request) aitest.Reply {
		return aitest.Reply{Text: text, Reasoning: "hmm, let me see", Usage: aitest.Usage{Input: 10, CachedRead: 4, CacheWrite: 2, Output: 7, Reasoning: 3}}
	})
	both(t, chat, ask("hi"), func(t *testing.T, resp *aiclient.Response, err error) {
		require.NoError(t, err)
		assert.Equal(t, text, resp.Text())
		assert.Equal(t, "hmm, let me see", resp.Message.Reasoning())
		assert.Equal(t, aiclient.FinishStop, resp.Reason)
		assert.Equal(t, aiclient.Usage{Input: 10, CachedRead: 4, CacheWrite: 2, Output: 7, Reasoning: 3}, resp.Usage)
		assert.Equal(t, "test-model", resp.Model)
		assert.Positive(t, resp.Timing.Total)
		assert.NotEmpty(t, resp.Headers)
	})
	requests := server.Requests()
	require.Len(t, requests, 2)
	assert.True(t, requests[0].Stream)
	assert.Equal(t, "Bearer sk-secret-123", requests[0].Header.Get("Authorization"))
	assert.Equal(t, "be brief", requests[0].System())
	assert.Equal(t, "hi", requests[0].LastUser())
}

func TestToolLoop(t *testing.T) {
	chat, server := newChat(t, func(r aitest.Request) aitest.Reply {
		if results := r.ToolResults(); len(results) > 0 {
			return aitest.Text(results[0].ToolName + "=" + results[0].Text + ", " + results[1].ToolName + "=" + results[1].Text)
		}
		return aitest.Reply{Text: "calling", Reasoning: "both at once", ToolCalls: []aitest.ToolCall{
			{Name: "add", Arguments: `{"a": 2, "b": 3, "note": "a longer argument text"}`}, {Name: "now"}}}
	})
	tools := []tool.Tool{
		{Name: "add", Description: "adds", Schema: []byte(`{"type":"object","properties":{"a":{"type":"integer"}}}`)},
		{Name: "now"},
	}
	req := ask("2+3 and the time")
	req.Tools = tools
	both(t, chat, req, func(t *testing.T, resp *aiclient.Response, err error) {
		require.NoError(t, err)
		assert.Equal(t, aiclient.FinishToolCalls, resp.Reason)
		calls := resp.Calls()
		require.Len(t, calls, 2)
		assert.Equal(t, "add", calls[0].Name)
		assert.Equal(t, `{"a": 2, "b": 3, "note": "a longer argument text"}`, calls[0].Arguments)
		assert.Equal(t, aiclient.ToolCall{ID: "call_2_1", Name: "now"}, *calls[1])
		next := *req
		next.Messages = append(next.Messages[:1:1], resp.Message, aiclient.ToolResults(
			aiclient.ToolResult{CallID: calls[0].ID, Name: "add", Text: "5"},
			aiclient.ToolResult{CallID: calls[1].ID, Name: "now", Text: "noon"}))
		resp, err = chat.Generate(t.Context(), &next)
		require.NoError(t, err)
		assert.Equal(t, "add=5, now=noon", resp.Text())
	})
	last := server.Requests()[1]
	require.Len(t, last.Tools, 2)
	assert.Equal(t, "adds", last.Tools[0].Description)
	assert.Equal(t, "both at once", last.Messages[2].Reasoning, "reasoning goes back in the field it came in")
	assert.Equal(t, `{}`, last.Messages[2].ToolCalls[1].Arguments)
}

func TestStreamOfParts(t *testing.T) {
	chat, _ := newChat(t, func(aitest.Request) aitest.Reply {
		return aitest.Reply{Text: "ab", ToolCalls: []aitest.ToolCall{{ID: "c1", Name: "f", Arguments: "{}"}}}
	})
	var kinds []aiclient.Kind
	for p, err := range chat.Stream(t.Context(), ask("x")) {
		require.NoError(t, err)
		kinds = append(kinds, p.Kind)
	}
	assert.Equal(t, []aiclient.Kind{aiclient.KindText, aiclient.KindToolCallStart, aiclient.KindToolCallDelta,
		aiclient.KindToolCall, aiclient.KindFinish}, kinds)
}

func TestErrorsAreClassified(t *testing.T) {
	for name, tt := range map[string]struct {
		fault aitest.Fault
		class aiclient.Class
	}{
		"auth":          {aitest.Fault{Status: 401, Code: "invalid_api_key", Message: "Incorrect API key provided: sk-secret-123"}, aiclient.ClassAuth},
		"rate limit":    {aitest.Fault{Status: 429, RetryAfter: 7 * time.Second}, aiclient.ClassRateLimit},
		"quota":         {aitest.Fault{Status: 429, Code: "insufficient_quota"}, aiclient.ClassQuota},
		"server":        {aitest.Fault{Status: 500}, aiclient.ClassServer},
		"overloaded":    {aitest.Fault{Status: 503}, aiclient.ClassOverloaded},
		"too long":      {aitest.Fault{Status: 400, Code: "context_length_exceeded", Message: "This model's maximum context length is 8192 tokens"}, aiclient.ClassContextLength},
		"filtered":      {aitest.Fault{Status: 400, Code: "content_filter"}, aiclient.ClassContentFilter},
		"no such model": {aitest.Fault{Status: 404, Code: "model_not_found"}, aiclient.ClassNotFound},
		"bad request":   {aitest.Fault{Status: 400, Message: "temperature is wrong"}, aiclient.ClassBadRequest},
		"gateway":       {aitest.Fault{Status: 504}, aiclient.ClassTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			tt.fault.Kind = aitest.Status
			chat, _ := newChat(t, func(aitest.Request) aitest.Reply { return aitest.Reply{Fault: tt.fault} })
			both(t, chat, ask("x"), func(t *testing.T, _ *aiclient.Response, err error) {
				api, ok := errors.AsType[*aiclient.APIError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, tt.class, api.Class)
				assert.Equal(t, tt.fault.Status, api.Status)
				assert.Equal(t, tt.fault.Code, api.Code)
				assert.Equal(t, tt.fault.RetryAfter, api.RetryAfter)
				assert.Equal(t, "req_scripted", api.RequestID)
				assert.Equal(t, "openai", api.Provider)
				assert.NotContains(t, err.Error(), "sk-secret-123")
			})
		})
	}
}

func TestBrokenStreamsAreErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		kind  aitest.FaultKind
		class aiclient.Class
	}{
		"cut":     {aitest.Cut, aiclient.ClassTruncated},
		"end":     {aitest.End, aiclient.ClassTruncated},
		"garbage": {aitest.Garbage, aiclient.ClassProtocol},
		"error":   {aitest.ErrorEvent, aiclient.ClassServer},
	} {
		t.Run(name, func(t *testing.T) {
			for after := range 7 {
				if tt.kind == aitest.End && after == 6 {
					continue // only [DONE] is missing, and nothing with it
				}
				chat, _ := newChat(t, func(aitest.Request) aitest.Reply {
					return aitest.Reply{Text: "some text that comes in several pieces",
						Fault: aitest.Fault{Kind: tt.kind, After: after, Code: "server_error", Message: "it broke"}}
				})
				resp, err := aiclient.Collect(chat.Stream(t.Context(), ask("x")))
				require.Error(t, err)
				assert.Equal(t, tt.class, aiclient.ClassOf(err), "%d: %v", after, err)
				if after == 3 {
					assert.NotEmpty(t, resp.Text(), "what had arrived is kept")
				}
			}
		})
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	for kind, class := range map[aitest.FaultKind]aiclient.Class{
		aitest.Cut: aiclient.ClassNetwork, aitest.End: aiclient.ClassTruncated,
		aitest.Garbage: aiclient.ClassProtocol, aitest.ErrorEvent: aiclient.ClassServer,
	} {
		chat, _ := newChat(t, func(aitest.Request) aitest.Reply {
			return aitest.Reply{Text: "text", Fault: aitest.Fault{Kind: kind, Code: "server_error", Message: "it broke"}}
		})
		_, err := chat.Generate(t.Context(), ask("x"))
		assert.Equal(t, class, aiclient.ClassOf(err), "%d: %v", kind, err)
	}
}

func TestCancel(t *testing.T) {
	chat, _ := newChat(t, func(aitest.Request) aitest.Reply {
		return aitest.Reply{Text: strings.Repeat("text ", 100), Fault: aitest.Fault{Kind: aitest.Hang, After: 5}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	parts := 0
	var last error
	for _, err := range chat.Stream(ctx, ask("x")) {
		if last = err; err != nil {
			break
		}
		if parts++; parts == 3 {
			cancel()
		}
	}
	require.ErrorIs(t, last, context.Canceled)
	assert.Empty(t, aiclient.ClassOf(last))

	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := chat.Generate(ctx, ask("x"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, aiclient.ClassTimeout, aiclient.ClassOf(err))
}

func TestStoppingReleasesTheConnection(t *testing.T) {
	for stop := range 12 {
		chat, _ := newChat(t, func(aitest.Request) aitest.Reply {
			return aitest.Reply{Reasoning: "thinking about it", Text: "some text in pieces", ToolCalls: []aitest.ToolCall{{Name: "f", Arguments: `{"a":"long enough for two"}`}}}
		})
		n := 0
		for range chat.Stream(t.Context(), ask("x")) {
			if n++; n > stop {
				break
			}
		}
	}
}

func TestKeyOfOpenAIStaysWithOpenAI(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-from-environment")
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
	other := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
	_, err := other.Chat("m").Generate(t.Context(), ask("x"))
	require.NoError(t, err)
	assert.Empty(t, server.Requests()[0].Header.Get("Authorization"))

	t.Setenv("OPENAI_BASE_URL", server.URL)
	own := openai.New(openai.Options{HTTPClient: newClient(t)})
	_, err = own.Chat("m").Generate(t.Context(), ask("x"))
	require.NoError(t, err)
	assert.Equal(t, "Bearer sk-from-environment", server.Requests()[1].Header.Get("Authorization"))
}

func TestNoKeyIsAnAuthError(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	t.Setenv("OPENAI_BASE_URL", "")
	_, err := openai.New(openai.Options{}).Chat("gpt-4o").Generate(t.Context(), ask("x"))
	assert.Equal(t, aiclient.ClassAuth, aiclient.ClassOf(err))
	assert.ErrorContains(t, err, "OPENAI_API_KEY")
}

func TestLogHoldsNoSecrets(t *testing.T) {
	var log strings.Builder
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("private answer") })
	provider := openai.New(openai.Options{BaseURL: server.URL, APIKey: "sk-secret-123", HTTPClient: newClient(t),
		Logger: slog.New(slog.NewTextHandler(io.Writer(&log), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	_, err := provider.Chat("m").Generate(t.Context(), ask("private question"))
	require.NoError(t, err)
	assert.Contains(t, log.String(), "status=200")
	assert.NotContains(t, log.String(), "sk-secret")
	assert.NotContains(t, log.String(), "private")
}

func TestRedirectsDoNotCarryKeysAway(t *testing.T) {
	other := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("stolen") })
	redirect := httptest.NewServer(http.RedirectHandler(other.URL+"/chat/completions", http.StatusTemporaryRedirect))
	defer redirect.Close()
	provider := openai.New(openai.Options{BaseURL: redirect.URL, APIKey: "sk-secret-123", HTTPClient: newClient(t)})
	_, err := provider.Chat("m").Generate(t.Context(), ask("x"))
	require.ErrorContains(t, err, "another host")
	assert.Empty(t, other.Requests())
}
