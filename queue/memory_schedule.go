package queue

import (
	"fmt"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// This file moves nodes between the states. Every function is called locked.

// A lease's token holds the slot, which finds the node, above the low bits of
// the delivery's number, which tell it from earlier ones.
const (
	tokenBits = 28
	tokenMask = 1<<tokenBits - 1
)

// len counts the items that are not dead.
func (m *Memory) len() int { return m.readyCount + len(m.delayed) + m.blocked + m.leased.n }

// place puts a node that is in no structure where it belongs: behind its key,
// among the delayed, or among the ready.
func (m *Memory) place(n *node, now int64) {
	if m.opts.Overflow == DropOldest && !n.order {
		n.order = true
		m.order.push(n)
	}
	if n.item.Key != "" {
		k := m.keys[n.item.Key]
		if k == nil {
			k = &keyQueue{}
			m.keys[n.item.Key] = k
		}
		n.key = k
		if k.active != nil {
			n.item.State = Blocked
			m.blocked++
			k.blocked.push(n)
			return
		}
		k.active = n
	}
	m.schedule(n, engine.Nanos(n.item.NotBefore), now)
}

// schedule makes a node ready at a time.
func (m *Memory) schedule(n *node, at, now int64) {
	if m.opts.Overflow == DropOldest && !n.order {
		n.order = true
		m.order.push(n)
	}
	if at > now {
		n.item.State = Delayed
		n.due = at
		m.delayed.push(n)
		return
	}
	n.item.State = Ready
	n.available = now
	m.readyCount++
	m.ready.push(n)
}

// detach takes a node that is not leased out of the structures of its state.
func (m *Memory) detach(n *node) {
	switch n.item.State {
	case Ready:
		m.readyCount--
		n.item.State = ""
		m.ready.discarded(n.item.Priority)
	case Delayed:
		m.delayed.remove(n)
	case Blocked:
		m.blocked--
		n.key.blocked.remove(n)
		n.key = nil
	case Dead:
		m.dead--
	}
}

// forget frees a node that was detached or settled, and lets its key go on.
func (m *Memory) forget(n *node, now int64) {
	m.release(n, now)
	if n.named {
		delete(m.named, n.item.ID)
	}
	ordered := n.order
	m.nodes.give(n)
	if ordered {
		m.order.discarded()
	}
}

// bury makes a settled node a dead letter.
func (m *Memory) bury(n *node, now int64) {
	m.ran(n, now)
	m.release(n, now)
	if n.order {
		n.order = false
		m.order.discarded()
	}
	n.item.State = Dead
	m.dead++
	m.stats.DeadLettered++
	m.trace(evDead, n, 0)
}

// release ends a node's hold on its key and makes the next one available.
func (m *Memory) release(n *node, now int64) {
	k := n.key
	if k == nil {
		return
	}
	n.key = nil
	if k.active != n {
		return
	}
	k.active = nil
	next := k.blocked.first
	if next == nil {
		delete(m.keys, n.item.Key)
		return
	}
	k.blocked.remove(next)
	m.blocked--
	k.active = next
	m.schedule(next, engine.Nanos(next.item.NotBefore), now)
}

// next hands the next item out, or reports that there is none.
func (m *Memory) next(d *Delivery, now int64) bool {
	if m.paused {
		return false
	}
	n := m.ready.take()
	if n == nil {
		return false
	}
	m.readyCount--
	m.lastToken++
	n.token = m.lastToken
	n.item.State = Leased
	n.item.Attempts++
	n.received = now
	n.due = now + int64(m.opts.Lease)
	m.leased.push(n)
	m.stats.Received++
	if n.item.Attempts > 1 {
		m.stats.Redelivered++
	}
	if n.item.FirstReceivedAt.IsZero() {
		n.item.FirstReceivedAt = m.clock.at
	}
	wait := time.Duration(max(0, now-n.available))
	m.stats.WaitTime += wait
	m.generation++
	m.trace(evReceived, n, wait)
	d.Item = n.item
	d.Lease = Lease{ID: n.item.ID, Token: uint64(n.slot)<<tokenBits | n.token&tokenMask}
	d.LeaseFor = m.opts.Lease
	return true
}

// holder returns the node that a lease is for.
func (m *Memory) holder(what string, l Lease) (*node, error) {
	if m.isClosed {
		return nil, ErrClosed
	}
	n := m.nodes.at(uint32(l.Token >> tokenBits))
	if n == nil || n.item.State != Leased || n.token&tokenMask != l.Token&tokenMask || n.item.ID != l.ID {
		return nil, fmt.Errorf("%s %q: %w: it ran out or was settled before", what, l.ID, ErrLeaseLost)
	}
	return n, nil
}

// settle ends a lease. The key's next item, an enqueuer or one who waits for the
// end may go on then, so changed must follow.
func (m *Memory) settle(n *node) {
	m.leased.remove(n)
	n.token = 0
	n.item.State = ""
}

// ran counts the time of a delivery that its receiver ended, or the last of an
// item.
func (m *Memory) ran(n *node, now int64) { m.stats.RunTime += time.Duration(max(0, now-n.received)) }

// advance ends the leases and delays that are over.
func (m *Memory) advance(now int64) {
	due := false
	for n := m.leased.first; n != nil && n.due <= now; n = m.leased.first {
		m.settle(n)
		m.stats.Expired++
		m.trace(evExpired, n, 0)
		n.item.LastError = fmt.Sprintf("lease of attempt %d ran out after %v", n.item.Attempts, m.opts.Lease)
		if m.opts.Exhausted(n.item.Attempts) {
			m.bury(n, now)
		} else {
			m.schedule(n, 0, now)
		}
		due = true
	}
	for len(m.delayed) > 0 && m.delayed[0].due <= now {
		n := m.delayed[0]
		m.delayed.remove(n)
		m.schedule(n, 0, now)
		n.available = n.due
		due = true
	}
	if due {
		m.changed(now)
	}
}

// changed serves everyone whom a change may concern.
func (m *Memory) changed(now int64) {
	m.generation++
	if m.isAwaited() {
		m.serve(now)
	}
}

// isAwaited reports whether anybody waits for a change, for what is closed in vain.
func (m *Memory) isAwaited() bool {
	return (m.receivers.n != 0 || m.enqueuers.n != 0 || len(m.emptiers) != 0) && !m.isClosed
}

func (m *Memory) serve(now int64) {
	if m.enqueuers.n > 0 {
		m.admit(now)
	}
	for m.receivers.n > 0 {
		var d Delivery
		if !m.next(&d, now) {
			break
		}
		w := m.receivers.first
		m.receivers.remove(w)
		w.ch <- d
	}
	if len(m.emptiers) > 0 && m.len() == 0 {
		for _, done := range m.emptiers {
			close(done)
		}
		m.emptiers = nil
	}
	m.arm()
}

// arm sets the timer for the next moment that someone waits for.
func (m *Memory) arm() {
	if !m.isAwaited() {
		return
	}
	next := int64(0)
	if n := m.leased.first; n != nil {
		next = n.due
	}
	if len(m.delayed) > 0 && (next == 0 || m.delayed[0].due < next) {
		next = m.delayed[0].due
	}
	if next == 0 || m.wakeAt != 0 && m.wakeAt <= next {
		return
	}
	m.wakeAt = next
	d := max(0, time.Duration(next-m.clock.read().UnixNano()))
	if m.timer == nil {
		m.timer = time.AfterFunc(d, m.wake)
	} else {
		m.timer.Reset(d)
	}
}

func (m *Memory) wake() {
	m.mu.Lock()
	m.present()
	defer m.unlock()
	m.wakeAt = 0
	m.arm()
}

// trace notes an event to be reported when the lock is released, if anybody
// wants it.
func (m *Memory) trace(kind eventKind, n *node, d time.Duration) {
	if m.tracing {
		m.pending = append(m.pending, event{kind, n.item, d})
	}
}

// unlock releases the lock and reports what happened under it.
func (m *Memory) unlock() {
	if len(m.pending) == 0 {
		m.mu.Unlock()
		return
	}
	events := m.pending
	m.pending = nil
	m.mu.Unlock()
	for i := range events {
		if it := &events[i].item; events[i].kind == evDropped {
			m.opts.Logger.Warn("queue is full: dropped its oldest item", "id", it.ID, "name", it.Name, "capacity", m.opts.Capacity)
		}
		m.opts.Trace.fire(&events[i])
	}
}

// waitList is a queue of callers that wait for a T, first come first served.
type waitList[T any] struct {
	first, last *waiter[T]
	n           int
	pool        sync.Pool
}

type waiter[T any] struct {
	ch         chan T // of capacity one, so that a hand-over never blocks
	items      []Item // what a blocked Enqueue wants to add
	queued     bool
	prev, next *waiter[T]
}

func (l *waitList[T]) add() *waiter[T] {
	w, _ := l.pool.Get().(*waiter[T])
	if w == nil {
		w = &waiter[T]{ch: make(chan T, 1)}
	}
	w.queued, w.prev, w.next = true, l.last, nil
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
	return w
}

// remove reports whether w was still waiting.
func (l *waitList[T]) remove(w *waiter[T]) bool {
	if !w.queued {
		return false
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.queued, w.prev, w.next = false, nil, nil
	l.n--
	return true
}

// recycle keeps a waiter that was served and emptied for the next call.
func (l *waitList[T]) recycle(w *waiter[T]) {
	w.items = nil
	l.pool.Put(w)
}
