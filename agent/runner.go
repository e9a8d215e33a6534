package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
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
		r.mu.Lock()
		cancel := r.cancel
		r.mu.Unlock()
		cancel(errGoexit)
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
	ctx := a.enter(a.m.base)
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

	if r.State().Final() {
		a.m.logger.Warn("late result of an aborted input dropped", "agent", a.id, "input", r.input.ID, "error", err)
		return
	}
	state, err := a.outcome(ctx, r, err)
	if state == Failed {
		a.reportFailure(ctx, r, err)
	}
	if state == Done || state == Failed {
		hookErr := a.runPoint(ctx, AfterInput)
		if err == nil {
			state, err = a.outcome(ctx, r, hookErr)
		}
	}
	// The input is finished in the checkpoint before anyone is told so.
	if a.typ.AutoCheckpoint.AfterInput && (state == Done || state == Failed) {
		a.endRestored(r.input.ID)
		r.mu.Lock()
		r.leaving = true
		r.mu.Unlock()
		a.bump()
		a.autoCheckpoint(ctx)
	}
	a.finish(r, state, err)
}

// outcome is what err, the end of r's work in ctx, makes of r.
func (a *Agent) outcome(ctx context.Context, r *Run, err error) (RunState, error) {
	r.mu.Lock()
	aborted, cancelled := r.abort, r.cancelled
	r.mu.Unlock()
	switch {
	case aborted != nil && (cancelled || errors.Is(err, ErrAborted)):
		return Aborted, aborted
	case err != nil && errors.Is(context.Cause(ctx), ErrStopped):
		return Interrupted, fmt.Errorf("agent %s: input %s: %w: %w", a.id, r.input.ID, ErrInterrupted, err)
	case err != nil:
		return Failed, err
	}
	return Done, nil
}

// perform does what the input asks, with the hooks around it.
func (a *Agent) perform(ctx context.Context, r *Run) error {
	if ctx.Err() != nil { // aborted before it began
		return context.Cause(ctx)
	}
	r.mu.Lock()
	handled := r.phase == phaseHandled
	r.mu.Unlock()
	command := a.commands.routes(r.input.Text)
	if !handled {
		var err error
		if command {
			err = a.performCommand(ctx, r)
		} else {
			err = a.performChat(ctx, r)
		}
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.phase = phaseHandled
		r.mu.Unlock()
		a.bump()
	}
	if command {
		return nil
	}
	return a.runPoint(ctx, AfterChat)
}

func (a *Agent) performCommand(ctx context.Context, r *Run) error {
	out, err := a.RunCommand(ctx, r.input.Text)
	if out != "" {
		a.Emit(Output{Text: out})
	}
	return err
}

func (a *Agent) performChat(ctx context.Context, r *Run) error {
	if err := a.runPoint(ctx, BeforeChat); err != nil {
		return err
	}
	if a.typ.Handle == nil {
		return fmt.Errorf("agent %s: type %q handles no inputs, only commands: %w", a.id, a.typ.Name, errors.ErrUnsupported)
	}
	if err := a.typ.Handle(ctx, a, r.input); err != nil {
		return err
	}
	return a.SafePoint(ctx)
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

// finish ends a run, and those that were folded into it, once; later calls do
// nothing.
func (a *Agent) finish(r *Run, state RunState, err error) {
	if state != Interrupted {
		a.endRestored(r.input.ID)
	}
	a.mu.Lock()
	ended := a.conclude(r, state, err)
	a.mu.Unlock()
	a.tell(ended)
}

// conclude is finish without telling anyone but the log. a.mu is held all along,
// so that a checkpoint finds every input that is not finished. The result is for
// tell.
func (a *Agent) conclude(r *Run, state RunState, err error) []*Run {
	r.mu.Lock()
	if r.state.Final() {
		r.mu.Unlock()
		return nil
	}
	r.state, r.err = state, err
	r.finished = InputFinished{ID: r.input.ID, State: state}
	if !r.started.IsZero() {
		r.finished.Duration = time.Since(r.started)
	}
	if err != nil {
		r.finished.Error = err.Error()
	}
	r.submitted = nil
	folded := r.folded
	r.folded = nil
	ev := r.finished
	r.mu.Unlock()
	if state == Interrupted {
		a.interrupted = append(a.interrupted, r)
	}
	a.gen++
	a.Emit(ev)
	ended := []*Run{r}
	for _, f := range folded {
		ended = append(ended, a.conclude(f, state, err)...)
	}
	return ended
}

// tell tells of the ends of runs.
func (a *Agent) tell(ended []*Run) {
	for _, r := range ended {
		r.mu.Lock()
		ev, traced := r.finished, r.traced
		r.mu.Unlock()
		a.m.stats.finished(ev)
		if traced != nil {
			traced(ev)
		}
		if f := a.m.trace.InputFinished; f != nil {
			f(a.id, ev)
		}
		close(r.done)
	}
}

// bump notes that the agent's own state changed.
func (a *Agent) bump() {
	a.mu.Lock()
	a.gen++
	a.mu.Unlock()
}
