package elevenlabs_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/elevenlabs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, handle http.HandlerFunc) *elevenlabs.Provider {
	server := httptest.NewServer(handle)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	return elevenlabs.New(elevenlabs.Options{BaseURL: server.URL, APIKey: "el-secret", HTTPClient: &http.Client{Transport: transport}})
}

func TestSpeech(t *testing.T) {
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/text-to-speech/voice%201", r.URL.EscapedPath())
		assert.Equal(t, "mp3_44100_128", r.URL.Query().Get("output_format"))
		assert.Equal(t, "el-secret", r.Header.Get("Xi-Api-Key"))
		body, _ := io.ReadAll(r.Body)
		assert.JSONEq(t, `{"text":"olá","model_id":"m","language_code":"pt"}`, string(body))
		_, _ = io.WriteString(w, "ID3")
	})
	resp, err := p.Speech("m").Speak(t.Context(), &aiclient.SpeechRequest{Text: "olá", Voice: "voice 1", Language: "pt"})
	require.NoError(t, err)
	assert.Equal(t, aiclient.File{MediaType: "audio/mpeg", Data: []byte("ID3")}, resp.Audio)
}

func TestErrorsNeverHoldTheKey(t *testing.T) {
	p := newProvider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"detail":{"status":"invalid_api_key","message":"Invalid API key el-secret"}}`)
	})
	_, err := p.Speech("m").Speak(t.Context(), &aiclient.SpeechRequest{Text: "x"})
	assert.Equal(t, aiclient.ClassAuth, aiclient.ClassOf(err))
	assert.ErrorContains(t, err, "Invalid API key")
	assert.NotContains(t, err.Error(), "el-secret")
}

func TestTranscription(t *testing.T) {
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, r.ParseMultipartForm(1<<20))
		assert.Equal(t, "scribe_v1", r.FormValue("model_id"))
		_, _ = io.WriteString(w, `{"language_code":"eng","text":"hi there. yes","words":[
			{"text":"hi","start":0,"end":0.5,"speaker_id":"a"},{"text":" ","start":0.5,"end":0.6,"speaker_id":"a"},
			{"text":"there.","start":0.6,"end":1,"speaker_id":"a"},{"text":"yes","start":1.5,"end":2,"speaker_id":"b"}]}`)
	})
	resp, err := p.Transcription("scribe_v1").Transcribe(t.Context(), &aiclient.TranscriptionRequest{Audio: aiclient.File{MediaType: "audio/wav", Data: []byte("x")}})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.TranscriptionSegment{
		{Text: "hi there.", End: time.Second, Speaker: "a"},
		{Text: "yes", Start: 1500 * time.Millisecond, End: 2 * time.Second, Speaker: "b"},
	}, resp.Segments)
	assert.Equal(t, 2*time.Second, resp.Duration)
}

// TestLongTranscription reads the words of many hours of one speaker: what it
// allocates grows with their number and not with its square.
func TestLongTranscription(t *testing.T) {
	const n = 30_000
	word := `{"text":"words ","start":1,"end":2,"speaker_id":"a"}`
	answer := `{"text":"…","words":[` + strings.TrimSuffix(strings.Repeat(word+",", n), ",") + `]}`
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, answer) })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := p.Transcription("scribe_v1").Transcribe(t.Context(), &aiclient.TranscriptionRequest{Audio: aiclient.File{MediaType: "audio/wav", Data: []byte("x")}})
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Len(t, resp.Segments, 1)
	assert.Len(t, resp.Segments[0].Text, n*len("words "))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(30*len(answer)))
}

func TestList(t *testing.T) {
	p := newProvider(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"model_id":"eleven_v3","name":"Eleven v3"}]`)
	})
	list, err := p.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []aiclient.Listed{{ID: "eleven_v3"}}, list)
}
