package registry

import "sync/atomic"

// table is a hash table that any number of goroutines read without a lock while
// one writer, which holds the store's lock, changes it.
//
// Entries are immutable but for their links, so a reader sees each of them whole.
// A writer never unlinks more than one entry with one store, and a table that has
// been outgrown is left as it is; hence a reader that is overtaken by writers
// still returns the state of some moment within its call.
type table[K comparable, V any] struct {
	buckets []atomic.Pointer[entry[K, V]] // a power of two of them
}

type entry[K comparable, V any] struct {
	hash  uint64
	key   K
	value V
	next  atomic.Pointer[entry[K, V]]
	id    uint64 // number of the registration; replacing the value keeps it
	pos   int    // index in store.order; belongs to the writer
}

const minBuckets = 8

func newTable[K comparable, V any](buckets int) *table[K, V] {
	return &table[K, V]{buckets: make([]atomic.Pointer[entry[K, V]], buckets)}
}

func (t *table[K, V]) bucket(hash uint64) *atomic.Pointer[entry[K, V]] {
	return &t.buckets[hash&uint64(len(t.buckets)-1)]
}

// link adds e, whose key must be absent.
func (t *table[K, V]) link(e *entry[K, V]) {
	b := t.bucket(e.hash)
	e.next.Store(b.Load())
	b.Store(e)
}

// swap puts replacement, which may be nil, into the place of e.
func (t *table[K, V]) swap(e, replacement *entry[K, V]) {
	link := t.bucket(e.hash)
	for link.Load() != e {
		link = &link.Load().next
	}
	if replacement == nil {
		link.Store(e.next.Load())
		return
	}
	replacement.next.Store(e.next.Load())
	link.Store(replacement)
}
