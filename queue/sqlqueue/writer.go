package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"
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
	// wait; then it has changed nothing.
	run func(b *batch) (done bool, err error)

	state    atomic.Int32 // one of the op states
	canceled atomic.Bool  // the caller's context has ended
	done     chan error
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

	waiting     []*op // in the order in which they came
	due         int64 // when the next delay or lease ends, 0 for never
	dataVersion int64
}

func newWriter(q *Queue, conn *sql.Conn) (*writer, error) {
	w := &writer{q: q, conn: conn, ops: make(chan *op, maxBatch), ended: make(chan struct{})}
	if err := w.st.prepare(conn); err != nil {
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
	case <-w.ended: // the op may have been sent after the last batch
		select {
		case err := <-o.done:
			return err
		default:
			return queue.ErrClosed
		}
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
		select {
		case err := <-o.done:
			return err
		default:
			return queue.ErrClosed
		}
	}
}

var errCanceled = fmt.Errorf("sqlqueue: %w", context.Canceled)

func (w *writer) loop() {
	defer close(w.ended)
	defer w.conn.Close()
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
	more:
		for len(fresh) < maxBatch {
			select {
			case o := <-w.ops:
				fresh = append(fresh, o)
			default:
				break more
			}
		}
		w.serve(fresh)
	}
}

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
// or lease ended, or another process wrote.
func (w *writer) stirred() bool {
	if w.due != 0 && w.due <= time.Now().UnixNano() {
		return true
	}
	var version int64
	err := w.st.dataVersion.QueryRow().Scan(&version)
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

// serve runs fresh operations and those that wait in one transaction.
func (w *writer) serve(fresh []*op) {
	claimed := make([]*op, 0, len(fresh)+8)
	claim := func(o *op) bool {
		if !o.state.CompareAndSwap(opWaiting, opClaimed) {
			return false
		}
		claimed = append(claimed, o)
		return true
	}
	outcome := map[*op]error{}
	b, err := w.begin()
	if err == nil {
		err = func() error {
			defer b.discard()
			if err := b.advance(); err != nil {
				return err
			}
			for _, o := range fresh {
				if o.kind != immediate {
					w.waiting = append(w.waiting, o)
					continue
				}
				if !claim(o) {
					continue
				}
				_, failed := o.run(b)
				if b.broken != nil {
					return b.broken
				}
				outcome[o] = failed
			}
			if err := w.serveWaiting(b, claim, outcome); err != nil {
				return err
			}
			return b.commit()
		}()
	} else {
		for _, o := range fresh {
			if o.kind != immediate {
				w.waiting = append(w.waiting, o)
			}
		}
	}
	if err != nil {
		w.fail(fresh, fmt.Errorf("queue %s: %w", w.q.path, typed(err)))
		return
	}
	w.due = b.due
	b.report() // first, so that a caller finds its own call in the counters
	for _, o := range claimed {
		failed, finished := outcome[o]
		if finished {
			o.done <- failed
			continue
		}
		// It waits on, unless its caller has meanwhile given up.
		o.state.Store(opWaiting)
		if o.canceled.Load() && o.state.CompareAndSwap(opWaiting, opGone) {
			o.done <- errCanceled
		}
	}
	w.waiting = slices.DeleteFunc(w.waiting, func(o *op) bool {
		_, finished := outcome[o]
		return finished || o.state.Load() == opGone
	})
}

// serveWaiting gives the operations that wait their turn: of each kind until
// one must wait on. Receivers may make room for enqueuers and those may feed
// receivers, so it goes round until nothing moves.
func (w *writer) serveWaiting(b *batch, claim func(*op) bool, outcome map[*op]error) error {
	for moved := true; moved; {
		moved = false
		var stuck [emptying + 1]bool
		for _, o := range w.waiting {
			if _, finished := outcome[o]; finished || stuck[o.kind] || o.state.Load() != opClaimed && !claim(o) {
				continue
			}
			done, err := o.run(b)
			if b.broken != nil {
				return b.broken
			}
			if done || err != nil {
				outcome[o] = err
				moved = moved || o.kind != emptying
			} else if o.kind != emptying {
				stuck[o.kind] = true
			}
		}
	}
	return nil
}

// fail tells the operations of a transaction that failed, which has been rolled
// back. Receivers that wait learn of it too: a worker must know.
func (w *writer) fail(fresh []*op, err error) {
	for _, o := range slices.Concat(fresh, w.waiting) {
		if o.state.Swap(opGone) != opGone {
			o.done <- err
		}
	}
	w.waiting = nil
	w.due = 0
}
