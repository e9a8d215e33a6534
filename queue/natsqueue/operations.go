package natsqueue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// overhead is what an item costs in a transaction besides its bytes, at most.
const overhead = 256

// Enqueue implements [queue.Queue].
func (q *Queue) Enqueue(ctx context.Context, items ...queue.Item) ([]string, error) {
	size := 0
	for i := range items {
		if err := q.opts.Check(&items[i]); err != nil {
			return nil, err
		}
		size += items[i].Size() + overhead + 8*len(items[i].Headers)
	}
	// With the reason of a failure, too, an item must fit into a message.
	if limit := q.limit - max(q.limit/4, maxReason+4<<10); size > limit {
		err := &queue.SizeError{Size: size, Limit: limit}
		if len(items) == 1 {
			err.ID = items[0].ID
		}
		return nil, err
	}
	items = slices.Clone(items)
	var ids []string
	err := q.do(ctx, &op{kind: enqueuing, size: size, run: func(t *txn) (bool, error) {
		var err error
		ids, err = t.enqueue(items)
		if full, ok := err.(*queue.FullError); ok && q.opts.Overflow == queue.Block && full.Items <= full.Capacity {
			return false, nil
		}
		return true, err
	}})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func (t *txn) enqueue(items []queue.Item) ([]string, error) {
	if t.q.drains.Load() {
		return nil, queue.ErrDraining
	}
	if err := t.q.room(itemReserve); err != nil {
		return nil, fmt.Errorf("enqueue: %w", err)
	}
	opts := &t.q.opts
	ids := make([]string, len(items))
	first := map[string]int{} // dedupe key to index, within the batch
	named := map[string]bool{}
	fresh := 0
	for i := range items {
		it := &items[i]
		if it.Dedupe != "" {
			if _, dup := first[it.Dedupe]; dup {
				continue
			}
			if d := t.s.dedupes[it.Dedupe]; d != nil && d.expires > t.now {
				ids[i] = d.id
				continue
			}
			first[it.Dedupe] = i
		}
		if it.ID != "" {
			if named[it.ID] || t.s.ids[it.ID] != nil {
				return nil, fmt.Errorf("enqueue %q: %w", it.ID, queue.ErrDuplicateID)
			}
			named[it.ID] = true
		}
		fresh++
	}
	if over := t.s.len() + fresh - opts.Capacity; opts.Capacity > 0 && over > 0 && fresh > 0 {
		if opts.Overflow != queue.DropOldest || fresh > opts.Capacity-t.s.n[leased] {
			return nil, &queue.FullError{Items: fresh, Len: t.s.len(), Capacity: opts.Capacity}
		}
		for range over {
			e := t.s.oldest.first()
			it := e.item()
			t.delete(e)
			t.stats.Dropped++
			t.trace(opts.Trace.Dropped, it)
			t.events = append(t.events, func() {
				opts.Logger.Warn("queue is full: dropped its oldest item", "id", it.ID, "name", it.Name, "capacity", opts.Capacity)
			})
		}
	}
	for i := range items {
		it := &items[i]
		if j, ok := first[it.Dedupe]; it.Dedupe != "" && ok && j != i {
			ids[i] = ids[j]
		}
		if ids[i] != "" {
			t.stats.Deduplicated++
			dup := *it
			dup.ID = ids[i]
			t.trace(opts.Trace.Deduplicated, dup)
			continue
		}
		ids[i] = t.add(*it)
	}
	return ids, nil
}

func (t *txn) add(it queue.Item) string {
	it.State, it.Attempts, it.LastError, it.FirstReceivedAt = "", 0, "", time.Time{}
	it.EnqueuedAt = engine.TimeAt(t.now)
	m := meta{available: t.now}
	m.state, m.due = t.place(engine.Nanos(it.NotBefore))
	if t.s.keyNext(it.Key) != nil {
		m.state, m.due = blocked, 0
	}
	e := t.insert(&it, m)
	if it.Dedupe != "" {
		d := &dedupe{key: it.Dedupe, id: it.ID, expires: t.now + int64(t.q.opts.DedupeWindow)}
		old := t.s.dedupes[d.key]
		if old != nil {
			d.log = old.log
		}
		t.s.dedupes[d.key] = d
		t.undo = append(t.undo, func() {
			if delete(t.s.dedupes, d.key); old != nil {
				t.s.dedupes[d.key] = old
			}
		})
		t.record(record{kind: recDedupe, dedupe: *d})
	}
	t.stats.Enqueued++
	t.trace(t.q.opts.Trace.Enqueued, e.item())
	return it.ID
}

// next leases the next item, or returns nil.
func (t *txn) next() *entry {
	e := t.s.ready.first()
	if e == nil || t.s.paused {
		return nil
	}
	opts := &t.q.opts
	m := e.meta
	t.s.lastToken++
	m.state, m.token, m.received, m.due = leased, t.s.lastToken, t.now, t.now+int64(opts.Lease)
	m.attempts++
	if m.first == 0 {
		m.first = t.now
	}
	t.update(e, m)
	t.stats.Received++
	if m.attempts > 1 {
		t.stats.Redelivered++
	}
	wait := time.Duration(max(0, t.now-m.available))
	t.stats.WaitTime += wait
	t.traceTime(opts.Trace.Received, e.item(), wait)
	return e
}

func (q *Queue) receive(ctx context.Context, kind opKind) (queue.Delivery, error) {
	var d queue.Delivery
	err := q.do(ctx, &op{kind: kind, size: overhead, undo: func(t *txn) (bool, error) {
		t.takeBack(d.Lease)
		return true, nil
	}, run: func(t *txn) (bool, error) {
		e := t.next()
		if e == nil {
			if kind == immediate {
				return true, queue.ErrEmpty
			}
			return false, nil
		}
		d = queue.Delivery{Item: e.item(), Lease: queue.Lease{ID: e.body.ID, Token: uint64(e.token)}, LeaseFor: q.opts.Lease}
		return true, nil
	}})
	if err != nil {
		return queue.Delivery{}, err
	}
	return d, nil
}

// takeBack ends the lease of a delivery that nobody got, as if it had not been.
func (t *txn) takeBack(lease queue.Lease) {
	if e := t.s.held(lease); e != nil {
		m := e.meta
		m.state, m.due, m.token, m.available = ready, 0, 0, t.now
		m.attempts--
		t.update(e, m)
	}
}

// Receive implements [queue.Queue].
func (q *Queue) Receive(ctx context.Context) (queue.Delivery, error) {
	return q.receive(ctx, receiving)
}

// TryReceive implements [queue.Queue].
func (q *Queue) TryReceive(ctx context.Context) (queue.Delivery, error) {
	return q.receive(ctx, immediate)
}

// held runs an operation on the item that a lease is for.
func (q *Queue) held(ctx context.Context, what string, lease queue.Lease, size int, run func(t *txn, e *entry)) error {
	return q.do(ctx, &op{size: overhead + size, run: func(t *txn) (bool, error) {
		e := t.s.held(lease)
		if e == nil {
			return true, fmt.Errorf("%s %q: %w: it ran out or was settled before", what, lease.ID, queue.ErrLeaseLost)
		}
		run(t, e)
		return true, nil
	}})
}

// Ack implements [queue.Queue].
func (q *Queue) Ack(ctx context.Context, lease queue.Lease) error {
	return q.held(ctx, "ack", lease, 0, func(t *txn, e *entry) {
		t.traceTime(q.opts.Trace.Acked, e.item(), t.ran(e))
		t.delete(e)
		t.stats.Acked++
	})
}

// maxReason bounds the reason that is kept for a failure, in bytes.
const maxReason = 16 << 10

func bounded(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "") // the last character may be cut
}

// Nack implements [queue.Queue]. Of the reason, 16 KiB are kept.
func (q *Queue) Nack(ctx context.Context, lease queue.Lease, nack queue.Nack) error {
	reason := bounded(nack.Reason)
	var delay time.Duration
	asked := false // the backoff, once, even if the transaction is decided again
	return q.held(ctx, "nack", lease, len(reason), func(t *txn, e *entry) {
		if q.opts.Exhausted(e.attempts) {
			t.bury(e, reason)
			return
		}
		if !asked {
			delay, asked = q.opts.RetryDelay(nack, e.attempts), true
		}
		to, due := t.place(t.now + int64(delay))
		t.ran(e)
		t.giveBack(e, to, due, reason)
		t.stats.Retried++
		t.traceTime(q.opts.Trace.Retried, e.item(), delay)
	})
}

// Dead implements [queue.Queue]. Of the reason, 16 KiB are kept.
func (q *Queue) Dead(ctx context.Context, lease queue.Lease, reason string) error {
	reason = bounded(reason)
	return q.held(ctx, "bury", lease, len(reason), func(t *txn, e *entry) { t.bury(e, reason) })
}

// Extend implements [queue.Queue].
func (q *Queue) Extend(ctx context.Context, lease queue.Lease) error {
	return q.held(ctx, "extend", lease, 0, func(t *txn, e *entry) {
		m := e.meta
		m.due = t.now + int64(q.opts.Lease)
		t.update(e, m)
	})
}
