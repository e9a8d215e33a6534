package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultLimit is the default of [Options.Limit].
const DefaultLimit = 256

// Errors of this package.
var (
	// ErrClosed reports a task that was not started because its group is
	// closed. It is also the cause with which Close cancels running tasks.
	ErrClosed = errors.New("task group is closed")

	// ErrFull reports a task that was not started because as many as the limit
	// allows are running.
	ErrFull = errors.New("task group is full")
)

// Options configure a [Group].
type Options struct {
	// Limit bounds the number of tasks that run at the same time. 0 means
	// [DefaultLimit]; negative means no bound.
	Limit int

	// OnError, when set, is told about every task that failed, instead of the
	// log. It is called in the task's goroutine; calls may overlap. Its own panics
	// are logged.
	OnError func(name string, err error)

	Trace Trace

	// Logger receives the errors and panics of tasks. Nil means slog.Default().
	Logger *slog.Logger
}

// PanicError is the error of a task that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// RunningError reports tasks that had not ended when the context of Close or
// Wait did. It wraps the context's error.
type RunningError struct {
	Names []string // sorted
	Err   error
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("%d tasks are still running (%s): %v", len(e.Names), strings.Join(e.Names, ", "), e.Err)
}

func (e *RunningError) Unwrap() error { return e.Err }

// Group runs tasks. Make one with [NewGroup]. It is safe for concurrent use, and
// has no goroutines but those of its tasks.
type Group struct {
	opts   Options
	slots  chan struct{} // nil: no bound
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	nextID  int64
	running map[int64]string // names
	idle    chan struct{}    // closed when nothing runs; nil when nobody waits
	stats   Stats
}

// NewGroup returns a group without tasks.
func NewGroup(opts Options) *Group {
	if opts.Limit == 0 {
		opts.Limit = DefaultLimit
	}
	g := &Group{opts: opts, running: map[int64]string{}}
	if opts.Limit > 0 {
		g.slots = make(chan struct{}, opts.Limit)
	}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	return g
}

var defaultGroup = sync.OnceValue(func() *Group { return NewGroup(Options{}) })

// Default returns the group that [Detach] and [Abandon] use when they are given
// none. A program closes it last of all.
func Default() *Group { return defaultGroup() }

// Detach is [Group.Detach] of [Default].
func Detach(ctx context.Context, name string, fn func(context.Context) error) error {
	return Default().Detach(ctx, name, fn)
}

// Detach starts fn and returns at once. It fails with [ErrFull] or [ErrClosed]
// when fn was not started.
//
// The task's context has the values of ctx but is cancelled only by Close. An
// error that fn returns is reported to Options.OnError or logged, except one
// that says that Close cancelled it.
func (g *Group) Detach(ctx context.Context, name string, fn func(context.Context) error) error {
	if g.slots != nil {
		select {
		case g.slots <- struct{}{}:
		default:
			if g.ctx.Err() != nil {
				return fmt.Errorf("task %s: %w", name, ErrClosed)
			}
			g.count(func(s *Stats) { s.Refused++ })
			return fmt.Errorf("task %s: %w: %d are running", name, ErrFull, g.opts.Limit)
		}
	}
	return g.detached(ctx, name, fn)
}

// Go is Detach, but waits for a free slot, until ctx ends or the group is closed.
func (g *Group) Go(ctx context.Context, name string, fn func(context.Context) error) error {
	if err := g.acquire(ctx, name); err != nil {
		return err
	}
	return g.detached(ctx, name, fn)
}

func (g *Group) detached(ctx context.Context, name string, fn func(context.Context) error) error {
	return g.start(context.WithoutCancel(ctx), name, fn, func(ctx context.Context, err error) (late bool) {
		g.report(ctx, name, err)
		return false
	}, nil)
}

func (g *Group) acquire(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("task %s: %w", name, contextError(ctx))
	}
	if g.slots == nil {
		return nil
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("task %s: waiting for one of %d to end: %w", name, g.opts.Limit, contextError(ctx))
	case <-g.ctx.Done():
		return fmt.Errorf("task %s: %w", name, ErrClosed)
	}
}

func (g *Group) release() {
	if g.slots != nil {
		<-g.slots
	}
}

// start runs a task in the slot that it has been given. When it is over, deliver
// gets what came of it and reports whether that was too late for anybody; when its
// slot is free again, freed is called if it is not nil.
func (g *Group) start(ctx context.Context, name string, fn func(context.Context) error,
	deliver func(ctx context.Context, err error) (late bool), freed func(),
) error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		g.release()
		return fmt.Errorf("task %s: %w", name, ErrClosed)
	}
	g.nextID++
	id := g.nextID
	g.running[id] = name
	g.stats.Started++
	g.mu.Unlock()

	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })
	go func() {
		began := time.Now()
		defer func() { // these run after runtime.Goexit, too
			stop()
			cancel(nil)
			g.release()
			g.ended(id, time.Since(began))
			if freed != nil {
				freed()
			}
		}()
		var traced func(Outcome)
		if g.opts.Trace.StartTask != nil {
			ctx, traced = g.opts.Trace.startTask(ctx, name)
		}
		o := Outcome{Err: errGoexit} // unless protect returns
		defer func() {
			if traced != nil {
				traced(o)
			}
		}()
		defer func() {
			o.Took = time.Since(began)
			o.Late = deliver(ctx, o.Err)
		}()
		o.Err = protect(ctx, fn)
	}()
	return nil
}

func (g *Group) ended(id int64, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stats.TaskTime += took
	delete(g.running, id)
	if len(g.running) == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// errGoexit stands for the result of a task that called runtime.Goexit.
var errGoexit = errors.New("the task ended its goroutine without returning")

// protect calls fn and turns a panic into an error.
func protect(ctx context.Context, fn func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return fn(ctx)
}

// report accounts for the end of a task.
func (g *Group) report(ctx context.Context, name string, err error) {
	if err == nil {
		return
	}
	panicked, isPanic := errors.AsType[*PanicError](err)
	if !isPanic && ctx.Err() != nil && g.ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed)) {
		return // it did as it was told
	}
	g.count(func(s *Stats) {
		s.Failed++
		if isPanic {
			s.Panicked++
		}
	})
	if g.opts.OnError != nil {
		broken := protect(ctx, func(context.Context) error {
			g.opts.OnError(name, err)
			return nil
		})
		if broken == nil {
			return
		}
		panicked, isPanic = errors.AsType[*PanicError](broken)
		err = fmt.Errorf("%w; Options.OnError could not be told: %w", err, broken)
	}
	logger := g.opts.Logger
	if logger == nil {
		logger = slog.Default()
	}
	args := []any{"task", name, "error", err}
	if isPanic {
		args = append(args, "stack", string(panicked.Stack))
	}
	logger.ErrorContext(ctx, "task failed", args...)
}

// Wait waits until no task is running, or fails with a [*RunningError] when ctx
// ends before. Tasks may be started meanwhile.
func (g *Group) Wait(ctx context.Context) error {
	g.mu.Lock()
	if len(g.running) == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	names := g.Names()
	if len(names) == 0 {
		return nil
	}
	return &RunningError{Names: names, Err: contextError(ctx)}
}

// Close cancels all tasks, refuses new ones and waits until every task has
// ended, or fails with a [*RunningError] when ctx ends before. It may be called
// again to wait on.
func (g *Group) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel(ErrClosed)
	return g.Wait(ctx)
}

// Names returns the sorted names of the tasks that are running.
func (g *Group) Names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Values(g.running))
}
