package openai_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// streamed returns the reply that a service streams as the given chunks.
func streamed(t *testing.T, chunks ...string) (*aiclient.Response, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, c := range chunks {
			_, _ = io.WriteString(w, "data: "+c+"\n\n")
		}
	}))
	t.Cleanup(server.Close)
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat("m")
	return aiclient.Collect(chat.Stream(t.Context(), ask("x")))
}

func delta(d string) string { return `{"choices":[{"index":0,"delta":` + d + `}]}` }

func finish(reason string) string {
	return `{"choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}`
}

// TestToolCallDeltas assembles calls from what services really send.
func TestToolCallDeltas(t *testing.T) {
	call := func(s string) string { return delta(`{"tool_calls":[` + s + `]}`) }
	for name, tt := range map[string]struct {
		chunks []string
		want   []aiclient.ToolCall
	}{
		"pieces by index": {[]string{
			call(`{"index":0,"id":"a","function":{"name":"f","arguments":""}}`), call(`{"index":0,"function":{"arguments":"{\"x\""}}`),
			call(`{"index":1,"id":"b","function":{"name":"g"}}`), call(`{"index":0,"function":{"arguments":":1}"}}`), call(`{"index":1,"function":{"arguments":"{}"}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: `{"x":1}`}, {ID: "b", Name: "g", Arguments: "{}"}}},
		"one index for all": {[]string{
			call(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`), call(`{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: "{}"}, {ID: "b", Name: "f", Arguments: "{}"}}},
		"ID and name repeated": {[]string{
			call(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}`), call(`{"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: `{"x":1}`}}},
		"no index": {[]string{
			call(`{"id":"a","function":{"name":"f","arguments":"{\"x\":"}}`), call(`{"function":{"arguments":"1}"}}`), call(`{"id":"b","function":{"name":"g","arguments":"{}"}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: `{"x":1}`}, {ID: "b", Name: "g", Arguments: "{}"}}},
		"arguments as an object": {[]string{call(`{"index":0,"id":"a","function":{"name":"f","arguments":{"x": 1}}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: `{"x": 1}`}}},
		"no arguments": {[]string{call(`{"index":0,"id":"a","function":{"name":"f"}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f"}}},
		"ID after the name": {[]string{call(`{"index":0,"function":{"name":"f","arguments":"{"}}`), call(`{"index":0,"id":"a","function":{"arguments":"}"}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: "{}"}}},
		"two at once": {[]string{call(`{"index":0,"id":"a","function":{"name":"f","arguments":"1"}},{"index":1,"id":"b","function":{"name":"g","arguments":"2"}}`)},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: "1"}, {ID: "b", Name: "g", Arguments: "2"}}},
		"reason says stop": {[]string{call(`{"index":3,"id":"a","function":{"name":"f","arguments":"{}"}}`), finish("stop")},
			[]aiclient.ToolCall{{ID: "a", Name: "f", Arguments: "{}"}}},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := streamed(t, append(tt.chunks, finish("tool_calls"), "[DONE]")...)
			require.NoError(t, err)
			var got []aiclient.ToolCall
			for _, c := range resp.Calls() {
				got = append(got, *c)
			}
			assert.Equal(t, tt.want, got)
			assert.Equal(t, aiclient.FinishToolCalls, resp.Reason)
		})
	}
	resp, err := streamed(t, call(`{"index":0,"function":{"name":"f","arguments":"{}"}}`), finish("tool_calls"), "[DONE]")
	require.NoError(t, err)
	assert.NotEmpty(t, resp.Calls()[0].ID, "a call without an ID gets one")
}

func TestWhatServicesAdd(t *testing.T) {
	t.Run("content as parts", func(t *testing.T) {
		resp, err := streamed(t, delta(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"ok"}]}`), finish("stop"), "[DONE]")
		require.NoError(t, err)
		assert.Equal(t, "ok", resp.Text())
		assert.Equal(t, "hm", resp.Message.Reasoning())
	})
	t.Run("refusal", func(t *testing.T) {
		resp, err := streamed(t, delta(`{"refusal":"I can't"}`), finish("stop"), "[DONE]")
		require.NoError(t, err)
		assert.Equal(t, "I can't", resp.Text())
		assert.Equal(t, aiclient.FinishContentFilter, resp.Reason)
	})
	t.Run("citations", func(t *testing.T) {
		resp, err := streamed(t, `{"citations":["https://a.example"],"choices":[{"delta":{"content":"x"}}]}`,
			`{"citations":["https://a.example","https://b.example"],"choices":[{"delta":{"annotations":[{"type":"url_citation","url_citation":{"url":"https://c.example","title":"C"}}]}}]}`,
			finish("stop"), "[DONE]")
		require.NoError(t, err)
		require.Len(t, resp.Sources(), 3)
	})
	t.Run("images", func(t *testing.T) {
		resp, err := streamed(t, delta(`{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}]}`), finish("stop"), "[DONE]")
		require.NoError(t, err)
		assert.Equal(t, aiclient.File{MediaType: "image/png", Data: []byte("\x89PN")}, *resp.Message.Parts[0].File)
	})
	t.Run("images by URL", func(t *testing.T) {
		for url, want := range map[string]string{"https://x.example/a.webp?q=1": "image/webp", "https://x.example/a": "image/png", "https://x.example/a.html": "image/png"} {
			resp, err := streamed(t, delta(`{"images":[{"image_url":{"url":"`+url+`"}}]}`), finish("stop"), "[DONE]")
			require.NoError(t, err)
			assert.Equal(t, aiclient.File{MediaType: want, URL: url}, *resp.Message.Parts[0].File, "a file without a type is in no history")
		}
	})
	t.Run("usage of DeepSeek and xAI", func(t *testing.T) {
		resp, err := streamed(t, delta(`{"content":"x"}`), finish("stop"), `{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_cache_hit_tokens":4}}`, "[DONE]")
		require.NoError(t, err)
		assert.Equal(t, aiclient.Usage{Input: 6, CachedRead: 4, Output: 5}, resp.Usage)
		resp, err = streamed(t, delta(`{"content":"x"}`), finish("stop"), `{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7},"cost_in_usd_ticks":739000}}`, "[DONE]")
		require.NoError(t, err)
		assert.Equal(t, aiclient.Usage{Input: 10, Output: 12, Reasoning: 7}, resp.Usage)
		assert.InDelta(t, 7.39e-5, resp.Cost, 1e-12)
	})
	t.Run("no DONE", func(t *testing.T) {
		_, err := streamed(t, delta(`{"content":"x"}`), finish("stop"), `{"choices":[],"usage":{"prompt_tokens":1}}`)
		require.NoError(t, err, "the reason and the usage have come")
		_, err = streamed(t, delta(`{"content":"x"}`), finish("stop"))
		assert.Equal(t, aiclient.ClassTruncated, aiclient.ClassOf(err), "the usage is missing")
		_, err = streamed(t, delta(`{"content":"x"}`), "[DONE]")
		assert.Equal(t, aiclient.ClassTruncated, aiclient.ClassOf(err), "the reason is missing")
	})
	t.Run("reasons", func(t *testing.T) {
		for word, want := range map[string]aiclient.FinishReason{"length": aiclient.FinishLength, "content_filter": aiclient.FinishContentFilter, "sensitive": aiclient.FinishOther} {
			resp, err := streamed(t, finish(word), "[DONE]")
			require.NoError(t, err)
			assert.Equal(t, want, resp.Reason)
			assert.Equal(t, word, resp.RawReason)
		}
	})
}

// TestReasoningDetailsGoBack joins the pieces of OpenRouter's reasoning and
// sends them back as one list.
func TestReasoningDetailsGoBack(t *testing.T) {
	resp, err := streamed(t,
		delta(`{"reasoning":"let ","reasoning_details":[{"type":"reasoning.text","text":"let ","index":0,"format":"anthropic"}]}`),
		delta(`{"reasoning":"me","reasoning_details":[{"type":"reasoning.text","text":"me","index":0}]}`),
		delta(`{"content":"hi","reasoning_details":[{"type":"reasoning.text","signature":"sig","index":0}]}`),
		delta(`{"reasoning_details":[{"type":"reasoning.encrypted","data":"abc","index":1}]}`),
		finish("stop"), "[DONE]")
	require.NoError(t, err)
	assert.Equal(t, "let me", resp.Message.Reasoning())
	require.Len(t, resp.Message.Parts, 2, "one block of reasoning and one of text")

	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat("m")
	req := ask("x")
	req.Messages = append(req.Messages, resp.Message, aiclient.User("more"))
	_, err = chat.Generate(t.Context(), req)
	require.NoError(t, err)
	var body struct {
		Messages []struct {
			Details json.RawMessage `json:"reasoning_details"`
		}
	}
	require.NoError(t, json.Unmarshal(server.Requests()[0].Body, &body))
	assert.JSONEq(t, `[{"type":"reasoning.text","text":"let me","index":0,"format":"anthropic","signature":"sig"},{"type":"reasoning.encrypted","data":"abc","index":1}]`, string(body.Messages[2].Details))
}

func TestFiles(t *testing.T) {
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply { return aitest.Text(strings.Join(r.Last().Files, " ")) })
	provider := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
	for name, tt := range map[string]struct {
		file aiclient.File
		want string
	}{
		"image":     {aiclient.File{MediaType: "image/png", Data: []byte("x")}, "image/png"},
		"image URL": {aiclient.File{MediaType: "image/png", URL: "https://example.com/a.png"}, "https://example.com/a.png"},
		"PDF":       {aiclient.File{MediaType: "application/pdf", Data: []byte("%PDF")}, "file"},
		"opus":      {aiclient.File{MediaType: "audio/ogg; codecs=opus", Data: []byte("OggS")}, "input_audio"},
		"audio":     {aiclient.File{MediaType: "audio/wav", Data: []byte("RIFF")}, "input_audio"},
	} {
		t.Run(name, func(t *testing.T) {
			req := ask("")
			req.Messages = []aiclient.Message{aiclient.User("look", aiclient.Part{Kind: aiclient.KindFile, File: &tt.file})}
			resp, err := provider.Chat("m").Generate(t.Context(), req)
			require.NoError(t, err)
			assert.Equal(t, tt.want, resp.Text())
		})
	}
	assert.True(t, slices.ContainsFunc(server.Requests(), func(r aitest.Request) bool {
		return strings.Contains(string(r.Body), `"format":"ogg"`)
	}))
	req := ask("")
	req.Messages = []aiclient.Message{aiclient.User("look", aiclient.Image("video/mp4", []byte("x")))}
	for _, chat := range []aiclient.Chat{provider.Chat("m"), provider.Responses("m")} {
		_, err := chat.Generate(t.Context(), req)
		assert.Equal(t, aiclient.ClassBadRequest, aiclient.ClassOf(err))
		assert.ErrorContains(t, err, "video/mp4")
	}
}

func TestFilesInToolResultsFollowThem(t *testing.T) {
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply {
		return aitest.Text(r.Last().Role + " " + strings.Join(r.Last().Files, " "))
	})
	provider := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
	req := ask("look")
	req.Messages = append(req.Messages, aiclient.Assistant(
		aiclient.ToolCallPart(aiclient.ToolCall{ID: "a", Name: "shot"}), aiclient.ToolCallPart(aiclient.ToolCall{ID: "b", Name: "shot"})),
		aiclient.ToolResults(
			aiclient.ToolResult{CallID: "a", Name: "shot", Files: []aiclient.File{{MediaType: "image/png", Data: []byte("x")}}},
			aiclient.ToolResult{CallID: "b", Name: "shot", Text: "none"}))
	resp, err := provider.Chat("m").Generate(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, "user image/png", resp.Text())
	resp, err = provider.Responses("gpt-5").Generate(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, "tool ", resp.Text(), "the Responses API takes files in results")
}

func TestStructuredOutput(t *testing.T) {
	for schema, strict := range map[string]bool{
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`:                                                                          true,
		`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`:                                                                                           false,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`:                                                                                                       false,
		`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{"b":{"type":"string"}}}}},"required":["a"],"additionalProperties":false}`:            false,
		`{"type":"object","properties":{"properties":{"type":"string"},"a":{"enum":["x"]}},"required":["a","properties"],"additionalProperties":false,"$defs":{"d":{"type":["null"]}}}`: true,
	} {
		server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("{}") })
		provider := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
		req := ask("x")
		req.Output = &aiclient.OutputFormat{Schema: json.RawMessage(schema)}
		_, err := provider.Chat("m").Generate(t.Context(), req)
		require.NoError(t, err)
		_, err = provider.Responses("m").Generate(t.Context(), req)
		require.NoError(t, err)
		for _, r := range server.Requests() {
			assert.Equal(t, strict, strings.Contains(string(r.Body), `"strict":true`), "%s", r.Body)
		}
	}
}

// TestManySmallPieces reads replies and errors of very many pieces: what they
// allocate grows with their length and not with its square.
func TestManySmallPieces(t *testing.T) {
	const n = 8000
	list := func(piece string) string { return strings.TrimSuffix(strings.Repeat(piece+",", n), ",") }
	text := strings.Repeat("x", 100)
	for name, body := range map[string]string{
		"content":  `{"choices":[{"message":{"content":[` + list(`{"type":"text","text":"`+text+`"}`) + `]},"finish_reason":"stop"}]}`,
		"thinking": `{"choices":[{"message":{"content":[` + list(`{"type":"thinking","thinking":[{"text":"`+text+`"}]}`) + `]},"finish_reason":"stop"}]}`,
		"summary":  `{"status":"completed","output":[{"type":"reasoning","summary":[` + list(`{"text":"`+text+`"}`) + `]}]}`,
		"raw":      `{"status":"completed","output":[{"type":"reasoning","content":[` + list(`{"text":"`+text+`"}`) + `]}]}`,
		"errors":   `{"detail":[` + list(`{"msg":"`+text+`"}`) + `]}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if name == "errors" {
				w.WriteHeader(http.StatusUnprocessableEntity)
			}
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		provider := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)})
		chat := provider.Chat("m")
		if name == "summary" || name == "raw" {
			chat = provider.Responses("m")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, err := chat.Generate(t.Context(), ask("x"))
		runtime.ReadMemStats(&after)
		if name == "errors" {
			require.Error(t, err)
			assert.Less(t, len(err.Error()), 10_000)
		} else {
			require.NoError(t, err, name)
			assert.GreaterOrEqual(t, len(resp.Text())+len(resp.Message.Reasoning()), n*len(text), name)
		}
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(30*len(body)), name)
	}
}
