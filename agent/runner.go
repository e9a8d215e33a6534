package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

// PanicError is the end of an input whose handler, hook or command panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guard calls fn and turns a panic into a *PanicError.
func guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return fn()
}

// startLoop starts the goroutine that works on the queue, if there is need for
// one. a.mu is held.
func (a *Agent) startLoop() {
	if a.looping || a.state != active || len(a.queue) == 0 || a.current != nil {
		return
	}
	a.looping = true
	w := a.begin("input " + a.queue[0].input.ID)
	go a.loop(w)
}

// loop runs inputs until none waits.
func (a *Agent) loop(w *work) {
	a.Emit(Busy{})
	var r *Run
	returned := false
	defer func() {
		if !returned {
			a.exited(w, r)
		}
	}()
	hooked := false // the idle hooks ran since the last input
	for {
		a.mu.Lock()
		if a.state != active || len(a.queue) == 0 {
			if a.state == active && !hooked && a.hooks.any(OnIdle) {
				hooked = true
				w.what = "idle hooks"
				ctx, cancel := context.WithCancelCause(a.context(nil))
				a.cancelIdle = cancel
				a.mu.Unlock()
				_ = a.RunHooks(ctx, OnIdle) // reported by RunHooks
				cancel(nil)
				continue
			}
			a.looping = false
			a.touch()
			a.Emit(Idle{})
			a.end(w)
			a.mu.Unlock()
			returned = true
			return
		}
		hooked = false
		r = a.queue[0]
		a.queue = a.queue[1:]
		w.what = "input " + r.input.ID
		a.setCurrent(r)
		ctx, cancel := context.WithCancelCause(a.context(r))
		r.mu.Lock()
		r.state, r.cancel, r.started = Running, cancel, time.Now()
		if r.phase == phaseAccepted {
			r.phase = phaseRunning
		}
		r.mu.Unlock()
		a.gen++
		a.mu.Unlock()

		a.work(a.startTrace(ctx, r), r)
		cancel(nil)

		a.mu.Lock()
		goOn := a.leave(r)
		r = nil
		if !goOn {
			a.end(w)
			a.mu.Unlock()
			returned = true
			return
		}
		a.mu.Unlock()
	}
}

// leave ends the work on r. It returns false when r was left behind: another
// loop goes on then. a.mu is held.
func (a *Agent) leave(r *Run) bool {
	r.mu.Lock()
	r.returned = true
	for _, t := range r.timers {
		t.Stop()
	}
	r.timers = nil
	r.mu.Unlock()
	if a.current != r {
		return false
	}
	a.setCurrent(nil)
	a.requeueSteering()
	a.gen++
	return true
}

// errGoexit is the end of work that ended its goroutine, as a failed assertion
// of the package testing does.
var errGoexit = errors.New("its goroutine was ended by runtime.Goexit")

// exited does what the loop no longer can after work on r, or an idle hook if r
// is nil, has called runtime.Goexit.
func (a *Agent) exited(w *work, r *Run) {
	if r != nil {
		a.m.logger.Error("input failed", "agent", a.id, "input", r.input.ID, "error", errGoexit)
		a.Emit(Message{Level: slog.LevelError, Text: errGoexit.Error()})
		a.finish(r, Failed, errGoexit)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r == nil || a.leave(r) {
		a.looping = false
		a.touch()
		a.startLoop()
		if !a.looping {
			a.Emit(Idle{})
		}
	}
	a.end(w)
}

// requeueSteering puts the steering inputs that nothing took before what waits.
// a.mu is held.
func (a *Agent) requeueSteering() {
	if len(a.steering) > 0 {
		a.queue = append(a.steering, a.queue...)
		a.steering = nil
	}
}

// context makes what the agent's own code runs in.
func (a *Agent) context(r *Run) context.Context {
	ctx := context.WithValue(a.m.base, agentKey, a)
	if a.budget != nil {
		ctx = budget.With(ctx, a.budget)
	}
	if r != nil {
		ctx = context.WithValue(ctx, runKey, r)
	}
	return ctx
}

// work takes one run to its end.
func (a *Agent) work(ctx context.Context, r *Run) {
	if a.typ.AutoCheckpoint.BeforeInput {
		a.autoCheckpoint(ctx)
	}
	err := guard(func() error { return a.perform(ctx, r) })

	r.mu.Lock()
	aborted, late := r.abort, r.state.Final()
	cancelled := r.cancelled
	r.mu.Unlock()
	if late {
		a.m.logger.Warn("late result of an aborted input dropped", "agent", a.id, "input", r.input.ID, "error", err)
		return
	}
	state := Done
	switch {
	case aborted != nil && (cancelled || errors.Is(err, ErrAborted)):
		state, err = Aborted, aborted
	case err != nil && errors.Is(context.Cause(ctx), ErrStopped):
		state, err = Interrupted, fmt.Errorf("agent %s: input %s: %w: %w", a.id, r.input.ID, ErrInterrupted, err)
	case err != nil:
		state = Failed
		a.reportFailure(ctx, r, err)
	}
	if state == Done || state == Failed {
		hookErr := a.runPoint(ctx, AfterInput)
		if hookErr != nil && err == nil {
			state, err = Failed, hookErr
		}
		// The input is finished in the checkpoint before anyone is told so.
		if a.typ.AutoCheckpoint.AfterInput {
			r.mu.Lock()
			r.leaving = true
			r.mu.Unlock()
			a.bump()
			a.autoCheckpoint(ctx)
		}
	}
	a.finish(r, state, err)
}

// perform does what the input asks, with the hooks around it.
func (a *Agent) perform(ctx context.Context, r *Run) error {
	if ctx.Err() != nil { // aborted before it began
		return context.Cause(ctx)
	}
	if a.commands.routes(r.input.Text) {
		out, err := a.RunCommand(ctx, r.input.Text)
		if out != "" {
			a.Emit(Output{Text: out})
		}
		return err
	}
	r.mu.Lock()
	ph := r.phase
	r.mu.Unlock()
	if ph != phaseHandled {
		if err := a.runPoint(ctx, BeforeChat); err != nil {
			return err
		}
		if a.typ.Handle == nil {
			return fmt.Errorf("agent %s: type %q handles no inputs, only commands: %w", a.id, a.typ.Name, errors.ErrUnsupported)
		}
		if err := a.typ.Handle(ctx, a, r.input); err != nil {
			return err
		}
		if err := a.SafePoint(ctx); err != nil {
			return err
		}
		r.mu.Lock()
		r.phase = phaseHandled
		r.mu.Unlock()
		a.bump()
	}
	return a.runPoint(ctx, AfterChat)
}

func (a *Agent) reportFailure(ctx context.Context, r *Run, err error) {
	attrs := []any{"agent", a.id, "input", r.input.ID, "error", err}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.Stack))
	}
	a.m.logger.Error("input failed", attrs...)
	a.Emit(Message{Level: slog.LevelError, Text: err.Error()})
	_ = a.RunHooks(ctx, OnError) // reported by RunHooks; the failure stays the first one
}

// finish ends a run once; later calls do nothing.
func (a *Agent) finish(r *Run, state RunState, err error) {
	r.mu.Lock()
	if r.state.Final() {
		r.mu.Unlock()
		return
	}
	r.state, r.err = state, err
	var d time.Duration
	if !r.started.IsZero() {
		d = time.Since(r.started)
	}
	ev := InputFinished{ID: r.input.ID, State: state, Duration: d}
	if err != nil {
		ev.Error = err.Error()
	}
	r.finished, r.submitted = ev, nil
	traced := r.traced
	folded := r.folded
	r.folded = nil
	r.mu.Unlock()

	if state != Interrupted {
		a.endRestored(r.input.ID)
	}
	a.mu.Lock()
	if state == Interrupted {
		a.interrupted = append(a.interrupted, r)
	}
	a.gen++
	a.Emit(ev)
	a.mu.Unlock()
	a.m.stats.finished(ev)
	if traced != nil {
		traced(ev)
	}
	if f := a.m.trace.InputFinished; f != nil {
		f(a.id, ev)
	}
	close(r.done)
	for _, f := range folded {
		a.finish(f, state, err)
	}
}

// bump notes that the agent's own state changed.
func (a *Agent) bump() {
	a.mu.Lock()
	a.gen++
	a.mu.Unlock()
}
