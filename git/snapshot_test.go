package git

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSnapshotAndRestore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, born := range []bool{true, false} {
		r := newRepo(t)
		if born {
			r = withCommit(t)
			r.file("a.txt", "staged\n")
			r.run("add", "a.txt")
			r.file("a.txt", "unstaged\n")
		}
		r.file("untracked/x y.txt", "never committed\n")
		r.file(".gitignore", "*.log\n")
		r.file("x.log", "ignored\n")
		require.NoError(t, os.Symlink("x y.txt", r.path("untracked/link")))
		before := r.status()
		index, err := os.Stat(r.GitDir() + "/index")
		if born {
			require.NoError(t, err)
		}
		snap, err := r.Snapshot(ctx, "before the agent")
		require.NoError(t, err)
		assert.Equal(t, before, r.status())
		if now, err := os.Stat(r.GitDir() + "/index"); born && assert.NoError(t, err) {
			assert.True(t, os.SameFile(index, now), "the index is not touched")
		}

		r.file("a.txt", "agent\n")
		require.NoError(t, os.RemoveAll(r.path("untracked")))
		r.file("untracked", "a file where the directory was\n")
		r.file("more.txt", "agent\n")
		r.file("x.log", "agent's log\n")
		r.run("add", "-A")
		changed := r.status()

		d, err := r.DiffSnapshot(ctx, snap.ID, DiffOptions{})
		require.NoError(t, err)
		assert.NotEmpty(t, d.Files)

		undo, err := r.RestoreSnapshot(ctx, snap.ID)
		require.NoError(t, err)
		assert.Equal(t, before, r.status())
		assert.Equal(t, "never committed\n", r.read("untracked/x y.txt"))
		assert.Equal(t, "agent's log\n", r.read("x.log"))
		assert.False(t, r.exists("more.txt"))

		_, err = r.RestoreSnapshot(ctx, undo.ID)
		require.NoError(t, err)
		assert.Equal(t, changed, r.status())
		r.noScratchLeft()

		list, err := r.Snapshots(ctx)
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, snap, list[0])
	}
}

func TestRestoreSomePaths(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.file("keep.txt", "untracked\n")
	snap, err := r.Snapshot(ctx, "")
	require.NoError(t, err)
	r.file("a.txt", "agent\n")
	r.file("dir/b.txt", "agent\n")
	r.file("dir/new.txt", "agent\n")
	require.NoError(t, os.Remove(r.path("keep.txt")))
	r.run("add", "a.txt")
	_, err = r.RestoreSnapshot(ctx, snap.ID, "dir", "keep.txt")
	require.NoError(t, err)
	assert.Equal(t, "two\n", r.read("dir/b.txt"))
	assert.False(t, r.exists("dir/new.txt"))
	assert.Equal(t, "untracked\n", r.read("keep.txt"))
	assert.Equal(t, "M  a.txt\n?? keep.txt", r.status(), "other paths and the staging stay")
	_, err = r.RestoreSnapshot(ctx, snap.ID, "../x")
	require.ErrorIs(t, err, ErrInvalidName)
	_, err = r.RestoreSnapshot(ctx, "absent")
	require.ErrorIs(t, err, ErrNotFound)
}

// After the agent has committed, a snapshot still brings the files back; the
// commit stays.
func TestRestoreAfterACommit(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "person\n")
	snap, err := r.Snapshot(t.Context(), "")
	require.NoError(t, err)
	r.file("a.txt", "agent\n")
	r.run("commit", "-qam", "agent")
	_, err = r.RestoreSnapshot(t.Context(), snap.ID)
	require.NoError(t, err)
	assert.Equal(t, "person\n", r.read("a.txt"))
	assert.Equal(t, " M a.txt", r.status())
	assert.Equal(t, "agent", r.run("log", "-1", "--format=%s"))
}

func TestSnapshotOfAConflict(t *testing.T) {
	t.Parallel()
	r := conflicted(t)
	before := r.read("a.txt")
	snap, err := r.Snapshot(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, "UU a.txt", r.status())
	r.file("a.txt", "resolved badly\n")
	_, err = r.RestoreSnapshot(t.Context(), snap.ID, "a.txt")
	require.NoError(t, err)
	assert.Equal(t, before, r.read("a.txt"))
}

// A person can use a snapshot with git alone.
func TestSnapshotIsAStash(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "work\n")
	snap, err := r.Snapshot(t.Context(), "mine")
	require.NoError(t, err)
	r.run("checkout", "-q", "--", "a.txt")
	r.run("stash", "apply", "-q", "refs/tokenring/snapshots/"+snap.ID)
	assert.Equal(t, "work\n", r.read("a.txt"))
}

func TestPruneSnapshots(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	for range 4 {
		_, err := r.Snapshot(t.Context(), "")
		require.NoError(t, err)
	}
	n, err := r.PruneSnapshots(t.Context(), time.Hour, 0)
	require.NoError(t, err)
	assert.Zero(t, n, "none is old")
	n, err = r.PruneSnapshots(t.Context(), -time.Hour, 1)
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	list, err := r.Snapshots(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

func TestAutoSnapshotOncePerInput(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	a := NewAutoSnapshot(r.Service, AutoSnapshotOptions{})
	_, any := a.Last()
	assert.False(t, any)
	a.Begin("first input")
	require.NoError(t, a.BeforeWrite(ctx))
	r.file("a.txt", "agent\n")
	require.NoError(t, a.BeforeWrite(ctx))
	snap, ok := a.Last()
	require.True(t, ok)
	assert.Equal(t, "first input", snap.Reason)

	// A resumed input keeps the state from before it.
	data := must(a.MarshalJSON())
	b := NewAutoSnapshot(r.Service, AutoSnapshotOptions{})
	require.NoError(t, b.UnmarshalJSON(data))
	require.NoError(t, b.BeforeWrite(ctx))
	again, _ := b.Last()
	assert.Equal(t, snap.ID, again.ID)
	_, err := r.RestoreSnapshot(ctx, again.ID)
	require.NoError(t, err)
	assert.Equal(t, "one\n", r.read("a.txt"))

	gen := b.Generation()
	b.Begin("second input")
	require.NoError(t, b.BeforeWrite(ctx))
	assert.NotEqual(t, gen, b.Generation())
	assert.Len(t, must(r.Snapshots(ctx)), 2)
	b.Reset("all")
	_, ok = b.Last()
	assert.False(t, ok)
	require.Error(t, b.UnmarshalJSON([]byte("3")))
}

// An input that begins while the snapshot of the one before is taken gets its own.
func TestAutoSnapshotOfOverlappingInputs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	a := NewAutoSnapshot(r.Service, AutoSnapshotOptions{})
	a.Begin("first")
	r.opts.Trace.Snapshot = func(_ context.Context, s Snapshot) {
		if s.Reason == "first" {
			a.Begin("second")
		}
	}
	for range 3 {
		require.NoError(t, a.BeforeWrite(ctx))
	}
	list := must(r.Snapshots(ctx))
	require.Len(t, list, 2)
	assert.Equal(t, "second", list[0].Reason)
}

func TestSnapshotOfOddTrees(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	empty := newRepo(t)
	snap, err := empty.Snapshot(ctx, "")
	require.NoError(t, err, "nothing at all")
	empty.file("x.txt", "x\n")
	_, err = empty.RestoreSnapshot(ctx, snap.ID)
	require.NoError(t, err)
	assert.False(t, empty.exists("x.txt"))

	// A repository without commits within the tree does not stop it.
	r := withCommit(t)
	r.run("init", "-q", "nested")
	r.file("nested/x.txt", "x\n")
	r.file("a.txt", "changed\n")
	snap, err = r.Snapshot(ctx, "")
	require.NoError(t, err)
	r.file("a.txt", "agent\n")
	_, err = r.RestoreSnapshot(ctx, snap.ID)
	require.NoError(t, err)
	assert.Equal(t, "changed\n", r.read("a.txt"))
	assert.Equal(t, "x\n", r.read("nested/x.txt"))

	// What cannot be read cannot be saved, and that is said.
	if os.Getuid() != 0 {
		r.file("secret.txt", "x\n")
		require.NoError(t, os.Chmod(r.path("secret.txt"), 0))
		_, err = r.Snapshot(ctx, "")
		require.Error(t, err)
	}
}
