package git

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

type spanKey struct{}

func TestTraceOfCommitsNests(t *testing.T) {
	t.Parallel()
	var inside, outside int
	var commits []Commit
	var errs []error
	r := withCommit(t, func(o *Options) {
		o.Trace.StartCommit = func(ctx context.Context) (context.Context, func(Commit, error)) {
			return context.WithValue(ctx, spanKey{}, true), func(c Commit, err error) {
				commits, errs = append(commits, c), append(errs, err)
			}
		}
		o.Trace.Command = func(ctx context.Context, _ CommandInfo) {
			if ctx.Value(spanKey{}) == nil {
				outside++
			} else {
				inside++
			}
		}
	})
	commits, errs, inside = nil, nil, 0
	r.file("a.txt", "changed\n")
	outside = 0
	c, err := r.Commit(t.Context(), CommitOptions{Message: "Change"})
	require.NoError(t, err)
	require.Zero(t, outside, "every process of a commit runs within it")
	require.Positive(t, inside)
	_, err = r.Commit(t.Context(), CommitOptions{Message: "again"})
	require.ErrorIs(t, err, ErrNothingToCommit)
	require.Equal(t, []Commit{c, {}}, commits)
	require.Equal(t, []error{nil, err}, errs)
}

func TestTraceThatReturnsNothing(t *testing.T) {
	t.Parallel()
	r := withCommit(t, func(o *Options) {
		o.Trace.StartCommit = func(context.Context) (context.Context, func(Commit, error)) { return nil, nil }
	})
	r.file("a.txt", "changed\n")
	_, err := r.Commit(t.Context(), CommitOptions{Message: "Change"})
	require.NoError(t, err)
}

// BenchmarkNilTrace is what a trace that observes nothing costs a commit.
func BenchmarkNilTrace(b *testing.B) {
	var t Trace
	ctx := context.Background()
	for range b.N { // Loop itself takes longer than the call
		if t.StartCommit != nil {
			_, _ = t.startCommit(ctx)
		}
	}
}
