package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
)

const (
	maxBatch   = 1024     // calls of one transaction
	slackBytes = 16 << 20 // of the log that are not worth a rewrite
	purgeEvery = 4096     // messages between purges, and
	purgeBytes = 8 << 20  // bytes
)

func (q *Queue) loop() {
	defer close(q.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var fresh []*op
	for {
		timer.Reset(q.pause())
		fresh = fresh[:0]
		size := 0
		select {
		case o := <-q.ops:
			fresh, size = append(fresh, o), o.size
		case <-q.news:
		case <-timer.C:
			q.unsure = true // news may have got lost
		case <-q.ctx.Done():
			q.end()
			return
		}
	more:
		for len(fresh) < maxBatch && size < q.budget {
			select {
			case o := <-q.ops:
				fresh, size = append(fresh, o), size+o.size
			default:
				break more
			}
		}
		q.waiting = slices.DeleteFunc(q.waiting, func(o *op) bool { return o.state.Load() == opGone })
		for again := len(fresh) > 0 || len(q.waiting) > 0; again; {
			fresh, again = q.serve(fresh)
		}
	}
}

// pause is how long the writer may sleep.
func (q *Queue) pause() time.Duration {
	if len(q.waiting) == 0 {
		return time.Hour
	}
	d := time.Second // should news get lost
	if e := q.state.due.first(); e != nil {
		d = min(d, time.Duration(e.due-q.log.now()))
	}
	return max(0, d)
}

// end tells everybody that the queue is closed.
func (q *Queue) end() {
	for _, o := range q.waiting {
		o.done <- queue.ErrClosed
	}
	for {
		select {
		case o := <-q.ops:
			o.done <- queue.ErrClosed
		default:
			return
		}
	}
}

// serve runs fresh operations and those that wait in one transaction. It returns
// those that come next, and whether there is more to do.
func (q *Queue) serve(fresh []*op) (next []*op, more bool) {
	claimed := make([]*op, 0, len(fresh)+8)
	claim := func(o *op) bool {
		if !o.state.CompareAndSwap(opWaiting, opClaimed) {
			return o.state.Load() == opClaimed
		}
		claimed = append(claimed, o)
		return true
	}
	var immediates []*op
	for _, o := range fresh {
		if o.kind != immediate {
			q.waiting = append(q.waiting, o)
		} else if claim(o) {
			immediates = append(immediates, o)
		}
	}
	outcome, t, err := q.transact(immediates, claim)
	if err != nil {
		q.startOver(err)
		if q.ctx.Err() != nil {
			err = queue.ErrClosed
		} else {
			err = fmt.Errorf("queue %s: %w", q.log.name, err)
		}
		for _, o := range slices.Concat(immediates, q.waiting) {
			o.finish(err)
		}
		q.waiting = nil
		return nil, false
	}
	t.report() // first, so that a caller finds its own call in the counters
	for _, o := range claimed {
		if failed, finished := outcome[o]; finished {
			if !o.finish(failed) && failed == nil && o.undo != nil {
				next = append(next, &op{run: o.undo, done: make(chan error, 1)})
			}
			continue
		}
		if o.kind == immediate {
			next = append(next, o)
		}
		// It waits on, unless its caller has meanwhile given up.
		if o.state.CompareAndSwap(opClaimed, opWaiting) && o.canceled.Load() && o.state.CompareAndSwap(opWaiting, opGone) {
			o.done <- errCanceled
		}
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(o *op) bool {
		_, finished := outcome[o]
		return finished || o.state.Load() == opGone
	})
	q.tidy()
	return next, t.more || len(next) > 0
}

// transact decides operations on the latest state, until the log takes what was
// decided.
func (q *Queue) transact(immediates []*op, claim func(*op) bool) (map[*op]error, *txn, error) {
	checked := false
	alone := false // whether at most one of them may write
	for {
		t, outcome := q.decide(immediates, claim, alone)
		if !t.changed() {
			t.rollback()
			if len(outcome) == 0 && !q.unsure && q.newest.Load() <= q.log.applied || checked {
				return outcome, t, nil
			}
			// Nothing in the log proves that this was decided on the latest state. That
			// of now, after the calls came in, is late enough.
			q.unsure = false
			if err := q.catchUp(q.ctx); err != nil {
				return nil, nil, err
			}
			checked = true
			continue
		}
		if !alone {
			t.rewrite()
		}
		id := newID()
		data := encode(id, &t.s.head, t.recs)
		if len(data) > q.limit {
			t.rollback()
			if !alone {
				alone = true
				continue
			}
			return q.only(t.wrote, fmt.Errorf("transaction of %d bytes, the server takes %d: %w", len(data), q.limit, queue.ErrTooLarge))
		}
		var a answer
		err := q.room(reserve)
		if err == nil {
			a, err = q.log.append(q.ctx, data)
		}
		if err == nil && a.seq > 0 {
			q.log.applied = a.seq
			q.log.sizes += len(data) + 128
			t.s.settle(t.recs, a.seq)
			return outcome, t, nil
		}
		t.rollback()
		if errors.Is(err, ErrNoSpace) {
			if q.purge() == nil {
				continue
			}
			if !alone { // there may be room for the others
				alone = true
				continue
			}
			if t.wrote != nil {
				return q.only(t.wrote, err)
			}
		}
		if err != nil {
			return nil, nil, err
		}
		c, err := q.readTo(q.ctx, a.at, id)
		if err == nil && a.doubt && c.gap && !c.own {
			err = fmt.Errorf("%w: no answer, and what may have been the transaction is purged", ErrUnavailable)
		}
		if err != nil {
			return nil, nil, err
		}
		if c.own { // a try whose answer was lost
			return outcome, t, nil
		}
	}
}

// decide runs operations on the state as it is known here, as many as a message
// holds.
func (q *Queue) decide(immediates []*op, claim func(*op) bool, alone bool) (*txn, map[*op]error) {
	outcome := map[*op]error{}
	t := q.begin()
	t.advance()
	advanced := t.size
	fits := func(o *op) bool {
		if t.size == advanced || !alone && t.size+o.size <= q.budget {
			return true
		}
		t.more = true
		return false
	}
	for _, o := range immediates {
		if fits(o) {
			if done, err := o.decide(t); done {
				outcome[o] = err
			}
		}
	}
	t.serveWaiting(claim, fits, outcome)
	return t, outcome
}

// only is the outcome of a transaction that one operation made impossible.
func (q *Queue) only(o *op, err error) (map[*op]error, *txn, error) {
	return map[*op]error{o: fmt.Errorf("queue %s: %w", q.log.name, err)}, &txn{q: q, s: q.state, more: true}, nil
}

// serveWaiting gives the operations that wait their turn: of each kind until
// one must wait on. Receivers may make room for enqueuers and those may feed
// receivers, so it goes round until nothing moves.
func (t *txn) serveWaiting(claim, fits func(*op) bool, outcome map[*op]error) {
	for moved := true; moved; {
		moved = false
		var stuck [emptying + 1]bool
		for _, o := range t.q.waiting {
			if _, finished := outcome[o]; finished || stuck[o.kind] {
				continue
			}
			if !fits(o) {
				stuck[o.kind] = true
				continue
			}
			if !claim(o) {
				continue
			}
			done, err := o.decide(t)
			if done || err != nil {
				outcome[o] = err
				moved = moved || o.kind != emptying
			} else if o.kind != emptying {
				stuck[o.kind] = true
			}
		}
	}
}

// tidy purges what the log no longer needs, once that is worth a call, and
// forgets dedupe keys whose window is over.
func (q *Queue) tidy() {
	if now := q.log.now(); now-q.swept > int64(time.Second) {
		q.swept = now
		q.state.expireDedupes(now)
	}
	needed := q.state.needed(q.log.applied)
	if needed <= q.log.purged+1 {
		return
	}
	if gone := needed - q.log.purged; gone < purgeEvery && (q.log.sizes < q.state.liveBytes+purgeBytes || gone < 16) {
		return
	}
	if err := q.purge(); err != nil && !errors.Is(err, context.Canceled) {
		q.opts.Logger.Warn("could not purge the log of a queue; it will be tried again", "stream", q.log.name, "error", err)
	}
}

var errNothing = errors.New("the log holds nothing that is not needed")

// purge frees what the log no longer needs.
func (q *Queue) purge() error {
	needed := q.state.needed(q.log.applied)
	if needed <= q.log.purged+1 {
		return errNothing
	}
	ctx, cancel := context.WithTimeout(q.ctx, tryTimeout)
	defer cancel()
	err := q.log.purge(ctx, needed)
	if err == nil {
		_, err = q.log.last(ctx)
	}
	q.startOver(err)
	return err
}

// room reports whether the disk of an embedded server has less left than that.
func (q *Queue) room(bytes int64) error {
	if q.opts.free == nil {
		return nil
	}
	if left := q.opts.free(); left < bytes {
		return fmt.Errorf("%w: %d MiB left on the disk, fewer than %d", ErrNoSpace, left>>20, bytes>>20)
	}
	return nil
}
