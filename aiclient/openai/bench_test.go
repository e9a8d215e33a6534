package openai_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// chunks is the length of the stream that the benchmarks read.
const chunks = 20_000

// streamServer sends a reply of many chunks, as OpenAI words them.
func streamServer(t testing.TB) *httptest.Server {
	var body bytes.Buffer
	const head = `data: {"id":"chatcmpl-DuLdCoxuLDs8HRMlOuz0Bi4wgi4XJ","object":"chat.completion.chunk","created":1782321890,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_86f87dc6f1",`
	for i := range chunks {
		fmt.Fprintf(&body, head+`"choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"kGEVHK9STFy0L"}`+"\n\n", i%100)
	}
	body.WriteString(head + `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}` + "\n\n")
	body.WriteString(head + `"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":20000,"total_tokens":20020}}` + "\n\ndata: [DONE]\n\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		rest := body.Bytes()
		for len(rest) > 0 { // in pieces of the size of a TCP segment over loopback
			n := min(len(rest), 32<<10)
			_, _ = w.Write(rest[:n])
			rest = rest[n:]
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func BenchmarkStream(b *testing.B) {
	server := streamServer(b)
	b.Run("tokenring", func(b *testing.B) {
		chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(b)}).Chat("gpt-4o")
		req := ask("write a lot")
		b.ReportAllocs()
		for b.Loop() {
			parts := 0
			for p, err := range chat.Stream(b.Context(), req) {
				require.NoError(b, err)
				if p.Kind == aiclient.KindText {
					parts++
				}
			}
			require.Equal(b, chunks, parts)
		}
	})
	b.Run("hand-written", func(b *testing.B) {
		client := newClient(b)
		b.ReportAllocs()
		for b.Loop() {
			require.Equal(b, chunks, handWritten(b, client, server.URL))
		}
	})
}

// handWritten reads the stream as one would without a library: lines, and the
// least that encoding/json needs.
func handWritten(t testing.TB, client *http.Client, url string) int {
	resp, err := client.Post(url, "application/json", strings.NewReader(`{"stream":true}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	parts := 0
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		if string(data) == "[DONE]" {
			break
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
		}
		require.NoError(t, json.Unmarshal(data, &chunk))
		if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
			parts++
		}
	}
	require.NoError(t, lines.Err())
	return parts
}

// TestStreamAllocatesOncePerChunk holds a stream to one allocation per chunk,
// the text itself.
func TestStreamAllocatesOncePerChunk(t *testing.T) {
	server := streamServer(t)
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat("gpt-4o")
	allocs := testing.AllocsPerRun(2, func() {
		for _, err := range chat.Stream(t.Context(), ask("x")) {
			require.NoError(t, err)
		}
	})
	assert.Less(t, allocs/chunks, 1.2)
}
