package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// flight is one load for which any number of callers wait.
//
// It does what golang.org/x/sync/singleflight does, which knows only keys that
// are strings, and ends when its time is up even if the load function does not.
type flight[V any] struct {
	done       chan struct{}
	over       bool // guarded by Retriever.mu, as are the next three
	orphan     bool // its key was invalidated: the result is not remembered
	background bool // nobody waits for it
	traced     func(Load)

	value V // these are set before done is closed
	err   error
}

// wait returns the result of f, or the error of ctx if that ends first.
func (f *flight[V]) wait(ctx context.Context, key any) (V, error) {
	select {
	case <-f.done:
		return f.value, f.err
	default:
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none V
		return none, fmt.Errorf("cache: waiting for %s: %w", keyText(key), ctx.Err())
	}
}

func (f *flight[V]) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// join returns the flight of key for one more caller. The lock is held.
func (r *Retriever[K, V]) join(ctx context.Context, key K) *flight[V] {
	if f := r.flights[key]; f != nil {
		r.stats.Coalesced++
		f.background = false
		return f
	}
	return r.fly(ctx, key)
}

// fly returns the flight of key and starts it if need be. The lock is held.
func (r *Retriever[K, V]) fly(ctx context.Context, key K) *flight[V] {
	if f := r.flights[key]; f != nil {
		return f
	}
	f := &flight[V]{done: make(chan struct{})}
	r.flights[key] = f
	r.stats.Loading++
	ctx = context.WithoutCancel(ctx)
	r.running.Go(func() { r.run(ctx, key, f) })
	return f
}

var errGoexit = errors.New("the load function ended its goroutine instead of returning")

// timeoutError is the cause of a load's end by Options.Timeout.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("the load took longer than its timeout of %s", time.Duration(e))
}

func (timeoutError) Unwrap() error { return context.DeadlineExceeded }

// run loads key and ends f with the outcome, or without one when time is up.
func (r *Retriever[K, V]) run(ctx context.Context, key K, f *flight[V]) {
	start := time.Now()
	var none V
	defer func() {
		r.end(ctx, key, f, none, errGoexit, start) // has no effect after a return
		r.mu.Lock()
		r.stats.Loading--
		r.mu.Unlock()
	}()
	ctx = r.startTrace(ctx, key, f)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.stop, func() { cancel(ErrClosed) })()
	if r.opts.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, r.opts.Timeout, timeoutError(r.opts.Timeout))
		defer stop()
	}
	// A load function that does not heed its context does not hold up its callers.
	given := make(chan struct{})
	spared := context.AfterFunc(ctx, func() {
		defer close(given)
		r.end(ctx, key, f, none, context.Cause(ctx), start)
	})
	defer func() {
		if !spared() {
			<-given // so that Close waits for it, too
		}
	}()

	value, err := r.attempt(ctx, key)
	if err != nil && ctx.Err() != nil {
		// The cause says more than the bare "context deadline exceeded".
		if cause := context.Cause(ctx); !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
	}
	r.end(ctx, key, f, value, err, start)
}

// startTrace tells the trace that f begins and returns what it runs in.
func (r *Retriever[K, V]) startTrace(ctx context.Context, key K, f *flight[V]) context.Context {
	if r.opts.Trace.StartLoad == nil {
		return ctx
	}
	inner, traced := r.opts.Trace.StartLoad(ctx, key)
	r.mu.Lock()
	f.traced = traced // no outcome yet: the load has not begun
	r.mu.Unlock()
	if inner == nil {
		return ctx
	}
	return inner
}

// attempt calls the load function, as often as Options.Retry wants. Their panics
// are errors.
func (r *Retriever[K, V]) attempt(ctx context.Context, key K) (value V, err error) {
	defer r.recovered(ctx, key, &err)
	once := func(ctx context.Context) (err error) {
		defer r.recovered(ctx, key, &err)
		value, err = r.load(ctx, key)
		return err
	}
	if r.opts.Retry == nil {
		err = once(ctx)
	} else {
		err = r.opts.Retry(ctx, once)
	}
	return value, err
}

// recovered is deferred to make a panic an error.
func (r *Retriever[K, V]) recovered(ctx context.Context, key K, err *error) {
	if p := recover(); p != nil {
		stack := string(debug.Stack())
		r.opts.Logger.ErrorContext(ctx, "cache: load function panicked", "key", keyText(key), "panic", p, "stack", stack)
		*err = &PanicError{Value: p, Stack: stack}
	}
}

// end gives f its outcome, unless it has one.
func (r *Retriever[K, V]) end(ctx context.Context, key K, f *flight[V], value V, err error, start time.Time) {
	r.mu.Lock()
	if f.over {
		r.mu.Unlock()
		return
	}
	if err != nil {
		err = fmt.Errorf("cache: load %s: %w", keyText(key), err)
	}
	f.over = true
	f.value, f.err = value, err
	took := time.Since(start)
	r.stats.Loads++
	r.stats.LoadTime += took
	if err != nil {
		r.stats.Errors++
	}
	if _, ok := errors.AsType[timeoutError](err); ok {
		r.stats.Timeouts++
	}
	if r.flights[key] == f {
		delete(r.flights, key)
	}
	if !f.orphan && !r.closed {
		var panicked *PanicError
		r.remember(key, value, err, !errors.As(err, &panicked))
	}
	background, traced := f.background, f.traced
	r.mu.Unlock()
	if traced != nil { // first, so that a caller finds its own load in what was observed
		traced(Load{Took: took, Err: err, Background: background})
	}
	close(f.done)
	if err != nil && background && !errors.Is(err, ErrClosed) {
		r.opts.Logger.WarnContext(ctx, "cache: background refresh failed", "key", keyText(key), "error", err)
	}
}

// keyText renders a key for messages: quoted if it is a string, and never long.
func keyText(key any) string {
	switch key.(type) {
	case struct{}:
		return "value"
	case string:
		return fmt.Sprintf("%.200q", key)
	}
	return fmt.Sprintf("%.200v", key)
}
