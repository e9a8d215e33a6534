package registry

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
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
// it, and memory for them is what a slow loop costs.
func (r *Keyed[T]) Watch(ctx context.Context) iter.Seq[Change[T]] {
	return func(yield func(Change[T]) bool) {
		if ctx.Err() != nil {
			return
		}
		present, at := r.store.watch()
		defer r.store.unwatch()
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
			at = r.store.follow(ctx, at)
			if at == nil || !yield(Change[T]{Kind: at.kind, Name: at.key, New: at.new, Old: at.old}) {
				return
			}
		}
	}
}

// changeNode is a link in the list of changes since the oldest watcher began.
// Each watcher holds the last node that it has seen, so what all have seen is
// garbage.
type changeNode[K comparable, V any] struct {
	kind ChangeKind
	key  K
	new  V
	old  V
	next atomic.Pointer[changeNode[K, V]]
}

// record appends a change for the watchers, if there are any. The lock is held.
func (s *store[K, V]) record(kind ChangeKind, e *entry[K, V], old V) {
	if s.watchers == 0 {
		return
	}
	n := &changeNode[K, V]{kind: kind, key: e.key, old: old}
	if kind != Removed {
		n.new = e.value
	}
	s.tail.next.Store(n)
	s.tail = n
}

// watch returns the present state and the place in the list of changes that
// follows it.
func (s *store[K, V]) watch() ([]*entry[K, V], *changeNode[K, V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers++; s.tail == nil {
		s.tail = new(changeNode[K, V])
	}
	return s.share(), s.tail
}

func (s *store[K, V]) unwatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers--; s.watchers == 0 {
		s.tail = nil
	}
}

// follow returns the change after at, once there is one, or nil when ctx ends.
func (s *store[K, V]) follow(ctx context.Context, at *changeNode[K, V]) *changeNode[K, V] {
	for {
		if ctx.Err() != nil {
			return nil
		}
		if n := at.next.Load(); n != nil {
			return n
		}
		s.mu.Lock()
		if n := at.next.Load(); n != nil {
			s.mu.Unlock()
			return n
		}
		wake := s.waitable()
		s.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
}
