package aiclient

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// run is one turn in progress. Its loop has a goroutine of its own, which may run
// a tool itself; the method that started the turn waits beside it. When the
// context ends and the loop is stuck in a tool, that method takes the run over
// and the loop never touches it again.
type run struct {
	turn    *Turn
	loads   uint64
	loops   loopDetector
	invalid int // consecutive steps in which no call was valid

	step  openStep
	tools *toolRun

	// inline is the call that the loop's goroutine runs itself, or takenOver.
	inline atomic.Pointer[activeCall]
}

// takenOver in place of [run.inline] keeps the loop from running another call.
var takenOver activeCall

func (c *Conversation) begin(ctx context.Context) (*run, error) {
	if ctx.Err() != nil {
		return nil, aborted(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return nil, ErrBusy
	}
	c.running = true
	return &run{turn: &Turn{}, loads: c.loads}, nil
}

func (c *Conversation) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
}

// ending is how the goroutine of a loop ended.
type ending struct {
	err      error
	panicked any
	exited   bool // by runtime.Goexit
}

// drive runs the loop and returns its error, or that of the end of ctx. A panic
// of a function that the host gave goes on in the caller.
func (c *Conversation) drive(ctx context.Context, r *run) error {
	c.statsTurns.Add(1)
	done := make(chan ending, 1)
	c.workers.start()
	go func() {
		defer c.workers.end()
		e := ending{exited: true}
		defer func() {
			if p := recover(); p != nil {
				c.logger.ErrorContext(ctx, "turn panicked", "panic", p, "stack", string(debug.Stack()))
				e = ending{panicked: p}
			}
			done <- e
		}()
		e = ending{err: c.loop(ctx, r)}
	}()
	var e ending
	select {
	case e = <-done:
	case <-ctx.Done():
		grace := time.NewTimer(abortGrace)
		defer grace.Stop()
		select {
		case e = <-done:
		case <-grace.C:
			if a := r.inline.Swap(&takenOver); a != nil {
				e.err = c.takeOver(ctx, r, a)
			} else {
				e = <-done // the loop sees by itself that ctx has ended
			}
		}
	}
	if e.panicked != nil || e.exited {
		if r.tools != nil {
			r.tools.cancel()
		}
		c.endStep(r, fmt.Errorf("a function of the program did not return: %v", e.panicked))
		if e.exited {
			runtime.Goexit()
		}
		panic(e.panicked)
	}
	if e.err != nil {
		return r.failed(ctx, e.err)
	}
	return nil
}

// failed notes why the turn ended. What fails because ctx has ended, such as a
// function of the host, is part of the end of ctx.
func (r *run) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil && stopReason(err) == StopFailed {
		err = errors.Join(aborted(ctx), err)
	}
	r.turn.Stop = stopReason(err)
	return err
}

// takeOver ends a run whose loop is stuck in the call a.
func (c *Conversation) takeOver(ctx context.Context, r *run, a *activeCall) error {
	c.late.Add(1)
	r.tools.running--
	r.tools.settle(a, cancelledResult(a.call))
	err := r.tools.finish(aborted(ctx))
	c.endStep(r, err)
	return err
}

// workers counts goroutines. Unlike a sync.WaitGroup it can be waited for while
// others start.
type workers struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // closed when n becomes 0; nil when nobody waits
}

func (w *workers) start() {
	w.mu.Lock()
	w.n++
	w.mu.Unlock()
}

func (w *workers) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n--; w.n == 0 && w.zero != nil {
		close(w.zero)
		w.zero = nil
	}
}

func (w *workers) idle() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if w.zero == nil {
		w.zero = make(chan struct{})
	}
	return w.zero
}
