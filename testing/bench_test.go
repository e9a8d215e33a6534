package testing

import (
	"fmt"
	"slices"
	stdtesting "testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkParallel runs N commands of equal length under limit k, beside
// ceil(N/k) times the length of one.
func BenchmarkParallel(b *stdtesting.B) {
	const n, k, length = 7, 3, 200 * time.Millisecond
	s := newService(b, Options{Parallel: k}, nil)
	for i := range n {
		require.NoError(b, s.Register(fmt.Sprint(i), Shell{Argv: []string{"sleep", fmt.Sprint(length.Seconds())}}))
	}
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		report, err := s.Run(b.Context())
		require.NoError(b, err)
		require.True(b, report.Passed())
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/float64((n+k-1)/k*length), "ratio")
}
