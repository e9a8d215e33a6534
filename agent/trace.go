package agent

import (
	"context"
	"time"
)

// Trace is a set of optional functions that are told what happens, in the
// manner of net/http/httptrace. They are called by the goroutine that does the
// work: they must be quick, safe for concurrent use, and must not call back into
// the agent.
//
// Those whose names begin with Start are for spans, which nest: they return a
// context derived from ctx, in which the work then runs, and a function that is
// called once with the outcome. Either may be nil. A hook's context comes from
// its input's, and so do those of checkpoints and questions, so that what other
// packages do within them becomes part of the same trace.
type Trace struct {
	// Spawned: an agent lives; took is the time its setup took.
	Spawned func(agentID, typeName string, restored bool, took time.Duration)
	// Stopped: an agent ended after lifetime; took is the time that took.
	Stopped func(agentID, reason string, lifetime, took time.Duration)
	// StartInput: an input begins to run; it was accepted at in.Time. All that it
	// does runs in the returned context: Handle, hooks, commands and automatic
	// checkpoints. submitted holds the values of the context that was given to
	// Submit or Resume, such as the span of the caller, and is never done.
	StartInput func(ctx, submitted context.Context, agentID string, in Input) (context.Context, func(InputFinished))
	// InputFinished: an input came to its end, also one that never began to run
	// and one that was folded into another.
	InputFinished func(agentID string, ev InputFinished)
	// StartHook: a hook begins to run.
	StartHook func(ctx context.Context, agentID string, point Point, name string) (context.Context, func(HookRan))
	// HookRan: a hook ran.
	HookRan func(agentID string, ev HookRan)
	// ToolFinished: a tool call that went through BeforeTool and AfterTool ended.
	ToolFinished func(ctx context.Context, agentID string, ev ToolFinished)
	// StartAsk: a person is asked. The returned function receives the answer, or
	// why there is none, without secrets.
	StartAsk func(ctx context.Context, agentID string, req Request) func(Answered)
	// StartCheckpoint: a checkpoint begins. When nothing had changed it ends with
	// the one before.
	StartCheckpoint func(ctx context.Context, agentID string) (context.Context, func(CheckpointInfo, error))
	// Checkpoint: a checkpoint was written, or failed.
	Checkpoint func(agentID string, info CheckpointInfo, took time.Duration, err error)
}

// derived is the context that a Start function of a trace gave, or else ctx.
func derived(ctx, inner context.Context) context.Context {
	if inner != nil {
		return inner
	}
	return ctx
}

// submittedWith keeps the values of ctx until the input begins.
func (r *Run) submittedWith(ctx context.Context) {
	if r.agent.m.trace.StartInput != nil {
		r.submitted = context.WithoutCancel(ctx)
	}
}

// startTrace tells the trace that r begins and returns what r runs in.
func (a *Agent) startTrace(ctx context.Context, r *Run) context.Context {
	if a.m.trace.StartInput == nil { // inlined
		return ctx
	}
	return a.traceInput(ctx, r)
}

func (a *Agent) traceInput(ctx context.Context, r *Run) context.Context {
	r.mu.Lock()
	submitted := r.submitted
	r.submitted = nil
	r.mu.Unlock()
	inner, traced := a.m.trace.StartInput(ctx, derived(ctx, submitted), a.id, r.input)
	if traced != nil {
		r.mu.Lock()
		late := r.state.Final()
		if !late {
			r.traced = traced
		}
		ev := r.finished
		r.mu.Unlock()
		if late { // aborted while the trace began
			traced(ev)
		}
	}
	return derived(ctx, inner)
}

// traceAsk tells the trace of a question. What it returns is called when the
// question has ended.
func (a *Agent) traceAsk(ctx context.Context, q *ask) func() {
	start := time.Now()
	var traced func(Answered)
	if f := a.m.trace.StartAsk; f != nil {
		traced = f(ctx, a.id, q.request.public())
	}
	return func() {
		c := &a.m.stats
		c.requests.Add(1)
		c.requestTime.Add(int64(time.Since(start)))
		if q.err == nil && !q.response.TimedOut {
			c.requestsAnswered.Add(1)
		}
		if traced != nil {
			traced(q.outcome())
		}
	}
}
