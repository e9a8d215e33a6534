package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// batch is a set of keys that are loaded together.
type batch[K comparable, V any] struct {
	ctx    context.Context // of its load
	cancel context.CancelCauseFunc
	done   chan struct{}

	// Most callers of a batch share one context. Those wait on settled, which is
	// closed when the batch is done or that context ends: waiting on one channel
	// costs half as much as waiting on two.
	gone    <-chan struct{} // Done of the context of the caller who began the batch
	settled chan struct{}
	settle  func()
	unwatch func() bool

	// Guarded by Batcher.mu.
	keys    []K
	callers int
	timer   *time.Timer
	over    bool

	// Set before done is closed.
	results []Result[V]
	err     error
}

// PanicError is what callers get when the load function panicked.
type PanicError struct {
	Value any    // what it panicked with
	Stack string // where
}

func (e *PanicError) Error() string { return fmt.Sprintf("load function panicked: %v", e.Value) }

// Unwrap returns the panic's value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// begin starts a batch and its window. The lock is held.
func (b *Batcher[K, V]) begin(ctx context.Context) *batch[K, V] {
	bt := &batch[K, V]{done: make(chan struct{}), keys: make([]K, 0, min(b.opts.MaxSize, DefaultMaxSize))}
	bt.settled, bt.gone = bt.done, ctx.Done()
	if bt.gone != nil {
		bt.settled = make(chan struct{})
		bt.settle = sync.OnceFunc(func() { close(bt.settled) })
		bt.unwatch = context.AfterFunc(ctx, bt.settle)
	}
	bt.ctx, bt.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if b.opts.Window > 0 {
		bt.timer = time.AfterFunc(b.opts.Window, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.open == bt {
				b.dispatch(bt)
			}
		})
	}
	return bt
}

// await reports whether bt is done; if not, ctx has ended first.
func (bt *batch[K, V]) await(ctx context.Context) bool {
	if ctx.Done() != bt.gone {
		select {
		case <-bt.done:
			return true
		case <-ctx.Done():
			return false
		}
	}
	<-bt.settled
	select {
	case <-bt.done:
		return true
	default:
		return false
	}
}

// dispatch ends the window of bt and starts its load. The lock is held.
func (b *Batcher[K, V]) dispatch(bt *batch[K, V]) {
	b.open = nil
	if bt.timer != nil {
		bt.timer.Stop()
	}
	b.loading++
	b.running.Go(func() { b.run(bt) })
}

func (b *Batcher[K, V]) run(bt *batch[K, V]) {
	var results []Result[V]
	err := errGoexit // unless it returns or panics
	defer func() {
		b.end(bt, results, err)
		bt.cancel(nil)
		b.mu.Lock()
		b.loading--
		b.mu.Unlock()
	}()
	ctx := bt.ctx
	defer context.AfterFunc(b.stop, func() { bt.cancel(ErrClosed) })()
	if b.opts.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, b.opts.Timeout, timeoutError(b.opts.Timeout))
		defer stop()
	}
	// A load function that does not heed its context does not hold up its callers.
	defer context.AfterFunc(ctx, func() { b.end(bt, nil, context.Cause(ctx)) })()

	// A copy, because a function that changes its keys, sorts them for instance, must
	// not change which keys this batch is about.
	results, err = protect(ctx, b.load, slices.Clone(bt.keys))
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		// The cause says more than the bare "context deadline exceeded".
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	if err == nil && len(results) != len(bt.keys) {
		err = fmt.Errorf("the load function returned %d results for %d keys", len(results), len(bt.keys))
	}
}

var errGoexit = errors.New("the load function ended its goroutine instead of returning")

// timeoutError is the cause of a load's end by Options.Timeout.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("the load took longer than its timeout of %s", time.Duration(e))
}

func (timeoutError) Unwrap() error { return context.DeadlineExceeded }

// protect calls load and makes its panic an error.
func protect[K comparable, V any](ctx context.Context, load LoadFunc[K, V], keys []K) (results []Result[V], err error) {
	defer func() {
		if p := recover(); p != nil {
			results, err = nil, &PanicError{Value: p, Stack: string(debug.Stack())}
		}
	}()
	return load(ctx, keys)
}

// end gives bt its outcome, unless it has one.
func (b *Batcher[K, V]) end(bt *batch[K, V], results []Result[V], err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !bt.over {
		b.finish(bt, results, err)
	}
}

// finish gives bt its outcome: from here on its keys are loaded anew. The lock is
// held and bt is not over.
func (b *Batcher[K, V]) finish(bt *batch[K, V], results []Result[V], err error) {
	bt.over = true
	bt.results, bt.err = results, err
	if b.open == bt {
		b.open = nil
		bt.timer.Stop() // an open batch has a window
		bt.cancel(err)
	}
	if len(b.places) == len(bt.keys) { // all of them are this batch's
		clear(b.places)
	} else {
		for _, key := range bt.keys {
			delete(b.places, key)
		}
	}
	close(bt.done)
	if bt.gone != nil {
		bt.unwatch()
		bt.settle()
	}
}
