package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// ToolCall is a model's wish to run a tool.
type ToolCall struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

func (c ToolCall) size() int { return len(c.ID) + len(c.Name) + len(c.Args) }

// ToolResult is what a tool call gave.
type ToolResult struct {
	Text    string `json:"text"`
	IsError bool   `json:"isError,omitempty"`
}

// Verdict is a hook's opinion of a tool call.
type Verdict int

// The verdicts.
const (
	// Allow lets the call run. It is the zero value.
	Allow Verdict = iota
	// Deny keeps it from running; the model is told Reason. One hook that
	// denies outweighs all that allow or answer.
	Deny
	// Answer gives Result to the model instead of running the tool.
	Answer
)

// ToolDecision is what the hooks before a tool call decided.
type ToolDecision struct {
	Verdict Verdict
	Reason  string
	// Args replace the call's arguments when they are not nil. The hooks that
	// follow see the new ones.
	Args json.RawMessage
	// Result is the answer of [Answer].
	Result ToolResult
}

// ToolHook sees tool calls. Either function may be nil.
type ToolHook struct {
	// Before decides on a call before it runs.
	Before func(ctx context.Context, call ToolCall) (ToolDecision, error)
	// After sees the result and returns it, changed or not.
	After func(ctx context.Context, call ToolCall, result ToolResult) (ToolResult, error)
}

// ToolHook registers h at the points BeforeTool and AfterTool, behind those
// registered before.
func (a *Agent) ToolHook(name string, h ToolHook, opts ...HookOptions) error {
	var o HookOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	if name == "" || h.Before == nil && h.After == nil {
		return fmt.Errorf("agent %s: tool hook %q: want a name and a function", a.id, name)
	}
	if h.Before != nil {
		if err := a.addHook(&hook{info: HookInfo{Point: BeforeTool, Name: name}, opts: o, tool: h}); err != nil {
			return err
		}
	}
	if h.After != nil {
		return a.addHook(&hook{info: HookInfo{Point: AfterTool, Name: name}, opts: o, tool: h})
	}
	return nil
}

// BeforeTool asks the hooks whether and how a call may run, and logs that it
// starts. A tool loop calls it before each call, and [Agent.AfterTool] after,
// also when the decision was not to run it. The returned decision's Args are
// the ones to run with. An error means that the input is to end.
func (a *Agent) BeforeTool(ctx context.Context, call ToolCall) (ToolDecision, error) {
	run := CurrentRun(ctx)
	if run != nil && run.agent == a {
		// The reply is complete. A gentle abort ends here unless other calls
		// of the same reply run already.
		run.mu.Lock()
		reply := run.abort != nil && run.abortAt == AbortAfterReply
		run.mu.Unlock()
		if reply {
			run.cancelNow()
		} else if err := a.SafePoint(ctx); err != nil {
			return ToolDecision{Verdict: Deny, Reason: err.Error()}, err
		}
	}
	if ctx.Err() != nil {
		err := context.Cause(ctx)
		return ToolDecision{Verdict: Deny, Reason: err.Error()}, err
	}
	decision, err := a.decide(ctx, call)
	if err != nil {
		return decision, err
	}
	if decision.Args != nil {
		call.Args = decision.Args
	} else {
		decision.Args = call.Args
	}
	if run != nil && run.agent == a {
		run.mu.Lock()
		run.tools++
		run.mu.Unlock()
	}
	if decision.Verdict == Allow {
		a.Emit(ToolStarted{Call: call})
	}
	return decision, nil
}

// decide runs the hooks before a call and merges what they say.
func (a *Agent) decide(ctx context.Context, call ToolCall) (ToolDecision, error) {
	var merged ToolDecision
	for _, h := range a.hooks.at(BeforeTool) {
		var d ToolDecision
		fn := h.fn // of a plain hook, which may only object by failing
		if fn == nil {
			fn = func(ctx context.Context) error {
				got, err := h.tool.Before(ctx, ToolCall{ID: call.ID, Name: call.Name, Args: cloneRaw(call.Args)})
				if err == nil && ctx.Err() == nil {
					d = got
				}
				return err
			}
		}
		err := a.runHook(ctx, h, fn)
		if err != nil {
			if ctx.Err() != nil {
				return ToolDecision{Verdict: Deny, Reason: err.Error()}, context.Cause(ctx)
			}
			if h.opts.Policy == AbortInput {
				return ToolDecision{Verdict: Deny, Reason: err.Error()},
					&HookError{Point: BeforeTool, Name: h.info.Name, Err: err, Abort: true}
			}
			if h.opts.FailOpen {
				continue
			}
			return ToolDecision{Verdict: Deny, Reason: "the check " + h.info.Name + " failed: " + err.Error()}, nil
		}
		if d.Verdict == Deny {
			return d, nil
		}
		if d.Args != nil {
			merged.Args = cloneRaw(d.Args)
			call.Args = merged.Args
		}
		if d.Verdict == Answer && merged.Verdict != Answer {
			merged.Verdict, merged.Reason, merged.Result = Answer, d.Reason, d.Result
		}
	}
	return merged, nil
}

// AfterTool lets the hooks see, and change, the result of a call and logs that
// it finished. took is how long the call ran. A hook that fails leaves the
// result as it was. An error means that the input is to end.
func (a *Agent) AfterTool(ctx context.Context, call ToolCall, result ToolResult, took time.Duration) (ToolResult, error) {
	result, failed := a.review(ctx, call, result)
	ev := ToolFinished{Call: call, Result: result.Text, Failed: result.IsError, Duration: took}
	a.Emit(ev)
	a.m.stats.toolFinished(ev)
	if f := a.m.trace.ToolFinished; f != nil {
		f(ctx, a.id, ev)
	}
	run := CurrentRun(ctx)
	if run != nil && run.agent == a {
		run.mu.Lock()
		run.tools = max(0, run.tools-1)
		ends := run.tools == 0 && run.abort != nil && run.abortAt == AbortAfterTools
		run.mu.Unlock()
		if ends {
			run.cancelNow()
		}
	}
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	return result, failed
}

// review runs the hooks after a call. The error is the failure of one whose
// policy is [AbortInput].
func (a *Agent) review(ctx context.Context, call ToolCall, result ToolResult) (ToolResult, error) {
	for _, h := range a.hooks.at(AfterTool) {
		changed := result
		fn := h.fn
		if fn == nil {
			fn = func(ctx context.Context) error {
				res, err := h.tool.After(ctx, call, result)
				if err == nil && ctx.Err() == nil {
					changed = res
				}
				return err
			}
		}
		err := a.runHook(ctx, h, fn) // reported by runHook
		switch {
		case err == nil:
			result = changed
		case h.opts.Policy == AbortInput:
			return result, &HookError{Point: AfterTool, Name: h.info.Name, Err: err, Abort: true}
		case h.opts.Policy == StopChain:
			return result, nil
		}
	}
	return result, nil
}
