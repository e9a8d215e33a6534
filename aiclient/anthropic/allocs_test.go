package anthropic_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
)

// chunks is the length of the stream that the test reads.
const chunks = 20_000

// TestStreamAllocatesOncePerChunk holds a stream to one allocation per chunk,
// the text itself.
func TestStreamAllocatesOncePerChunk(t *testing.T) {
	var body bytes.Buffer
	body.WriteString(`data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"usage":{"input_tokens":20,"output_tokens":1}}}` + "\n\n" +
		`data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n")
	for i := range chunks {
		fmt.Fprintf(&body, "event: content_block_delta\ndata: "+`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word%d"}}`+"\n\n", i%100)
	}
	body.WriteString(`data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20000}}` + "\n\n" + `data: {"type":"message_stop"}` + "\n\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write(body.Bytes())
	}))
	t.Cleanup(server.Close)
	chat := anthropic.New(anthropic.Options{BaseURL: server.URL, HTTPClient: newClient(t)}).Chat("claude-test")
	allocs := testing.AllocsPerRun(2, func() {
		parts := 0
		for p, err := range chat.Stream(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}}) {
			require.NoError(t, err)
			if p.Kind == aiclient.KindText {
				parts++
			}
		}
		require.Equal(t, chunks, parts)
	})
	assert.Less(t, allocs/chunks, 1.2)
}
