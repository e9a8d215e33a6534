package sqlqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// advance brings the file up to the present: leases run out, delays end,
// dedupe keys are forgotten.
func (b *batch) advance() error {
	for {
		due := b.all(b.st.Due, b.now)
		for _, r := range due {
			if r.state == delayed {
				b.move(r, ready, 0, b.now)
				continue
			}
			b.stats.Expired++
			b.trace(b.w.q.opts.Trace.Expired, r.Item)
			r.LastError = fmt.Sprintf("lease of attempt %d ran out after %v", r.Attempts, b.w.q.opts.Lease)
			if b.w.q.opts.Exhausted(r.Attempts) {
				b.bury(r)
			} else {
				b.settle(r, ready, 0)
			}
		}
		if b.broken != nil || len(due) < 500 {
			return b.broken
		}
	}
}

// count notes that an item changes its state; -1 stands for outside.
func (b *batch) count(from, to int) {
	if from >= 0 {
		b.state.n[from]--
	}
	if to >= 0 {
		b.state.n[to]++
	}
}

// move changes the state of an item that has no lease.
func (b *batch) move(r *row, to int, due, available int64) {
	b.exec(b.st.Place, to, due, available, r.seq)
	b.count(r.state, to)
	r.state, r.State = to, stateNames[to]
}

// settle ends a lease.
func (b *batch) settle(r *row, to int, due int64) {
	b.exec(b.st.Settle, to, due, b.now, r.LastError, r.seq)
	b.count(r.state, to)
	r.state, r.State = to, stateNames[to]
}

// ran counts the time of a delivery that its receiver ended, or the last of an
// item, and returns it.
func (b *batch) ran(r *row) time.Duration {
	run := time.Duration(max(0, b.now-r.received))
	b.stats.RunTime += run
	return run
}

func (b *batch) bury(r *row) {
	b.ran(r)
	b.settle(r, dead, 0)
	b.release(r)
	b.stats.DeadLettered++
	b.trace(b.w.q.opts.Trace.DeadLettered, r.Item)
}

// release lets the next item of a key go on after one was finished.
func (b *batch) release(r *row) {
	if r.Key == "" {
		return
	}
	next := b.one(b.st.KeyNext, r.Key)
	if next == nil || next.state != blocked {
		return
	}
	to, due := b.place(next.notBefore)
	b.move(next, to, due, b.now)
}

// place returns the state and due time of an item that nothing blocks.
func (b *batch) place(notBefore int64) (to int, due int64) {
	if notBefore > b.now {
		return delayed, notBefore
	}
	return ready, 0
}

// delete takes an item out, which must not be leased any more.
func (b *batch) delete(r *row) {
	b.exec(b.st.Delete, r.seq)
	if r.big {
		b.exec(b.st.DeleteBody, r.seq)
	}
	b.count(r.state, -1)
	if r.state != dead && r.state != blocked {
		b.release(r)
	}
}

// next leases the next item, or returns nil.
func (b *batch) next() *row {
	if b.state.paused || b.state.n[ready] == 0 {
		return nil
	}
	r := b.one(b.st.Next)
	if r == nil {
		return nil
	}
	b.load(r)
	opts := &b.w.q.opts
	b.state.lastToken++
	r.token = b.state.lastToken
	r.Attempts++
	first := engine.Nanos(r.FirstReceivedAt)
	if first == 0 {
		first = b.now
		r.FirstReceivedAt = engine.TimeAt(first)
	}
	b.exec(b.st.Lease, r.Attempts, r.token, b.now+int64(opts.Lease), b.now, first, r.seq)
	b.count(ready, leased)
	r.state, r.State = leased, queue.Leased
	b.stats.Received++
	if r.Attempts > 1 {
		b.stats.Redelivered++
	}
	wait := time.Duration(max(0, b.now-r.available))
	b.stats.WaitTime += wait
	b.traceTime(opts.Trace.Received, r.Item, wait)
	return r
}

func (q *Queue) receive(ctx context.Context, kind opKind) (queue.Delivery, error) {
	var d queue.Delivery
	err := q.writer.do(ctx, kind, func(b *batch) (bool, error) {
		r := b.next()
		if r == nil {
			return kind == immediate, queueEmpty(kind)
		}
		d = queue.Delivery{Item: r.Item, Lease: queue.Lease{ID: r.ID, Token: uint64(r.token)}, LeaseFor: q.opts.Lease}
		return true, nil
	})
	if err != nil {
		return queue.Delivery{}, err
	}
	return d, nil
}

func queueEmpty(kind opKind) error {
	if kind == immediate {
		return queue.ErrEmpty
	}
	return nil
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
func (q *Queue) held(ctx context.Context, what string, lease queue.Lease, run func(b *batch, r *row)) error {
	return q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		r := b.find(lease.ID)
		if r == nil || r.state != leased || uint64(r.token) != lease.Token {
			return true, fmt.Errorf("%s %q: %w: it ran out or was settled before", what, lease.ID, queue.ErrLeaseLost)
		}
		run(b, r)
		return true, b.broken
	})
}

// Ack implements [queue.Queue].
func (q *Queue) Ack(ctx context.Context, lease queue.Lease) error {
	return q.held(ctx, "ack", lease, func(b *batch, r *row) {
		run := b.ran(r)
		if q.opts.Trace.Acked != nil {
			b.load(r)
			b.traceTime(q.opts.Trace.Acked, r.Item, run)
		}
		b.delete(r)
		b.stats.Acked++
	})
}

// Nack implements [queue.Queue].
func (q *Queue) Nack(ctx context.Context, lease queue.Lease, nack queue.Nack) error {
	return q.held(ctx, "nack", lease, func(b *batch, r *row) {
		r.LastError = nack.Reason
		if q.opts.Exhausted(r.Attempts) {
			b.bury(r)
			return
		}
		delay := q.opts.RetryDelay(nack, r.Attempts)
		to, due := b.place(b.now + int64(delay))
		b.ran(r)
		b.settle(r, to, due)
		b.stats.Retried++
		b.traceTime(q.opts.Trace.Retried, r.Item, delay)
	})
}

// Dead implements [queue.Queue].
func (q *Queue) Dead(ctx context.Context, lease queue.Lease, reason string) error {
	return q.held(ctx, "bury", lease, func(b *batch, r *row) {
		r.LastError = reason
		b.bury(r)
	})
}

// Extend implements [queue.Queue].
func (q *Queue) Extend(ctx context.Context, lease queue.Lease) error {
	return q.held(ctx, "extend", lease, func(b *batch, r *row) {
		b.exec(b.st.Extend, b.now+int64(q.opts.Lease), r.seq)
	})
}

// Redrive implements [queue.Queue].
func (q *Queue) Redrive(ctx context.Context, ids ...string) (n int, err error) {
	err = q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		var rows []*row
		if len(ids) == 0 {
			rows = b.all(b.st.Dead)
		}
		seen := map[int64]bool{}
		for _, id := range ids {
			r := b.find(id)
			if r == nil || r.state != dead {
				return true, fmt.Errorf("redrive %q: %w among the dead letters", id, queue.ErrNotFound)
			}
			if !seen[r.seq] {
				seen[r.seq] = true
				rows = append(rows, r)
			}
		}
		if q.opts.Capacity > 0 && b.state.len()+len(rows) > q.opts.Capacity {
			return true, fmt.Errorf("redrive: %w", &queue.FullError{Items: len(rows), Len: b.state.len(), Capacity: q.opts.Capacity})
		}
		for _, r := range rows {
			to, due := b.place(r.notBefore)
			if r.Key != "" && b.keyBusy(r.Key) {
				to, due = blocked, 0
			}
			// A new place is a new seq, so the ID must be written down.
			b.state.lastSeq++
			b.exec(b.st.Renew, b.state.lastSeq, r.ID, to, due, b.now, r.seq)
			if r.big {
				b.exec(b.st.RenewBody, b.state.lastSeq, r.seq)
			}
			b.count(dead, to)
		}
		n = len(rows)
		return true, b.broken
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Remove implements [queue.Queue].
func (q *Queue) Remove(ctx context.Context, ids ...string) error {
	return q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		for _, id := range ids {
			switch r := b.find(id); {
			case b.broken != nil:
				return true, b.broken
			case r == nil:
				return true, fmt.Errorf("remove %q: %w", id, queue.ErrNotFound)
			case r.state == leased:
				return true, fmt.Errorf("remove %q: %w", id, queue.ErrLeased)
			}
		}
		for _, id := range ids {
			if r := b.find(id); r != nil { // the list may name one twice
				b.delete(r)
			}
		}
		return true, b.broken
	})
}
