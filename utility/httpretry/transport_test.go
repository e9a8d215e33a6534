package httpretry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/utility/httpretry"
	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errReset = &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}

// upstream answers the n-th request with the n-th step and repeats the last.
type upstream struct {
	steps  []step
	times  []time.Duration
	bodies []string
	open   int // answers whose body is not closed
	began  time.Time
}

type step struct {
	status int
	header http.Header
	err    error
	hang   time.Duration // before the answer
	body   io.Reader
}

func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	if u.began.IsZero() {
		u.began = time.Now()
	}
	u.times = append(u.times, time.Since(u.began))
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		_ = req.Body.Close()
		u.bodies = append(u.bodies, string(b))
	}
	s := u.steps[min(len(u.times), len(u.steps))-1]
	if s.hang > 0 {
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		case <-time.After(s.hang):
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	if s.body == nil {
		s.body = strings.NewReader(fmt.Sprintf("answer %d", len(u.times)))
	}
	u.open++
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Header: s.header, Request: req,
		Body: &trackedBody{Reader: s.body, ctx: req.Context(), closed: func() { u.open-- }},
	}, nil
}

// trackedBody fails with its request's context, as those of net/http do.
type trackedBody struct {
	io.Reader
	ctx    context.Context
	closed func()
}

func (b *trackedBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (b *trackedBody) Close() error {
	if b.closed != nil {
		b.closed()
	}
	b.closed = nil
	return nil
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func ms(n ...int) []time.Duration {
	d := make([]time.Duration, len(n))
	for i := range n {
		d[i] = time.Duration(n[i]) * time.Millisecond
	}
	return d
}

func TestRoundTrip(t *testing.T) {
	const ok = http.StatusOK
	for _, c := range []struct {
		name      string
		transport *httpretry.Transport // nil for the zero value
		method    string
		header    http.Header
		steps     []step
		times     []time.Duration
		status    int    // of the answer that the caller gets
		err       string // instead
		is        error
	}{
		{name: "success", steps: []step{{status: ok}}, times: ms(0), status: ok},
		{name: "429 and 5xx", steps: []step{{status: 429}, {status: 500}, {status: 529}, {status: ok}}, times: ms(0, 500, 1500, 3500), status: ok},
		{name: "the last answer when attempts run out", steps: []step{{status: 503}}, times: ms(0, 500, 1500, 3500), status: 503},
		{name: "no retries", transport: &httpretry.Transport{Policy: retry.Policy{Retries: -1}}, steps: []step{{status: 503}}, times: ms(0), status: 503},
		{name: "client errors stay", steps: []step{{status: 404}}, times: ms(0), status: 404},
		{name: "501 stays", steps: []step{{status: 501}}, times: ms(0), status: 501},
		{name: "the service knows better: no", steps: []step{{status: 429, header: header("x-should-retry", "false")}}, times: ms(0), status: 429},
		{name: "the service knows better: yes", steps: []step{{status: 409, header: header("x-should-retry", "true")}, {status: ok}}, times: ms(0, 500), status: ok},
		{name: "connection error", steps: []step{{err: errReset}, {err: io.ErrUnexpectedEOF}, {status: ok}}, times: ms(0, 500, 1500), status: ok},
		{name: "connection errors until attempts run out", steps: []step{{err: errReset}}, times: ms(0, 500, 1500, 3500),
			err: "after 4 attempts: read: connection reset by peer", is: errReset},
		{name: "bad certificate", steps: []step{{err: &tls.CertificateVerificationError{Err: io.EOF}}}, times: ms(0), err: "tls: failed to verify certificate: EOF"},
		{name: "mistake in the request", steps: []step{{err: errors.New("net/http: invalid header field name")}}, times: ms(0), err: "net/http: invalid header field name"},
		{name: "error that the policy excludes", transport: &httpretry.Transport{Policy: retry.Policy{Retryable: func(error) bool { return false }}},
			steps: []step{{err: errReset}}, times: ms(0), err: "read: connection reset by peer", is: errReset},

		{name: "POST is not repeated", method: "POST", steps: []step{{status: 503}}, times: ms(0), status: 503},
		{name: "POST is not repeated after an error", method: "POST", steps: []step{{err: errReset}}, times: ms(0), err: errReset.Error(), is: errReset},
		{name: "POST is repeated when told", method: "POST", transport: &httpretry.Transport{NonIdempotent: true}, steps: []step{{status: 503}, {err: errReset}, {status: ok}}, times: ms(0, 500, 1500), status: ok},
		{name: "POST with a key is repeated", method: "POST", header: header("Idempotency-Key", "k1"), steps: []step{{status: 503}, {status: ok}}, times: ms(0, 500), status: ok},
		{name: "POST that was never sent is repeated", method: "POST", steps: []step{{err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, {status: ok}}, times: ms(0, 500), status: ok},
		{name: "PUT is repeated", method: "PUT", steps: []step{{status: 503}, {status: ok}}, times: ms(0, 500), status: ok},

		{name: "more retries than can be counted", transport: &httpretry.Transport{Policy: retry.Policy{Retries: math.MaxInt}}, steps: []step{{status: 503}, {status: ok}}, times: ms(0, 500), status: ok},
		{name: "the policy's time is up", transport: &httpretry.Transport{Policy: retry.Policy{MaxElapsed: 2 * time.Second}}, steps: []step{{status: 503}}, times: ms(0, 500, 1500), status: 503},
		{name: "the policy's time does not suffice", transport: &httpretry.Transport{Policy: retry.Policy{MaxElapsed: 2 * time.Second}},
			steps: []step{{status: 503, header: header("Retry-After", "3")}}, times: ms(0), status: 503},

		{name: "Retry-After", steps: []step{{status: 429, header: header("Retry-After", "7")}, {status: ok}}, times: ms(0, 7000), status: ok},
		{name: "Retry-After of a 503", steps: []step{{status: 503, header: header("Retry-After", "7")}, {status: ok}}, times: ms(0, 7000), status: ok},
		{name: "Retry-After as date", steps: []step{{status: 429, header: header("Retry-After", "Sat, 01 Jan 2000 00:00:09 GMT")}, {status: ok}}, times: ms(0, 9000), status: ok},
		{name: "Retry-After of nothing backs off", steps: []step{{status: 429, header: header("Retry-After", "0")}, {status: ok}}, times: ms(0, 500), status: ok},
		{name: "Retry-After beyond the limit", steps: []step{{status: 429, header: header("Retry-After", "3600")}}, times: ms(0), status: 429},
		{name: "reset header", steps: []step{{status: 429, header: header("x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "6s")}, {status: ok}}, times: ms(0, 6000), status: ok},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{steps: c.steps}
				if c.transport == nil {
					c.transport = &httpretry.Transport{}
				}
				c.transport.Base = u
				c.transport.Policy.Jitter = -1
				req, err := http.NewRequestWithContext(t.Context(), c.method, "http://x.test/", strings.NewReader("payload"))
				require.NoError(t, err)
				for k, v := range c.header {
					req.Header[k] = v
				}
				resp, err := c.transport.RoundTrip(req)
				assert.Equal(t, c.times, u.times)
				for _, b := range u.bodies {
					assert.Equal(t, "payload", b)
				}
				if c.err != "" {
					require.EqualError(t, err, c.err)
					assert.Nil(t, resp)
					if c.is != nil {
						require.ErrorIs(t, err, c.is)
					}
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.status, resp.StatusCode)
				assert.Same(t, req, resp.Request)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, fmt.Sprintf("answer %d", len(u.times)), string(body), "the answer comes whole")
				assert.Equal(t, 1, u.open, "answers that were dropped are closed")
				require.NoError(t, resp.Body.Close())
				require.NoError(t, resp.Body.Close())
				assert.Zero(t, u.open)
			})
		})
	}
}

func TestBodiesThatCannotBeRewound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{steps: []step{{status: 503}}}
		transport := &httpretry.Transport{Base: u}
		req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://x.test/", io.MultiReader(strings.NewReader("once")))
		require.NoError(t, err)
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 503, resp.StatusCode)
		assert.Len(t, u.times, 1)
		require.NoError(t, resp.Body.Close())

		req, err = http.NewRequestWithContext(t.Context(), "PUT", "http://x.test/", strings.NewReader("x"))
		require.NoError(t, err)
		req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("file is gone") }
		resp, err = transport.RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 503, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "answer 2", string(body))
		require.NoError(t, resp.Body.Close())
	})
}

func TestNeverBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		u := &upstream{steps: []step{{status: 500}, {status: 429, header: header("Retry-After", "5")}}}
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://x.test/", nil)
		began := time.Now()
		resp, err := (&httpretry.Transport{Base: u, Policy: retry.Policy{Jitter: -1}}).RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 429, resp.StatusCode, "the caller learns why")
		assert.Equal(t, 500*time.Millisecond, time.Since(began), "at once")
		require.NoError(t, resp.Body.Close())
	})
}

func TestCancelInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		u := &upstream{steps: []step{{status: 500}}}
		req, _ := http.NewRequestWithContext(ctx, "PUT", "http://x.test/", strings.NewReader("x"))
		began := time.Now()
		_, err := (&httpretry.Transport{Base: u}).RoundTrip(req)
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "Internal Server Error")
		assert.Equal(t, 200*time.Millisecond, time.Since(began))
		assert.Zero(t, u.open)

		_, err = (&httpretry.Transport{Base: &upstream{steps: []step{{err: context.Canceled}}}}).RoundTrip(req)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestTryTimeout(t *testing.T) {
	t.Run("covers the wait for headers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{steps: []step{{hang: time.Hour}, {hang: time.Second, status: 200}}}
			transport := &httpretry.Transport{Base: u, TryTimeout: 2 * time.Second, Policy: retry.Policy{Jitter: -1}}
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x.test/", nil)
			resp, err := transport.RoundTrip(req)
			require.NoError(t, err)
			assert.Equal(t, ms(0, 2500), u.times)
			require.NoError(t, resp.Body.Close())
		})
	})
	t.Run("is a timeout, not the caller's cancellation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{steps: []step{{hang: time.Hour}}}
			client := &http.Client{Transport: &httpretry.Transport{Base: u, TryTimeout: time.Second}}
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x.test/", nil)
			_, err := client.Do(req)
			require.ErrorIs(t, err, httpretry.ErrTryTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, context.Canceled)
			var netErr net.Error
			require.ErrorAs(t, err, &netErr)
			assert.True(t, netErr.Timeout())
			assert.ErrorContains(t, err, "after 4 attempts: attempt timed out: no answer within 1s")
		})
	})
	for _, covers := range []bool{false, true} {
		t.Run(fmt.Sprintf("covers a streaming body: %v", covers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := io.Pipe()
				var writer sync.WaitGroup
				writer.Go(func() {
					for range 5 {
						<-time.After(time.Second) // the pace of the stream
						_, _ = w.Write([]byte("tick "))
					}
					_ = w.Close()
				})
				u := &upstream{steps: []step{{status: 200, body: r}}}
				transport := &httpretry.Transport{Base: u, TryTimeout: 2500 * time.Millisecond, TryTimeoutCoversBody: covers}
				req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x.test/", nil)
				resp, err := transport.RoundTrip(req)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				if covers {
					require.ErrorIs(t, err, httpretry.ErrTryTimeout)
					assert.Equal(t, "tick tick tick ", string(body))
				} else {
					require.NoError(t, err)
					assert.Equal(t, strings.Repeat("tick ", 5), string(body))
				}
				require.NoError(t, resp.Body.Close())
				_ = r.Close()
				writer.Wait()
			})
		})
	}
}

func TestOnRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []httpretry.Retry
		u := &upstream{steps: []step{{status: 529}, {err: errReset}, {status: 200}}}
		transport := &httpretry.Transport{Base: u, Policy: retry.Policy{Jitter: -1}, OnRetry: func(_ *http.Request, r httpretry.Retry) { seen = append(seen, r) }}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x.test/", nil)
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, []httpretry.Retry{
			{Attempt: 1, Status: 529, Delay: 500 * time.Millisecond},
			{Attempt: 2, Err: errReset, Delay: time.Second},
		}, seen)
		assert.Equal(t, httpretry.Stats{Requests: 1, Retries: 2, PauseTime: 1500 * time.Millisecond}, transport.Stats())

		u.steps = []step{{status: 429}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(700*time.Millisecond, cancel)
		_, err = transport.RoundTrip(req.WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, httpretry.Stats{Requests: 2, Retries: 3, Failed: 1, PauseTime: 2200 * time.Millisecond}, transport.Stats())
	})
}

// switching is the body of an answer that switches protocols.
type switching struct {
	io.Reader
	io.Writer
	io.Closer
}

func TestSwitchedProtocolsStayWritable(t *testing.T) {
	var written strings.Builder
	base := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: switching{strings.NewReader("hi"), &written, io.NopCloser(nil)}}, nil
	})
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x.test/", nil)
	resp, err := (&httpretry.Transport{Base: base}).RoundTrip(req)
	require.NoError(t, err)
	w, ok := resp.Body.(io.Writer)
	require.True(t, ok)
	_, err = io.WriteString(w, "hello")
	require.NoError(t, err)
	assert.Equal(t, "hello", written.String())
	require.NoError(t, resp.Body.Close())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
