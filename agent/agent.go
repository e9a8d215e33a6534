package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

// life is where an agent is between birth and end.
type life int

const (
	starting life = iota
	active
	stopping
	stopped
)

// Agent is a long-lived, addressable object that works on inputs. It owns no
// goroutine while it is idle. All methods are safe for concurrent use.
//
// Agents are made by [Manager.Spawn] and [Manager.Restore].
type Agent struct {
	m      *Manager
	typ    *Type
	id     string
	parent string
	depth  int
	born   time.Time // of its identity, over restores
	since  time.Time // of this life of it
	config Config
	budget *budget.Budget
	log    eventLog

	running atomic.Pointer[Run] // a.current, for Emit

	mu          sync.Mutex
	state       life
	gen         uint64 // counts changes of what saveCore writes
	accepted    uint64
	current     *Run
	queue       []*Run
	steering    []*Run
	interrupted []*Run
	looping     bool
	lastActive  time.Time
	working     []*work // goroutines that work for the agent
	gone        chan struct{}
	stopDone    chan struct{}
	cancelIdle  context.CancelCauseFunc // of the OnIdle hooks
	skipped     []error
	abandoned   int
	children    []*Agent
	acquired    bool // handed out by Acquire
	idleTimeout time.Duration
	maxRunTime  time.Duration

	inputs   *inputHistory // nil unless the type keeps it
	past     *pastEvents   // likewise
	slices   []*attached
	hooks    *hookSet
	commands *commandSet
	asks     *askSet
	saver    saver
	sweep    sweepState
}

// work is a goroutine of an agent.
type work struct{ what string }

// ID returns the agent's address, unique in its Manager and its store.
func (a *Agent) ID() string { return a.id }

// Type returns the name of the agent's type.
func (a *Agent) Type() string { return a.typ.Name }

// Parent returns the ID of the agent that spawned this one, or "".
func (a *Agent) Parent() string { return a.parent }

// Depth returns 0 for an agent without parent, 1 for its sub-agents, and so on.
func (a *Agent) Depth() int { return a.depth }

// Created returns when the agent was first spawned.
func (a *Agent) Created() time.Time { return a.born }

// Config returns what the host gave the agent at birth. It must not be changed.
func (a *Agent) Config() Config { return a.config }

// Budget returns what the agent may spend, or nil for no limit. A sub-agent that
// is to spend at most a part of it gets its Sub(limits).
func (a *Agent) Budget() *budget.Budget { return a.budget }

// Manager returns the manager that runs the agent.
func (a *Agent) Manager() *Manager { return a.m }

// Emit adds an event to the log and returns its sequence number, or 0 when the
// agent has exited. It never waits for readers. [Exit] and [Lagged] are not
// taken, so that what another agent says can be passed on.
func (a *Agent) Emit(body Body) uint64 {
	switch body.(type) {
	case nil, Exit, Lagged:
		return 0
	}
	return a.emit(body)
}

func (a *Agent) emit(body Body) uint64 {
	input := ""
	if r := a.running.Load(); r != nil {
		input = r.input.ID
	}
	seq := a.log.append(time.Now().UnixNano(), input, body)
	if p := &a.typ.AutoCheckpoint; seq != 0 && (p.Events > 0 || p.Every > 0) {
		if _, own := body.(Checkpointed); !own { // a checkpoint does not make the next one due
			a.autoEvent(seq)
		}
	}
	return seq
}

// Idle reports whether no input runs or waits and no question is open.
func (a *Agent) Idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.idle()
}

func (a *Agent) idle() bool {
	return a.current == nil && len(a.queue) == 0 && len(a.steering) == 0 && !a.looping && !a.asks.open()
}

// Stopped reports whether the agent has begun to stop.
func (a *Agent) Stopped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state > active
}

// errStarting is for what a Setup does too early.
var errStarting = errors.New("the agent is not set up yet")

// refuses returns why the agent takes no work, or nil. a.mu is held.
func (a *Agent) refuses() error {
	switch a.state {
	case active:
		return nil
	case starting:
		return errStarting
	}
	return ErrStopped
}

// setCurrent keeps the lock-free copy in step. a.mu is held.
func (a *Agent) setCurrent(r *Run) {
	a.current = r
	a.running.Store(r)
}

// begin counts a goroutine that works for the agent. a.mu is held.
func (a *Agent) begin(what string) *work {
	w := &work{what: what}
	a.working = append(a.working, w)
	return w
}

// end is the goroutine's last call. a.mu is held.
func (a *Agent) end(w *work) {
	for i, other := range a.working {
		if other == w {
			a.working = append(a.working[:i], a.working[i+1:]...)
			break
		}
	}
	if len(a.working) == 0 && a.gone != nil {
		close(a.gone)
		a.gone = nil
	}
}

// quiet returns a channel that is closed when no goroutine works for the agent.
func (a *Agent) quiet() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.working) == 0 {
		c := make(chan struct{})
		close(c)
		return c
	}
	if a.gone == nil {
		a.gone = make(chan struct{})
	}
	return a.gone
}

func (a *Agent) stillWorking() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := make([]string, len(a.working))
	for i, w := range a.working {
		names[i] = w.what
	}
	return names
}

type contextKey int

const (
	agentKey contextKey = iota
	runKey
)

// From returns the agent that ctx works for, or nil. Handlers, hooks, commands
// and tools called from them get such a context.
func From(ctx context.Context) *Agent {
	a, _ := ctx.Value(agentKey).(*Agent)
	return a
}

// CurrentRun returns the run that ctx works for, or nil.
func CurrentRun(ctx context.Context) *Run {
	r, _ := ctx.Value(runKey).(*Run)
	return r
}

// enter makes a context of the agent of ctx: one that names it and carries its
// budget.
func (a *Agent) enter(ctx context.Context) context.Context {
	if From(ctx) == a {
		return ctx
	}
	ctx = context.WithValue(ctx, agentKey, a)
	if a.budget != nil {
		ctx = budget.With(ctx, a.budget)
	}
	return ctx
}

// newID makes a random name of 64 bits and more.
func newID() string { return strings.ToLower(rand.Text()[:16]) }

// checkJSON reports what no checkpoint could hold.
func checkJSON(what string, raw json.RawMessage) error {
	if len(raw) > 0 && !json.Valid(raw) {
		return fmt.Errorf("%s is not JSON", what)
	}
	return nil
}

// cloneRaw copies JSON, so that nothing the caller does later changes it.
func cloneRaw(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	return append(json.RawMessage{}, raw...)
}
