package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Memory is the engine that keeps its items in memory. The cost of an operation
// does not depend on how many items it holds. It owns no goroutine.
//
// It is a state slice: [Memory.MarshalJSON] snapshots it and
// [Memory.UnmarshalJSON] restores it, where items that were being handled
// become available again.
type Memory struct {
	opts    Options
	tracing bool
	closed  chan struct{}

	mu         sync.Mutex
	clock      clock
	isClosed   bool
	paused     bool
	draining   bool
	generation uint64
	nodes      slab
	named      map[string]*node // items whose ID is not of our making
	ready      readySet
	delayed    delayHeap
	leased     list // by end of lease, because all leases are equally long
	keys       map[string]*keyQueue
	order      fifo // of all that may be dropped; used by DropOldest only
	dead       int
	blocked    int
	readyCount int
	dedupe     dedupeWindow
	lastSeq    uint64
	lastToken  uint64

	receivers waitList[Delivery]
	enqueuers waitList[enqueued] // Block
	emptiers  []chan struct{}
	timer     *time.Timer
	wakeAt    int64 // when the timer fires; 0 when it is off

	ids     idMaker
	stats   Stats
	pending []event // to be traced once the lock is released
}

// NewMemory returns an empty queue.
func NewMemory(opts Options) *Memory {
	m := &Memory{
		opts:   opts.WithDefaults(),
		closed: make(chan struct{}),
		ids:    newIDMaker(),
		named:  map[string]*node{},
		keys:   map[string]*keyQueue{},
	}
	m.tracing = m.opts.Trace.enabled()
	m.stats.Since = time.Now()
	return m
}

var _ Queue = (*Memory)(nil)

// TryReceive implements [Queue].
func (m *Memory) TryReceive(ctx context.Context) (d Delivery, err error) {
	if err := ctx.Err(); err != nil {
		return Delivery{}, err
	}
	now := m.lock()
	defer m.unlock()
	if m.isClosed {
		return Delivery{}, ErrClosed
	}
	if !m.next(&d, now) {
		return Delivery{}, ErrEmpty
	}
	m.arm() // somebody may wait for this lease to run out
	return d, nil
}

// Receive implements [Queue].
func (m *Memory) Receive(ctx context.Context) (d Delivery, err error) {
	if err := ctx.Err(); err != nil {
		return Delivery{}, err
	}
	now := m.lock()
	if m.isClosed {
		m.unlock()
		return Delivery{}, ErrClosed
	}
	if m.next(&d, now) {
		m.arm() // somebody may wait for this lease to run out
		m.unlock()
		return d, nil
	}
	w := m.receivers.add()
	m.arm()
	m.unlock()
	select {
	case d := <-w.ch:
		m.receivers.recycle(w)
		return d, nil
	case <-ctx.Done():
	case <-m.closed:
	}
	m.mu.Lock()
	served := !m.receivers.remove(w)
	m.unlock()
	if served { // an item was handed over meanwhile; it must not be lost
		return <-w.ch, nil
	}
	if err := ctx.Err(); err != nil {
		return Delivery{}, err
	}
	return Delivery{}, ErrClosed
}

// Ack implements [Queue].
func (m *Memory) Ack(ctx context.Context, lease Lease) error {
	now := m.lock()
	defer m.unlock()
	n, err := m.holder("ack", lease)
	if err != nil {
		return err
	}
	m.settle(n)
	m.ran(n, now)
	m.stats.Acked++
	if m.tracing {
		m.trace(evAcked, n, time.Duration(now-n.received))
	}
	m.forget(n, now)
	m.changed(now)
	return nil
}

// Nack implements [Queue].
func (m *Memory) Nack(ctx context.Context, lease Lease, nack Nack) error {
	now := m.lock()
	defer m.unlock()
	n, err := m.holder("nack", lease)
	if err != nil {
		return err
	}
	m.settle(n)
	n.item.LastError = nack.Reason
	if m.opts.Exhausted(n.item.Attempts) {
		m.bury(n, now)
	} else {
		delay := m.opts.RetryDelay(nack, n.item.Attempts)
		m.ran(n, now)
		m.stats.Retried++
		m.trace(evRetried, n, delay)
		m.schedule(n, now+int64(delay), now)
	}
	m.changed(now)
	return nil
}

// Dead implements [Queue].
func (m *Memory) Dead(ctx context.Context, lease Lease, reason string) error {
	now := m.lock()
	defer m.unlock()
	n, err := m.holder("bury", lease)
	if err != nil {
		return err
	}
	m.settle(n)
	n.item.LastError = reason
	m.bury(n, now)
	m.changed(now)
	return nil
}

// Extend implements [Queue].
func (m *Memory) Extend(ctx context.Context, lease Lease) error {
	now := m.lock()
	defer m.unlock()
	n, err := m.holder("extend", lease)
	if err != nil {
		return err
	}
	m.leased.remove(n)
	n.due = now + int64(m.opts.Lease)
	m.leased.push(n)
	return nil
}

// Redrive implements [Queue].
func (m *Memory) Redrive(ctx context.Context, ids ...string) (int, error) {
	now := m.lock()
	defer m.unlock()
	if m.isClosed {
		return 0, ErrClosed
	}
	var nodes []*node
	if len(ids) == 0 {
		for n := range m.nodes.all {
			if n.item.State == Dead {
				nodes = append(nodes, n)
			}
		}
		slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.seq, b.seq) })
	}
	seen := map[*node]bool{}
	for _, id := range ids {
		n := m.find(id)
		if n == nil || n.item.State != Dead {
			return 0, fmt.Errorf("redrive %q: %w among the dead letters", id, ErrNotFound)
		}
		if !seen[n] {
			seen[n] = true
			nodes = append(nodes, n)
		}
	}
	if over := m.len() + len(nodes) - m.opts.Capacity; m.opts.Capacity > 0 && over > 0 {
		return 0, fmt.Errorf("redrive: %w", &FullError{Items: len(nodes), Len: m.len(), Capacity: m.opts.Capacity})
	}
	for _, n := range nodes {
		m.dead--
		n.item.Attempts = 0
		m.lastSeq++
		n.seq = m.lastSeq
		m.place(n, now)
	}
	m.changed(now)
	return len(nodes), nil
}

// Remove implements [Queue].
func (m *Memory) Remove(ctx context.Context, ids ...string) error {
	now := m.lock()
	defer m.unlock()
	if m.isClosed {
		return ErrClosed
	}
	for _, id := range ids {
		switch n := m.find(id); {
		case n == nil:
			return fmt.Errorf("remove %q: %w", id, ErrNotFound)
		case n.item.State == Leased:
			return fmt.Errorf("remove %q: %w", id, ErrLeased)
		}
	}
	for _, id := range ids {
		if n := m.find(id); n != nil { // the list may name one twice
			m.detach(n)
			m.forget(n, now)
		}
	}
	m.changed(now)
	return nil
}

// Pause implements [Queue].
func (m *Memory) Pause(ctx context.Context) error {
	return m.control(func() { m.paused = true })
}

// Resume implements [Queue].
func (m *Memory) Resume(ctx context.Context) error {
	return m.control(func() { m.paused, m.draining = false, false })
}

func (m *Memory) control(set func()) error {
	now := m.lock()
	defer m.unlock()
	if m.isClosed {
		return ErrClosed
	}
	set()
	m.changed(now)
	return nil
}

// Paused implements [Queue].
func (m *Memory) Paused(ctx context.Context) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isClosed {
		return false, ErrClosed
	}
	return m.paused, nil
}

// WaitEmpty implements [Queue].
func (m *Memory) WaitEmpty(ctx context.Context) error {
	for {
		m.lock()
		if m.isClosed {
			m.unlock()
			return ErrClosed
		}
		if m.len() == 0 {
			m.unlock()
			return nil
		}
		done := make(chan struct{})
		m.emptiers = append(m.emptiers, done)
		m.arm()
		m.unlock()
		select {
		case <-done:
			return nil
		case <-m.closed:
			return ErrClosed
		case <-ctx.Done():
			m.mu.Lock()
			m.emptiers = slices.DeleteFunc(m.emptiers, func(c chan struct{}) bool { return c == done })
			m.unlock()
			return ctx.Err()
		}
	}
}

// Drain implements [Queue].
func (m *Memory) Drain(ctx context.Context) error {
	if err := m.control(func() { m.draining = true }); err != nil {
		return err
	}
	return m.WaitEmpty(ctx)
}

// Stats implements [Queue].
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.At = time.Now()
	return s
}

// Close implements [Queue]. The items stay: MarshalJSON works on.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.unlock()
	if m.isClosed {
		return nil
	}
	m.isClosed = true
	close(m.closed)
	for _, t := range []*time.Timer{m.timer, m.clock.expiry} {
		if t != nil {
			t.Stop()
		}
	}
	return nil
}
