package timing

import "time"

// Edge says when a [Throttle] runs its function for a burst of calls.
type Edge int

const (
	// Both runs it for the first call of a burst at once, and at the end of each
	// interval in which there were more calls with the latest of them.
	Both Edge = iota
	// Leading runs it for the first call at once and ignores calls until the
	// interval has passed.
	Leading
	// Trailing runs it at the end of each interval in which there were calls, with
	// the latest of them.
	Trailing
)

// ThrottleOptions configure a [Throttle].
type ThrottleOptions struct {
	Edge Edge // Both by default
}

// Throttle runs a function at most once per interval. It is safe for concurrent
// use.
type Throttle[T any] struct {
	runner   runner[T]
	interval time.Duration
	edge     Edge
}

// NewThrottle returns a Throttle for fn. A run at the leading edge happens in the
// goroutine of the call, others in one of their own. When a run takes longer than
// the interval, the next one waits for its end.
func NewThrottle[T any](fn func(T), interval time.Duration, opts ThrottleOptions) *Throttle[T] {
	t := &Throttle[T]{interval: interval, edge: opts.Edge}
	t.runner.init(fn, t.fired)
	return t
}

// Call asks for a run with v.
func (t *Throttle[T]) Call(v T) {
	r := &t.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	switch busy := r.armed || r.running; {
	case r.closed:
	case !busy && t.edge != Trailing:
		r.arm(t.interval)
		r.run(v)
	case t.edge != Leading:
		r.hold(v)
		if !r.armed && !r.late {
			r.arm(t.interval)
		}
	}
}

// fired ends an interval.
func (t *Throttle[T]) fired() {
	if r := &t.runner; r.pending {
		r.arm(t.interval)
		r.run(r.take())
	}
}

// Flush runs the function now, in the caller's goroutine, if a run is due at the
// end of the interval. It must not be called by the function.
func (t *Throttle[T]) Flush() {
	r := &t.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle()
	if r.pending {
		r.disarm()
		r.arm(t.interval)
		r.run(r.take())
	}
}

// Cancel drops the run that is due at the end of the interval, if there is one.
// The interval itself still lasts.
func (t *Throttle[T]) Cancel() {
	t.runner.mu.Lock()
	defer t.runner.mu.Unlock()
	t.runner.drop()
}

// Close drops the run that is due, waits for one that is in progress, and makes
// further calls do nothing. Call Flush first to lose nothing. It must not be
// called by the function.
func (t *Throttle[T]) Close() { t.runner.close() }
