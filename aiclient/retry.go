package aiclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"
)

// RetryOptions configure [WithRetry].
type RetryOptions struct {
	// Attempts is how often a request is sent at most. 0 means 4.
	Attempts int

	// Delay is the wait before the second attempt; it doubles with each further
	// one, up to MaxDelay, and is shortened at random by up to a quarter. An
	// error that asks for a longer wait than MaxDelay ends the attempts. 0 means
	// 500 ms and 1 minute.
	Delay, MaxDelay time.Duration

	// Retry decides which errors are worth another attempt. Nil means those
	// whose class is [Class.Retryable].
	Retry func(error) bool

	// OnRetry sees each error that is followed by another attempt.
	OnRetry func(ctx context.Context, attempt int, err error, wait time.Duration)
}

// WithRetry returns a middleware that sends a request again after an error that
// came before the first part of the reply. What has been delivered is never
// doubled: an error after it is passed on. It waits at least as long as the
// provider asks, and gives up at once when that is beyond the deadline of the
// context or longer than MaxDelay.
func WithRetry(opts RetryOptions) Middleware {
	if opts.Attempts <= 0 {
		opts.Attempts = 4
	}
	if opts.Delay <= 0 {
		opts.Delay = 500 * time.Millisecond
	}
	if opts.MaxDelay <= 0 {
		opts.MaxDelay = time.Minute
	}
	if opts.Retry == nil {
		opts.Retry = func(err error) bool { return ClassOf(err).Retryable() }
	}
	return func(next Chat) Chat {
		return &wrapped{
			Chat: next,
			stream: func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
				return func(yield func(Part, error) bool) {
					for attempt := 1; ; attempt++ {
						err := pass(next.Stream(withAttempt(ctx, attempt), req), yield)
						if err == nil {
							return
						}
						if err := opts.again(ctx, attempt, err); err != nil {
							yield(Part{}, err)
							return
						}
					}
				}
			},
			generate: func(ctx context.Context, req *Request) (*Response, error) {
				for attempt := 1; ; attempt++ {
					r, err := next.Generate(withAttempt(ctx, attempt), req)
					if err == nil {
						return r, nil
					}
					if err := opts.again(ctx, attempt, err); err != nil {
						return r, err
					}
				}
			},
		}
	}
}

type attemptKey struct{}

func withAttempt(ctx context.Context, attempt int) context.Context {
	if attempt == 1 {
		return ctx
	}
	return context.WithValue(ctx, attemptKey{}, attempt)
}

// Attempt returns how often the request that runs in ctx has been sent by
// [WithRetry], itself included: 1 for the first time.
func Attempt(ctx context.Context) int {
	if n, ok := ctx.Value(attemptKey{}).(int); ok {
		return n
	}
	return 1
}

// again waits for the next attempt. It returns err, and why the wait ended, when
// there is none.
func (o *RetryOptions) again(ctx context.Context, attempt int, err error) error {
	if attempt >= o.Attempts || ctx.Err() != nil || !o.Retry(err) {
		return err
	}
	wait := min(o.Delay, o.MaxDelay)
	for range attempt - 1 {
		wait = min(2*wait, o.MaxDelay)
	}
	wait -= time.Duration(rand.Int64N(int64(wait)/4 + 1))
	if api, ok := errors.AsType[*APIError](err); ok {
		if api.RetryAfter > o.MaxDelay {
			return err
		}
		wait = max(wait, api.RetryAfter)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return err
	}
	if o.OnRetry != nil {
		o.OnRetry(ctx, attempt, err, wait)
	}
	if !sleep(ctx, wait) {
		return fmt.Errorf("%w; while waiting to try again: %w", err, ended(ctx))
	}
	return nil
}

// sleep waits and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pass yields a stream. It returns the error of one that failed before its first
// part, and nil in any other case, when the error has been yielded.
func pass(stream iter.Seq2[Part, error], yield func(Part, error) bool) error {
	delivered := false
	for p, err := range stream {
		if err != nil {
			if !delivered {
				return err
			}
			yield(Part{}, err)
			return nil
		}
		delivered = true
		if !yield(p, nil) {
			return nil
		}
	}
	return nil
}
