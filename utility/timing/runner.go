package timing

import (
	"sync"
	"time"
)

// runner is what Throttle and Debounce have in common: a function that runs once
// at a time, the argument that waits for it, and one timer.
type runner[T any] struct {
	fn    func(T)
	fired func() // decides what a fired timer means; the lock is held

	mu      sync.Mutex
	ended   sync.Cond // a run has ended
	timer   *time.Timer
	armed   bool // the timer runs, or has fired and is about to take the lock
	stale   int  // timers that fired but were stopped before they took the lock
	late    bool // the timer fired during a run: look again when it ends
	running bool
	pending bool
	value   T // the latest argument, if pending
	closed  bool
}

func (r *runner[T]) init(fn func(T), fired func()) {
	r.fn, r.fired = fn, fired
	r.ended.L = &r.mu
}

// arm starts the timer, which must not be armed.
func (r *runner[T]) arm(d time.Duration) {
	r.armed = true
	if r.timer == nil {
		r.timer = time.AfterFunc(d, r.fire)
		return
	}
	r.timer.Reset(d)
}

// disarm stops the timer.
func (r *runner[T]) disarm() {
	r.late = false
	if !r.armed {
		return
	}
	r.armed = false
	if !r.timer.Stop() {
		r.stale++
	}
}

// fire is what the timer calls.
func (r *runner[T]) fire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale > 0 {
		r.stale--
		return
	}
	r.armed = false
	if r.running {
		r.late = true
		return
	}
	r.fired()
}

// run calls the function with v. The lock is held before and after, but not
// during the call.
func (r *runner[T]) run(v T) {
	r.running = true
	defer func() { // also after a panic, which goes on to the caller
		r.mu.Lock()
		r.running = false
		r.ended.Broadcast()
		if r.late {
			// Not here: this may be the goroutine of somebody who made one call.
			r.late = false
			r.arm(0)
		}
	}()
	r.mu.Unlock()
	r.fn(v)
}

// hold keeps v as the argument of the next run.
func (r *runner[T]) hold(v T) {
	r.pending, r.value = true, v
}

// take returns the argument that was held.
func (r *runner[T]) take() T {
	var none T
	v := r.value
	r.pending, r.value = false, none
	return v
}

// drop forgets the argument that was held.
func (r *runner[T]) drop() { _ = r.take() }

// settle waits until the function does not run.
func (r *runner[T]) settle() {
	for r.running {
		r.ended.Wait()
	}
}

// close makes sure that the function does not run any more.
func (r *runner[T]) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.drop()
	r.disarm()
	r.settle()
}
