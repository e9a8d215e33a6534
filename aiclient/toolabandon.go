package aiclient

import (
	"errors"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// abandon ends a run that cannot go on: it waits a moment for the tools that
// run, gives every other call a result that says what is known of it, and
// records them.
func (tr *toolRun) abandon(cause error) error {
	tr.cancel()
	for _, a := range tr.calls {
		if a.phase == phaseRunning && a.started.IsZero() { // chosen but not started
			a.phase = phaseReady
			tr.running--
		}
	}
	grace := time.NewTimer(abortGrace)
	defer grace.Stop()
waiting:
	for tr.running > 0 {
		select {
		case e := <-tr.events:
			if e.approval == nil {
				tr.handle(e)
			}
		case <-grace.C:
			break waiting
		}
	}
	for _, a := range tr.calls {
		if a.phase == phaseRunning && !tr.disown(a) {
			for a.phase == phaseRunning { // its result is in the channel, or about to be
				if e := <-tr.events; e.approval == nil {
					tr.handle(e)
				}
			}
		}
	}
	for _, a := range tr.calls {
		switch {
		case a.phase == phaseDone:
		case !a.started.IsZero():
			tr.settle(a, cancelledResult(a.call))
		case a.interrupted:
			tr.settle(a, lostResult(openCall{Started: true, call: a.call}, a.tool))
		default:
			tr.settle(a, errorResult(a.call, "The call was not made: the turn was stopped before it."))
		}
	}
	switch {
	case errors.Is(cause, ErrReset):
		return nil
	case tr.ctx.Err() == nil: // saving has just failed
		return tr.c.record(tr.r, tr.entries...)
	}
	return tr.save()
}

func cancelledResult(call *ToolCall) *ToolResult {
	return errorResult(call, "The call was cancelled while it ran. Its effect is unknown: it may have happened fully, partly or not at all.")
}

func errorResult(call *ToolCall, text string) *ToolResult {
	return &ToolResult{CallID: call.ID, Name: call.Name, Text: strings.ToValidUTF8(text, "\uFFFD"), IsError: true}
}

// lostResult is the result of a call whose own result will never come.
func lostResult(o openCall, t *tool.Tool) *ToolResult {
	switch {
	case !o.Started:
		return errorResult(o.call, "The call was not made: the program was interrupted before it.")
	case t != nil && t.Annotations.Repeatable():
		return errorResult(o.call, "The program was interrupted and the result was lost. The call may be repeated.")
	}
	return errorResult(o.call, "The program was interrupted after this call had started, and its result was lost. "+
		"Its effect is unknown: it may have happened fully, partly or not at all. Find out before you repeat it.")
}
