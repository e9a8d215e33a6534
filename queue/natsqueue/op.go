package natsqueue

import (
	"context"
	"fmt"
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
	size int // bytes that it may add to the transaction
	// run does the work within a transaction. It reports false when it has to
	// wait; then it has changed nothing.
	run func(t *txn) (done bool, err error)
	// undo takes back what run did for a caller who has gone. Nil means that it
	// stays.
	undo func(t *txn) (done bool, err error)

	state    atomic.Int32
	canceled atomic.Bool // the caller's context has ended
	done     chan error
}

// The states of an op: whoever moves it from waiting or claimed decides its fate.
const (
	opWaiting int32 = iota
	opClaimed       // the writer has it
	opRunning       // and uses what the caller shares with it
	opGone          // the caller gave up, or has its outcome
)

// grace is how long a call whose context ended waits for the outcome of a
// transaction that is on its way. It takes longer only when the stream does not
// answer.
const grace = time.Second

var errCanceled = fmt.Errorf("natsqueue: %w", context.Canceled)

// do hands an operation to the writer and waits for its outcome.
func (q *Queue) do(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.ctx.Err() != nil {
		return queue.ErrClosed
	}
	o.done = make(chan error, 1)
	select {
	case q.ops <- o:
	case <-q.ctx.Done():
		return queue.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.done:
		return err
	case <-q.ended:
		return o.last()
	case <-ctx.Done():
	}
	o.canceled.Store(true)
	if o.state.CompareAndSwap(opWaiting, opGone) {
		return ctx.Err()
	}
	// The writer has it: whether it happened is known when that is through.
	for late := time.NewTimer(grace); ; late.Reset(time.Millisecond) {
		select {
		case err := <-o.done:
			if err == errCanceled {
				return ctx.Err()
			}
			return err
		case <-q.ended:
			return o.last()
		case <-late.C:
			if o.state.CompareAndSwap(opClaimed, opGone) {
				return fmt.Errorf("%w: no answer yet: %w", ErrUnavailable, ctx.Err())
			}
		}
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

// decide runs a claimed operation, unless its caller has gone.
func (o *op) decide(t *txn) (done bool, err error) {
	if !o.state.CompareAndSwap(opClaimed, opRunning) {
		return false, nil
	}
	defer o.state.Store(opClaimed)
	before := len(t.recs)
	done, err = o.run(t)
	if len(t.recs) > before {
		t.wrote = o
	}
	return done, err
}

// finish tells the caller the outcome. It reports whether there still is one.
func (o *op) finish(err error) bool {
	if o.state.Swap(opGone) == opGone {
		return false
	}
	o.done <- err
	return true
}
