package queue

import (
	"log/slog"
	"math/rand/v2"
	"time"
	"unicode/utf8"
)

// Defaults of [Options].
const (
	DefaultLease        = 30 * time.Second
	DefaultMaxAttempts  = 5
	DefaultDedupeWindow = 2 * time.Minute
	DefaultMaxItemSize  = 1 << 20
)

// forever is the longest lease, window or delay: now and it are still a time.
const forever = 100 * 365 * 24 * time.Hour

// Options set the semantics of a queue, the same for every engine. Durations of
// more than 100 years mean 100 years.
type Options struct {
	// Capacity bounds the items that are not dead. 0 means no bound.
	Capacity int

	// Overflow says what Enqueue does when Capacity is reached.
	Overflow Overflow

	// Lease is how long a receiver may hold an item without Extend. 0 means
	// [DefaultLease].
	Lease time.Duration

	// MaxAttempts is the number of deliveries after which a failed item is dead.
	// 0 means [DefaultMaxAttempts]; negative means no limit.
	MaxAttempts int

	// Backoff returns the delay after the nth failed attempt, from 1. It must be
	// safe for concurrent use and must not call the queue. Nil means
	// [DefaultBackoff].
	Backoff func(attempt int) time.Duration

	// DedupeWindow is how long a dedupe key is remembered. 0 means
	// [DefaultDedupeWindow].
	DedupeWindow time.Duration

	// MaxItemSize bounds [Item.Size] in bytes. 0 means [DefaultMaxItemSize];
	// negative means no bound of ours.
	MaxItemSize int

	// Trace observes the queue. The zero value costs nothing.
	Trace Trace

	// Logger receives what a caller cannot see, such as items that overflow
	// dropped. Nil means slog.Default().
	Logger *slog.Logger
}

// Overflow is the policy of a full queue.
type Overflow int

const (
	// Reject fails the Enqueue with a [*FullError].
	Reject Overflow = iota
	// Block makes Enqueue wait for room until its context ends, in turn.
	Block
	// DropOldest removes the oldest items that no receiver holds, reports them
	// through Trace.Dropped and the log, and takes the new ones.
	DropOldest
)

// WithDefaults returns the options with every default filled in. Engines use it.
func (o Options) WithDefaults() Options {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	o.Lease = min(o.Lease, forever)
	if o.MaxAttempts == 0 {
		o.MaxAttempts = DefaultMaxAttempts
	}
	if o.Backoff == nil {
		o.Backoff = DefaultBackoff
	}
	if o.DedupeWindow <= 0 {
		o.DedupeWindow = DefaultDedupeWindow
	}
	o.DedupeWindow = min(o.DedupeWindow, forever)
	if o.MaxItemSize == 0 {
		o.MaxItemSize = DefaultMaxItemSize
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Exhausted reports whether an item that was delivered so often is not to be
// tried again. Engines use it.
func (o *Options) Exhausted(attempts int) bool {
	return o.MaxAttempts > 0 && attempts >= o.MaxAttempts
}

// RetryDelay returns how long an item waits after its nth attempt failed so.
// Engines use it.
func (o *Options) RetryDelay(n Nack, attempt int) time.Duration {
	switch {
	case n.Delay < 0:
		return 0
	case n.Delay > 0:
		return min(n.Delay, forever)
	default:
		return min(max(0, o.Backoff(attempt)), forever)
	}
}

// Check reports why an item cannot be enqueued: too large, or names that are not
// text. Engines use it.
func (o *Options) Check(i *Item) error {
	if o.MaxItemSize > 0 {
		if size := i.Size(); size > o.MaxItemSize {
			return &SizeError{ID: i.ID, Size: size, Limit: o.MaxItemSize}
		}
	}
	if len(i.ID) > 256 {
		return &ItemError{ID: i.ID[:256], Reason: "the ID is longer than 256 bytes"}
	}
	if !isText(i.ID) || !isText(i.Name) || !isText(i.Key) || !isText(i.Dedupe) {
		return &ItemError{ID: i.ID, Reason: "ID, name, key and dedupe key must be valid UTF-8"}
	}
	return nil
}

func isText(s string) bool { return s == "" || utf8.ValidString(s) }

// DefaultBackoff waits 1 second after the first attempt, twice as long after
// each further one, at most 5 minutes, and up to a tenth more at random so that
// items that failed together do not return together.
func DefaultBackoff(attempt int) time.Duration {
	d := time.Second << min(max(attempt-1, 0), 9)
	d = min(d, 5*time.Minute)
	return d + rand.N(d/10)
}
