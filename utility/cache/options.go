package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Defaults of [Options].
const (
	DefaultTTL        = 30 * time.Second
	DefaultTimeout    = time.Second
	DefaultMaxEntries = 10_000
)

// ErrClosed is returned when a value would have to be loaded after Close.
var ErrClosed = errors.New("cache: closed")

// Options configure a [Retriever]. The zero value is the documented default.
type Options struct {
	// TTL is how long a value counts as fresh. 0 means [DefaultTTL].
	TTL time.Duration

	// Timeout bounds one load with its retries, whoever waits for it. 0 means
	// [DefaultTimeout], which suits checks of availability; negative means no bound.
	Timeout time.Duration

	// MaxEntries bounds how many keys are remembered. One that has not been used
	// for long makes room for a new one: the oldest that was not hit since it last
	// came up for eviction, which is nearly the least recently used one and spares
	// hits a lock. 0 means [DefaultMaxEntries]; negative means no bound.
	MaxEntries int

	// StaleFor is how long after its TTL a value may still be returned when
	// loading fails. 0 means as long as it is remembered; negative means never.
	StaleFor time.Duration

	// NegativeTTL is how long after a failed load nothing is loaded again for the
	// key: callers get the stale value or the same error. 0 means no time at all.
	// A panic and the cancellation by Close are not remembered.
	NegativeTTL time.Duration

	// RefreshAhead is how long before the end of its TTL a value that is asked for
	// is loaded again in the background. Of this time a random half is left out, so
	// that values that were loaded together are not refreshed together. 0 means
	// never.
	RefreshAhead time.Duration

	// Retry runs load until it is content with the outcome, within Timeout. Nil
	// means load runs once.
	Retry func(ctx context.Context, load func(context.Context) error) error

	Trace Trace

	// Logger receives the stack of a panic in the load function and failures of
	// background refreshes. Nil means slog.Default().
	Logger *slog.Logger
}

// longest is more than 70 years. What is longer could not be added to a time.
const longest = math.MaxInt64 / 4

func (o Options) withDefaults() Options {
	if o.TTL <= 0 {
		o.TTL = DefaultTTL
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	switch {
	case o.MaxEntries == 0:
		o.MaxEntries = DefaultMaxEntries
	case o.MaxEntries < 0:
		o.MaxEntries = math.MaxInt
	}
	if o.StaleFor == 0 {
		o.StaleFor = math.MaxInt64
	}
	o.TTL, o.NegativeTTL = min(o.TTL, longest), min(o.NegativeTTL, longest)
	o.RefreshAhead = min(o.RefreshAhead, o.TTL)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// PanicError is what callers get when the load function panicked.
type PanicError struct {
	Value any    // what it panicked with
	Stack string // where
}

func (e *PanicError) Error() string { return fmt.Sprintf("load function panicked: %v", e.Value) }

// Unwrap returns the panic's value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Entry is what is remembered about a key.
type Entry[V any] struct {
	Value    V // the last value that was loaded; the zero value if none was
	HasValue bool
	Fresh    bool      // Value's TTL has not passed
	Loaded   time.Time // when Value was loaded
	Expires  time.Time // when its TTL ends or ended
	Err      error     // why the last load failed; nil if it did not
}
