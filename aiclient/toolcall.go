package aiclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// timeout returns how long the call may take, 0 or less for any time.
func (tr *toolRun) timeout(a *activeCall) time.Duration {
	if timeout, ok := tr.c.opts.ToolTimeouts[a.call.Name]; ok {
		return timeout
	}
	return tr.c.opts.ToolTimeout
}

// started notes that a call starts and returns the context that it runs in.
func (tr *toolRun) started(ctx context.Context, a *activeCall) context.Context {
	trace := &tr.c.opts.Trace
	a.started = time.Now()
	if trace.StartTool != nil {
		var inner context.Context
		inner, a.ended = trace.StartTool(ctx, *a.call)
		ctx = derived(ctx, inner)
	}
	if trace.ToolStart != nil {
		trace.ToolStart(ctx, *a.call)
	}
	tr.c.toolCalls.Add(1)
	return ctx
}

// runHere runs the only call that runs now. When the run is taken over in the
// meantime, the goroutine ends here.
func (tr *toolRun) runHere(a *activeCall) error {
	ctx := tr.started(tr.work, a)
	if !tr.r.inline.CompareAndSwap(nil, a) {
		return aborted(tr.ctx)
	}
	result, invalid := tr.c.execute(ctx, a)
	if !tr.r.inline.CompareAndSwap(a, nil) {
		tr.c.discard(a, result)
		runtime.Goexit()
	}
	tr.handle(toolEvent{a: a, result: result, invalid: invalid})
	if tr.ctx.Err() != nil {
		return aborted(tr.ctx)
	}
	return nil
}

// start runs a call in a goroutine of its own.
func (tr *toolRun) start(a *activeCall) {
	c := tr.c
	ctx, cancel := tr.work, context.CancelFunc(func() {})
	timeout := tr.timeout(a)
	if timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("tool %s timed out after %s", a.call.Name, timeout))
	}
	ctx = tr.started(ctx, a)
	if timeout > 0 {
		a.deadline = a.started.Add(timeout + abortGrace)
	}
	events := tr.results()
	c.workers.start()
	go func() {
		defer c.workers.end()
		defer cancel()
		result, invalid := errorResult(a.call, "The tool ended its goroutine instead of returning."), false
		defer func() { // also after runtime.Goexit
			if !a.settled.CompareAndSwap(false, true) {
				c.discard(a, result)
				return
			}
			events <- toolEvent{a: a, result: result, invalid: invalid}
		}()
		result, invalid = c.execute(ctx, a)
	}()
}

// discard logs a result that came too late.
func (c *Conversation) discard(a *activeCall, result *ToolResult) {
	c.logger.Warn("result of an abandoned tool call discarded", "tool", a.call.Name,
		"call", a.call.ID, "after", time.Since(a.started), "isError", result.IsError)
}

// execute makes one call. A panic becomes a result.
func (c *Conversation) execute(ctx context.Context, a *activeCall) (result *ToolResult, invalid bool) {
	defer func() {
		if p := recover(); p != nil {
			c.logger.ErrorContext(ctx, "tool panicked", "tool", a.call.Name, "panic", p, "stack", string(debug.Stack()))
			result = errorResult(a.call, fmt.Sprintf("The tool failed internally: %v", p))
		}
	}()
	if c.opts.BeforeTool != nil {
		if err := c.opts.BeforeTool(ctx, *a.call); err != nil {
			return errorResult(a.call, denied(err.Error())), false
		}
	}
	res, err := a.tool.Call(ctx, a.args)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		_, invalid = errors.AsType[*tool.ArgumentError](err)
		result = errorResult(a.call, err.Error())
	} else {
		result = &ToolResult{CallID: a.call.ID, Name: a.call.Name, Text: strings.ToValidUTF8(res.Text, "\uFFFD"), IsError: res.IsError}
		for _, m := range res.Media {
			if m.MediaType == "" {
				m.MediaType = http.DetectContentType(m.Data)
			}
			result.Files = append(result.Files, File{MediaType: m.MediaType, Data: m.Data})
		}
	}
	if c.opts.AfterTool != nil {
		if err := c.opts.AfterTool(ctx, *a.call, result); err != nil {
			result = errorResult(a.call, err.Error())
		}
		result.CallID, result.Name = a.call.ID, a.call.Name
		result.Text = strings.ToValidUTF8(result.Text, "\uFFFD")
	}
	return result, invalid
}
