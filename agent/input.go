package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Input is something that an agent is asked to do.
type Input struct {
	// ID is unique among the inputs of the agent. Empty in [Agent.Submit] means
	// that one is made.
	ID string `json:"id"`
	// Text is the request. A line "/name args" whose name is a word runs a
	// command instead of [Type.Handle].
	Text string `json:"text"`
	// Source says where it comes from, for example "user" or "queue".
	Source string `json:"source,omitempty"`
	// Data is the host's own: valid JSON, or nil.
	Data json.RawMessage `json:"data,omitempty"`
	// Time is when it was accepted. Set by Submit.
	Time time.Time `json:"time"`
	// Steer asks that the input be folded into the running one at its next safe
	// point; see [Agent.TakeSteering]. When nothing takes it, it runs on its
	// own, before what else waits.
	Steer bool `json:"steer,omitempty"`
	// Resumed is set when the input had begun in an earlier life of the agent,
	// so that Handle continues instead of starting over.
	Resumed bool `json:"resumed,omitempty"`
}

// RunState is where an input is on its way.
type RunState string

// The states of a run. The last four are final.
const (
	Queued  RunState = "queued"
	Running RunState = "running"
	// Done: handled without error.
	Done RunState = "done"
	// Failed: Handle returned an error or panicked.
	Failed RunState = "failed"
	// Aborted: ended on request, which is not a failure.
	Aborted RunState = "aborted"
	// Interrupted: the agent stopped before the input was finished. It is kept
	// in the checkpoint and can be resumed after a restore.
	Interrupted RunState = "interrupted"
)

// Final reports whether s is the end of an input.
func (s RunState) Final() bool { return s != Queued && s != Running }

// phase is how far an unfinished input came. It is saved, so that what ran to
// its end does not run again.
type phase string

const (
	phaseAccepted phase = "accepted"
	phaseRunning  phase = "running"
	// phaseHandled: Handle is through, the hooks after it may not be.
	phaseHandled phase = "handled"
)

// Run is an input on its way through an agent. It is safe for concurrent use.
type Run struct {
	agent *Agent
	input Input
	order uint64 // counts the accepted inputs of the agent
	done  chan struct{}

	mu        sync.Mutex
	state     RunState
	phase     phase
	err       error
	result    json.RawMessage
	started   time.Time
	cancel    context.CancelCauseFunc
	submitted context.Context     // until it begins, for a trace
	traced    func(InputFinished) // what the trace wants to be told
	finished  InputFinished       // set with a final state
	abort     *AbortError         // why it is to end, once asked
	abortAt   AbortMode
	timers    []*time.Timer
	folded    []*Run // steering inputs that were folded into this one
	tools     int    // tool calls between BeforeTool and AfterTool
	returned  bool   // the handler's goroutine is through with it
	cancelled bool   // cancelNow has been here
	leaving   bool   // about to be finished: a checkpoint leaves it out
}

// ID returns the input's ID.
func (r *Run) ID() string { return r.input.ID }

// Input returns the input.
func (r *Run) Input() Input { return r.input }

// State returns where the input is.
func (r *Run) State() RunState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Done is closed when the input is finished.
func (r *Run) Done() <-chan struct{} { return r.done }

// Err returns nil while the input is not finished and when it is done. It
// returns an [*AbortError] when it was aborted, an error that wraps
// [ErrInterrupted] when the agent stopped before, and Handle's error otherwise.
func (r *Run) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Wait waits until the input is finished and returns [Run.Err]. When ctx ends
// first it returns the context's cause; the input goes on.
func (r *Run) Wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.Err()
	default:
	}
	select {
	case <-r.done:
		return r.Err()
	case <-ctx.Done():
		return fmt.Errorf("agent %s: waiting for input %s: %w", r.agent.id, r.input.ID, context.Cause(ctx))
	}
}

// SetResult leaves a value, encoded as JSON, for whoever submitted the input.
// Handle calls it through [CurrentRun].
func (r *Run) SetResult(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("agent %s: result of input %s: %w", r.agent.id, r.input.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Final() {
		return fmt.Errorf("agent %s: result of input %s: it is %s already", r.agent.id, r.input.ID, r.state)
	}
	r.result = data
	return nil
}

// Result returns what [Run.SetResult] left, or nil.
func (r *Run) Result() json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}

// Submit accepts an input. Inputs run in the order of their acceptance, one at
// a time. Submit does not wait; the returned Run does. It fails with an error
// that wraps [ErrStopped] when the agent has stopped, and when ctx has ended.
// The run does not depend on ctx.
func (a *Agent) Submit(ctx context.Context, in Input) (*Run, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("agent %s: submit: %w", a.id, context.Cause(ctx))
	}
	if in.ID == "" {
		in.ID = newID()
	}
	if err := checkJSON("Data", in.Data); err != nil {
		return nil, fmt.Errorf("agent %s: input %s: %w", a.id, in.ID, err)
	}
	in.Time = time.Now()
	in.Resumed = false
	r := &Run{agent: a, input: in, done: make(chan struct{}), state: Queued, phase: phaseAccepted}
	r.submittedWith(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refuses(); err != nil {
		return nil, fmt.Errorf("agent %s: input %s: %w", a.id, in.ID, err)
	}
	if a.findRun(in.ID) != nil {
		return nil, fmt.Errorf("agent %s: input %s: %w", a.id, in.ID, ErrDuplicate)
	}
	a.accepted++
	r.order = a.accepted
	if a.inputs != nil && in.Text != "" {
		a.inputs.add(in.Text)
	}
	if in.Steer && a.current != nil {
		a.steering = append(a.steering, r)
	} else {
		a.queue = append(a.queue, r)
	}
	a.received(r)
	return r, nil
}

// received logs that an input was accepted and sees to it that it runs. a.mu is
// held, so the event precedes all others of this input.
func (a *Agent) received(r *Run) {
	a.gen++
	a.Emit(InputReceived{ID: r.input.ID, Text: r.input.Text, Source: r.input.Source, Resumed: r.input.Resumed})
	a.startLoop()
}

// findRun returns the unfinished run with that ID. a.mu is held.
func (a *Agent) findRun(id string) *Run {
	if a.current != nil && a.current.input.ID == id {
		return a.current
	}
	for _, list := range [][]*Run{a.queue, a.steering, a.interrupted} {
		for _, r := range list {
			if r.input.ID == id {
				return r
			}
		}
	}
	if a.current != nil {
		a.current.mu.Lock()
		defer a.current.mu.Unlock()
		for _, r := range a.current.folded {
			if r.input.ID == id {
				return r
			}
		}
	}
	return nil
}

// TakeSteering hands out the steering inputs that arrived since the input of
// ctx began. Handle calls it at points where it can take new instructions into
// account, and folds their texts in; they then finish together with it.
func (a *Agent) TakeSteering(ctx context.Context) []Input {
	r := CurrentRun(ctx)
	if r == nil || r.agent != a {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != r || len(a.steering) == 0 {
		return nil
	}
	taken := a.steering
	r.mu.Lock()
	final := r.state.Final()
	if !final {
		r.folded = append(r.folded, taken...)
	}
	r.mu.Unlock()
	if final {
		return nil
	}
	a.steering = nil
	a.gen++
	inputs := make([]Input, len(taken))
	for i, t := range taken {
		t.setState(Running)
		inputs[i] = t.input
	}
	return inputs
}

func (r *Run) setState(s RunState) {
	r.mu.Lock()
	if !r.state.Final() {
		r.state = s
	}
	r.mu.Unlock()
}

// Unfinished returns the inputs that were accepted but not finished when the
// checkpoint was taken from which this agent was restored, oldest first. They
// do nothing until the host calls [Agent.Resume] or [Agent.Discard].
func (a *Agent) Unfinished() []Input {
	a.mu.Lock()
	defer a.mu.Unlock()
	inputs := make([]Input, 0, len(a.interrupted))
	for _, r := range a.interrupted {
		in := r.input
		in.Resumed = r.phase != phaseAccepted
		inputs = append(inputs, in)
	}
	return inputs
}

// Resume runs an unfinished input, before all that were accepted after it. If it
// had begun, Handle is called with Input.Resumed set; if Handle, or its command,
// was through with it, only what comes after that runs. A command that was not
// runs again from its beginning. Resume fails with [ErrNotFound] when the agent
// has no such input.
func (a *Agent) Resume(ctx context.Context, inputID string) (*Run, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("agent %s: resume: %w", a.id, context.Cause(ctx))
	}
	// One lock for all of it: a checkpoint in between would not have the input.
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refuses(); err != nil {
		return nil, fmt.Errorf("agent %s: resume input %s: %w", a.id, inputID, err)
	}
	old := a.takeInterrupted(inputID)
	if old == nil {
		return nil, fmt.Errorf("agent %s: resume input %q: %w", a.id, inputID, ErrNotFound)
	}
	r := &Run{agent: a, input: old.input, done: make(chan struct{}), state: Queued, phase: old.phase, order: old.order}
	r.input.Resumed = old.phase != phaseAccepted
	r.submittedWith(ctx)
	at := slices.IndexFunc(a.queue, func(other *Run) bool { return other.order > r.order })
	if at < 0 {
		at = len(a.queue)
	}
	a.queue = slices.Insert(a.queue, at, r)
	a.received(r)
	return r, nil
}

// Discard gives an unfinished input up; it ends as aborted. It fails with
// [ErrNotFound] when the agent has no such input.
func (a *Agent) Discard(inputID, reason string) error {
	a.mu.Lock()
	r := a.takeInterrupted(inputID)
	a.mu.Unlock()
	if r == nil {
		return fmt.Errorf("agent %s: discard input %q: %w", a.id, inputID, ErrNotFound)
	}
	ev := InputFinished{ID: inputID, State: Aborted, Error: reason}
	a.endRestored(inputID)
	a.bump()
	a.Emit(ev)
	a.m.stats.finished(ev)
	if f := a.m.trace.InputFinished; f != nil {
		f(a.id, ev)
	}
	return nil
}

// takeInterrupted takes an input off the list. a.mu is held.
func (a *Agent) takeInterrupted(id string) *Run {
	i := slices.IndexFunc(a.interrupted, func(r *Run) bool { return r.input.ID == id })
	if i < 0 {
		return nil
	}
	r := a.interrupted[i]
	a.interrupted = slices.Delete(a.interrupted, i, i+1)
	a.gen++
	return r
}
