package sqlqueue

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// bigBody is the size from which payloads are kept apart from their rows.
const bigBody = 2048

// Enqueue implements [queue.Queue].
func (q *Queue) Enqueue(ctx context.Context, items ...queue.Item) ([]string, error) {
	for i := range items {
		if err := q.opts.Check(&items[i]); err != nil {
			return nil, err
		}
	}
	headers := make([][]byte, len(items))
	for i := range items {
		if len(items[i].Headers) > 0 {
			data, err := json.Marshal(items[i].Headers)
			if err != nil {
				return nil, fmt.Errorf("enqueue: headers: %w", err)
			}
			headers[i] = data
		}
	}
	var ids []string
	err := q.writer.do(ctx, enqueuing, func(b *batch) (bool, error) {
		var err error
		ids, err = b.enqueue(items, headers)
		if full, ok := err.(*queue.FullError); ok && q.opts.Overflow == queue.Block && full.Items <= full.Capacity {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func (b *batch) enqueue(items []queue.Item, headers [][]byte) ([]string, error) {
	if b.w.q.draining.Load() {
		return nil, queue.ErrDraining
	}
	opts := &b.w.q.opts
	ids := make([]string, len(items))
	var first map[string]int // dedupe key to index, within the batch
	var named map[string]bool
	fresh := 0
	expired := false
	for i := range items {
		it := &items[i]
		if it.Dedupe != "" {
			if !expired {
				b.exec(b.st.EndDedupe, b.now)
				expired = true
			}
			if _, dup := first[it.Dedupe]; dup {
				continue
			}
			if id, ok := b.dedupe(it.Dedupe); ok {
				ids[i] = id
				continue
			}
			if first == nil {
				first = map[string]int{}
			}
			first[it.Dedupe] = i
		}
		if it.ID != "" {
			if named[it.ID] || b.find(it.ID) != nil {
				return nil, fmt.Errorf("enqueue %q: %w", it.ID, queue.ErrDuplicateID)
			}
			if named == nil {
				named = map[string]bool{}
			}
			named[it.ID] = true
		}
		fresh++
	}
	if over := b.state.len() + fresh - opts.Capacity; opts.Capacity > 0 && fresh > 0 && over > 0 {
		if opts.Overflow != queue.DropOldest || fresh > opts.Capacity-int(b.state.n[leased]) {
			return nil, &queue.FullError{Items: fresh, Len: b.state.len(), Capacity: opts.Capacity}
		}
		for range over {
			b.dropOldest()
		}
	}
	for i := range items {
		it := &items[i]
		if j, ok := first[it.Dedupe]; it.Dedupe != "" && ok && j != i {
			ids[i] = ids[j]
		}
		if ids[i] != "" {
			b.stats.Deduplicated++
			dup := *it
			dup.ID = ids[i]
			b.trace(opts.Trace.Deduplicated, dup)
			continue
		}
		ids[i] = b.insert(*it, headers[i])
	}
	return ids, b.broken
}

func (b *batch) dedupe(key string) (id string, ok bool) {
	ok = b.value(&id, b.st.FindDedupe, key)
	return id, ok
}

func (b *batch) insert(it queue.Item, headers []byte) string {
	b.state.lastSeq++
	r := row{Item: it, seq: b.state.lastSeq, named: it.ID != "", notBefore: engine.Nanos(it.NotBefore)}
	var id any = it.ID
	if !r.named {
		r.ID, id = engine.AutoID(b.state.prefix, r.seq), nil
	}
	var due int64
	r.state, due = b.place(r.notBefore)
	if it.Key != "" && b.keyBusy(it.Key) {
		r.state, due = blocked, 0
	}
	payload, checkpoint := it.Payload, it.Checkpoint
	if r.big = len(payload)+len(checkpoint) > bigBody; r.big {
		b.exec(b.st.InsertBody, r.seq, payload, checkpoint)
		payload, checkpoint = nil, nil
	}
	if r.isPlain() {
		b.addPlain(&r, headers)
	} else {
		b.exec(b.st.Insert, r.seq, id, it.Name, it.Key, it.Dedupe, it.Priority, r.notBefore, r.state, due, b.now, b.now,
			headers, r.big, payload, checkpoint)
	}
	b.count(-1, r.state)
	if it.Dedupe != "" {
		b.exec(b.st.AddDedupe, it.Dedupe, r.ID, b.now+int64(b.w.q.opts.DedupeWindow))
	}
	b.stats.Enqueued++
	if trace := b.w.q.opts.Trace.Enqueued; trace != nil {
		r.State, r.EnqueuedAt = stateNames[r.state], engine.TimeAt(b.now)
		b.trace(trace, r.Item)
	}
	return r.ID
}

func (b *batch) keyBusy(key string) bool {
	var one int
	return b.value(&one, b.st.KeyBusy, key)
}

func (b *batch) dropOldest() {
	r := b.one(b.st.Oldest)
	if r == nil {
		return // cannot be: the caller counted those that are not leased
	}
	b.load(r)
	b.delete(r)
	b.stats.Dropped++
	b.trace(b.w.q.opts.Trace.Dropped, r.Item)
	b.events = append(b.events, func() {
		opts := &b.w.q.opts
		opts.Logger.Warn("queue is full: dropped its oldest item", "id", r.ID, "name", r.Name, "capacity", opts.Capacity)
	})
}
