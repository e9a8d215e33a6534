package task

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Abandon calls fn and returns its result, or leaves when ctx ends: then it
// returns at once with an error that wraps the context's, even when fn ignores
// its context.
//
// A result that arrives after that is too late for the caller. It is handed to
// late, if that is not nil, which releases what it holds; a late panic is
// reported like that of any task. Either the caller gets the result or late does,
// never both. fn's context is ctx, cancelled also by the group's Close.
//
// A panic of fn becomes a [*PanicError]. A nil g means [Default]. The task takes
// one of the group's slots until fn has returned.
func Abandon[T any](ctx context.Context, g *Group, name string, fn func(context.Context) (T, error), late func(T, error)) (T, error) {
	var zero T
	if g == nil {
		g = Default()
	}
	if err := g.acquire(ctx, name); err != nil {
		return zero, err
	}
	began := time.Now()
	c := call[T]{done: make(chan struct{})}
	var value T
	err := g.start(ctx, name, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	}, func(ctx context.Context, err error) bool {
		return c.end(ctx, g, name, value, err, late)
	}, func() { close(c.done) })
	if err != nil {
		return zero, err
	}
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
	}
	if c.leave() {
		g.count(func(s *Stats) { s.Abandoned++ })
		if traced := g.opts.Trace.Abandoned; traced != nil {
			traced(ctx, name, time.Since(began))
		}
		return zero, fmt.Errorf("task %s: abandoned: %w", name, contextError(ctx))
	}
	<-c.done
	return c.value, c.err
}

// call decides whether a result is in time.
type call[T any] struct {
	done chan struct{} // closed when the task is over and its slot is free

	mu    sync.Mutex
	left  bool // the caller is gone
	ended bool
	value T
	err   error
}

// leave reports whether the result has not arrived; if so it will be late.
func (c *call[T]) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = !c.ended
	return c.left
}

// end delivers the result to whoever it belongs to, and reports whether that is
// not the caller.
func (c *call[T]) end(ctx context.Context, g *Group, name string, value T, err error, late func(T, error)) bool {
	c.mu.Lock()
	c.ended = true
	left := c.left
	if !left {
		c.value, c.err = value, err
	}
	c.mu.Unlock()
	if !left {
		return false
	}
	g.count(func(s *Stats) { s.Late++ })
	if _, ok := err.(*PanicError); ok {
		g.report(ctx, name, err)
	}
	if late != nil {
		g.report(ctx, name+" (cleanup)", protect(ctx, func(context.Context) error {
			late(value, err)
			return nil
		}))
	}
	return true
}

// contextError returns an error that is both the context's error and its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
