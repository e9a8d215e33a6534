package timing

import "time"

// DebounceOptions configure a [Debounce].
type DebounceOptions struct {
	// Leading also runs the function for the first call of a burst, at once and in
	// the goroutine of the call. The run after the burst then happens only if there
	// were more calls.
	Leading bool

	// MaxWait bounds how long a call waits for its run while other calls keep
	// coming. 0 means no bound; less than the quiet time means the quiet time.
	MaxWait time.Duration
}

// Debounce runs a function once no call has come for a while. It is safe for
// concurrent use.
type Debounce[T any] struct {
	runner  runner[T]
	quiet   time.Duration
	maxWait time.Duration
	leading bool
	base    time.Time

	last    time.Duration // when the last call came, since base
	waiting time.Duration // when the oldest call came that waits for a run
}

// NewDebounce returns a Debounce that runs fn, in a goroutine of its own, with
// the argument of the last call once no call has come for the quiet time.
func NewDebounce[T any](fn func(T), quiet time.Duration, opts DebounceOptions) *Debounce[T] {
	d := &Debounce[T]{quiet: quiet, leading: opts.Leading, base: time.Now()}
	if opts.MaxWait > 0 {
		d.maxWait = max(opts.MaxWait, quiet)
	}
	d.runner.init(fn, d.fired)
	return d
}

// Call asks for a run with v. It only notes the time: the timer of the burst's
// first call runs on, and finds out at its end how long there is still to wait.
func (d *Debounce[T]) Call(v T) {
	r := &d.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	d.last = time.Since(d.base)
	begins := !r.armed && !r.late
	if begins {
		r.arm(d.quiet)
	}
	if begins && d.leading && !r.running {
		r.run(v)
		return
	}
	if !r.pending {
		d.waiting = d.last
	}
	r.hold(v)
}

// fired runs the function if its time has come, and waits on if not.
func (d *Debounce[T]) fired() {
	r := &d.runner
	now := time.Since(d.base)
	left := d.quiet - (now - d.last)
	wait := left
	if r.pending && d.maxWait > 0 {
		wait = min(wait, d.maxWait-(now-d.waiting))
	}
	if wait > 0 {
		r.arm(wait)
		return
	}
	if left > 0 {
		r.arm(left) // MaxWait is over, but not the burst
	}
	if r.pending {
		r.run(r.take())
	}
}

// Flush ends the burst: it runs the function now, in the caller's goroutine, if a
// call waits for it. It must not be called by the function.
func (d *Debounce[T]) Flush() {
	r := &d.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle()
	r.disarm()
	if r.pending {
		r.run(r.take())
	}
}

// Cancel ends the burst without a run.
func (d *Debounce[T]) Cancel() {
	d.runner.mu.Lock()
	defer d.runner.mu.Unlock()
	d.runner.drop()
	d.runner.disarm()
}

// Close drops the call that waits for its run, waits for a run in progress, and
// makes further calls do nothing. Call Flush first to lose nothing. It must not be
// called by the function.
func (d *Debounce[T]) Close() { d.runner.close() }
