package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatsTellFailuresAndTimes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	lock := ""
	r := withCommit(t, func(o *Options) {
		o.Message = func(_ context.Context, diff string) (string, error) { return "", errors.New("model is down") }
		o.Trace.LockWait = func(context.Context, time.Duration) { _ = os.Remove(lock) }
	})
	_, err := r.Commit(ctx, CommitOptions{Message: "m"})
	require.ErrorIs(t, err, ErrNothingToCommit)
	assert.Zero(t, r.Stats().CommitsFailed, "nothing to do is no failure")
	before := r.Stats()
	_, err = r.Show(ctx, "absent")
	require.Error(t, err)
	assert.Equal(t, before.CommandsFailed+1, r.Stats().CommandsFailed)

	r.hook("pre-commit", "exit 1")
	r.file("a.txt", "x\n")
	_, err = r.Commit(ctx, CommitOptions{})
	require.ErrorIs(t, err, ErrHook)
	require.NoError(t, os.Remove(r.path(".git/hooks/pre-commit")))
	lock = filepath.Join(r.GitDir(), "index.lock")
	require.NoError(t, os.WriteFile(lock, nil, 0o666))
	_, err = r.Commit(ctx, CommitOptions{})
	require.NoError(t, err)
	_, err = r.Snapshot(ctx, "")
	require.NoError(t, err)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = r.Snapshot(cancelled, "")
	require.Error(t, err)

	s := r.Stats()
	assert.Equal(t, int64(1), s.Commits)
	assert.Equal(t, int64(1), s.CommitsFailed)
	assert.Equal(t, int64(1), s.Snapshots)
	assert.Equal(t, int64(1), s.SnapshotsFailed)
	assert.Equal(t, int64(2), s.Messages)
	assert.Equal(t, int64(2), s.MessagesFailed)
	assert.Equal(t, int64(1), s.LockWaits)
	for _, d := range []time.Duration{s.CommandTime, s.CommitTime, s.SnapshotTime, s.LockWaitTime} {
		assert.Positive(t, d)
	}
	assert.Less(t, s.CommandTime, time.Minute)
}
