package database

import (
	"context"
	"testing"
)

// BenchmarkNilTrace is what a trace that observes nothing costs a call.
func BenchmarkNilTrace(b *testing.B) {
	var t Trace
	ctx := context.Background()
	for range b.N { // Loop itself takes longer than the call
		if t.StartCall != nil {
			_, _ = t.startCall(ctx, Call{})
		}
	}
}
