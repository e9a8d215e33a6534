package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Handler does the work of an item. Nil means done; an error is retried or
// buried as the worker's retry policy says, and about 15 KiB of its text are kept
// with the item. The context ends when the worker is told to stop at once, when
// WorkerOptions.Timeout is over, and when the lease is lost or over without having
// been renewed, after which somebody else may have the item.
type Handler func(ctx context.Context, item Item) error

// WorkerOptions configure a [Worker].
type WorkerOptions struct {
	// Concurrency is how many items are handled at once. 0 means 1. Items with
	// the same key are never handled at once.
	Concurrency int

	// Timeout bounds one run of the handler, by its context. 0 means none.
	Timeout time.Duration

	// Heartbeat is how often the lease is renewed while the handler runs. 0
	// means a third of the lease; negative means never, so that a handler has no
	// longer than the lease.
	Heartbeat time.Duration

	// Rate bounds how many items are started per second. 0 means no bound.
	Rate float64

	// Retry decides what becomes of an item whose handler failed. Nil means
	// [DefaultRetry].
	Retry func(item Item, err error) Decision

	// Middleware wraps the handler; the first is the outermost.
	Middleware []func(Handler) Handler

	// Restore prepares the context of an item that has a Checkpoint, before the
	// handler sees it: this is where a program restores the agent that made the
	// item. Its error counts as the handler's.
	Restore func(ctx context.Context, item Item) (context.Context, error)

	// Result is told the outcome of every attempt, after it was settled: the
	// handler's error and how long it ran. ctx has the values of Run's context and
	// does not end.
	Result func(ctx context.Context, item Item, err error, took time.Duration)

	// Logger receives failed attempts and panics. Nil means slog.Default().
	Logger *slog.Logger
}

// Worker handles the items of a queue. It is safe for concurrent use; several
// may serve one queue.
type Worker struct {
	queue   Queue
	handler Handler
	opts    WorkerOptions
	pace    pacer

	mu   sync.Mutex
	runs map[*run]struct{}
}

// run is one call of Run or RunUntilEmpty.
type run struct {
	stopReceiving context.CancelFunc
	abort         context.CancelCauseFunc
	done          chan struct{}
}

// NewWorker returns a worker, which does nothing until Run or RunUntilEmpty.
func NewWorker(q Queue, handler Handler, opts WorkerOptions) *Worker {
	if opts.Concurrency <= 0 {
		opts.Concurrency = 1
	}
	if opts.Retry == nil {
		opts.Retry = DefaultRetry
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	for i := len(opts.Middleware) - 1; i >= 0; i-- {
		handler = opts.Middleware[i](handler)
	}
	return &Worker{queue: q, handler: handler, opts: opts, pace: newPacer(opts.Rate), runs: map[*run]struct{}{}}
}

// Run handles items until ctx ends, which cancels the handlers' contexts too
// and is no error, until [Worker.Stop], or until the queue is closed
// ([ErrClosed]) or fails. Interrupted items go back to the queue; the attempt
// counts, so that the last one that Options.MaxAttempts allows makes a dead letter.
// Run returns when every handler has.
func (w *Worker) Run(ctx context.Context) error {
	r, handling, receiving := w.begin(ctx)
	defer w.end(r)
	err := w.receiveAll(receiving, handling)
	if err == nil || ctx.Err() != nil || receiving.Err() != nil {
		return nil
	}
	return err
}

// RunUntilEmpty handles items until the queue holds none that is ready,
// delayed, blocked or leased: retries are waited for, dead letters are not. It
// returns [ErrPaused] for a queue that is paused when it begins, the context's
// error if that ends first, and otherwise as Run.
func (w *Worker) RunUntilEmpty(ctx context.Context) error {
	if paused, err := w.queue.Paused(ctx); err != nil {
		return err
	} else if paused {
		return ErrPaused
	}
	r, handling, receiving := w.begin(ctx)
	defer w.end(r)
	for {
		round, finish := context.WithCancel(receiving)
		var empty error
		var waiting sync.WaitGroup
		waiting.Go(func() {
			empty = w.queue.WaitEmpty(round)
			finish()
		})
		err := w.receiveAll(round, handling)
		finish()
		waiting.Wait()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case receiving.Err() != nil: // stopped
			return nil
		case empty == nil:
		case errors.Is(empty, context.Canceled): // because receiving failed
			return err
		default:
			return empty
		}
		depth, err := w.queue.Depth(ctx)
		if err != nil || depth.Len() == 0 {
			return err
		}
	}
}

// Stop makes every Run and RunUntilEmpty of this worker that has begun take no
// further items and waits until the running handlers have finished. When ctx ends
// first, their contexts are cancelled, the items go back to the queue as when Run's
// context ends, and Stop returns the context's error without waiting for handlers
// that do not listen.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	runs := make([]*run, 0, len(w.runs))
	for r := range w.runs {
		runs = append(runs, r)
		r.stopReceiving()
	}
	w.mu.Unlock()
	for _, r := range runs {
		select {
		case <-r.done:
		case <-ctx.Done():
			for _, r := range runs {
				r.abort(errStopped)
			}
			return ctx.Err()
		}
	}
	return nil
}

func (w *Worker) begin(ctx context.Context) (r *run, handling, receiving context.Context) {
	handling, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	receiving, stopReceiving := context.WithCancel(ctx)
	unhook := context.AfterFunc(ctx, func() {
		stopReceiving() // first, or what is interrupted would be taken again
		abort(errStopped)
	})
	r = &run{
		stopReceiving: stopReceiving,
		abort:         func(cause error) { unhook(); abort(cause) },
		done:          make(chan struct{}),
	}
	w.mu.Lock()
	w.runs[r] = struct{}{}
	w.mu.Unlock()
	return r, handling, receiving
}

func (w *Worker) end(r *run) {
	w.mu.Lock()
	delete(w.runs, r)
	w.mu.Unlock()
	r.stopReceiving()
	r.abort(context.Canceled)
	close(r.done)
}

// receiveAll runs the worker's loops until receiving ends or the queue fails.
func (w *Worker) receiveAll(receiving, handling context.Context) error {
	receiving, fail := context.WithCancelCause(receiving)
	defer fail(nil)
	var loops sync.WaitGroup
	for range w.opts.Concurrency {
		loops.Go(func() {
			for {
				d, err := w.pace.receive(receiving, w.queue)
				if err != nil {
					fail(err)
					return
				}
				w.handle(handling, d)
			}
		})
	}
	loops.Wait()
	return context.Cause(receiving)
}

// pacer spaces starts evenly. With a gap, one receives at a time, so that after
// a quiet hour not all start together.
type pacer struct {
	gap  time.Duration
	turn chan struct{} // holds one while nobody receives
	next time.Time     // of whose turn it is
}

func newPacer(rate float64) pacer {
	if rate <= 0 {
		return pacer{}
	}
	p := pacer{gap: time.Duration(min(float64(time.Second)/rate, float64(forever))), turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

func (p *pacer) receive(ctx context.Context, q Queue) (Delivery, error) {
	if p.gap == 0 {
		return q.Receive(ctx)
	}
	select {
	case <-p.turn:
		defer func() { p.turn <- struct{}{} }()
	case <-ctx.Done():
		return Delivery{}, ctx.Err()
	}
	if d := time.Until(p.next); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return Delivery{}, ctx.Err()
		}
	}
	d, err := q.Receive(ctx)
	if err == nil {
		p.next = time.Now().Add(p.gap)
	}
	return d, err
}
