package natsqueue

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// txn is one transaction: it changes the state at once, and back if the log
// does not take it.
type txn struct {
	q      *Queue
	s      *state
	now    int64
	before head
	recs   []record
	size   int  // bytes of recs, at most
	wrote  *op  // the last operation that added to them
	more   bool // there was no room for all that could have been done
	undo   []func()
	events []func()
	stats  queue.Stats
}

func (q *Queue) begin() *txn {
	t := &txn{q: q, s: q.state, now: q.log.now(), before: q.state.head}
	if t.s.prefix == "" {
		t.s.prefix = strings.ToLower(rand.Text()[:6])
		var token [4]byte // no lease of a log that was lost must fit
		_, _ = rand.Read(token[:])
		t.s.lastToken = int64(binary.BigEndian.Uint32(token[:]))
	}
	return t
}

func (t *txn) record(r record) {
	t.recs = append(t.recs, r)
	t.size += r.size()
}

func (t *txn) changed() bool { return len(t.recs) > 0 || t.s.paused != t.before.paused }

func (t *txn) rollback() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
	t.s.head = t.before
}

// restore returns a function that puts an entry back as it is.
func (s *state) restore(e *entry) func() {
	seq, was := e.seq, e.meta
	return func() {
		s.unlink(e)
		delete(s.entries, e.seq)
		e.seq, e.meta = seq, was
		s.entries[seq] = e
		s.ids[e.body.ID] = e
		s.link(e)
	}
}

// update changes an item.
func (t *txn) update(e *entry, m meta) {
	t.undo = append(t.undo, t.s.restore(e))
	t.s.set(e.seq, nil, m)
	t.record(record{kind: recMeta, seq: e.seq, meta: m})
}

// delete takes an item out.
func (t *txn) delete(e *entry) {
	release := e.state != dead && e.state != blocked
	t.undo = append(t.undo, t.s.restore(e))
	t.record(record{kind: recDelete, seq: e.seq, log: e.log})
	t.s.set(e.seq, nil, meta{state: none})
	if release {
		t.release(e.body.Key)
	}
}

// insert adds an item.
func (t *txn) insert(body *queue.Item, m meta) *entry {
	t.s.lastSeq++
	seq := t.s.lastSeq
	if body.ID == "" {
		body.ID = engine.AutoID(t.s.prefix, seq)
	}
	t.s.set(seq, body, m)
	t.undo = append(t.undo, func() { t.s.set(seq, nil, meta{state: none}) })
	t.record(record{kind: recPut, seq: seq, body: body, meta: m})
	return t.s.entries[seq]
}

// release lets the next item of a key go on.
func (t *txn) release(key string) {
	if next := t.s.keyNext(key); next != nil && next.state == blocked {
		m := next.meta
		m.state, m.due = t.place(next.notBefore())
		m.available = t.now
		t.update(next, m)
	}
}

func (t *txn) place(notBefore int64) (state int, due int64) {
	if notBefore > t.now {
		return delayed, notBefore
	}
	return ready, 0
}

// giveBack ends a lease.
func (t *txn) giveBack(e *entry, to int, due int64, reason string) {
	m := e.meta
	m.state, m.due, m.token, m.available, m.lastError = to, due, 0, t.now, reason
	t.update(e, m)
}

// ran counts the time of a delivery that its receiver ended, or the last of an
// item, and returns it.
func (t *txn) ran(e *entry) time.Duration {
	run := time.Duration(max(0, t.now-e.received))
	t.stats.RunTime += run
	return run
}

func (t *txn) bury(e *entry, reason string) {
	t.ran(e)
	t.giveBack(e, dead, 0, reason)
	t.release(e.body.Key)
	t.stats.DeadLettered++
	t.trace(t.q.opts.Trace.DeadLettered, e.item())
}

// advance brings the state up to the present: leases run out, delays end. It
// leaves most of the message to what is waiting.
func (t *txn) advance() {
	for {
		e := t.s.due.first()
		if e == nil || e.due > t.now {
			return
		}
		if t.size > t.q.budget/8 {
			t.more = true
			return
		}
		if e.state == delayed {
			m := e.meta
			m.state, m.available, m.due = ready, e.due, 0
			t.update(e, m)
			continue
		}
		t.stats.Expired++
		t.trace(t.q.opts.Trace.Expired, e.item())
		reason := fmt.Sprintf("lease of attempt %d ran out after %v", e.attempts, t.q.opts.Lease)
		if t.q.opts.Exhausted(e.attempts) {
			t.bury(e, reason)
		} else {
			t.giveBack(e, ready, 0, reason)
		}
	}
}

// rewrite adds the oldest items of the log again, so that the log can be purged: a
// share of the message, or one that needs all that is left of it.
func (t *txn) rewrite() {
	if t.q.log.sizes < 2*t.s.liveBytes+slackBytes {
		return
	}
	left := t.q.limit - t.size - 1024
	room := min(max(64<<10, t.q.budget/4), left)
	for el, first := t.s.live.Front(), true; el != nil; el = el.Next() {
		l := el.Value.(*live)
		var r record
		if d := l.dedupe; d != nil && d.expires > t.now {
			r = record{kind: recDedupe, dedupe: *d}
		} else if e := l.entry; e != nil && t.s.entries[e.seq] == e {
			r = record{kind: recPut, seq: e.seq, body: e.body, meta: e.meta}
		} else {
			continue
		}
		size := r.size()
		if size > room && !(first && size <= left) {
			return
		}
		room -= size
		first = false
		t.record(r)
	}
}

func (t *txn) trace(fn func(queue.Item), it queue.Item) {
	if fn != nil {
		t.events = append(t.events, func() { fn(it) })
	}
}

func (t *txn) traceTime(fn func(queue.Item, time.Duration), it queue.Item, d time.Duration) {
	if fn != nil {
		t.events = append(t.events, func() { fn(it, d) })
	}
}

// report counts and traces what took effect.
func (t *txn) report() {
	q := t.q
	q.mu.Lock()
	q.stats.Add(t.stats)
	q.mu.Unlock()
	for _, event := range t.events {
		event()
	}
}

// apply takes in a transaction of the log.
func (s *state) apply(h head, recs []record, pos uint64) {
	for i := range recs {
		r := &recs[i]
		e := s.entries[r.seq]
		switch r.kind {
		case recDedupe:
			d := r.dedupe
			if old := s.dedupes[d.key]; old != nil {
				d.log = old.log
			}
			s.dedupes[d.key] = &d
		case recMove:
			if e != nil {
				s.move(e, r.to, r.meta)
			}
		case recDelete:
			if e != nil {
				r.log = e.log
				s.set(r.seq, nil, r.meta)
			}
		default:
			s.set(r.seq, r.body, r.meta)
		}
	}
	s.head = h
	s.settle(recs, pos)
}

// move gives an item another place in the order.
func (s *state) move(e *entry, to int64, m meta) {
	s.unlink(e)
	delete(s.entries, e.seq)
	e.seq, e.meta = to, m
	s.entries[to] = e
	s.link(e)
}
