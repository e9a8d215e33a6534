package task

import (
	"context"
	"time"
)

// Trace is a set of optional functions that are told what happens, in the manner
// of net/http/httptrace. They must be quick and safe for concurrent use.
type Trace struct {
	// StartTask: a task begins to run, in whose goroutine this is called. It returns
	// a context derived from ctx, in which the task then runs, and a function that
	// is called with the outcome. Either may be nil.
	StartTask func(ctx context.Context, name string) (context.Context, func(Outcome))

	// Abandoned: the caller of [Abandon] left after that time; the task runs on.
	Abandoned func(ctx context.Context, name string, after time.Duration)
}

// Outcome is how a task ended.
type Outcome struct {
	Took time.Duration
	Err  error // what it returned, a *PanicError included
	Late bool  // after its caller had left, see [Abandon]
}

// startTask calls StartTask, which is not nil. It returns what the task runs in
// and what to call with the outcome, or nil.
func (t *Trace) startTask(ctx context.Context, name string) (context.Context, func(Outcome)) {
	inner, ended := t.StartTask(ctx, name)
	if inner == nil {
		inner = ctx
	}
	return inner, ended
}

// Stats count what a group has done.
type Stats struct {
	Running   int           `json:"running"` // now
	Started   int64         `json:"started"` // in all
	Failed    int64         `json:"failed"`  // returned an error to nobody, panics included
	Panicked  int64         `json:"panicked"`
	Abandoned int64         `json:"abandoned"` // their caller left before they ended, see [Abandon]
	Late      int64         `json:"late"`      // of those, the ones that have ended since
	Refused   int64         `json:"refused"`   // not started: as many as the limit allows were running
	TaskTime  time.Duration `json:"taskTime"`  // that those that have ended ran for, in all; nanoseconds in JSON
}

// Stats returns what the group has done so far.
func (g *Group) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Running = len(g.running)
	return s
}

// count changes the statistics.
func (g *Group) count(change func(*Stats)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.stats)
}
