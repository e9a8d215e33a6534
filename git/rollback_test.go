package git

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// history is a repository with three commits to a.txt.
func history(t *testing.T) *repo {
	t.Helper()
	r := withCommit(t)
	for _, content := range []string{"second\n", "third\n"} {
		r.file("a.txt", content)
		r.run("commit", "-qam", content)
	}
	return r
}

func TestRollbackKeepsUncommittedWork(t *testing.T) {
	t.Parallel()
	r := history(t)
	r.file("dir/b.txt", "uncommitted\n")
	r.file("staged.txt", "staged\n")
	r.run("add", "staged.txt")
	r.file("untracked.txt", "untracked\n")
	before, head := r.status(), r.run("rev-parse", "HEAD")

	rb, err := r.Rollback(t.Context(), RollbackOptions{N: 2})
	require.NoError(t, err)
	assert.Equal(t, "one\n", r.read("a.txt"))
	assert.Equal(t, before, r.status())
	assert.Equal(t, head, rb.From)
	require.Len(t, rb.Commits, 2)
	assert.Equal(t, "third", rb.Commits[0].Subject)
	assert.Equal(t, "main", r.run("branch", "--show-current"))

	_, err = r.Undo(t.Context(), rb.Backup.ID)
	require.NoError(t, err)
	assert.Equal(t, head, r.run("rev-parse", "HEAD"))
	assert.Equal(t, "third\n", r.read("a.txt"))
	assert.Equal(t, before, r.status())

	// Undo can be undone, and the newest backup is the default.
	_, err = r.Undo(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, rb.To, r.run("rev-parse", "HEAD"))
	assert.Equal(t, before, r.status())
	r.noScratchLeft()
}

func TestRollbackWithWorkInTheWay(t *testing.T) {
	t.Parallel()
	r := history(t)
	r.file("a.txt", "uncommitted\n")
	r.file("untracked.txt", "u\n")
	r.file(".gitignore", "*.log\n")
	r.file("x.log", "ignored\n")
	before, head := r.status(), r.run("rev-parse", "HEAD")
	_, err := r.Rollback(t.Context(), RollbackOptions{})
	require.ErrorIs(t, err, ErrLocalChanges)
	assert.Equal(t, before, r.status())
	assert.Equal(t, head, r.run("rev-parse", "HEAD"))
	assert.Equal(t, "uncommitted\n", r.read("a.txt"))

	rb, err := r.Rollback(t.Context(), RollbackOptions{SetAside: true})
	require.NoError(t, err)
	assert.Equal(t, "second\n", r.read("a.txt"))
	assert.False(t, r.exists("untracked.txt"))
	assert.Equal(t, "ignored\n", r.read("x.log"))
	_, err = r.Undo(t.Context(), rb.Backup.ID)
	require.NoError(t, err)
	assert.Equal(t, before, r.status())
	assert.Equal(t, "uncommitted\n", r.read("a.txt"))
	assert.Equal(t, "u\n", r.read("untracked.txt"))
}

// A file that is ignored now and was tracked then exists nowhere else.
func TestRollbackNeverOverwritesIgnoredFiles(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("secret.env", "tracked\n")
	r.run("add", "-A")
	r.run("commit", "-qm", "with secret")
	r.run("rm", "-q", "--cached", "secret.env")
	r.file(".gitignore", "*.env\n")
	r.run("add", ".gitignore")
	r.run("commit", "-qm", "ignore it")
	r.file("secret.env", "only here\n")
	for _, aside := range []bool{false, true} {
		_, err := r.Rollback(t.Context(), RollbackOptions{SetAside: aside})
		require.ErrorIs(t, err, ErrLocalChanges)
		assert.Equal(t, "only here\n", r.read("secret.env"))
		assert.Equal(t, "ignore it", r.run("log", "-1", "--format=%s"))
		assert.Empty(t, r.status())
	}
}

func TestRollbackRefuses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := history(t)
	_, err := r.Rollback(ctx, RollbackOptions{N: 3})
	require.ErrorIs(t, err, ErrRefused, "the root")
	_, err = r.Rollback(ctx, RollbackOptions{N: -1})
	require.ErrorIs(t, err, ErrRefused)
	for _, bad := range []string{"-x", "--all", "HEAD..main", "^HEAD", "a\nb"} {
		_, err = r.Rollback(ctx, RollbackOptions{To: bad})
		require.ErrorIs(t, err, ErrInvalidName, bad)
	}
	_, err = r.Rollback(ctx, RollbackOptions{To: "absent"})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Rollback(ctx, RollbackOptions{To: "HEAD"})
	require.ErrorIs(t, err, ErrRefused)
	r.run("branch", "elsewhere", "HEAD~1")
	r.run("switch", "-q", "elsewhere")
	r.run("commit", "-q", "--allow-empty", "-m", "aside")
	r.run("switch", "-q", "main")
	_, err = r.Rollback(ctx, RollbackOptions{To: "elsewhere"})
	require.ErrorIs(t, err, ErrRefused, "not an ancestor")

	r.run("merge", "-q", "--no-edit", "elsewhere")
	_, err = r.Rollback(ctx, RollbackOptions{})
	require.ErrorIs(t, err, ErrRefused)
	assert.ErrorContains(t, err, "merge")
	_, err = r.Rollback(ctx, RollbackOptions{Merges: true})
	require.NoError(t, err)

	r.run("update-ref", "refs/remotes/origin/main", "HEAD")
	_, err = r.Rollback(ctx, RollbackOptions{})
	require.ErrorIs(t, err, ErrRefused)
	assert.ErrorContains(t, err, "origin/main")
	_, err = r.Rollback(ctx, RollbackOptions{Pushed: true})
	require.NoError(t, err)

	_, err = newRepo(t).Rollback(ctx, RollbackOptions{})
	require.ErrorIs(t, err, ErrUnborn)
	_, err = conflicted(t).Rollback(ctx, RollbackOptions{})
	require.ErrorIs(t, err, ErrConflict)
	_, err = r.Undo(ctx, "absent")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = withCommit(t).Undo(ctx, "")
	require.ErrorIs(t, err, ErrNotFound)
}

// What was pushed before a merge is as pushed as without it; what the merge brought
// in is still on its own branch.
func TestRollbackOfPushedCommitsBelowAMerge(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := history(t)
	r.run("update-ref", "refs/remotes/origin/main", "HEAD")
	r.run("switch", "-qc", "side", "HEAD~1")
	r.file("side.txt", "side\n")
	r.run("add", "-A")
	r.run("commit", "-qm", "side")
	r.run("update-ref", "refs/remotes/origin/side", "HEAD")
	r.run("switch", "-q", "main")
	r.run("merge", "-q", "--no-ff", "-m", "merge", "side")
	_, err := r.Rollback(ctx, RollbackOptions{N: 2, Merges: true})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "origin/main")
	rb, err := r.Rollback(ctx, RollbackOptions{Merges: true})
	require.NoError(t, err)
	assert.Len(t, rb.Commits, 2)
}

func TestRollbackRestoresTheCheckpoint(t *testing.T) {
	t.Parallel()
	r := history(t)
	require.NoError(t, r.NoteCheckpoint(t.Context(), "HEAD~1", "cp-2"))
	require.NoError(t, r.NoteCheckpoint(t.Context(), "HEAD~2", "cp-0"))
	require.NoError(t, r.NoteCheckpoint(t.Context(), "HEAD~2", "cp-1"))
	require.Error(t, r.NoteCheckpoint(t.Context(), "HEAD", "a\nb"))
	var restored string
	r.file("a.txt", "fourth\n")
	_, err := r.Commit(t.Context(), CommitOptions{Message: "m", Trailers: []string{CheckpointTrailer + ": cp-4"}})
	require.NoError(t, err)
	r.file("a.txt", "fifth\n")
	r.run("commit", "-qam", "fifth")
	_, err = r.Rollback(t.Context(), RollbackOptions{Restore: func(_ context.Context, id string) error { restored = id; return nil }})
	require.NoError(t, err)
	assert.Equal(t, "cp-4", restored, "by the trailer")
	_, err = r.Rollback(t.Context(), RollbackOptions{})
	require.NoError(t, err)
	rb, err := r.Rollback(t.Context(), RollbackOptions{Restore: func(_ context.Context, id string) error { restored = id; return nil }})
	require.NoError(t, err)
	assert.Equal(t, "cp-2", restored)
	assert.Equal(t, "cp-2", rb.Checkpoint)
	bad := errors.New("no such checkpoint")
	_, err = r.Rollback(t.Context(), RollbackOptions{Restore: func(_ context.Context, id string) error { restored = id; return bad }})
	require.ErrorIs(t, err, bad)
	assert.Equal(t, "cp-1", restored)
}

// Nothing moves HEAD under a merge or the like, resolved or not: the next commit
// would be concluded with parents that do not fit it.
func TestNothingMovesUnderAnUnfinishedOperation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	start := map[string]func(r *repo){
		"merge":       func(r *repo) { r.try("merge", "-q", "side") },
		"cherry-pick": func(r *repo) { r.try("cherry-pick", "side") },
		"revert":      func(r *repo) { r.try("revert", "--no-edit", "HEAD~1") },
		"rebase":      func(r *repo) { r.try("rebase", "-q", "side") },
	}
	for name, begin := range start {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := diverged(t)
			snap, err := r.Snapshot(ctx, "before")
			require.NoError(t, err)
			_, err = r.Rollback(ctx, RollbackOptions{})
			require.NoError(t, err)
			_, err = r.Undo(ctx, "")
			require.NoError(t, err)
			begin(r)
			for _, resolved := range []bool{false, true} {
				if resolved {
					r.file("a.txt", "resolved\n")
					r.run("add", "a.txt")
				}
				head, before := r.run("rev-parse", "HEAD"), r.status()
				backups := len(must(r.Backups(ctx)))
				_, err = r.Rollback(ctx, RollbackOptions{SetAside: true})
				require.ErrorIs(t, err, ErrConflict)
				_, err = r.Undo(ctx, "")
				require.Error(t, err)
				_, err = r.Merge(ctx, "side", MergeOptions{})
				require.ErrorIs(t, err, ErrConflict)
				_, err = r.SwitchBranch(ctx, "side", false, DirtySave)
				require.ErrorIs(t, err, ErrConflict)
				assert.Equal(t, head, r.run("rev-parse", "HEAD"))
				assert.Equal(t, before, r.status())
				assert.Len(t, must(r.Backups(ctx)), backups)
			}
			// Files may be brought back all the same.
			_, err = r.RestoreSnapshot(ctx, snap.ID, "a.txt")
			require.NoError(t, err)
			assert.Equal(t, "main\n", r.read("a.txt"))
		})
	}
}

// A caller that gives up when the code has gone back does not lose the checkpoint.
func TestRollbackThatIsCancelledAtTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := history(t)
	require.NoError(t, r.NoteCheckpoint(ctx, "HEAD~1", "cp"))
	r.opts.Trace.Command = func(_ context.Context, info CommandInfo) {
		if info.Args[0] == "update-ref" && slices.Contains(info.Args, "HEAD") {
			cancel()
		}
	}
	restored := ""
	rb, err := r.Rollback(ctx, RollbackOptions{Restore: func(ctx context.Context, id string) error {
		restored = id
		return ctx.Err()
	}})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "cp", restored)
	assert.Equal(t, "cp", rb.Checkpoint)
}

// A rollback that is refused leaves no backup: the newest one is what Undo goes
// back to.
func TestRefusedRollbackLeavesNoBackup(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := history(t)
	rb, err := r.Rollback(ctx, RollbackOptions{})
	require.NoError(t, err)
	r.file("a.txt", "in the way\n")
	_, err = r.Rollback(ctx, RollbackOptions{})
	require.ErrorIs(t, err, ErrLocalChanges)
	backups := must(r.Backups(ctx))
	require.Len(t, backups, 1)
	assert.Equal(t, rb.Backup.ID, backups[0].ID)
}

// What was refused and then goes ahead is not taken back by its own first try.
func TestRefusedUndoLeavesNoBackup(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.file("gen.txt", "committed\n")
	r.run("add", "-A")
	r.run("commit", "-qm", "second")
	rb, err := r.Rollback(ctx, RollbackOptions{})
	require.NoError(t, err)
	r.file(".git/info/exclude", "gen.txt\n")
	r.file("gen.txt", "ignored, and only here\n")
	_, err = r.Undo(ctx, "")
	require.ErrorIs(t, err, ErrLocalChanges)
	_, err = r.RestoreSnapshot(ctx, rb.Backup.ID)
	require.ErrorIs(t, err, ErrLocalChanges)
	assert.Equal(t, rb.To, r.run("rev-parse", "HEAD"))
	require.Len(t, must(r.Backups(ctx)), 1)
	require.NoError(t, os.Remove(r.path("gen.txt")))
	_, err = r.Undo(ctx, "")
	require.NoError(t, err)
	assert.Equal(t, "committed\n", r.read("gen.txt"))
}

// Restore may use the service: the rollback is over by then.
func TestRestoreOfACheckpointMayUseTheService(t *testing.T) {
	t.Parallel()
	r := history(t)
	require.NoError(t, r.NoteCheckpoint(t.Context(), "HEAD~1", "cp"))
	_, err := r.Rollback(t.Context(), RollbackOptions{Restore: func(ctx context.Context, id string) error {
		assert.Equal(t, "second\n", r.read("a.txt"))
		_, err := r.Snapshot(ctx, id)
		return err
	}})
	require.NoError(t, err)
	assert.Len(t, must(r.Snapshots(t.Context())), 1)
}

func TestBackupsExpire(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := history(t)
	for range 2 {
		_, err := r.Rollback(ctx, RollbackOptions{})
		require.NoError(t, err)
		_, err = r.Undo(ctx, "")
		require.NoError(t, err)
	}
	assert.Len(t, must(r.Backups(ctx)), 4)
	n, err := r.PruneSnapshots(ctx, time.Hour, 0)
	require.NoError(t, err)
	assert.Zero(t, n, "none is an hour old")
	newest := must(r.Backups(ctx))[0]
	n, err = r.PruneSnapshots(ctx, -time.Hour, 1)
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	assert.Equal(t, []Snapshot{newest}, must(r.Backups(ctx)))
}
