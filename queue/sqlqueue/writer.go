package sqlqueue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// opKind tells operations that may have to wait apart: those of a kind wait in
// line.
type opKind uint8

const (
	immediate opKind = iota // never waits
	receiving
	enqueuing
	emptying
)

// op is one call on its way to the writer.
type op struct {
	kind opKind
	// run does the work within a transaction. It reports false when it has to
	// wait; then it has changed nothing. It runs again when a transaction fails.
	run func(b *batch) (done bool, err error)

	state    atomic.Int32 // one of the op states
	canceled atomic.Bool  // the caller's context has ended
	done     chan error

	// Of the writer: the outcome, if the transaction that it ran in commits.
	finished bool
	err      error
}

// The states of an op: whoever moves it from waiting decides its fate.
const (
	opWaiting int32 = iota
	opClaimed       // the writer runs it; its outcome counts
	opGone          // the caller gave up
)

// maxBatch bounds the calls that one transaction serves, so that none waits for
// too many others.
const maxBatch = 1024

// writer owns the connection that writes.
type writer struct {
	q     *Queue
	conn  *sql.Conn
	ops   chan *op
	ended chan struct{}
	st    statements
	plain plainStatements

	syncer      *syncer
	last        *commit // the latest that was handed to it
	before      int     // how many calls the one before served
	waiting     []*op   // in the order in which they came
	due         int64   // when the next delay or lease ends, 0 for never
	dataVersion int64
}

func newWriter(q *Queue, conn *sql.Conn) (*writer, error) {
	w := &writer{q: q, conn: conn, ops: make(chan *op, maxBatch), ended: make(chan struct{})}
	err := w.st.prepare(conn)
	if err == nil {
		err = w.plain.prepare(conn)
	}
	if err == nil {
		w.syncer, err = startSyncer(conn)
	}
	if err != nil {
		w.plain.close()
		w.st.close()
		return nil, err
	}
	go w.loop()
	return w, nil
}

// do hands an operation to the writer and waits for its outcome, which is on disk
// then.
func (w *writer) do(ctx context.Context, kind opKind, run func(*batch) (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &op{kind: kind, run: run, done: make(chan error, 1)}
	select {
	case <-w.q.closed:
		return queue.ErrClosed
	default:
	}
	select {
	case w.ops <- o:
	case <-w.q.closed:
		return queue.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.done:
		return err
	case <-w.ended:
		return o.last()
	case <-ctx.Done():
	}
	o.canceled.Store(true)
	if o.state.CompareAndSwap(opWaiting, opGone) {
		return ctx.Err()
	}
	// The writer has it: whether it happened is known when that is through.
	select {
	case err := <-o.done:
		if err == errCanceled {
			return ctx.Err()
		}
		return err
	case <-w.ended:
		return o.last()
	}
}

// last returns the outcome of an operation when the writer has ended: it may have
// been sent after the last transaction.
func (o *op) last() error {
	select {
	case err := <-o.done:
		return err
	default:
		return queue.ErrClosed
	}
}

var errCanceled = fmt.Errorf("sqlqueue: %w", context.Canceled)

func (w *writer) loop() {
	defer close(w.ended)
	defer w.conn.Close()
	defer w.st.close()
	defer w.plain.close()
	defer w.syncer.stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var fresh []*op
	for {
		timer.Reset(w.pause())
		fresh = fresh[:0]
		select {
		case o := <-w.ops:
			fresh = append(fresh, o)
		case <-timer.C:
			if len(w.waiting) == 0 || !w.stirred() {
				w.forget()
				continue
			}
		case <-w.q.closed:
			w.end()
			return
		}
		fresh = w.gather(fresh)
		w.serve(fresh)
	}
}

// gather adds the operations that have come, or are about to. While the disk is
// busy there is time: a transaction of half of the calls that are about is ready
// when the disk is, and the other half when it is again. When the disk is idle,
// those that were told last may call again at once, so it gives them a moment: that
// doubles what one sync serves.
func (w *writer) gather(fresh []*op) []*op {
	about := max(w.last.calls(), len(fresh)+len(w.ops))
	for !w.last.isSynced() {
		if len(fresh) >= w.enough(w.last.calls()+max(w.before, len(fresh)+len(w.ops))) {
			return fresh
		}
		select {
		case o := <-w.ops:
			fresh = append(fresh, o)
		case <-w.last.synced:
		}
		about = w.last.calls() + len(fresh)
	}
	enough := w.enough(about)
	for start, came := time.Now(), time.Now(); ; runtime.Gosched() {
		now := time.Now()
		for len(fresh) < enough && len(w.ops) > 0 {
			fresh, came = append(fresh, <-w.ops), now
		}
		if len(fresh) >= enough || now.Sub(came) > gatherPause || now.Sub(start) > gatherFor {
			return fresh
		}
	}
}

// enough is how many operations make a transaction when so many calls are about.
// Few are better served by one sync than by two.
func (w *writer) enough(about int) int {
	return min(max(1, about), max(smallBatch, (about+1)/2), maxBatch)
}

const (
	// gatherFor is short beside a sync, and long enough for callers to wake up, one
	// after the other within gatherPause.
	gatherFor   = 100 * time.Microsecond
	gatherPause = 20 * time.Microsecond

	// smallBatch is up to how many operations SQLite runs in less time than a sync.
	smallBatch = 16
)

// pause is how long the writer may sleep.
func (w *writer) pause() time.Duration {
	if len(w.waiting) == 0 {
		return time.Hour
	}
	d := w.q.opts.Poll
	if w.due != 0 {
		d = min(d, time.Duration(w.due-time.Now().UnixNano()))
	}
	return max(0, d)
}

// stirred reports whether a waiting operation may find something new: a delay
// or lease ended, another process wrote, or the disk failed.
func (w *writer) stirred() bool {
	if w.due != 0 && w.due <= time.Now().UnixNano() || w.syncer.error() != nil {
		return true
	}
	var version int64
	err := w.st.DataVersion.QueryRow().Scan(&version)
	changed := err != nil || version != w.dataVersion
	w.dataVersion = version
	return changed
}

// forget drops waiting operations whose callers gave up.
func (w *writer) forget() {
	w.waiting = slices.DeleteFunc(w.waiting, func(o *op) bool { return o.state.Load() == opGone })
}

// end tells everybody that the queue is closed.
func (w *writer) end() {
	for _, o := range w.waiting {
		o.done <- queue.ErrClosed
	}
	for {
		select {
		case o := <-w.ops:
			o.done <- queue.ErrClosed
		default:
			return
		}
	}
}

// serve runs fresh operations and those that wait, in one transaction or, if
// that fails, each in one of its own: an item that the disk has no room for must
// not fail the acknowledgement that came at the same time, nor a receiver.
func (w *writer) serve(fresh []*op) {
	var ops []*op
	for _, o := range fresh {
		if o.kind == immediate {
			ops = append(ops, o)
		} else {
			w.waiting = append(w.waiting, o)
		}
	}
	err := w.transact(ops, w.waiting)
	switch {
	case err == nil:
	case errors.Is(err, ErrBusy): // to try that again would take as long again
		for _, o := range slices.Concat(ops, w.waiting) {
			o.fail(err)
		}
	default:
		for _, o := range ops {
			o.fail(w.transact([]*op{o}, nil))
		}
		var stuck [emptying + 1]bool
		for _, o := range w.waiting {
			if !stuck[o.kind] {
				o.fail(w.transact(nil, []*op{o}))
				stuck[o.kind] = o.kind != emptying && o.state.Load() == opWaiting
			}
		}
	}
	w.forget()
}

// fail tells the caller that its operation could not be tried, if err is not nil.
func (o *op) fail(err error) {
	if err != nil && o.state.Swap(opGone) != opGone {
		o.done <- err
	}
}

// transact runs operations, and those that wait their turn, in one transaction
// and tells their callers. If it fails, all is as before and nobody is told.
func (w *writer) transact(ops, waiting []*op) error {
	var claimed []*op
	claim := func(o *op) bool {
		if !o.state.CompareAndSwap(opWaiting, opClaimed) {
			return false
		}
		o.finished, o.err = false, nil
		claimed = append(claimed, o)
		return true
	}
	var b *batch
	err := w.syncer.error()
	if err == nil {
		b, err = w.begin()
	}
	if err == nil {
		defer b.discard()
		err = b.serve(ops, waiting, claim)
	}
	c := &commit{b: b, synced: make(chan struct{})}
	for _, o := range claimed {
		if err == nil && o.finished {
			o.state.Store(opGone)
			c.ops = append(c.ops, o)
			continue
		}
		// It waits on, unless its caller has meanwhile given up.
		o.state.Store(opWaiting)
		if o.canceled.Load() && o.state.CompareAndSwap(opWaiting, opGone) {
			o.done <- errCanceled
		}
	}
	if err != nil {
		return fmt.Errorf("queue %s: %w", w.q.path, typed(err))
	}
	w.due = b.due
	c.served = len(c.ops)
	if c.served <= 1 && len(w.ops) == 0 && w.last.isTold() {
		w.syncer.finish(c) // nothing can be done meanwhile
	} else {
		w.syncer.commits <- c
	}
	w.before, w.last = w.last.calls(), c
	return nil
}

// serve runs the operations that can be claimed. Of those that wait, the ones of
// a kind take turns until one must wait on. Receivers may make room for enqueuers
// and those may feed receivers, so it goes round until nothing moves.
func (b *batch) serve(ops, waiting []*op, claim func(*op) bool) error {
	if err := b.advance(); err != nil {
		return err
	}
	for _, o := range ops {
		if claim(o) {
			if o.finished, o.err = o.run(b); b.broken != nil {
				return b.broken
			}
		}
	}
	for moved := true; moved; {
		moved = false
		var stuck [emptying + 1]bool
		for _, o := range waiting {
			if stuck[o.kind] || o.state.Load() != opClaimed && !claim(o) || o.finished {
				continue
			}
			if o.finished, o.err = o.run(b); b.broken != nil {
				return b.broken
			}
			if o.kind != emptying {
				moved, stuck[o.kind] = moved || o.finished, !o.finished
			}
		}
	}
	b.waits = len(waiting) < len(b.w.waiting) || slices.ContainsFunc(waiting, func(o *op) bool { return !o.finished })
	return b.commit()
}
