package task

import (
	"context"
	"testing"
)

// BenchmarkNilTrace is what a trace that observes nothing costs a task.
func BenchmarkNilTrace(b *testing.B) {
	var t Trace
	ctx := context.Background()
	for range b.N { // Loop itself takes longer than the call
		if t.StartTask != nil {
			_, _ = t.startTask(ctx, "x")
		}
	}
}
