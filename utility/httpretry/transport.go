package httpretry

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

// Transport is an http.RoundTripper that retries. The zero value is ready to use
// and makes up to four attempts. It is safe for concurrent use and must not be
// changed or copied once it is in use. It starts no goroutine that outlives a response
// body.
type Transport struct {
	// Base sends the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper

	// Policy sets the number of retries, the pauses and their limits. When the
	// server asks for a pause longer than Policy.MaxDelay (1 minute by
	// default), its answer is returned at once. Policy.Retryable is asked about
	// errors, not about answers. Policy.OnFailure and Policy.Counter are not used:
	// there are OnRetry and Stats.
	Policy retry.Policy

	// TryTimeout bounds one attempt, from the beginning to the headers of the
	// answer. An attempt that takes longer fails with [ErrTryTimeout] and is
	// retried if it may be. 0 means no bound.
	TryTimeout time.Duration

	// TryTimeoutCoversBody extends TryTimeout to the reading of the body. It
	// would cut off streams that run for long on purpose.
	TryTimeoutCoversBody bool

	// NonIdempotent allows to repeat requests such as POST, too. Set it for
	// services where a repeated request does no harm, such as model APIs.
	NonIdempotent bool

	// OnRetry, when set, is called before every pause. It must return soon.
	OnRetry func(req *http.Request, r Retry)

	requests, retries, failed, waited atomic.Int64
}

// Retry describes why a request is sent again.
type Retry struct {
	Attempt int           // that failed, 1 for the first
	Status  int           // of its answer, or 0
	Err     error         // instead of an answer, or nil
	Delay   time.Duration // the pause that follows
}

// maxDrain is how much of an answer is read in order to reuse its connection,
// and drainTime how long that may take; a new connection is cheaper than more.
const (
	maxDrain  = 64 << 10
	drainTime = 250 * time.Millisecond
)

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.requests.Add(1)
	resp, err := t.roundTrip(req)
	if err != nil || resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		t.failed.Add(1)
	}
	return resp, err
}

func (t *Transport) roundTrip(req *http.Request) (*http.Response, error) {
	body := req.Body
	pauses := pauses{policy: t.Policy, began: time.Now()}
	defer pauses.end()
	for attempt := 1; ; attempt++ {
		a := t.try(req, body)
		pause, again := t.verdict(req, a, &pauses)
		if !again {
			return a.result(attempt)
		}
		if body = req.Body; body != nil && body != http.NoBody {
			var err error
			if body, err = req.GetBody(); err != nil {
				return a.result(attempt)
			}
		}
		if t.OnRetry != nil {
			r := Retry{Attempt: attempt, Err: a.err, Delay: pause}
			if a.resp != nil {
				r.Status = a.resp.StatusCode
			}
			t.OnRetry(req, r)
		}
		a.discard()
		start := time.Now()
		err := sleep(req.Context(), pause)
		t.waited.Add(int64(time.Since(start)))
		if err != nil {
			if body != nil {
				_ = body.Close()
			}
			return nil, fmt.Errorf("%w while waiting to send the request again (%s)", err, a.outcome())
		}
		t.retries.Add(1)
	}
}

// pauses are those that a policy has for one request.
type pauses struct {
	policy retry.Policy
	began  time.Time
	pull   func() (time.Duration, bool) // nil until the first failure
	stop   func()
}

// next returns the next pause, unless there are no more retries.
func (p *pauses) next() (time.Duration, bool) {
	if p.pull == nil {
		p.pull, p.stop = iter.Pull(p.policy.Delays())
	}
	return p.pull()
}

// late reports whether after the pause the policy's time is over.
func (p *pauses) late(pause time.Duration) bool {
	return p.policy.MaxElapsed > 0 && time.Since(p.began)+pause > p.policy.MaxElapsed
}

func (p *pauses) end() {
	if p.stop != nil {
		p.stop()
	}
}

// attempt is one request that was sent, and what came of it.
type attempt struct {
	resp   *http.Response
	err    error
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer // of the try timeout, or nil
}

// try sends req once with the given body.
func (t *Transport) try(req *http.Request, body io.ReadCloser) attempt {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	a := attempt{ctx: ctx, cancel: cancel}
	if t.TryTimeout > 0 {
		a.timer = time.AfterFunc(t.TryTimeout, func() { cancel(ErrTryTimeout) })
	}
	own := req.WithContext(ctx)
	own.Body = body
	a.resp, a.err = base.RoundTrip(own)
	if a.err != nil {
		if a.timer != nil {
			a.timer.Stop()
		}
		if context.Cause(ctx) == ErrTryTimeout {
			a.err = &tryError{limit: t.TryTimeout}
		}
		cancel(nil)
		return a
	}
	a.resp.Request = req
	if a.timer != nil && !t.TryTimeoutCoversBody && !a.timer.Stop() {
		// The answer came at the very moment of the timeout, and its body
		// cannot be read any more.
		_ = a.resp.Body.Close()
		a.resp, a.err = nil, &tryError{limit: t.TryTimeout}
	}
	return a
}

// result hands the attempt to the caller, whose Close of the body releases it.
func (a attempt) result(attempts int) (*http.Response, error) {
	if a.err != nil {
		if attempts > 1 {
			return nil, &retry.Error{Attempts: attempts, Err: a.err}
		}
		return nil, a.err
	}
	a.resp.Body = newBody(a)
	return a.resp, nil
}

// discard drops an answer in a way that lets its connection be used again.
func (a attempt) discard() {
	if a.resp == nil {
		return
	}
	timer := time.AfterFunc(drainTime, func() { a.cancel(nil) })
	_, _ = io.CopyN(io.Discard, a.resp.Body, maxDrain)
	timer.Stop()
	_ = a.resp.Body.Close()
	if a.timer != nil {
		a.timer.Stop()
	}
	a.cancel(nil)
}

// outcome puts the attempt into words.
func (a attempt) outcome() string {
	if a.err != nil {
		return a.err.Error()
	}
	return a.resp.Status
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
