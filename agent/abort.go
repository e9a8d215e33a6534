package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// AbortMode says when an aborted input ends.
type AbortMode string

// The modes of an abort.
const (
	// AbortNow cancels the input's context at once.
	AbortNow AbortMode = "now"
	// AbortAfterReply lets the model finish its reply: the input ends when the
	// next tool call begins, or at a safe point after a reply.
	AbortAfterReply AbortMode = "after-reply"
	// AbortAfterTools lets the running tool calls finish; the input ends when
	// none runs.
	AbortAfterTools AbortMode = "after-tools"
)

// DefaultAbortDeadline is the default of [AbortOptions.Deadline].
const DefaultAbortDeadline = 30 * time.Second

// AbortOptions say how to abort. The zero value aborts now.
type AbortOptions struct {
	Mode AbortMode
	// Deadline is when a gentle mode turns into [AbortNow]. 0 means
	// [DefaultAbortDeadline].
	Deadline time.Duration
}

// Errors that are tested with errors.Is.
var (
	// ErrAborted is wrapped by every [*AbortError].
	ErrAborted = errors.New("aborted")
	// ErrInterrupted says that an agent stopped before an input was finished.
	ErrInterrupted = errors.New("interrupted")
	// ErrStopped says that an agent no longer accepts work.
	ErrStopped = errors.New("agent stopped")
	// ErrNotFound says that there is no agent, input, request, checkpoint,
	// command or type of that name.
	ErrNotFound = errors.New("not found")
	// ErrDuplicate says that the name is taken.
	ErrDuplicate = errors.New("exists already")
)

// AbortError is the end of an input, or of a question, that was aborted. It is
// also the cause of the aborted context.
type AbortError struct {
	Reason string
}

func (e *AbortError) Error() string {
	if e.Reason == "" {
		return "aborted"
	}
	return "aborted: " + e.Reason
}

// Is makes errors.Is(err, ErrAborted) and errors.Is(err, context.Canceled) true.
func (e *AbortError) Is(target error) bool {
	return target == ErrAborted || target == context.Canceled
}

// Abort ends the running input now, or the first that waits if none has begun to
// run yet, and nothing else: the others run next. It reports whether there was
// one. It does not wait; the input is finished within [Type.AbortGrace] even if
// its work ignores its context, whose late result is then logged and dropped.
func (a *Agent) Abort(reason string) bool { return a.AbortWith(reason, AbortOptions{}) }

// AbortWith ends the input that [Agent.Abort] would, in the manner of opts.
func (a *Agent) AbortWith(reason string, opts AbortOptions) bool {
	a.mu.Lock()
	r := a.current
	if len(a.queue) > 0 && (r == nil || r.State().Final()) {
		r = a.queue[0] // begins as soon as the work before it has returned
	}
	a.mu.Unlock()
	return r != nil && r.AbortWith(reason, opts)
}

// Abort ends this input now, whether it runs or waits. It reports whether there
// was anything to end.
func (r *Run) Abort(reason string) bool { return r.AbortWith(reason, AbortOptions{}) }

// AbortWith ends this input in the manner of opts. An input that waits ends at
// once in every mode.
func (r *Run) AbortWith(reason string, opts AbortOptions) bool {
	a := r.agent
	if opts.Mode == "" {
		opts.Mode = AbortNow
	}
	if opts.Deadline <= 0 {
		opts.Deadline = DefaultAbortDeadline
	}
	if a.dequeue(r) {
		a.finish(r, Aborted, &AbortError{Reason: reason})
		return true
	}

	r.mu.Lock()
	if r.state != Running || r.abortAt == AbortNow || (r.abort != nil && opts.Mode != AbortNow) {
		live := r.state == Running
		r.mu.Unlock()
		return live
	}
	r.abort = &AbortError{Reason: reason}
	r.abortAt = opts.Mode
	if opts.Mode == AbortAfterTools && r.tools == 0 {
		r.abortAt = AbortNow
	}
	now := r.abortAt == AbortNow
	if !now {
		r.timers = append(r.timers, time.AfterFunc(opts.Deadline, func() { r.AbortWith(reason, AbortOptions{}) }))
	}
	r.mu.Unlock()
	a.Emit(Aborting{ID: r.input.ID, Reason: reason, Mode: opts.Mode})
	if now {
		r.cancelNow()
	}
	return true
}

// cancelNow cancels the run's context and sees to it that the run ends soon.
func (r *Run) cancelNow() {
	a := r.agent
	r.mu.Lock()
	cause := r.abort
	r.abortAt = AbortNow
	if r.cancelled {
		r.mu.Unlock()
		return
	}
	r.cancelled = true
	cancel := r.cancel
	if !r.returned {
		// The timers are armed before the cancel: a handler that returns at
		// once finds them and stops them.
		r.timers = append(r.timers,
			time.AfterFunc(a.typ.AbortGrace, func() { a.finish(r, Aborted, cause) }),
			time.AfterFunc(a.typ.DrainTimeout, func() { a.leaveBehind(r) }))
	}
	r.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
	a.cancelRequests(r.input.ID, cause)
}

// dequeue takes a waiting run out of the queue.
func (a *Agent) dequeue(r *Run) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, list := range []*[]*Run{&a.queue, &a.steering} {
		for i, other := range *list {
			if other == r {
				*list = append((*list)[:i:i], (*list)[i+1:]...)
				a.gen++
				return true
			}
		}
	}
	return false
}

// leaveBehind lets the agent go on although r's handler has not returned.
func (a *Agent) leaveBehind(r *Run) {
	a.mu.Lock()
	if a.current != r {
		a.mu.Unlock()
		return
	}
	a.setCurrent(nil)
	a.requeueSteering()
	a.looping = false
	a.abandoned++
	a.Emit(Message{Level: slog.LevelWarn, Text: fmt.Sprintf(
		"the work on input %s ignores its abort for %s; going on without it", r.input.ID, a.typ.DrainTimeout)})
	a.touch()
	a.startLoop()
	if !a.looping {
		a.Emit(Idle{})
	}
	a.mu.Unlock()
}

// SafePoint tells the agent that the work of ctx is at a point where it may
// end cleanly: the model's reply is complete and no tool runs. It returns the
// [*AbortError] when a gentle abort waited for this, or the cause of an ended
// ctx, and nil otherwise. Every checkpoint and tool call is a safe point by
// itself.
func (a *Agent) SafePoint(ctx context.Context) error {
	if r := CurrentRun(ctx); r != nil && r.agent == a {
		r.mu.Lock()
		pending := r.abort != nil && r.abortAt != AbortNow && r.tools == 0
		r.mu.Unlock()
		if pending {
			r.cancelNow()
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
