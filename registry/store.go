package registry

import (
	"context"
	"sync"
	"sync/atomic"
)

// store is what Keyed and Typed have in common: a table for lookups, the order
// of registration, and those who wait for changes. Its zero value is empty. The
// caller brings the hash of each key, always the same for the same key.
type store[K comparable, V any] struct {
	table atomic.Pointer[table[K, V]]
	live  atomic.Int64

	mu     sync.Mutex
	lastID uint64
	count  Stats // but for what is counted elsewhere

	// order holds the entries in order of registration with nil for what was
	// removed. While it is shared with a snapshot it may grow at its end but must
	// be copied before a slot is changed.
	order  []*entry[K, V]
	shared bool

	waiters   map[K]*waiter[V]
	wake      chan struct{} // closed at the next change; nil when nobody waits for one
	watchers  map[*watcher[K, V]]struct{}
	listeners map[*listener[K]]struct{}
}

// find returns the entry of key, or nil.
func (s *store[K, V]) find(hash uint64, key K) *entry[K, V] {
	t := s.table.Load()
	if t == nil {
		return nil
	}
	for e := t.bucket(hash).Load(); e != nil; e = e.next.Load() {
		if e.hash == hash && e.key == key {
			return e
		}
	}
	return nil
}

// item is a key with its hash and value on its way into the store.
type item[K comparable, V any] struct {
	hash  uint64
	key   K
	value V
}

// add inserts all items, or none when taken reports a key that is there already.
func (s *store[K, V]) add(items ...item[K, V]) (taken []K) {
	s.mu.Lock()
	for _, it := range items {
		if s.find(it.hash, it.key) != nil {
			taken = append(taken, it.key)
		}
	}
	if taken != nil {
		s.mu.Unlock()
		return taken
	}
	for _, it := range items {
		s.insert(it)
	}
	listeners := s.changed()
	s.mu.Unlock()
	for _, it := range items {
		notify(listeners, it.key)
	}
	return nil
}

// put inserts it or replaces the value of its key.
func (s *store[K, V]) put(it item[K, V]) {
	s.mu.Lock()
	if old := s.find(it.hash, it.key); old == nil {
		s.insert(it)
	} else {
		s.own()
		e := &entry[K, V]{hash: it.hash, key: old.key, value: it.value, id: old.id, pos: old.pos}
		s.order[e.pos] = e
		s.table.Load().swap(old, e)
		s.count.Replaced++
		s.record(Replaced, e, old.value)
	}
	listeners := s.changed()
	s.mu.Unlock()
	notify(listeners, it.key)
}

// remove takes key out and reports whether it was there.
func (s *store[K, V]) remove(hash uint64, key K) bool {
	s.mu.Lock()
	e := s.find(hash, key)
	if e == nil {
		s.mu.Unlock()
		return false
	}
	s.own()
	s.order[e.pos] = nil
	live := int(s.live.Add(-1))
	t := s.table.Load()
	t.swap(e, nil)
	switch {
	case len(t.buckets) > minBuckets && live < len(t.buckets)/8:
		s.rehash(len(t.buckets) / 2)
	case len(s.order) > minBuckets && live < len(s.order)/2:
		s.compact()
	}
	s.count.Removed++
	s.record(Removed, e, e.value)
	listeners := s.changed()
	s.mu.Unlock()
	notify(listeners, key)
	return true
}

// insert adds an absent key. The lock is held.
func (s *store[K, V]) insert(it item[K, V]) {
	t := s.table.Load()
	if live := int(s.live.Load()); t == nil {
		s.rehash(minBuckets)
	} else if live >= len(t.buckets) {
		s.rehash(2 * len(t.buckets))
	}
	s.lastID++
	e := &entry[K, V]{hash: it.hash, key: it.key, value: it.value, id: s.lastID, pos: len(s.order)}
	s.order = append(s.order, e)
	s.table.Load().link(e)
	s.live.Add(1)
	s.count.Added++
	if w := s.waiters[it.key]; w != nil {
		delete(s.waiters, it.key)
		w.value = it.value
		close(w.ready)
	}
	var none V
	s.record(Added, e, none)
}

// rehash moves everything to a table of the given size. The entries are copied,
// because readers of the old table still follow the links of the old ones.
func (s *store[K, V]) rehash(buckets int) {
	t := newTable[K, V](buckets)
	order := make([]*entry[K, V], 0, buckets)
	for _, old := range s.order {
		if old == nil {
			continue
		}
		e := &entry[K, V]{hash: old.hash, key: old.key, value: old.value, id: old.id, pos: len(order)}
		order = append(order, e)
		t.link(e)
	}
	s.order, s.shared = order, false
	s.table.Store(t)
}

// own makes order changeable.
func (s *store[K, V]) own() {
	if s.shared {
		s.compact()
	}
}

// compact moves order to a new array without its gaps.
func (s *store[K, V]) compact() {
	order := make([]*entry[K, V], 0, s.live.Load()+1)
	for _, e := range s.order {
		if e != nil {
			e.pos = len(order)
			order = append(order, e)
		}
	}
	s.order, s.shared = order, false
}

// snapshot returns the entries in order of registration, with nil for gaps. The
// caller must not change the slice; entries in it are the state of one moment.
func (s *store[K, V]) snapshot() []*entry[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.share()
}

func (s *store[K, V]) share() []*entry[K, V] {
	s.shared = true
	return s.order[:len(s.order):len(s.order)]
}

// waiter is what all that wait for one key share.
type waiter[V any] struct {
	ready chan struct{}
	value V // set before ready is closed
	count int
}

// wait returns the value of key, once it is there.
func (s *store[K, V]) wait(ctx context.Context, hash uint64, key K) (V, error) {
	if e := s.find(hash, key); e != nil {
		return e.value, nil
	}
	s.mu.Lock()
	if e := s.find(hash, key); e != nil {
		s.mu.Unlock()
		return e.value, nil
	}
	w := s.waiters[key]
	if w == nil {
		if s.waiters == nil {
			s.waiters = make(map[K]*waiter[V])
		}
		w = &waiter[V]{ready: make(chan struct{})}
		s.waiters[key] = w
	}
	w.count++
	s.mu.Unlock()

	select {
	case <-w.ready:
		return w.value, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.ready: // it came together with the cancellation
		return w.value, nil
	default:
	}
	if w.count--; w.count == 0 {
		delete(s.waiters, key)
	}
	var none V
	return none, contextError(ctx)
}

// nextChange returns a channel that is closed at the next change.
func (s *store[K, V]) nextChange() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	return s.wake
}

// changed wakes those who wait for a change and returns the listeners, which the
// caller notifies after it has released the lock.
func (s *store[K, V]) changed() []*listener[K] {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
	if len(s.listeners) == 0 {
		return nil
	}
	listeners := make([]*listener[K], 0, len(s.listeners))
	for l := range s.listeners {
		listeners = append(listeners, l)
	}
	return listeners
}

// listener is told, after the fact and without the lock, that the entry of a key
// changed. It looks at the store to learn how.
type listener[K comparable] struct {
	changed func(key K)
}

func notify[K comparable](listeners []*listener[K], key K) {
	for _, l := range listeners {
		l.changed(key)
	}
}

func (s *store[K, V]) listen(changed func(key K)) (stop func()) {
	l := &listener[K]{changed}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		s.listeners = make(map[*listener[K]]struct{})
	}
	s.listeners[l] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}
}

// contextError returns what ended ctx: its error and, when there is one, the
// cause that was given.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || cause == err {
		return err
	}
	return &causeError{err, cause}
}

type causeError struct{ err, cause error }

func (e *causeError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *causeError) Unwrap() []error { return []error{e.err, e.cause} }
