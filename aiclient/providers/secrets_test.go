package providers_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
)

// TestKeysAreNeitherInErrorsNorInLogs asks every provider through a service that
// echoes the request's headers in every way in which something can go wrong.
func TestKeysAreNeitherInErrorsNorInLogs(t *testing.T) {
	clearKeys(t)
	const key = "sk-very-secret-0123456789"
	faults := []func(w http.ResponseWriter, echo string){
		func(w http.ResponseWriter, echo string) {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": "not valid: " + echo, "code": echo, "type": echo}})
		},
		func(w http.ResponseWriter, echo string) {
			http.Error(w, "failed for "+echo, http.StatusInternalServerError)
		},
		func(w http.ResponseWriter, echo string) { _, _ = io.WriteString(w, "<html>"+echo) },
		func(w http.ResponseWriter, echo string) { _, _ = fmt.Fprintf(w, `{"error":{"message":%q}}`, echo) },
		func(w http.ResponseWriter, echo string) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprintf(w, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":%q}}\n\n", echo)
		},
		func(w http.ResponseWriter, echo string) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {garbage "+echo+"\n\n")
		},
		func(w http.ResponseWriter, echo string) {
			w.Header().Set("Location", "http://"+key+"@elsewhere.invalid/?key="+key)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		func(http.ResponseWriter, string) { panic(http.ErrAbortHandler) },
	}
	var fault atomic.Int64
	var sent atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echo := fmt.Sprint(r.Header, r.URL)
		if strings.Contains(echo, key) {
			sent.Store(true)
		}
		faults[fault.Load()](w, echo)
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}}
	for _, name := range append(providers.Names(), "custom") {
		opts := providers.Options{BaseURL: server.URL, APIKey: key, HTTPClient: &http.Client{Transport: transport}, Logger: logger}
		p, err := providers.Open(name, opts)
		require.NoError(t, err)
		chat, _, err := providers.Chat(name+":m", opts)
		require.NoError(t, err)
		for i := range faults {
			fault.Store(int64(i))
			sent.Store(false)
			_, err := chat.Generate(t.Context(), req)
			require.Error(t, err, "%s, fault %d", name, i)
			_, streamed := aiclient.Collect(chat.Stream(t.Context(), req))
			require.Error(t, streamed, "%s, fault %d", name, i)
			var listed error
			if p.List != nil {
				_, listed = p.List(t.Context())
			}
			require.True(t, sent.Load(), "%s sends the key", name)
			for _, err := range []error{err, streamed, listed} {
				assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), key, "%s, fault %d", name, i)
			}
		}
	}
	assert.NotEmpty(t, log.String())
	assert.NotContains(t, log.String(), key)
}
