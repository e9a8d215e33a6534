package queue

import "testing"

// BenchmarkNilTrace is what a trace that observes nothing costs an event: a look
// at a flag that was set when the queue was made.
func BenchmarkNilTrace(b *testing.B) {
	m := NewMemory(Options{})
	defer m.Close()
	for range b.N { // Loop itself takes longer than the call
		if m.tracing {
			b.Fatal("nobody observes")
		}
	}
}
