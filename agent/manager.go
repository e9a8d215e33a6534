package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

// Defaults of [ManagerOptions].
const (
	DefaultMaxDepth    = 8
	DefaultMaxChildren = 64
	DefaultSweep       = 60 * time.Second
)

// ManagerOptions adjust a [Manager]. The zero value keeps no checkpoints.
type ManagerOptions struct {
	// Store keeps checkpoints. Nil keeps none.
	Store Store
	// Compress deflates checkpoint records larger than 512 bytes where that
	// makes them smaller.
	Compress bool
	// Retention says which checkpoints are kept.
	Retention Retention
	// MaxDepth bounds how deep sub-agents nest, MaxChildren how many a single
	// agent may have at once. 0 means [DefaultMaxDepth] and
	// [DefaultMaxChildren]; negative means no bound.
	MaxDepth    int
	MaxChildren int
	// Sweep is how often agents past their IdleTimeout or MaxRunTime are looked
	// for. 0 means [DefaultSweep].
	Sweep time.Duration
	// Logger receives what goes wrong. Nil means slog.Default().
	Logger *slog.Logger
	Trace  Trace
}

// Manager spawns agents, finds them, restores them and ends them. It owns no
// goroutine. It is safe for concurrent use.
type Manager struct {
	opts   ManagerOptions
	store  Store
	logger *slog.Logger
	trace  Trace
	stats  counters
	base   context.Context
	cancel context.CancelCauseFunc

	keepCtx context.Context // what Keep spawns by itself is set up in it
	endKeep context.CancelFunc

	mu     sync.Mutex
	types  map[string]*Type
	agents map[string]*Agent
	closed bool
	keep   map[string]*kept    // by type
	pool   map[string][]*Agent // type → released agents
	// orphans are restored sub-agents whose parent does not live, by its ID.
	orphans map[string][]*Agent
	watch   watchers
	sweeps  sweeper
}

// NewManager makes a manager.
func NewManager(opts ManagerOptions) *Manager {
	opts.MaxDepth = cmp.Or(opts.MaxDepth, DefaultMaxDepth)
	opts.MaxChildren = cmp.Or(opts.MaxChildren, DefaultMaxChildren)
	opts.Retention.Last = cmp.Or(opts.Retention.Last, DefaultKeepLast)
	if opts.Sweep <= 0 {
		opts.Sweep = DefaultSweep
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	m := &Manager{opts: opts, store: opts.Store, logger: opts.Logger, trace: opts.Trace,
		types: map[string]*Type{}, agents: map[string]*Agent{}}
	m.base, m.cancel = context.WithCancelCause(context.Background())
	m.keepCtx, m.endKeep = context.WithCancel(m.base)
	return m
}

// RegisterType makes a type known. It fails with [ErrDuplicate] when the name is
// taken.
func (m *Manager) RegisterType(t Type) error {
	if err := t.check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.types[t.Name] != nil {
		return fmt.Errorf("agent: type %q: %w", t.Name, ErrDuplicate)
	}
	m.types[t.Name] = t.withDefaults()
	return nil
}

// SpawnOptions adjust a new agent.
type SpawnOptions struct {
	// ID is the agent's address: 1 to 64 bytes without control characters and
	// '@'. Empty means that one is made.
	ID string
	// Parent makes it a sub-agent: it stops with its parent and takes over the
	// slices that ask for it.
	Parent *Agent
	// Config is the host's own, valid JSON or nil; Setup and Handle read it with
	// [Agent.Config].
	Config Config
	// Budget limits what the agent may spend; the contexts of its handlers,
	// hooks and commands carry it. Nil means the parent's, which a sub-agent
	// then shares, or none. A budget of the agent's own is its parent's
	// Sub(limits). It is not saved: attach it, it is a slice. A restored
	// sub-agent shares that of its parent again if the parent lives.
	Budget *budget.Budget
	// IdleTimeout and MaxRunTime replace the type's. Negative means never.
	IdleTimeout time.Duration
	MaxRunTime  time.Duration
}

// Spawn makes an agent of a type. ctx bounds the type's Setup only; the agent
// lives until it is stopped.
func (m *Manager) Spawn(ctx context.Context, typeName string, opts SpawnOptions) (*Agent, error) {
	start := time.Now()
	a, err := m.build(typeName, opts)
	if err != nil {
		return nil, err
	}
	a.born = a.since
	a.config = cloneRaw(opts.Config)
	if err := m.setUp(ctx, a); err != nil {
		return nil, err
	}
	if opts.Parent != nil {
		if err := a.inherit(opts.Parent); err != nil {
			m.bury(ctx, a)
			return nil, err
		}
	}
	if err := m.admit(ctx, a, opts.Parent); err != nil {
		return nil, err
	}
	m.stats.spawned.Add(1)
	if f := m.trace.Spawned; f != nil {
		f(a.id, typeName, false, time.Since(start))
	}
	if err := a.submitInitial(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// submitInitial fails only when the agent has stopped already.
func (a *Agent) submitInitial(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	for _, line := range a.typ.Initial {
		if _, err := a.Submit(ctx, Input{Text: line, Source: "initial"}); err != nil {
			return fmt.Errorf("agent %s: initial input %q: %w", a.id, line, err)
		}
	}
	return nil
}

// build makes an agent and reserves its ID.
func (m *Manager) build(typeName string, opts SpawnOptions) (*Agent, error) {
	id := opts.ID
	if id == "" {
		id = newID()
	} else if err := checkName("agent", id); err != nil {
		return nil, err
	}
	if err := checkJSON("Config", opts.Config); err != nil {
		return nil, fmt.Errorf("agent %s: type %q: %w", id, typeName, err)
	}
	depth := 0
	parent := ""
	if p := opts.Parent; p != nil {
		depth, parent = p.depth+1, p.id
		if m.opts.MaxDepth > 0 && depth > m.opts.MaxDepth {
			return nil, fmt.Errorf("agent %s: spawn sub-agent of type %q: it would be %d deep, the limit is %d: %w",
				p.id, typeName, depth, m.opts.MaxDepth, ErrLimit)
		}
		if err := p.roomFor(typeName); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.types[typeName]
	if t == nil {
		return nil, fmt.Errorf("agent: type %q: %w", typeName, ErrNotFound)
	}
	if m.closed {
		return nil, fmt.Errorf("agent: spawn %q: the manager is shut down: %w", typeName, ErrStopped)
	}
	if _, taken := m.agents[id]; taken {
		return nil, fmt.Errorf("agent %s: %w", id, ErrDuplicate)
	}
	a := &Agent{m: m, typ: t, id: id, parent: parent, depth: depth, since: time.Now(), state: starting,
		hooks: &hookSet{}, commands: &commandSet{}, asks: &askSet{}}
	a.log.opts = &t.Log
	a.saver.turn = make(turn, 1)
	a.budget = opts.Budget
	if a.budget == nil && opts.Parent != nil {
		a.budget = opts.Parent.budget
	}
	a.idleTimeout = limitOf(opts.IdleTimeout, t.IdleTimeout)
	a.maxRunTime = limitOf(opts.MaxRunTime, t.MaxRunTime)
	m.agents[id] = a
	return a, nil
}

// limitOf chooses an agent's own limit over its type's; negative is none.
func limitOf(own, general time.Duration) time.Duration { return max(0, cmp.Or(own, general)) }

// ErrLimit says that a bound of the manager was reached.
var ErrLimit = errors.New("limit reached")

// setUp runs the type's Setup; on failure the agent is gone.
func (m *Manager) setUp(ctx context.Context, a *Agent) error {
	if err := a.attachBuiltin(); err != nil {
		m.withdraw(a)
		return err
	}
	if a.typ.Setup == nil {
		return nil
	}
	ctx = a.enter(ctx)
	if err := guard(func() error { return a.typ.Setup(ctx, a) }); err != nil {
		m.withdraw(a)
		return fmt.Errorf("agent %s: set up type %q: %w", a.id, a.typ.Name, err)
	}
	if a.typ.Pool > 0 {
		a.hooks.setInitial()
	}
	return nil
}

// withdraw forgets an agent that never came to life.
func (m *Manager) withdraw(a *Agent) {
	a.mu.Lock()
	a.state = stopped
	a.mu.Unlock()
	m.mu.Lock()
	delete(m.agents, a.id)
	m.mu.Unlock()
}

// bury forgets an agent that was set up and yet never came to life. What its
// Setup opened, its OnStop hooks close.
func (m *Manager) bury(ctx context.Context, a *Agent) {
	_ = a.runStopHooks(ctx) // reported by RunHooks; why it does not live is the error that counts
	m.withdraw(a)
}

// admit lets a finished agent live.
func (m *Manager) admit(ctx context.Context, a, parent *Agent) error {
	if parent != nil {
		if err := parent.adopt(a); err != nil {
			m.bury(ctx, a)
			return err
		}
	}
	m.mu.Lock()
	a.mu.Lock()
	if m.closed || a.state != starting {
		a.mu.Unlock()
		m.mu.Unlock()
		if parent != nil {
			parent.disown(a)
		}
		m.bury(ctx, a)
		return fmt.Errorf("agent %s: it was stopped while it was set up: %w", a.id, ErrStopped)
	}
	a.state = active
	a.touch()
	a.mu.Unlock()
	m.reunite(a, parent)
	m.sweeps.schedule(m, a)
	m.watch.tell(Change{Agent: a, Kind: Added})
	m.mu.Unlock()
	if parent != nil {
		parent.Emit(SubAgent{ID: a.id, Type: a.typ.Name, State: "spawned"})
	}
	return nil
}

// Get returns a living agent.
func (m *Manager) Get(id string) (*Agent, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.agents[id]
	if a == nil || a.starting() {
		return nil, false
	}
	return a, true
}

// List returns the living agents, oldest first.
func (m *Manager) List() []*Agent {
	m.mu.Lock()
	list := make([]*Agent, 0, len(m.agents))
	for _, a := range m.agents {
		if !a.starting() {
			list = append(list, a)
		}
	}
	m.mu.Unlock()
	slices.SortFunc(list, func(a, b *Agent) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.id, b.id))
	})
	return list
}

// Find yields the living agents that match, oldest first.
func (m *Manager) Find(match func(*Agent) bool) iter.Seq[*Agent] {
	return func(yield func(*Agent) bool) {
		for _, a := range m.List() {
			if match(a) && !yield(a) {
				return
			}
		}
	}
}

// Len returns how many agents live.
func (m *Manager) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.agents)
}

// Answer answers a request of any living agent by its ID.
func (m *Manager) Answer(requestID string, resp Response) error {
	for _, a := range m.List() {
		if slices.ContainsFunc(a.Pending(), func(r Request) bool { return r.ID == requestID }) {
			return a.Answer(requestID, resp)
		}
	}
	return fmt.Errorf("agent: no pending request %q: %w", requestID, ErrNotFound)
}
