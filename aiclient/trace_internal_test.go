package aiclient

import (
	"context"
	"testing"
)

// BenchmarkNilTrace is what a trace that observes nothing costs a turn.
func BenchmarkNilTrace(b *testing.B) {
	c := &Conversation{}
	ctx := context.Background()
	for range b.N { // Loop itself takes longer than the call
		if c.opts.Trace.StartTurn != nil {
			_, _ = c.startTurn(ctx)
		}
	}
}
