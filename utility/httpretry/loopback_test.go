package httpretry_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/httpretry"
	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

// server serves handler and counts connections. The returned transport keeps
// its connections to itself.
func server(t testing.TB, handler http.HandlerFunc) (url string, base *http.Transport, connections *atomic.Int64) {
	connections = new(atomic.Int64)
	s := httptest.NewUnstartedServer(handler)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	base = &http.Transport{}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		s.Close()
	})
	return s.URL, base, connections
}

var quick = retry.Policy{Initial: time.Millisecond}

func TestConnectionsAreReused(t *testing.T) {
	var n atomic.Int64
	url, base, connections := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if n.Add(1) < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, strings.Repeat("x", 20_000))
			return
		}
		_, _ = w.Write(body)
	})
	client := &http.Client{Transport: &httpretry.Transport{Base: base, Policy: quick, NonIdempotent: true}}
	for range 2 {
		resp, err := client.Post(url, "text/plain", strings.NewReader("payload"))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, "payload", string(body))
	}
	assert.EqualValues(t, 5, n.Load())
	assert.EqualValues(t, 1, connections.Load())
}

func TestAnEndlessAnswerIsDroppedSoon(t *testing.T) {
	var n atomic.Int64
	url, base, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done() // never ends by itself
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	client := &http.Client{Transport: &httpretry.Transport{Base: base, Policy: quick}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "ok", string(body))
	require.NoError(t, resp.Body.Close())
}

func TestServersThatHangUpAreTriedAgain(t *testing.T) {
	var n atomic.Int64
	url, base, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	client := &http.Client{Transport: &httpretry.Transport{Base: base, Policy: quick}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.EqualValues(t, 3, n.Load())
}

func TestAStreamThatBreaksIsNotRetried(t *testing.T) {
	var n atomic.Int64
	url, base, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		_, _ = io.WriteString(w, "first part")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	client := &http.Client{Transport: &httpretry.Transport{Base: base, Policy: quick}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "first part", string(body))
	require.NoError(t, resp.Body.Close())
	assert.EqualValues(t, 1, n.Load())
}

func ExampleTransport() {
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	defer s.Close()

	client := &http.Client{Transport: &httpretry.Transport{
		Base:       s.Client().Transport,
		TryTimeout: 10 * time.Second,
		Policy:     retry.Policy{Initial: time.Millisecond},
		OnRetry:    func(_ *http.Request, r httpretry.Retry) { fmt.Println("retry after", r.Status) },
	}}
	resp, err := client.Get(s.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output:
	// retry after 503
	// hello
}

// answer is a base transport without a network.
type answer struct{ resp http.Response }

func (a *answer) RoundTrip(*http.Request) (*http.Response, error) {
	resp := a.resp
	resp.Body = http.NoBody
	return &resp, nil
}

func BenchmarkSuccess(b *testing.B) {
	for _, c := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", &answer{http.Response{StatusCode: 200}}},
		{"transport", &httpretry.Transport{Base: &answer{http.Response{StatusCode: 200}}}},
		{"transport with try timeout", &httpretry.Transport{Base: &answer{http.Response{StatusCode: 200}}, TryTimeout: time.Minute}},
	} {
		b.Run(c.name, func(b *testing.B) {
			req, _ := http.NewRequestWithContext(b.Context(), "GET", "http://x.test/", nil)
			b.ReportAllocs()
			for b.Loop() {
				resp, _ := c.rt.RoundTrip(req)
				_ = resp.Body.Close()
			}
		})
	}
}
