package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Error reports that every attempt failed, or that there was no time for
// another one. It wraps the error of the last attempt; when the context ended
// the retries, it wraps the context's error and cause as well.
type Error struct {
	Attempts int   // that were made
	Err      error // of the last attempt
	Stop     error // why there were no more; nil: the policy's number was reached
}

func (e *Error) Error() string {
	attempts := "attempts"
	if e.Attempts == 1 {
		attempts = "attempt"
	}
	if e.Stop == nil {
		return fmt.Sprintf("after %d %s: %v", e.Attempts, attempts, e.Err)
	}
	return fmt.Sprintf("after %d %s (%v): %v", e.Attempts, attempts, e.Stop, e.Err)
}

// Unwrap returns the error of the last attempt and why there were no more.
func (e *Error) Unwrap() []error {
	if e.Stop == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Stop}
}

// Timeout reports whether the last attempt failed by a timeout, in the sense of
// net.Error.
func (e *Error) Timeout() bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](e.Err)
	return ok && t.Timeout()
}

// ErrNoTime is wrapped by an [*Error] when the next pause would have passed the
// context's deadline, [Policy.MaxElapsed] or [Policy.MaxDelay].
var ErrNoTime = errors.New("no time for another attempt")

// Do calls fn until it succeeds, returns an error that is not worth another
// attempt, or the policy or the context ends the retries. fn is not called when
// the context has ended before.
//
// The error of an attempt that ended the retries by itself is returned as it is;
// otherwise it is an [*Error].
func Do(ctx context.Context, p Policy, fn func(context.Context) error) error {
	var began time.Time
	if p.MaxElapsed > 0 {
		began = time.Now()
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	p.Counter.call()
	err := fn(ctx)
	if err == nil {
		return nil
	}
	r := newRetrier(p, began)
	for {
		if err := r.pause(ctx, err); err != nil {
			p.Counter.failed()
			return err
		}
		p.Counter.retry()
		if err = fn(ctx); err == nil {
			return nil
		}
	}
}

// DoValue is [Do] for a function that returns a value. With an error, the value
// is that of the last attempt.
func DoValue[T any](ctx context.Context, p Policy, fn func(context.Context) (T, error)) (T, error) {
	var began time.Time
	if p.MaxElapsed > 0 {
		began = time.Now()
	}
	if ctx.Err() != nil {
		var zero T
		return zero, contextError(ctx)
	}
	p.Counter.call()
	value, err := fn(ctx)
	if err == nil {
		return value, nil
	}
	r := newRetrier(p, began)
	for {
		if err := r.pause(ctx, err); err != nil {
			p.Counter.failed()
			return value, err
		}
		p.Counter.retry()
		if value, err = fn(ctx); err == nil {
			return value, nil
		}
	}
}

// retrier holds what only calls that fail need.
type retrier struct {
	policy  Policy
	backOff *backoff.ExponentialBackOff
	began   time.Time
	failed  int // attempts
}

func newRetrier(p Policy, began time.Time) *retrier {
	p = p.withDefaults()
	return &retrier{policy: p, backOff: p.backOff(), began: began}
}

// pause waits for the moment of the next attempt after one that failed with err.
// A non-nil result is the error to return instead of making one.
func (r *retrier) pause(ctx context.Context, err error) error {
	r.failed++
	delay, stop := r.decide(ctx, err)
	if r.policy.OnFailure != nil {
		f := Failure{Attempt: r.failed, Err: unmark(err), Final: stop != nil, Delay: delay}
		r.policy.OnFailure(ctx, f)
	}
	if stop != nil {
		return stop
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	defer r.policy.Counter.pausing()()
	select {
	case <-timer.C:
		// Both may be ready; an ended context wins.
		if ctx.Err() == nil {
			return nil
		}
	case <-ctx.Done():
	}
	return &Error{Attempts: r.failed, Err: unmark(err), Stop: contextError(ctx)}
}

// decide returns how long to wait, or the error to stop with.
func (r *retrier) decide(ctx context.Context, err error) (delay time.Duration, stop error) {
	if ctx.Err() != nil {
		if errors.Is(err, ctx.Err()) {
			return 0, unmark(err)
		}
		return 0, &Error{Attempts: r.failed, Err: unmark(err), Stop: contextError(ctx)}
	}
	if isPermanent(err) || r.policy.Retryable != nil && !r.policy.Retryable(err) {
		return 0, unmark(err)
	}
	if r.failed > r.policy.Retries {
		return 0, &Error{Attempts: r.failed, Err: unmark(err)}
	}
	delay = r.policy.next(r.backOff)
	if after, ok := errors.AsType[*afterError](err); ok && after.delay > delay {
		delay = after.delay
		if delay > r.policy.MaxDelay {
			return 0, r.noTime(err, "asked to wait %s, longer than the limit of %s", delay, r.policy.MaxDelay)
		}
		delay = r.spread(delay)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= delay {
		return 0, r.noTime(err, "the pause of %s would pass the deadline", delay)
	}
	if r.policy.MaxElapsed > 0 && time.Since(r.began)+delay > r.policy.MaxElapsed {
		return 0, r.noTime(err, "the pause of %s would pass the limit of %s", delay, r.policy.MaxElapsed)
	}
	return delay, nil
}

// spread adds jitter to a pause that was asked for, which must not get shorter.
func (r *retrier) spread(d time.Duration) time.Duration {
	return min(d+time.Duration(rand.Float64()*r.policy.Jitter*float64(min(d, time.Second))), r.policy.MaxDelay)
}

func (r *retrier) noTime(err error, format string, args ...any) error {
	return &Error{Attempts: r.failed, Err: unmark(err), Stop: fmt.Errorf("%w: "+format, append([]any{ErrNoTime}, args...)...)}
}

// contextError returns an error that is both the context's error and its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
