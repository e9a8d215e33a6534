package natsqueue

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// Redrive implements [queue.Queue]. Without IDs it takes as many transactions as it
// needs.
func (q *Queue) Redrive(ctx context.Context, ids ...string) (n int, err error) {
	if len(ids) > 0 {
		err = q.do(ctx, &op{size: overhead * len(ids), run: func(t *txn) (bool, error) {
			var found []*entry
			seen := map[*entry]bool{}
			for _, id := range ids {
				e := t.s.ids[id]
				if e == nil || e.state != dead {
					return true, fmt.Errorf("redrive %q: %w among the dead letters", id, queue.ErrNotFound)
				}
				if !seen[e] {
					seen[e] = true
					found = append(found, e)
				}
			}
			n = len(found)
			return true, t.redrive(found, n)
		}})
		if err != nil {
			return 0, err
		}
		return n, nil
	}
	var until int64 // what dies meanwhile is not meant
	for more := true; more; {
		var some int
		err = q.do(ctx, &op{size: overhead, run: func(t *txn) (bool, error) {
			if until == 0 {
				until = t.s.lastSeq
			}
			var found []*entry
			for _, e := range t.s.entries {
				if e.state == dead && e.seq <= until {
					found = append(found, e)
				}
			}
			slices.SortFunc(found, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
			some = 0
			for room := q.budget / 4; some < len(found) && room > 0; some++ {
				room -= overhead + len(found[some].lastError)
			}
			more = some < len(found)
			return true, t.redrive(found, some)
		}})
		if err != nil {
			return n, err
		}
		n += some
	}
	return n, nil
}

// redrive makes the first n of some dead letters ready, if all have room.
func (t *txn) redrive(found []*entry, n int) error {
	if c := t.q.opts.Capacity; c > 0 && t.s.len()+len(found) > c {
		return fmt.Errorf("redrive: %w", &queue.FullError{Items: len(found), Len: t.s.len(), Capacity: c})
	}
	for _, e := range found[:n] {
		m := e.meta
		m.state, m.due = t.place(e.notBefore())
		if t.s.keyNext(e.body.Key) != nil {
			m.state, m.due = blocked, 0
		}
		m.attempts, m.available = 0, t.now
		t.s.lastSeq++
		t.undo = append(t.undo, t.s.restore(e))
		t.record(record{kind: recMove, seq: e.seq, to: t.s.lastSeq, meta: m})
		t.s.move(e, t.s.lastSeq, m)
	}
	return nil
}

// Remove implements [queue.Queue].
func (q *Queue) Remove(ctx context.Context, ids ...string) error {
	return q.do(ctx, &op{size: overhead * len(ids), run: func(t *txn) (bool, error) {
		for _, id := range ids {
			switch e := t.s.ids[id]; {
			case e == nil:
				return true, fmt.Errorf("remove %q: %w", id, queue.ErrNotFound)
			case e.state == leased:
				return true, fmt.Errorf("remove %q: %w", id, queue.ErrLeased)
			}
		}
		for _, id := range ids {
			if e := t.s.ids[id]; e != nil { // the list may name one twice
				t.delete(e)
			}
		}
		return true, nil
	}})
}

// look runs an operation that changes nothing.
func (q *Queue) look(ctx context.Context, run func(t *txn) error) error {
	return q.do(ctx, &op{run: func(t *txn) (bool, error) { return true, run(t) }})
}

// Peek implements [queue.Queue].
func (q *Queue) Peek(ctx context.Context) (it queue.Item, err error) {
	err = q.look(ctx, func(t *txn) error {
		e := t.s.ready.first()
		if e == nil {
			return queue.ErrEmpty
		}
		it = e.item()
		return nil
	})
	return it, err
}

// Get implements [queue.Queue].
func (q *Queue) Get(ctx context.Context, id string) (it queue.Item, err error) {
	err = q.look(ctx, func(t *txn) error {
		e := t.s.ids[id]
		if e == nil {
			return fmt.Errorf("get %q: %w", id, queue.ErrNotFound)
		}
		it = e.item()
		return nil
	})
	return it, err
}

// List implements [queue.Queue]. It copies the matching items first.
func (q *Queue) List(ctx context.Context, filter queue.Filter) iter.Seq2[queue.Item, error] {
	return func(yield func(queue.Item, error) bool) {
		var items []queue.Item
		err := q.look(ctx, func(t *txn) error {
			var found []*entry
			for _, e := range t.s.entries {
				if it := (queue.Item{Name: e.body.Name, Key: e.body.Key, State: stateNames[e.state]}); filter.Match(&it) {
					found = append(found, e)
				}
			}
			slices.SortFunc(found, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
			if filter.Limit > 0 && len(found) > filter.Limit {
				found = found[:filter.Limit]
			}
			items = make([]queue.Item, len(found))
			for i, e := range found {
				items[i] = e.item()
			}
			return nil
		})
		if err != nil {
			yield(queue.Item{}, err)
			return
		}
		for i := range items {
			if !yield(items[i], nil) {
				return
			}
		}
	}
}

// Depth implements [queue.Queue].
func (q *Queue) Depth(ctx context.Context) (d queue.Depth, err error) {
	err = q.look(ctx, func(t *txn) error {
		n := &t.s.n
		d = queue.Depth{Ready: n[ready], Delayed: n[delayed], Blocked: n[blocked], Leased: n[leased], Dead: n[dead]}
		return nil
	})
	return d, err
}

// Pause implements [queue.Queue].
func (q *Queue) Pause(ctx context.Context) error {
	return q.look(ctx, func(t *txn) error { t.s.paused = true; return nil })
}

// Resume implements [queue.Queue].
func (q *Queue) Resume(ctx context.Context) error {
	return q.look(ctx, func(t *txn) error {
		t.s.paused = false
		q.drains.Store(false)
		return nil
	})
}

// Paused implements [queue.Queue].
func (q *Queue) Paused(ctx context.Context) (paused bool, err error) {
	err = q.look(ctx, func(t *txn) error { paused = t.s.paused; return nil })
	return paused, err
}

// WaitEmpty implements [queue.Queue].
func (q *Queue) WaitEmpty(ctx context.Context) error {
	return q.do(ctx, &op{kind: emptying, run: func(t *txn) (bool, error) { return t.s.len() == 0, nil }})
}

// Drain implements [queue.Queue]. The refusal is for this handle only.
func (q *Queue) Drain(ctx context.Context) error {
	if q.ctx.Err() != nil {
		return queue.ErrClosed
	}
	q.drains.Store(true)
	q.wake() // even if ctx has ended already
	return q.WaitEmpty(ctx)
}
