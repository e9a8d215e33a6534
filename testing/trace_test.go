package testing

import (
	"context"
	stdtesting "testing"

	"github.com/stretchr/testify/require"
)

type spanKey struct{}

func TestTraceOfTestsNests(t *stdtesting.T) {
	attempts := 0
	resource := Func(func(ctx context.Context) error {
		require.Equal(t, "flaky", ctx.Value(spanKey{}))
		if attempts++; attempts == 1 {
			return errRed
		}
		return nil
	})
	var results []Result
	s := newService(t, Options{Reruns: 1, Trace: Trace{
		StartTest: func(ctx context.Context, name string) (context.Context, func(Result)) {
			return context.WithValue(ctx, spanKey{}, name), func(r Result) { results = append(results, r) }
		},
	}}, map[string]Resource{"flaky": resource})
	report, err := s.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, attempts, "both within it")
	require.Equal(t, report.Results, results)
}

func TestTraceThatReturnsNothing(t *stdtesting.T) {
	s := newService(t, Options{Trace: Trace{
		StartTest: func(context.Context, string) (context.Context, func(Result)) { return nil, nil },
	}}, map[string]Resource{"a": Func(func(ctx context.Context) error { return ctx.Err() })})
	report, err := s.Run(t.Context())
	require.NoError(t, err)
	require.True(t, report.Passed())
}

// BenchmarkNilTrace is what a trace that observes nothing costs a test run.
func BenchmarkNilTrace(b *stdtesting.B) {
	var t Trace
	ctx := context.Background()
	for range b.N { // Loop itself takes longer than the call
		if t.StartTest != nil {
			_, _ = t.startTest(ctx, "x")
		}
	}
}
