package queue

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// enqueued is what a blocked Enqueue is told.
type enqueued struct {
	ids []string
	err error
}

// Enqueue implements [Queue].
func (m *Memory) Enqueue(ctx context.Context, items ...Item) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range items {
		if err := m.opts.Check(&items[i]); err != nil {
			return nil, err
		}
	}
	now := m.lock()
	if m.isClosed {
		m.unlock()
		return nil, ErrClosed
	}
	if m.enqueuers.n > 0 && len(items) <= m.opts.Capacity { // no overtaking
		return m.enqueueBlocked(ctx, slices.Clone(items))
	}
	ids, err := m.add(items, now)
	if m.mustWait(err) {
		return m.enqueueBlocked(ctx, slices.Clone(items))
	}
	if err == nil {
		m.changed(now)
	}
	m.unlock()
	return ids, err
}

// mustWait reports whether what add answered is to wait for room.
func (m *Memory) mustWait(err error) bool {
	full, ok := err.(*FullError)
	return ok && m.opts.Overflow == Block && full.Items <= full.Capacity
}

// enqueueBlocked waits in turn until the items fit. It is called locked.
func (m *Memory) enqueueBlocked(ctx context.Context, items []Item) ([]string, error) {
	w := m.enqueuers.add()
	w.items = items
	m.arm()
	m.unlock()
	select {
	case r := <-w.ch:
		return r.ids, r.err
	case <-ctx.Done():
	case <-m.closed:
	}
	now := m.lock()
	served := !m.enqueuers.remove(w)
	if !served {
		m.changed(now) // a smaller one behind it may fit
	}
	m.unlock()
	if served {
		r := <-w.ch
		return r.ids, r.err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("enqueue: waiting for room: %w", err)
	}
	return nil, ErrClosed
}

// admit lets blocked enqueuers in, in turn, as far as there is room.
func (m *Memory) admit(now int64) {
	for m.enqueuers.n > 0 {
		w := m.enqueuers.first
		ids, err := m.add(w.items, now)
		if m.mustWait(err) {
			return
		}
		m.enqueuers.remove(w)
		m.generation++
		w.ch <- enqueued{ids, err}
	}
}

// add takes the items in, all or none; changed must follow.
func (m *Memory) add(items []Item, now int64) ([]string, error) {
	if m.draining {
		return nil, ErrDraining
	}
	fresh, err := m.countNew(items, now)
	if err != nil {
		return nil, err
	}
	if m.opts.Capacity > 0 && fresh > 0 && m.len()+fresh > m.opts.Capacity {
		if m.opts.Overflow != DropOldest || fresh > m.opts.Capacity-m.leased.n {
			return nil, &FullError{Items: fresh, Len: m.len(), Capacity: m.opts.Capacity}
		}
		m.dropOldest(m.len()+fresh-m.opts.Capacity, now)
	}
	ids := m.ids.slice(len(items))
	for i := range items {
		if it := &items[i]; it.Dedupe != "" {
			if id, ok := m.dedupe.find(it.Dedupe, now); ok {
				ids[i] = id
				m.suppress(it, id)
				continue
			}
		}
		ids[i] = m.insert(&items[i], now)
	}
	return ids, nil
}

// countNew counts the items that no dedupe key suppresses, and fails for an ID
// that is taken.
func (m *Memory) countNew(items []Item, now int64) (int, error) {
	fresh := len(items)
	var ids, dedupes map[string]bool // of this call
	for i := range items {
		it := &items[i]
		if it.ID == "" && it.Dedupe == "" {
			continue
		}
		if ids == nil {
			ids, dedupes = map[string]bool{}, map[string]bool{}
		}
		known := false
		if it.Dedupe != "" {
			_, known = m.dedupe.find(it.Dedupe, now)
			known = known || dedupes[it.Dedupe]
			dedupes[it.Dedupe] = true
		}
		switch {
		case known:
			fresh--
		case it.ID != "":
			if ids[it.ID] || m.find(it.ID) != nil {
				return 0, fmt.Errorf("enqueue %q: %w", it.ID, ErrDuplicateID)
			}
			ids[it.ID] = true
		}
	}
	return fresh, nil
}

func (m *Memory) suppress(it *Item, first string) {
	m.stats.Deduplicated++
	if m.tracing {
		dup := *it
		dup.ID = first
		m.pending = append(m.pending, event{kind: evDeduplicated, item: dup})
	}
}

// insert makes a node of a new item and puts it where it belongs.
func (m *Memory) insert(it *Item, now int64) string {
	n := m.nodes.take()
	m.lastSeq++
	n.seq = m.lastSeq
	n.item = *it
	n.item.Attempts, n.item.LastError = 0, ""
	n.item.EnqueuedAt, n.item.FirstReceivedAt = m.clock.at, time.Time{}
	m.identify(n)
	if it.Dedupe != "" {
		m.dedupe.add(it.Dedupe, n.item.ID, now+int64(m.opts.DedupeWindow))
	}
	m.place(n, now)
	m.stats.Enqueued++
	m.trace(evEnqueued, n, 0)
	return n.item.ID
}

func (m *Memory) identify(n *node) {
	if n.item.ID == "" {
		n.item.ID = m.ids.make(n.slot)
		return
	}
	n.named = true
	m.named[n.item.ID] = n
}

// dropOldest makes room for k items.
func (m *Memory) dropOldest(k int, now int64) {
	for k > 0 {
		n := m.order.pop()
		if n == nil {
			return // cannot be: the caller counted those that are not leased
		}
		n.order = false
		if n.item.State == Leased || n.item.State == Dead {
			continue // it re-enters the order when it comes back
		}
		k--
		m.stats.Dropped++
		m.pending = append(m.pending, event{kind: evDropped, item: n.item}) // for the log, too
		m.detach(n)
		m.forget(n, now)
	}
}

// dedupeWindow remembers dedupe keys for a while. All are kept equally long, so
// they expire in the order in which they came.
type dedupeWindow struct {
	byKey map[string]dedupeEntry
	ring  []dedupeEntry
	head  int
}

type dedupeEntry struct {
	Key     string `json:"key"`
	ID      string `json:"id"`
	Expires int64  `json:"expires"` // Unix time in nanoseconds
}

func (d *dedupeWindow) find(key string, now int64) (string, bool) {
	d.expire(now)
	e, ok := d.byKey[key]
	return e.ID, ok
}

func (d *dedupeWindow) add(key, id string, expires int64) {
	if d.byKey == nil {
		d.byKey = map[string]dedupeEntry{}
	}
	e := dedupeEntry{key, id, expires}
	d.byKey[key] = e
	d.ring = append(d.ring, e)
}

func (d *dedupeWindow) expire(now int64) {
	for d.head < len(d.ring) && d.ring[d.head].Expires <= now {
		delete(d.byKey, d.ring[d.head].Key)
		d.ring[d.head] = dedupeEntry{}
		d.head++
	}
	if d.head > 64 && d.head*2 > len(d.ring) {
		d.ring = slices.Delete(d.ring, 0, d.head)
		d.head = 0
	}
}
