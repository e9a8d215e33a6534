package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(t *testing.T, handle http.HandlerFunc) *Client {
	server := httptest.NewServer(handle)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	return New("prov", server.URL+"/", &http.Client{Transport: transport}, nil)
}

// TestStatusError reads the error bodies of many services, each in its own
// form.
func TestStatusError(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		body    string
		class   aiclient.Class
		code    string
		message string
	}{
		"openai":              {401, `{"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, aiclient.ClassAuth, "invalid_api_key", "Incorrect API key"},
		"openai, type only":   {400, `{"error":{"message":"bad","type":"invalid_request_error","code":null}}`, aiclient.ClassBadRequest, "invalid_request_error", "bad"},
		"anthropic":           {529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}`, aiclient.ClassOverloaded, "overloaded_error", "Overloaded"},
		"anthropic, credit":   {400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}`, aiclient.ClassQuota, "invalid_request_error", "Your credit balance is too low"},
		"anthropic, too long": {400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}`, aiclient.ClassContextLength, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"},
		"google":              {400, `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}`, aiclient.ClassAuth, "INVALID_ARGUMENT", "API key not valid."},
		"google, in an array": {429, `[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]`, aiclient.ClassRateLimit, "RESOURCE_EXHAUSTED", "slow"},
		"xai":                 {400, `{"code":"Client specified an invalid argument","error":"Model not found: x"}`, aiclient.ClassNotFound, "Client specified an invalid argument", "Model not found: x"},
		"ollama":              {404, `{"error":"model 'x' not found"}`, aiclient.ClassNotFound, "", "model 'x' not found"},
		"mistral":             {422, `{"object":"error","message":"wrong role","type":"invalid_request_error","code":null}`, aiclient.ClassBadRequest, "", "wrong role"},
		"fastapi":             {422, `{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error"}]}`, aiclient.ClassBadRequest, "value_error", "field required"},
		"openrouter":          {502, `{"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"upstream is down","provider_name":"X"}}}`, aiclient.ClassServer, "", "Provider returned error: upstream is down"},
		"azure filter":        {400, `{"error":{"code":"content_filter","message":"filtered","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, aiclient.ClassContentFilter, "content_filter", "filtered"},
		"gateway":             {502, `<html>bad gateway</html>`, aiclient.ClassServer, "", "<html>bad gateway</html>"},
		"empty":               {503, ``, aiclient.ClassOverloaded, "", "Service Unavailable"},
		"quota":               {429, `{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}`, aiclient.ClassQuota, "insufficient_quota", "You exceeded your current quota"},
		"payment":             {402, `{"error":{"message":"Insufficient credits"}}`, aiclient.ClassQuota, "", "Insufficient credits"},
		"too large":           {413, `{"type":"error","error":{"type":"request_too_large","message":"big"}}`, aiclient.ClassContextLength, "request_too_large", "big"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Provider: "prov"}
			e := c.StatusError("m", tt.status, http.Header{}, []byte(tt.body))
			assert.Equal(t, tt.class, e.Class)
			assert.Equal(t, tt.code, e.Code)
			assert.Equal(t, tt.message, e.Message)
			assert.Equal(t, tt.status, e.Status)
		})
	}
}

func TestErrorsInStreamsAreClassifiedByCode(t *testing.T) {
	c := &Client{Provider: "prov"}
	for body, class := range map[string]aiclient.Class{
		`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`: aiclient.ClassOverloaded,
		`{"type":"error","error":{"type":"rate_limit_error","message":"x"}}`:          aiclient.ClassRateLimit,
		`{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}`:                 aiclient.ClassOverloaded,
		`{"error":{"message":"x","type":"server_error"}}`:                             aiclient.ClassServer,
		`{"type":"error","code":"context_length_exceeded","message":"x"}`:             aiclient.ClassContextLength,
		`{"error":{"message":"whatever"}}`:                                            aiclient.ClassServer,
	} {
		e := c.BodyError("m", []byte(body))
		require.NotNil(t, e, body)
		assert.Equal(t, class, e.Class, body)
	}
	for _, body := range []string{`{}`, `{"error":null}`, `[]`, `nonsense`, `{"id":"x","message":"hello"}`} {
		assert.Nil(t, c.BodyError("m", []byte(body)), body)
	}
}

// TestDeeplyNestedErrors reads errors that would exhaust the stack, which ends
// the process.
func TestDeeplyNestedErrors(t *testing.T) {
	c := &Client{Provider: "prov"}
	for _, open := range []string{"[", `{"error":`, `[{"error":`} {
		for name, data := range map[string]string{
			"cut":   `{"error":` + strings.Repeat(open, 25<<20/len(open)),
			"whole": `{"error":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`,
		} {
			e := c.StatusError("m", 500, http.Header{}, []byte(data))
			assert.Equal(t, aiclient.ClassServer, e.Class, name)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0.5": 500 * time.Millisecond, "-1": 0, "": 0, "soon": 0, "1e300": 0, "NaN": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		assert.Equal(t, want, retryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
	assert.Equal(t, 250*time.Millisecond, retryAfter(http.Header{"Retry-After-Ms": {"250"}, "Retry-After": {"9"}}, now))
	c := &Client{Provider: "prov"}
	e := c.StatusError("m", 429, http.Header{}, []byte(`{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}`))
	assert.Equal(t, 34500*time.Millisecond, e.RetryAfter)
}

func TestSecretsAreTakenOut(t *testing.T) {
	c := &Client{Provider: "prov", Header: http.Header{}}
	c.Secret("Authorization", "Bearer ", "sk-very-secret")
	e := c.StatusError("m", 401, http.Header{}, []byte(`{"error":{"message":"the key sk-very-secret is wrong","code":"sk-very-secret"}}`))
	assert.NotContains(t, e.Error(), "sk-very-secret")
	e = c.StatusError("m", 500, http.Header{}, []byte(`plain sk-very-secret`))
	assert.NotContains(t, e.Error(), "sk-very-secret")
}

func TestUnreachableIsANetworkError(t *testing.T) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := New("prov", "http://user:password@127.0.0.1:1", &http.Client{Transport: transport}, nil)
	_, _, err := c.Do(t.Context(), Call{Path: "/x", Model: "m"})
	assert.Equal(t, aiclient.ClassNetwork, aiclient.ClassOf(err))
	assert.NotContains(t, err.Error(), "password")
	ctx, cancel := context.WithCancelCause(t.Context())
	because := errors.New("the person gave up")
	cancel(because)
	_, _, err = c.Do(ctx, Call{Path: "/x", Model: "m"})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, because)
}

func TestFinishKeepsTheConnection(t *testing.T) {
	const streams = 10
	var addresses sync.Map
	read := make(chan struct{})
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		addresses.Store(r.RemoteAddr, true)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		select { // the end of the body comes after the last event
		case <-read:
		case <-r.Context().Done():
		}
	})
	for range streams {
		s, err := c.Stream(t.Context(), Call{Path: "/x", Model: "m"})
		require.NoError(t, err)
		_, err = s.Next()
		require.NoError(t, err)
		read <- struct{}{}
		s.Finish()
		s.Close()
	}
	// One connection, unless the machine is so busy that a drain takes too long.
	count := 0
	addresses.Range(func(any, any) bool { count++; return true })
	assert.Less(t, count, streams)
}

func TestFinishDoesNotWaitForAServerThatHoldsOn(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	s, err := c.Stream(t.Context(), Call{Path: "/x", Model: "m"})
	require.NoError(t, err)
	_, err = s.Next()
	require.NoError(t, err)
	start := time.Now()
	s.Finish()
	s.Close()
	assert.Less(t, time.Since(start), 5*time.Second)
}

func TestNotAStream(t *testing.T) {
	for body, class := range map[string]aiclient.Class{
		`{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`: aiclient.ClassRateLimit,
		`{"choices":[]}`: aiclient.ClassProtocol,
	} {
		c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = io.WriteString(w, body)
		})
		_, err := c.Stream(t.Context(), Call{Path: "/x"})
		assert.Equal(t, class, aiclient.ClassOf(err))
	}
}

func TestBodyMergesOptions(t *testing.T) {
	v := map[string]any{"a": 1, "b": map[string]any{"c": 1, "d": 2}, "e": "<&>"}
	body, err := Body(v, json.RawMessage(`{"b":{"c":9,"x":{"y":1}},"a":null,"e":[1]}`))
	require.NoError(t, err)
	assert.JSONEq(t, `{"b":{"c":9,"d":2,"x":{"y":1}},"e":[1]}`, string(body))
	body, err = Body(v, nil)
	require.NoError(t, err)
	assert.Contains(t, string(body), "<&>")
	_, err = Body(v, json.RawMessage(`[]`))
	require.Error(t, err)
}

func TestListReadsPages(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path + "?" + r.URL.RawQuery {
		case "/google?pageSize=2":
			_, _ = io.WriteString(w, `{"models":[{"name":"models/a"}],"nextPageToken":"t 1"}`)
		case "/google?pageSize=2&pageToken=t+1":
			_, _ = io.WriteString(w, `{"models":[{"name":"models/b"}]}`)
		case "/anthropic?":
			_, _ = io.WriteString(w, `{"data":[{"type":"model","id":"a"}],"has_more":true,"last_id":"a"}`)
		case "/anthropic?after_id=a":
			_, _ = io.WriteString(w, `{"data":[{"id":"b"}],"has_more":false,"last_id":"b"}`)
		case "/cold?":
			_, _ = io.WriteString(w, `{"data":[{"id":"a","state":"loaded"},{"id":"b","state":"not-loaded"},{"id":"c","status":{"value":"unloaded"}}]}`)
		case "/endless?", "/endless?after_id=a":
			_, _ = io.WriteString(w, `{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}`)
		default:
			_, _ = fmt.Fprint(w, `{"unexpected":1}`)
		}
	})
	for _, path := range []string{"/google?pageSize=2", "/anthropic"} {
		list, err := c.List(t.Context(), path)
		require.NoError(t, err)
		assert.Equal(t, []aiclient.Listed{{ID: "a"}, {ID: "b"}}, list, path)
	}
	list, err := c.List(t.Context(), "/cold")
	require.NoError(t, err)
	assert.Equal(t, []aiclient.Listed{{ID: "a"}, {ID: "b", Cold: true}, {ID: "c", Cold: true}}, list)
	_, err = c.List(t.Context(), "/endless")
	require.NoError(t, err)
	_, err = c.List(t.Context(), "/other")
	assert.Equal(t, aiclient.ClassProtocol, aiclient.ClassOf(err))
}

func FuzzBodyError(f *testing.F) {
	for _, s := range []string{`{"error":{"message":"x"}}`, `[{"error":1}]`, `{"detail":[{"msg":"a"}]}`, `{"error":{"error":{"error":{"error":{"error":{"error":{}}}}}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &Client{Provider: "prov"}
		require.NotNil(t, c.StatusError("m", 400, http.Header{}, body))
	})
}

func TestFormNamesFilesByTheirType(t *testing.T) {
	for mediaType, want := range map[string]string{
		"audio/mpeg":             `filename="file.mp3"`,
		"audio/x-wav":            `filename="file.wav"`,
		"audio/ogg; codecs=opus": `filename="file.ogg"`,
		"":                       `filename="file"`,
	} {
		form := NewForm()
		form.File("file", aiclient.File{MediaType: mediaType, Data: []byte("x")})
		body, _, err := form.Finish()
		require.NoError(t, err)
		assert.Contains(t, string(body), want, mediaType)
		assert.Contains(t, string(body), mediaType)
	}
	form := NewForm()
	form.File("file", aiclient.File{MediaType: "audio/wav\r\nX-Other: 1", Name: "a\r\nb", Data: []byte("x")})
	_, _, err := form.Finish()
	require.ErrorContains(t, err, "media type")
}
