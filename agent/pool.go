package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrBusy says that an agent has work to do or a question open.
var ErrBusy = errors.New("agent is busy")

// Acquire hands out an agent of a type for a piece of work: one that was
// released, if there is one, or else a new one. It is as after [Manager.Spawn]:
// its slices are reset, the hooks are on that Setup left on, and the type's
// Initial inputs are submitted. Setup, which may have opened connections or read
// an index, does not run again, and what was attached or registered since stays.
// It keeps its ID, its event log, in which [Agent.LastSeq] is where the new work
// begins, and its checkpoints.
//
// The caller gives it back with [Manager.Release]. Types with [Type.Pool] are
// made for this; with others every agent is a new one.
func (m *Manager) Acquire(ctx context.Context, typeName string) (*Agent, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("agent: acquire %q: %w", typeName, context.Cause(ctx))
	}
	for {
		a := m.takePooled(typeName)
		if a == nil {
			break
		}
		if !a.claim() {
			continue // it stopped while it waited
		}
		if err := a.submitInitial(ctx); err != nil {
			return nil, err
		}
		return a, nil
	}
	a, err := m.Spawn(ctx, typeName, SpawnOptions{})
	if a != nil {
		a.mu.Lock()
		a.acquired = true
		a.mu.Unlock()
	}
	return a, err
}

// Release gives an agent that [Manager.Acquire] handed out back. Its sub-agents
// are stopped, its slices are reset in the scope "all", and it waits for its
// next piece of work, unless [Type.Pool] agents wait already or a slice cannot
// be reset: then it is stopped. An agent that waits is like any other: it is
// listed, and its idle timeout ends it.
//
// It fails with [ErrBusy], and changes nothing, while the agent has an input or
// a question, and with [ErrNotFound] when it is not handed out. What still runs
// after the agent's last input, such as OnIdle hooks or work that ignores its
// abort, is waited for; when ctx ends first it fails with a [*StillRunningError]
// and changes nothing.
func (m *Manager) Release(ctx context.Context, a *Agent) error {
	for {
		a.mu.Lock()
		if a.m != m || !a.acquired {
			a.mu.Unlock()
			return fmt.Errorf("agent %s: release: it is not handed out: %w", a.id, ErrNotFound)
		}
		if a.state != active || len(a.working) == 0 && a.idle() && len(a.interrupted) == 0 {
			break
		}
		busy := a.hasWork() || From(ctx) == a // its own work cannot wait for itself
		a.mu.Unlock()
		if busy {
			return fmt.Errorf("agent %s: release: %w", a.id, ErrBusy)
		}
		if err := a.settleDown(ctx); err != nil {
			return fmt.Errorf("agent %s: release: %w", a.id, err)
		}
	}
	a.acquired = false
	lives := a.state == active
	children := slices.Clone(a.children)
	a.mu.Unlock()
	if !lives {
		return nil
	}
	a.hooks.reset()
	a.bump()
	err := errors.Join(stopAll(ctx, children, "parent released"), a.Reset("all"))
	if err != nil || !m.putPooled(a) {
		return errors.Join(err, a.stop(ctx, "released", true))
	}
	return nil
}

// hasWork reports whether an input is not finished or a question is open. a.mu is
// held.
func (a *Agent) hasWork() bool {
	return a.current != nil && !a.current.State().Final() ||
		len(a.queue)+len(a.steering)+len(a.interrupted) > 0 || a.asks.open()
}

// claim makes a pooled agent the caller's. It reports whether it still lives.
func (a *Agent) claim() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != active {
		return false
	}
	a.acquired = true
	a.touch() // its idle time begins anew
	return true
}

func (m *Manager) takePooled(typeName string) *Agent {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.pool[typeName]
	if len(list) == 0 {
		return nil
	}
	a := list[len(list)-1]
	list[len(list)-1] = nil
	m.pool[typeName] = list[:len(list)-1]
	return a
}

// putPooled reports whether there was room.
func (m *Manager) putPooled(a *Agent) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.pool[a.typ.Name]
	if m.closed || m.agents[a.id] != a || len(list) >= a.typ.Pool {
		return false
	}
	if m.pool == nil {
		m.pool = map[string][]*Agent{}
	}
	m.pool[a.typ.Name] = append(list, a)
	return true
}

// unpool forgets an agent that stops. m.mu is held.
func (m *Manager) unpool(a *Agent) {
	if list := m.pool[a.typ.Name]; len(list) > 0 {
		m.pool[a.typ.Name] = slices.DeleteFunc(list, func(other *Agent) bool { return other == a })
	}
}
