package agent

import (
	"context"
	"iter"
	"slices"
)

// ChangeKind says what happened to an agent.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
)

// Change is a change of a manager's list of agents.
type Change struct {
	Agent *Agent
	Kind  ChangeKind
}

// watchers are told of changes under the manager's lock.
type watchers struct {
	list   []*watcher
	closed bool
}

type watcher struct {
	pending []Change
	holes   int            // changes in pending that cancelled each other out
	added   map[*Agent]int // index in pending of an Added not delivered yet
	signal  chan struct{}
}

func (w *watchers) tell(c Change) {
	for _, one := range w.list {
		one.add(c)
	}
}

// add queues a change. An agent that came and went unseen is never mentioned,
// which bounds the queue of a slow watcher by the number of agents.
func (w *watcher) add(c Change) {
	if i, unseen := w.added[c.Agent]; unseen && c.Kind == Removed {
		w.pending[i].Agent = nil
		w.holes++
		delete(w.added, c.Agent)
		w.close()
		return
	}
	if c.Kind == Added {
		w.added[c.Agent] = len(w.pending)
	}
	w.pending = append(w.pending, c)
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// close closes the holes once they are half of what is pending.
func (w *watcher) close() {
	if w.holes < 64 || w.holes < len(w.pending)/2 {
		return
	}
	w.pending = slices.DeleteFunc(w.pending, func(c Change) bool { return c.Agent == nil })
	w.holes = 0
	for i, c := range w.pending {
		if c.Kind == Added {
			w.added[c.Agent] = i
		}
	}
}

func (w *watchers) close() {
	w.closed = true
	for _, one := range w.list {
		select {
		case one.signal <- struct{}{}:
		default:
		}
	}
}

// Watch yields the living agents as [Added], oldest first, and then every
// change, until ctx ends or the manager is shut down. A slow consumer holds
// nobody up.
func (m *Manager) Watch(ctx context.Context) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		w := &watcher{added: map[*Agent]int{}, signal: make(chan struct{}, 1)}
		m.mu.Lock()
		for _, a := range m.agents {
			if !a.starting() {
				w.pending = append(w.pending, Change{a, Added})
			}
		}
		slices.SortFunc(w.pending, func(x, y Change) int { return x.Agent.since.Compare(y.Agent.since) })
		for i, c := range w.pending {
			w.added[c.Agent] = i
		}
		m.watch.list = append(m.watch.list, w)
		m.mu.Unlock()
		defer func() {
			m.mu.Lock()
			m.watch.list = slices.DeleteFunc(m.watch.list, func(other *watcher) bool { return other == w })
			m.mu.Unlock()
		}()
		for ctx.Err() == nil {
			m.mu.Lock()
			changes := w.pending
			w.pending, w.holes = nil, 0
			clear(w.added)
			closed := m.watch.closed
			m.mu.Unlock()
			for _, c := range changes {
				if c.Agent != nil && (ctx.Err() != nil || !yield(c)) {
					return
				}
			}
			if closed && len(changes) == 0 {
				return
			}
			if len(changes) == 0 {
				select {
				case <-w.signal:
				case <-ctx.Done():
				}
			}
		}
	}
}
