package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// settleTimeout bounds how long a worker tries to report an outcome to a queue
// that fails; after that the lease runs out and the item is delivered again.
const settleTimeout = 10 * time.Second

// handle runs the handler for one delivery and settles it.
func (w *Worker) handle(ctx context.Context, d Delivery) {
	start := time.Now()
	err, kept := w.attempt(ctx, d)
	took := time.Since(start)
	ctx = context.WithoutCancel(ctx)
	if !kept {
		w.opts.Logger.WarnContext(ctx, "lost the lease of an item while handling it; the outcome is discarded",
			"id", d.Item.ID, "name", d.Item.Name, "attempt", d.Item.Attempts, "took", took, "error", err)
		w.report(ctx, d.Item, errors.Join(ErrLeaseLost, err), took)
		return
	}
	if failed := w.settle(ctx, d, err, took); failed != nil {
		w.opts.Logger.ErrorContext(ctx, "could not settle an item; it may be delivered again",
			"id", d.Item.ID, "name", d.Item.Name, "handled", err == nil, "error", failed)
		err = errors.Join(err, failed)
	}
	w.report(ctx, d.Item, err, took)
}

func (w *Worker) report(ctx context.Context, item Item, err error, took time.Duration) {
	if w.opts.Result == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			w.opts.Logger.ErrorContext(ctx, "result hook panicked", "id", item.ID, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	w.opts.Result(ctx, item, err, took)
}

// attempt runs the handler while a heartbeat keeps the lease. It reports whether
// the lease was kept.
func (w *Worker) attempt(parent context.Context, d Delivery) (err error, kept bool) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	if w.opts.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, w.opts.Timeout)
		defer stop()
	}
	every := w.opts.Heartbeat
	if every == 0 {
		every = d.LeaseFor / 3
	}
	beat := &heart{queue: w.queue, lease: d.Lease, lasts: d.LeaseFor, every: every, lost: func() { cancel(ErrLeaseLost) }}
	beat.start()
	err = w.call(ctx, d.Item)
	kept = !beat.stop()
	if err != nil && parent.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.Join(context.Cause(parent), err)
	}
	return err, kept
}

// heart renews a lease by a timer, so that a short handler costs no goroutine, and
// gives it up when it is over without having been renewed.
type heart struct {
	queue Queue
	lease Lease
	lasts time.Duration // 0 if the queue does not say
	every time.Duration // between renewals; 0 or less means none
	lost  func()

	mu      sync.Mutex
	timer   *time.Timer
	until   time.Time // when the lease is over
	stopped bool
	isLost  bool
	beating sync.WaitGroup
	cancel  context.CancelFunc
}

func (h *heart) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.every
	if first <= 0 {
		first = h.lasts
	}
	h.until = time.Now().Add(h.lasts)
	if first > 0 {
		h.timer = time.AfterFunc(first, h.beat)
	}
}

func (h *heart) beat() {
	h.mu.Lock()
	if h.stopped {
		h.mu.Unlock()
		return
	}
	h.beating.Add(1)
	defer h.beating.Done()
	began := time.Now()
	end := began.Add(h.every)
	if h.lasts > 0 && h.until.Before(end) {
		end = h.until
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	h.cancel = cancel
	h.mu.Unlock()
	err := ErrLeaseLost
	if h.every > 0 {
		err = h.queue.Extend(ctx, h.lease)
	}
	cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	again := h.every / 8 // soon, because another error may pass
	over := false
	if h.lasts > 0 {
		left := time.Until(h.until)
		again, over = min(again, left), left <= 0
	}
	switch {
	case errors.Is(err, ErrLeaseLost), errors.Is(err, ErrClosed), err != nil && over:
		h.isLost = true
		h.lost()
	case h.stopped:
	case err == nil:
		h.until = began.Add(h.lasts)
		h.timer.Reset(h.every)
	default:
		h.timer.Reset(again)
	}
}

// stop ends the heartbeat and reports whether the lease was lost.
func (h *heart) stop() bool {
	h.mu.Lock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.cancel != nil {
		h.cancel()
	}
	h.mu.Unlock()
	h.beating.Wait()
	return h.isLost
}

// call runs restore and handler, and turns a panic into an error. They get a
// goroutine of their own, so that even runtime.Goexit ends only the attempt.
func (w *Worker) call(ctx context.Context, item Item) error {
	result := make(chan error, 1)
	go func() {
		err := error(&PanicError{}) // stays when the handler does not return
		defer func() {
			if value := recover(); value != nil {
				stack := debug.Stack()
				err = &PanicError{Value: value, Stack: stack}
				w.opts.Logger.ErrorContext(ctx, "handler panicked", "id", item.ID, "name", item.Name, "panic", value, "stack", string(stack))
			}
			result <- err
		}()
		if err = w.run(ctx, item); err != nil {
			_ = err.Error() // of a nil pointer it may panic, which must not happen later
		}
	}()
	return <-result
}

func (w *Worker) run(ctx context.Context, item Item) (err error) {
	if len(item.Checkpoint) > 0 && w.opts.Restore != nil {
		if ctx, err = w.opts.Restore(ctx, item); err != nil {
			return err
		}
	}
	return w.handler(ctx, item)
}

// settle tells the queue the outcome, again if the queue fails for a moment.
func (w *Worker) settle(ctx context.Context, d Delivery, err error, took time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	tell := func() error { return w.queue.Ack(ctx, d.Lease) }
	if err != nil {
		decision := w.decide(ctx, d.Item, err)
		reason := short(err.Error())
		w.opts.Logger.WarnContext(ctx, "handling an item failed", "id", d.Item.ID, "name", d.Item.Name,
			"attempt", d.Item.Attempts, "took", took, "error", err)
		tell = func() error { return w.queue.Nack(ctx, d.Lease, Nack{Delay: decision.Delay, Reason: reason}) }
		if decision.Dead {
			tell = func() error { return w.queue.Dead(ctx, d.Lease, reason) }
		}
	}
	for delay := 50 * time.Millisecond; ; delay *= 2 {
		failed := tell()
		if failed == nil || errors.Is(failed, ErrLeaseLost) || errors.Is(failed, ErrClosed) {
			return failed
		}
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return failed
		}
	}
}

// short keeps the beginning and the end of a reason, since an error may hold the
// whole output of a command, and dead letters stay.
func short(reason string) string {
	const half = 15 << 9
	if len(reason) <= 2*half {
		return reason
	}
	text := fmt.Sprintf("%s\n[… %d bytes dropped …]\n%s", reason[:half], len(reason)-2*half, reason[len(reason)-half:])
	return strings.ToValidUTF8(text, "") // the cut may be within a character
}

// decide asks the retry policy, which must not end the worker by a panic.
func (w *Worker) decide(ctx context.Context, item Item, err error) (d Decision) {
	defer func() {
		if p := recover(); p != nil {
			w.opts.Logger.ErrorContext(ctx, "retry policy panicked", "id", item.ID, "panic", p, "stack", string(debug.Stack()))
			d = Decision{}
		}
	}()
	return w.opts.Retry(item, err)
}
