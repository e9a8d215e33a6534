package registry

import (
	"context"
	"fmt"
	"iter"
)

// ChangeKind says what happened to a name.
type ChangeKind int

const (
	Added    ChangeKind = iota + 1 // the name was not registered before
	Replaced                       // the name has another value now
	Removed                        // the name is no longer registered
)

func (k ChangeKind) String() string {
	switch k {
	case Added:
		return "added"
	case Replaced:
		return "replaced"
	case Removed:
		return "removed"
	}
	return fmt.Sprintf("ChangeKind(%d)", int(k))
}

// Change is one change of a [Keyed].
type Change[T any] struct {
	Kind ChangeKind
	Name string
	New  T // the registered value; the zero value for Removed
	Old  T // what was replaced or removed; the zero value for Added
}

// Watch yields the present items as Added, in order of registration, and then
// every change in the order in which it happened, each exactly once, until ctx
// ends or the loop is left.
//
// The watch begins when the loop begins. It runs in the caller's goroutine and
// never blocks a writer: changes that a slow loop has not seen yet are kept for
// it. Once they are more than 1,000, and several times the names that they are
// about, the changes of each name are merged into what they come to: the latest
// of several values as one Replaced, nothing for an item that came and went. So
// memory does not grow with the number of changes, and whoever applies what the
// loop yields always arrives at the state of the registry.
func (r *Keyed[T]) Watch(ctx context.Context) iter.Seq[Change[T]] {
	return func(yield func(Change[T]) bool) {
		if ctx.Err() != nil {
			return
		}
		present, w := r.store.watch()
		defer r.store.unwatch(w)
		for _, e := range present {
			if e == nil {
				continue
			}
			if ctx.Err() != nil || !yield(Change[T]{Kind: Added, Name: e.key, New: e.value}) {
				return
			}
		}
		present = nil // the snapshot must not outlive its use
		for {
			changes := r.store.follow(ctx, w)
			if changes == nil {
				return
			}
			for i, c := range changes {
				changes[i] = change[string, T]{} // its values must not outlive their use either
				if ctx.Err() != nil || !yield(Change[T]{Kind: c.kind, Name: c.key, New: c.new, Old: c.old}) {
					return
				}
			}
		}
	}
}

type change[K comparable, V any] struct {
	kind ChangeKind
	key  K
	new  V
	old  V
}

// watcher is what a loop over the changes has not taken yet. The store's lock
// guards its fields.
type watcher[K comparable, V any] struct {
	waiting []change[K, V]
	limit   int           // how many may wait before they are merged
	ready   chan struct{} // holds a token while something may be waiting
}

// minWaiting is how many changes wait for a watcher before any are merged.
const minWaiting = 1000

// record keeps a change for the watchers. The lock is held.
func (s *store[K, V]) record(kind ChangeKind, e *entry[K, V], old V) {
	if len(s.watchers) == 0 {
		return
	}
	c := change[K, V]{kind: kind, key: e.key, old: old}
	if kind != Removed {
		c.new = e.value
	}
	for w := range s.watchers {
		if len(w.waiting) >= w.limit {
			w.waiting = merge(w.waiting)
			w.limit = max(minWaiting, 2*len(w.waiting))
		}
		w.waiting = append(w.waiting, c)
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
}

// merge returns the changes that have the same effect as the given ones with at
// most two of each key: Removed and, for one that came back, Added. That stands
// where the key was last added, so that the order of registration is kept.
func merge[K comparable, V any](changes []change[K, V]) []change[K, V] {
	const none = -1
	type places struct{ removed, other int } // of a key's changes, or none
	kept := make(map[K]places)
	for i := range changes {
		c := &changes[i]
		at, known := kept[c.key]
		if !known {
			at = places{none, none}
		}
		switch {
		case c.kind == Added, c.kind == Replaced && at.other == none:
			at.other = i
		case c.kind == Replaced:
			changes[at.other].new = c.new
			c.kind = 0
		case at.other == none:
			at.removed = i
		default: // what was added or replaced is removed
			if before := &changes[at.other]; before.kind == Replaced {
				c.old = before.old
				at.removed = i
			} else {
				c.kind = 0
			}
			changes[at.other].kind = 0
			at.other = none
		}
		kept[c.key] = at
	}
	merged := make([]change[K, V], 0, 2*len(kept)) // a new array: the old one may be much larger
	for _, c := range changes {
		if c.kind != 0 {
			merged = append(merged, c)
		}
	}
	return merged
}

// watch returns the present state and a watcher for what follows it.
func (s *store[K, V]) watch() ([]*entry[K, V], *watcher[K, V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = make(map[*watcher[K, V]]struct{})
	}
	w := &watcher[K, V]{limit: minWaiting, ready: make(chan struct{}, 1)}
	s.watchers[w] = struct{}{}
	return s.share(), w
}

func (s *store[K, V]) unwatch(w *watcher[K, V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

// follow takes the changes that wait for w, once there are any; nil when ctx ends.
func (s *store[K, V]) follow(ctx context.Context, w *watcher[K, V]) []change[K, V] {
	for ctx.Err() == nil {
		s.mu.Lock()
		changes := w.waiting
		w.waiting, w.limit = nil, minWaiting
		s.mu.Unlock()
		if len(changes) > 0 {
			return changes
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
		}
	}
	return nil
}
