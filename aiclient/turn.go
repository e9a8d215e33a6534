package aiclient

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Turn is what a conversation did with one message.
type Turn struct {
	// Text is the visible text of the last reply.
	Text string

	// Steps are the calls of the model with the tool results that followed.
	Steps []Step

	// Usage and Cost (USD) are the sums over Steps.
	Usage Usage
	Cost  float64

	// Stop says why the turn ended.
	Stop StopReason
}

// Step is one call of the model and the tool calls that it asked for.
type Step struct {
	Number   int           // from 1 within the turn
	Response *Response     // the reply; incomplete when the step failed
	Results  []ToolResult  // in the order of the calls
	Cost     float64       // USD
	Duration time.Duration // tools included
}

// StopReason says why a turn ended.
type StopReason string

// The reasons.
const (
	StopEnd           StopReason = "end"            // the model finished its answer
	StopNothing       StopReason = "nothing"        // there was nothing to do
	StopLength        StopReason = "length"         // the reply reached its token limit
	StopContentFilter StopReason = "content-filter" // the provider withheld the rest
	StopTool          StopReason = "tool"           // a call of one of StopTools succeeded
	StopCondition     StopReason = "condition"      // StopWhen said so
	StopMaxSteps      StopReason = "max-steps"      // MaxSteps was reached
	StopMaxTokens     StopReason = "max-tokens"     // MaxTokens was reached
	StopMaxTime       StopReason = "max-time"       // MaxTime was reached
	StopBudget        StopReason = "budget"         // a budget was exhausted
	StopInvalidCalls  StopReason = "invalid-calls"  // the model kept sending invalid calls
	StopLoop          StopReason = "loop"           // the model kept repeating itself
	StopAborted       StopReason = "aborted"        // the context ended
	StopFailed        StopReason = "failed"         // the model or the program failed
)

// StopError reports a turn that was stopped before the model had finished.
type StopError struct {
	Reason StopReason
	Detail string
	Err    error // the cause, such as context.Canceled
}

func (e *StopError) Error() string {
	text := "the turn was stopped: " + string(e.Reason)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *StopError) Unwrap() error { return e.Err }

// aborted returns the error of a turn whose context ended.
func aborted(ctx context.Context) error {
	return &StopError{Reason: StopAborted, Err: ended(ctx)}
}

// ended says why ctx has ended.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// stopReason returns the reason that err stands for.
func stopReason(err error) StopReason {
	if stop, ok := errors.AsType[*StopError](err); ok {
		return stop.Reason
	}
	return StopFailed
}
