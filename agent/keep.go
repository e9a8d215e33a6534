package agent

import (
	"context"
	"fmt"
)

// Keep sees to it that at least n agents of a type live: it spawns what is
// missing now, and another one whenever one of them ends. 0 ends that. It fails
// when the type is not known or an agent cannot be spawned.
func (m *Manager) Keep(ctx context.Context, typeName string, n int) error {
	m.mu.Lock()
	if m.types[typeName] == nil {
		m.mu.Unlock()
		return fmt.Errorf("agent: keep %d of type %q: %w", n, typeName, ErrNotFound)
	}
	if m.keep == nil {
		m.keep = map[string]int{}
	}
	m.keep[typeName] = max(0, n)
	m.mu.Unlock()
	return m.refill(ctx, typeName)
}

// refill spawns what is missing of a type.
func (m *Manager) refill(ctx context.Context, typeName string) error {
	m.keeping.Lock() // two that count at once would spawn twice
	defer m.keeping.Unlock()
	for {
		m.mu.Lock()
		missing := m.keep[typeName]
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
	if m.closed || m.keep[a.typ.Name] == 0 {
		return
	}
	m.sweeps.wg.Go(func() {
		if err := m.refill(m.base, a.typ.Name); err != nil {
			m.logger.Error("an agent that ended could not be replaced", "agent", a.id, "type", a.typ.Name, "error", err)
		}
	})
}
