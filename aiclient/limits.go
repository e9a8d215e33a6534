package aiclient

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"
)

// Timeouts bound how long a reply may take. 0 means no bound.
type Timeouts struct {
	FirstPart time.Duration // until the first part
	Idle      time.Duration // between parts
	Total     time.Duration
}

// WithTimeout returns a middleware that ends replies that take too long with an
// [*APIError] of class [ClassTimeout].
func WithTimeout(limits Timeouts) Middleware {
	return func(next Chat) Chat {
		return onStream(next, func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
			return func(yield func(Part, error) bool) {
				ctx, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				late := func(what string, d time.Duration) *time.Timer {
					m := next.Model()
					return time.AfterFunc(d, func() {
						cancel(&APIError{Provider: m.Provider, Model: m.ID, Class: ClassTimeout, Message: fmt.Sprintf("%s took longer than %s", what, d)})
					})
				}
				if limits.Total > 0 {
					defer late("the reply", limits.Total).Stop()
				}
				var gap *time.Timer
				if limits.FirstPart > 0 {
					gap = late("the first part", limits.FirstPart)
				}
				defer func() {
					if gap != nil {
						gap.Stop()
					}
				}()
				for p, err := range next.Stream(ctx, req) {
					if err != nil {
						if api, ok := context.Cause(ctx).(*APIError); ok {
							err = api
						}
						yield(Part{}, err)
						return
					}
					if gap != nil {
						gap.Stop() // the time that the reader takes does not count
					}
					if !yield(p, nil) {
						return
					}
					if gap = nil; limits.Idle > 0 {
						gap = late("the next part", limits.Idle)
					}
				}
			}
		})
	}
}

// RateLimit bounds requests and tokens per minute. 0 means no bound.
type RateLimit struct {
	Requests int64
	Tokens   int64 // input and output; estimated before a request, corrected after it
}

// WithRateLimit returns a middleware that makes requests wait until the limits
// allow them. All Chats that it wraps share the limits. A request whose context
// would end before its turn fails at once with an error of class
// [ClassRateLimit].
func WithRateLimit(limit RateLimit) Middleware {
	requests, tokens := newBucket(limit.Requests), newBucket(limit.Tokens)
	return func(next Chat) Chat {
		return onStream(next, func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
			return func(yield func(Part, error) bool) {
				guess := estimate(req.Messages) + estimateFixed(req) + max(req.MaxTokens, 0)
				wait := max(requests.take(1), tokens.take(guess))
				if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait || !sleep(ctx, wait) {
					requests.take(-1)
					tokens.take(-guess)
					m := next.Model()
					yield(Part{}, &APIError{Provider: m.Provider, Model: m.ID, Class: ClassRateLimit, RetryAfter: wait,
						Message: "the program's own limit leaves no time for this request", Err: ctx.Err()})
					return
				}
				for p, err := range next.Stream(ctx, req) {
					if p.Kind == KindFinish && p.Finish != nil {
						tokens.take(p.Finish.Usage.Total() - guess)
					}
					if !yield(p, err) || err != nil {
						return
					}
				}
			}
		})
	}
}

// bucket is a token bucket that holds one minute's worth and may go into debt.
type bucket struct {
	mu        sync.Mutex
	perMinute float64
	level     float64
	at        time.Time
}

func newBucket(perMinute int64) *bucket {
	return &bucket{perMinute: float64(perMinute), level: float64(perMinute)}
}

// take removes n and returns how long to wait until so much was there. What is
// more than a minute's worth waits for a full bucket and no longer.
func (b *bucket) take(n int64) time.Duration {
	if b.perMinute <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.at.IsZero() {
		b.level = min(b.perMinute, b.level+now.Sub(b.at).Minutes()*b.perMinute)
	}
	b.at = now
	short := min(float64(n), b.perMinute) - b.level
	b.level -= float64(n)
	return time.Duration(max(short, 0) / b.perMinute * float64(time.Minute))
}

// WithLogging returns a middleware that logs each request when it has ended: its
// model, size, duration, usage and error, never its contents. Nil means
// slog.Default().
func WithLogging(logger *slog.Logger) Middleware {
	return func(next Chat) Chat {
		return onStream(next, func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
			return func(yield func(Part, error) bool) {
				log := logger
				if log == nil {
					log = slog.Default()
				}
				began, parts := time.Now(), 0
				var first time.Duration
				var end Finish
				var failure error
				for p, err := range next.Stream(ctx, req) {
					if parts++; parts == 1 {
						first = time.Since(began)
					}
					if p.Kind == KindFinish && p.Finish != nil {
						end = *p.Finish
					}
					failure = err
					if !yield(p, err) || err != nil {
						break
					}
				}
				attrs := []any{"model", next.Model().String(), "messages", len(req.Messages), "parts", parts,
					"first", first, "took", time.Since(began), "reason", string(end.Reason),
					"input", end.Usage.Prompt(), "output", end.Usage.Output}
				if failure != nil {
					log.WarnContext(ctx, "model request failed", append(attrs, "error", failure)...)
					return
				}
				log.InfoContext(ctx, "model request", attrs...)
			}
		})
	}
}
