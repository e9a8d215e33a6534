package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// lastSaveTimeout bounds the OnStop hooks and the last checkpoint of an agent
// whose context to stop has run out already.
const lastSaveTimeout = 5 * time.Second

// StillRunningError says that an agent's work did not end in time. The agent is
// no longer known to its manager; its goroutines go on until they notice.
type StillRunningError struct {
	Agent string
	// What names the work, such as "input 7x2k…".
	What []string
	// Cause is why the waiting ended.
	Cause error
}

func (e *StillRunningError) Error() string {
	return fmt.Sprintf("agent %s: still running: %s (%v)", e.Agent, strings.Join(e.What, ", "), e.Cause)
}
func (e *StillRunningError) Unwrap() error { return e.Cause }

func (a *Agent) starting() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state == starting
}

// Stop ends the agent in this process. Its sub-agents stop first, its running
// input is interrupted, OnStop hooks run, a last checkpoint is taken if there is
// a store, and [Exit] is logged. Unfinished inputs and open questions are in
// that checkpoint: [Manager.Restore] brings the agent back.
//
// Stop returns when all goroutines of the agent have ended, or when ctx ends,
// then with a [*StillRunningError] that names them. An agent that has stopped
// stays stopped; stopping again waits for what is left.
//
// Called by the agent's own work, such as a command or a hook that ends it, Stop
// returns at once. The agent stops as soon as the input is finished that it works
// on there, or in 30 seconds.
func (a *Agent) Stop(ctx context.Context) error {
	if From(ctx) == a {
		go func() {
			if r := CurrentRun(ctx); r != nil && r.agent == a {
				select {
				case <-r.done:
				case <-time.After(sweepTimeout):
				}
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
			defer cancel()
			if err := a.stop(ctx, "stopped", true); err != nil {
				a.m.logger.Error("an agent that stopped itself", "agent", a.id, "error", err)
			}
		}()
		return nil
	}
	return a.stop(ctx, "stopped", true)
}

func (a *Agent) stop(ctx context.Context, reason string, save bool) error {
	return a.stopIf(ctx, reason, save, nil)
}

// stopIf stops the agent if the condition holds, which is asked with a.mu held,
// and fails with [ErrBusy] otherwise.
func (a *Agent) stopIf(ctx context.Context, reason string, save bool, condition func() bool) error {
	a.mu.Lock()
	if a.state == active && condition != nil && !condition() {
		a.mu.Unlock()
		return ErrBusy
	}
	if a.state == starting {
		a.state = stopped // admit sees it
		a.mu.Unlock()
		return nil
	}
	if a.state == stopping || a.state == stopped {
		done := a.stopDone
		a.mu.Unlock()
		return a.awaitStop(ctx, done)
	}
	a.state = stopping
	a.stopDone = make(chan struct{})
	cause := fmt.Errorf("agent %s: %s: %w", a.id, reason, ErrStopped)
	interrupted := fmt.Errorf("agent %s: %w: %w", a.id, ErrInterrupted, cause)
	current := a.current
	var ended []*Run
	for _, r := range slices.Concat(a.queue, a.steering) {
		ended = append(ended, a.conclude(r, Interrupted, interrupted)...)
	}
	a.queue, a.steering = nil, nil
	children := append([]*Agent(nil), a.children...)
	cancelIdle := a.cancelIdle
	a.mu.Unlock()
	defer close(a.stopDone)
	a.tell(ended)

	start := time.Now()
	var errs []error
	if len(children) > 0 {
		errs = append(errs, stopAll(ctx, children, "parent stopped"))
	}
	if cancelIdle != nil {
		cancelIdle(cause)
	}
	if current != nil {
		current.interrupt(cause, interrupted)
	}
	a.cancelRequests("", cause)
	left := a.settleDown(ctx)
	if left != nil && current != nil {
		a.finish(current, Interrupted, interrupted)
	}
	a.saver.disarm()
	errs = append(errs, a.runStopHooks(ctx))
	if save && a.m.store != nil {
		a.bump() // hook counts are saved too
		last, cancel := lastly(ctx)
		_, err := a.Checkpoint(last)
		cancel()
		errs = append(errs, err)
	}
	a.saver.closed.Store(true)
	if a.saver.turn.take(ctx) == nil { // one that is under way ends before a deletion goes on
		a.saver.turn.give()
	}
	if left == nil {
		left = a.settleDown(ctx) // a hook may have been left behind
	}
	errs = append(errs, left)
	a.m.remove(a)
	a.emit(Exit{Reason: reason})
	a.mu.Lock()
	a.state = stopped
	a.mu.Unlock()
	a.m.stats.stopped.Add(1)
	if f := a.m.trace.Stopped; f != nil {
		f(a.id, reason, time.Since(a.since), time.Since(start))
	}
	return errors.Join(errs...)
}

// runStopHooks runs the hooks of an agent's end.
func (a *Agent) runStopHooks(ctx context.Context) error {
	ctx, cancel := lastly(ctx)
	defer cancel()
	return a.runPoint(a.enter(ctx), OnStop)
}

// lastly gives what is short, and must not be left out, some time when ctx has
// none any more.
func lastly(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), lastSaveTimeout)
}

// interrupt cancels a running run because the agent stops.
func (r *Run) interrupt(cause, err error) {
	a := r.agent
	r.mu.Lock()
	if !r.returned && !r.cancelled {
		r.timers = append(r.timers, time.AfterFunc(a.typ.AbortGrace, func() { a.finish(r, Interrupted, err) }))
	}
	cancel := r.cancel
	r.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

// settleDown waits until no goroutine works for the agent.
func (a *Agent) settleDown(ctx context.Context) error {
	select {
	case <-a.quiet():
		return nil
	default:
	}
	select {
	case <-a.quiet():
		return nil
	case <-ctx.Done():
		return &StillRunningError{Agent: a.id, What: a.stillWorking(), Cause: context.Cause(ctx)}
	}
}

// awaitStop is Stop for all callers but the first.
func (a *Agent) awaitStop(ctx context.Context, done <-chan struct{}) error {
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return &StillRunningError{Agent: a.id, What: a.stillWorking(), Cause: context.Cause(ctx)}
		}
	}
	return a.settleDown(ctx)
}

// remove takes a stopped agent off the lists.
func (m *Manager) remove(a *Agent) {
	m.mu.Lock()
	if m.agents[a.id] == a {
		delete(m.agents, a.id)
		m.watch.tell(Change{Agent: a, Kind: Removed})
		m.replace(a)
	}
	m.sweeps.cancel(a)
	m.unorphan(a)
	m.unpool(a)
	parent := m.agents[a.parent]
	m.mu.Unlock()
	if parent != nil {
		parent.disown(a)
		parent.Emit(SubAgent{ID: a.id, Type: a.typ.Name, State: "stopped"})
	}
}

// stopAll stops agents side by side.
func stopAll(ctx context.Context, list []*Agent, reason string) error {
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i, a := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = a.stop(ctx, reason, true)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Delete ends an agent and removes its checkpoints; an agent that does not live
// loses its checkpoints. Sub-agents stop and keep theirs. Delete returns when the
// agent's goroutines have ended, or when ctx ends, then with a
// [*StillRunningError]; the checkpoints are gone either way. Called by the agent's
// own work it does not wait for that. It fails with [ErrNotFound] when there is
// neither.
func (m *Manager) Delete(ctx context.Context, id string) error {
	m.mu.Lock()
	a := m.agents[id]
	m.mu.Unlock()
	var errs []error
	if a != nil {
		stopCtx, cancel := context.WithCancelCause(ctx)
		if From(ctx) == a {
			cancel(errors.New("the work that deletes its agent cannot wait for itself"))
		}
		errs = append(errs, a.stop(stopCtx, "deleted", false))
		cancel(nil)
	}
	if m.store != nil {
		saved := a != nil
		if !saved {
			for range m.store.Records(ctx, id) {
				saved = true
				break
			}
		}
		if !saved {
			return fmt.Errorf("agent %s: delete: %w", id, ErrNotFound)
		}
		// The deletion was asked for; a slow agent does not take it back.
		if err := m.store.Delete(context.WithoutCancel(ctx), id); err != nil {
			errs = append(errs, fmt.Errorf("agent %s: delete checkpoints: %w", id, err))
		}
	} else if a == nil {
		return fmt.Errorf("agent %s: delete: %w", id, ErrNotFound)
	}
	return errors.Join(errs...)
}

// Shutdown stops all agents side by side, each with its last checkpoint, and
// accepts no new ones. It returns when all are gone, or when ctx ends, then with
// a [*StillRunningError] for each that was not in time.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.endKeep()
	m.sweeps.stop(ctx, m)
	var roots []*Agent
	for _, a := range m.List() {
		if _, ok := m.Get(a.parent); !ok {
			roots = append(roots, a)
		}
	}
	err := stopAll(ctx, roots, "shut down")
	// Agents that were born meanwhile.
	err = errors.Join(err, stopAll(ctx, m.List(), "shut down"))
	m.mu.Lock()
	m.watch.close()
	m.mu.Unlock()
	m.cancel(ErrStopped)
	return err
}
