package agent

import (
	"context"
	"fmt"
	"time"
)

// kept is a type of which some agents are to live at all times.
type kept struct {
	n    int
	turn chan struct{} // holds an item while someone counts and spawns: two would spawn twice
}

// Keep sees to it that at least n agents of a type live: it spawns what is
// missing now, and another one whenever one of them ends; should that fail, it is
// tried again after [ManagerOptions.Sweep]. 0 ends that. It fails when the type
// is not known or an agent cannot be spawned.
func (m *Manager) Keep(ctx context.Context, typeName string, n int) error {
	m.mu.Lock()
	if m.types[typeName] == nil {
		m.mu.Unlock()
		return fmt.Errorf("agent: keep %d of type %q: %w", n, typeName, ErrNotFound)
	}
	if m.keep == nil {
		m.keep = map[string]*kept{}
	}
	k := m.keep[typeName]
	if k == nil {
		k = &kept{turn: make(chan struct{}, 1)}
		m.keep[typeName] = k
	}
	k.n = max(0, n)
	m.mu.Unlock()
	return m.refill(ctx, typeName, k)
}

// refill spawns what is missing of a type.
func (m *Manager) refill(ctx context.Context, typeName string, k *kept) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return fmt.Errorf("agent: keep type %q: %w", typeName, context.Cause(ctx))
	}
	for {
		m.mu.Lock()
		missing := k.n
		for _, a := range m.agents {
			if a.typ.Name == typeName {
				missing--
			}
		}
		closed := m.closed
		m.mu.Unlock()
		if missing <= 0 || closed {
			return nil
		}
		if _, err := m.Spawn(ctx, typeName, SpawnOptions{}); err != nil {
			return err
		}
	}
}

// replace fills the place of an agent that ended. m.mu is held.
func (m *Manager) replace(a *Agent) {
	k := m.keep[a.typ.Name]
	if m.closed || k == nil || k.n == 0 {
		return
	}
	m.sweeps.wg.Go(func() {
		for {
			err := m.refill(m.keepCtx, a.typ.Name, k)
			if err == nil || m.keepCtx.Err() != nil {
				return
			}
			m.logger.Error("an agent that ended could not be replaced", "agent", a.id, "type", a.typ.Name, "again in", m.opts.Sweep, "error", err)
			select {
			case <-time.After(m.opts.Sweep):
			case <-m.keepCtx.Done():
				return
			}
		}
	})
}
