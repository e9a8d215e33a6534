package retry

import (
	"context"
	"errors"
	"iter"
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Defaults of a [Policy].
const (
	DefaultRetries    = 3
	DefaultInitial    = 500 * time.Millisecond
	DefaultMultiplier = 2
	DefaultMaxDelay   = time.Minute
	DefaultJitter     = 0.25
)

// Policy says how often, when and on which errors to try again. The zero value
// tries four times, with pauses of 500 ms, 1 s and 2 s, each longer or shorter by
// up to a quarter.
type Policy struct {
	// Retries is the number of attempts after the first one. 0 means
	// [DefaultRetries], negative means none.
	Retries int

	// Initial is the first pause; every further one is Multiplier times as
	// long. 0 means [DefaultInitial] and [DefaultMultiplier]. A Multiplier
	// below 1 counts as 1.
	Initial    time.Duration
	Multiplier float64

	// MaxDelay bounds a pause. An error that asks for a longer one ([After])
	// ends the retries. 0 means [DefaultMaxDelay].
	MaxDelay time.Duration

	// Jitter is the fraction by which a pause varies in both directions, up to
	// 1. 0 means [DefaultJitter], negative means none.
	Jitter float64

	// MaxElapsed bounds the time from the first attempt to the beginning of the
	// last one. 0 means no bound but the context's deadline.
	MaxElapsed time.Duration

	// Retryable reports whether an error is worth another attempt. Nil means
	// every error is. It is not asked about errors marked by [Permanent].
	Retryable func(error) bool

	// OnFailure, when set, is called after every attempt that failed, before
	// the pause. It must return soon.
	OnFailure func(ctx context.Context, f Failure)

	// Counter, when set, counts. Policies may share one.
	Counter *Counter
}

// Failure describes an attempt that failed.
type Failure struct {
	Attempt int           // 1 for the first
	Err     error         // what the attempt returned
	Final   bool          // there will be no further attempt
	Delay   time.Duration // the pause that follows, unless Final
}

// Delays yields the pauses that p makes, as many as there are retries. It is for
// loops that [Do] does not fit.
func (p Policy) Delays() iter.Seq[time.Duration] {
	p = p.withDefaults()
	return func(yield func(time.Duration) bool) {
		b := p.backOff()
		for range p.Retries {
			if !yield(p.next(b)) {
				return
			}
		}
	}
}

func (p Policy) withDefaults() Policy {
	if p.Retries == 0 {
		p.Retries = DefaultRetries
	}
	if p.Initial <= 0 {
		p.Initial = DefaultInitial
	}
	if p.Multiplier == 0 {
		p.Multiplier = DefaultMultiplier
	}
	if p.MaxDelay <= 0 {
		p.MaxDelay = DefaultMaxDelay
	}
	// No pause may overflow with its jitter.
	p.MaxDelay = min(p.MaxDelay, math.MaxInt64/4)
	p.Initial = min(p.Initial, p.MaxDelay)
	if p.Jitter == 0 {
		p.Jitter = DefaultJitter
	}
	// Comparisons that are false for NaN.
	if !(p.Multiplier >= 1) {
		p.Multiplier = 1
	}
	if !(p.Jitter >= 0) {
		p.Jitter = 0
	}
	p.Jitter = min(p.Jitter, 1)
	return p
}

// backOff returns the sequence of pauses of a policy with defaults.
func (p Policy) backOff() *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval:     p.Initial,
		RandomizationFactor: p.Jitter,
		Multiplier:          p.Multiplier,
		MaxInterval:         p.MaxDelay,
		Stop:                backoff.Stop,
		Clock:               backoff.SystemClock,
	}
	b.Reset()
	return b
}

// next returns the next pause: jitter must not lead beyond MaxDelay.
func (p Policy) next(b *backoff.ExponentialBackOff) time.Duration {
	return max(min(b.NextBackOff(), p.MaxDelay), 0)
}

// Permanent marks an error that no further attempt can change. Do returns err
// itself. Permanent(nil) is nil.
func Permanent(err error) error { return backoff.Permanent(err) }

// After marks an error with the least pause that has to precede the next
// attempt. After(nil, d) is nil.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &afterError{err: err, delay: d}
}

type afterError struct {
	err   error
	delay time.Duration
}

func (e *afterError) Error() string { return e.err.Error() }
func (e *afterError) Unwrap() error { return e.err }

// unmark removes a mark around err, so that callers get what fn returned.
func unmark(err error) error {
	switch e := err.(type) {
	case *backoff.PermanentError:
		return e.Err
	case *afterError:
		return e.err
	}
	return err
}

func isPermanent(err error) bool {
	_, ok := errors.AsType[*backoff.PermanentError](err)
	return ok
}
