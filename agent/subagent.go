package agent

import (
	"context"
	"fmt"
	"slices"
)

// Spawn makes a sub-agent of a.
func (a *Agent) Spawn(ctx context.Context, typeName string, opts SpawnOptions) (*Agent, error) {
	opts.Parent = a
	return a.m.Spawn(ctx, typeName, opts)
}

// Children returns the living sub-agents in the order of their birth.
func (a *Agent) Children() []*Agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.children)
}

func (a *Agent) adopt(child *Agent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.mayAdopt(child.typ.Name); err != nil {
		return err
	}
	a.children = append(a.children, child)
	return nil
}

// roomFor reports why a sub-agent of a type would not be adopted.
func (a *Agent) roomFor(typeName string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mayAdopt(typeName)
}

// mayAdopt is roomFor with a.mu held.
func (a *Agent) mayAdopt(typeName string) error {
	if err := a.refuses(); err != nil {
		return fmt.Errorf("agent %s: spawn sub-agent of type %q: %w", a.id, typeName, err)
	}
	if limit := a.m.opts.MaxChildren; limit > 0 && len(a.children) >= limit {
		return fmt.Errorf("agent %s: spawn sub-agent of type %q: it has %d already, the limit is %d: %w",
			a.id, typeName, len(a.children), limit, ErrLimit)
	}
	return nil
}

func (a *Agent) disown(child *Agent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.children = slices.DeleteFunc(a.children, func(c *Agent) bool { return c == child })
}

// inherit copies the slices that both sides marked.
func (a *Agent) inherit(parent *Agent) error {
	for _, mine := range a.sliceList() {
		if !mine.opts.Inherit {
			continue
		}
		for _, theirs := range parent.sliceList() {
			if theirs.name != mine.name || !theirs.opts.Inherit {
				continue
			}
			err := guard(func() error {
				data, err := theirs.slice.MarshalJSON()
				if err != nil {
					return err
				}
				return mine.slice.UnmarshalJSON(data)
			})
			if err != nil {
				return &SliceError{Agent: a.id, Slice: mine.name, Err: fmt.Errorf("inherit from agent %s: %w", parent.id, err)}
			}
		}
	}
	return nil
}

// reunite gives a restored agent its sub-agents that came back before it, and
// keeps it for its parent if that does not live yet. m.mu is held.
func (m *Manager) reunite(a, parent *Agent) {
	a.mu.Lock()
	a.children = append(a.children, m.orphans[a.id]...)
	a.mu.Unlock()
	delete(m.orphans, a.id)
	if parent != nil || a.parent == "" {
		return
	}
	if p := m.agents[a.parent]; p != nil { // it came back just now
		p.mu.Lock()
		lives := p.state == active
		if lives {
			p.children = append(p.children, a)
		}
		p.mu.Unlock()
		if lives {
			return
		}
	}
	if m.orphans == nil {
		m.orphans = map[string][]*Agent{}
	}
	m.orphans[a.parent] = append(m.orphans[a.parent], a)
}

// unorphan forgets an agent that ended without its parent. m.mu is held.
func (m *Manager) unorphan(a *Agent) {
	left := slices.DeleteFunc(m.orphans[a.parent], func(o *Agent) bool { return o == a })
	if len(left) > 0 {
		m.orphans[a.parent] = left
	} else {
		delete(m.orphans, a.parent)
	}
}
