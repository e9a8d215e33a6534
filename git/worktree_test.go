package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two agents work side by side, and what they did comes back.
func TestWorktreesForParallelAgents(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	base := t.TempDir()
	r.file("draft.txt", "the person's\n")
	var wg sync.WaitGroup
	for _, name := range []string{"one", "two"} {
		w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(base, name), Branch: "agent/" + name})
		require.NoError(t, err)
		wg.Go(func() {
			assert.NoError(t, os.WriteFile(filepath.Join(w.Root(), name+".txt"), []byte(name), 0o666))
			_, err := w.Commit(ctx, CommitOptions{})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	list := must(r.Worktrees(ctx))
	require.Len(t, list, 3)
	assert.True(t, list[0].Main)
	assert.Equal(t, "agent/one", list[1].Branch)

	m, err := r.MergeWorktree(ctx, filepath.Join(base, "one"), MergeOptions{})
	require.NoError(t, err)
	assert.True(t, m.FastForward)
	m, err = r.MergeWorktree(ctx, filepath.Join(base, "two"), MergeOptions{})
	require.NoError(t, err)
	assert.False(t, m.FastForward)
	assert.Equal(t, "one", r.read("one.txt"))
	assert.Equal(t, "two", r.read("two.txt"))
	assert.Equal(t, "?? draft.txt", r.status())
	assert.Equal(t, "Agent", r.run("log", "-1", "--format=%an"))
	m, err = r.Merge(ctx, "agent/two", MergeOptions{})
	require.NoError(t, err)
	assert.True(t, m.UpToDate)

	for _, name := range []string{"one", "two"} {
		_, err := r.RemoveWorktree(ctx, filepath.Join(base, name), false)
		require.NoError(t, err)
		assert.NoDirExists(t, filepath.Join(base, name))
	}
	assert.Len(t, must(r.Worktrees(ctx)), 1)
}

// Each agent takes back its own work, not what another did meanwhile.
func TestUndoIsOfThisWorktree(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := history(t)
	one, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "one"), Branch: "one"})
	require.NoError(t, err)
	two, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "two"), Branch: "two"})
	require.NoError(t, err)
	all := []*Service{r.Service, one, two}
	for _, s := range all { // so that no branch tells them apart
		runIn(t, s.Root(), "switch", "-q", "--detach")
	}
	tip := r.run("rev-parse", "HEAD")
	for _, s := range all {
		_, err := s.Undo(ctx, "")
		require.ErrorIs(t, err, ErrNotFound)
		_, err = s.Rollback(ctx, RollbackOptions{})
		require.NoError(t, err)
	}
	for _, s := range all {
		now, err := s.Undo(ctx, "")
		require.NoError(t, err)
		assert.Equal(t, tip, runIn(t, s.Root(), "rev-parse", "HEAD"))
		again, err := s.FindSnapshot(ctx, now.ID)
		require.NoError(t, err)
		assert.Equal(t, now, again)
	}
	assert.Len(t, must(r.Backups(ctx)), 6)
}

func TestMergeConflictChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "w"), Branch: "agent"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(w.Root(), "a.txt"), []byte("theirs\n"), 0o666))
	_, err = w.Commit(ctx, CommitOptions{})
	require.NoError(t, err)
	r.file("a.txt", "ours\n")
	r.run("commit", "-qam", "ours")
	r.file("dir/b.txt", "uncommitted\n")
	head, before := r.run("rev-parse", "HEAD"), r.status()

	// A git that cannot merge in memory finds out by trying.
	modern := r.version
	r.version = Version{2, 37, 0}
	_, err = r.Merge(ctx, "agent", MergeOptions{})
	var tried *ConflictError
	require.ErrorAs(t, err, &tried)
	assert.Equal(t, []Conflict{{Path: "a.txt"}}, tried.Conflicts)
	assert.Equal(t, head, r.run("rev-parse", "HEAD"))
	assert.Equal(t, before, r.status())
	r.version = modern

	_, err = r.MergeWorktree(ctx, w.Root(), MergeOptions{})
	var conflict *ConflictError
	require.ErrorAs(t, err, &conflict)
	require.ErrorIs(t, err, ErrConflict)
	require.Len(t, conflict.Conflicts, 1)
	c := conflict.Conflicts[0]
	assert.Equal(t, "a.txt", c.Path)
	assert.Contains(t, c.Type, "CONFLICT")
	assert.Contains(t, c.Content, "<<<<<<<")
	assert.Contains(t, c.Content, "theirs")
	assert.Equal(t, head, r.run("rev-parse", "HEAD"))
	assert.Equal(t, before, r.status())
	assert.Equal(t, "ours\n", r.read("a.txt"))
}

func TestMergeWithWorkInTheWay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "w"), Branch: "agent"})
	require.NoError(t, err)
	for name, content := range map[string]string{"a.txt": "agent\n", "new.txt": "agent\n", "build.log": "agent\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(w.Root(), name), []byte(content), 0o666))
	}
	_, err = w.Commit(ctx, CommitOptions{})
	require.NoError(t, err)

	unchanged := func(file, content string) {
		t.Helper()
		before := r.status()
		_, err := r.Merge(ctx, "agent", MergeOptions{})
		require.ErrorIs(t, err, ErrLocalChanges)
		assert.Equal(t, before, r.status())
		assert.Equal(t, content, r.read(file))
		backups, err := r.Backups(ctx)
		require.NoError(t, err)
		assert.Empty(t, backups, "nothing is in the way of Undo")
	}
	r.file("a.txt", "uncommitted\n")
	unchanged("a.txt", "uncommitted\n")
	r.run("checkout", "-q", "--", "a.txt")
	r.file("new.txt", "untracked\n")
	unchanged("new.txt", "untracked\n")
	require.NoError(t, os.Remove(r.path("new.txt")))
	r.file(".git/info/exclude", "*.log\n")
	r.file("build.log", "ignored, and only here\n")
	unchanged("build.log", "ignored, and only here\n")
	require.NoError(t, os.Remove(r.path("build.log")))

	r.hook("pre-merge-commit", "echo no merges today; exit 1")
	_, err = r.Merge(ctx, "agent", MergeOptions{NoFF: true})
	require.ErrorIs(t, err, ErrHook)
	assert.Empty(t, r.status())
	assert.NoFileExists(t, r.path(".git/MERGE_HEAD"))
	require.NoError(t, os.Remove(r.path(".git/hooks/pre-merge-commit")))
	r.run("config", "branch.main.mergeOptions", "--no-commit --squash")
	before := r.run("rev-parse", "HEAD")
	m, err := r.Merge(ctx, "agent", MergeOptions{NoFF: true})
	require.NoError(t, err)
	assert.Len(t, strings.Fields(r.run("rev-parse", "HEAD^@")), 2)
	_, err = r.Undo(ctx, m.Backup.ID)
	require.NoError(t, err)
	assert.Equal(t, before, r.run("rev-parse", "HEAD"))
	m, err = r.Merge(ctx, "agent", MergeOptions{})
	require.NoError(t, err)
	assert.True(t, m.FastForward)
	_, err = r.Undo(ctx, m.Backup.ID)
	require.NoError(t, err)
	assert.Equal(t, "one\n", r.read("a.txt"))
}

// A merge that ends with its context changes nothing, or is made.
func TestMergeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, hook := range []string{"pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-merge"} {
		t.Run(hook, func(t *testing.T) {
			t.Parallel()
			r := withCommit(t)
			r.run("switch", "-qc", "other")
			r.file("new.txt", "other\n")
			require.NoError(t, os.Remove(r.path("a.txt")))
			r.run("add", "-A")
			r.run("commit", "-qm", "other")
			r.run("switch", "-q", "main")
			r.file("main.txt", "main\n")
			r.run("add", "-A")
			r.run("commit", "-qm", "main")
			r.file("dir/b.txt", "uncommitted\n")
			r.file("untracked.txt", "untracked\n")
			before := r.state()
			ready := r.path(".git/ready")
			r.hook(hook, "echo during > during.txt; touch "+ready+"; sleep 300")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go whenThere(ready, cancel)
			m, err := r.Merge(ctx, "other", MergeOptions{})
			snapshots, serr := r.Snapshots(t.Context())
			require.NoError(t, serr)
			if hook == "post-merge" {
				require.NoError(t, err)
				assert.Equal(t, r.run("rev-parse", "HEAD"), m.Hash)
				assert.Equal(t, " M dir/b.txt\n?? during.txt\n?? untracked.txt", r.status())
			} else {
				require.ErrorIs(t, err, context.Canceled)
				if hook == "pre-merge-commit" { // git has not noted what it does
					require.Len(t, snapshots, 1)
					assert.Equal(t, "during", r.run("show", snapshots[0].Commit+":during.txt"))
					r.run("update-ref", "-d", snapshots[0].ref())
				} else {
					require.NoError(t, os.Remove(r.path("during.txt")))
				}
				assert.Equal(t, before, r.state(), "no backup is left either")
				for _, name := range []string{"MERGE_HEAD", "MERGE_MSG", "MERGE_MODE"} {
					assert.NoFileExists(t, filepath.Join(r.GitDir(), name))
				}
			}
			r.noScratchLeft()
		})
	}
}

func TestRemoveWorktreeKeepsWork(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "w"), Branch: "agent"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(w.Root(), "work.txt"), []byte("work\n"), 0o666))
	_, err = r.MergeWorktree(ctx, w.Root(), MergeOptions{})
	require.ErrorIs(t, err, ErrLocalChanges)
	_, err = r.RemoveWorktree(ctx, w.Root(), false)
	require.ErrorIs(t, err, ErrLocalChanges)
	require.FileExists(t, filepath.Join(w.Root(), "work.txt"))
	_, err = w.RemoveWorktree(ctx, w.Root(), true)
	require.ErrorIs(t, err, ErrRefused, "the one it works in")
	_, err = w.RemoveWorktree(ctx, r.Root(), true)
	require.ErrorIs(t, err, ErrRefused, "the main one")
	backup, err := r.RemoveWorktree(ctx, w.Root(), true)
	require.NoError(t, err)
	require.NotNil(t, backup)
	assert.NoDirExists(t, w.Root())
	_, err = r.RestoreSnapshot(ctx, backup.ID, "work.txt")
	require.NoError(t, err)
	assert.Equal(t, "work\n", r.read("work.txt"))
}

// What git is told not to look at is in no backup, so that nothing may remove or
// overwrite it.
func TestHiddenChangesAreKept(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const hidden = "hidden, and of another size: git tells files within a tick of the clock by it\n"
	for _, flag := range []string{"--assume-unchanged", "--skip-worktree"} {
		r := history(t)
		w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "w"), Branch: "agent"})
		require.NoError(t, err)
		runIn(t, w.Root(), "update-index", flag, "a.txt")
		require.NoError(t, os.WriteFile(filepath.Join(w.Root(), "a.txt"), []byte(hidden), 0o666))
		for _, save := range []bool{false, true} {
			_, err = r.RemoveWorktree(ctx, w.Root(), save)
			require.ErrorIs(t, err, ErrLocalChanges, flag)
			assert.ErrorContains(t, err, "a.txt")
		}
		require.FileExists(t, filepath.Join(w.Root(), "a.txt"))

		r.run("switch", "-q", "-c", "older", "HEAD~1")
		r.run("switch", "-q", "main")
		snap, err := r.Snapshot(ctx, "")
		require.NoError(t, err)
		rb, err := r.Rollback(ctx, RollbackOptions{})
		require.NoError(t, err)
		r.run("update-index", flag, "a.txt")
		r.file("a.txt", hidden)
		for name, call := range map[string]func() error{
			"rollback": func() error { _, err := r.Rollback(ctx, RollbackOptions{SetAside: true}); return err },
			"undo":     func() error { _, err := r.Undo(ctx, rb.Backup.ID); return err },
			"restore":  func() error { _, err := r.RestoreSnapshot(ctx, snap.ID, "a.txt"); return err },
			"switch":   func() error { _, err := r.SwitchBranch(ctx, "agent", false, DirtySave); return err },
			"merge":    func() error { _, err := r.Merge(ctx, "agent", MergeOptions{}); return err },
		} {
			require.Error(t, call(), "%s %s", flag, name)
			assert.Equal(t, hidden, r.read("a.txt"), "%s %s", flag, name)
			assert.Equal(t, rb.To, r.run("rev-parse", "HEAD"), "%s %s", flag, name)
		}
	}
}

// A hook that fails after a worktree was made, such as that of git-lfs where it is
// not installed, does not leave one behind that nobody has.
func TestAddWorktreeWhoseHookFails(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.hook("post-checkout", "exit 2")
	w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "w"), Branch: "agent"})
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(w.Root(), "a.txt"))
	_, err = r.AddWorktree(ctx, WorktreeOptions{Path: w.Root(), Branch: "agent"})
	require.ErrorIs(t, err, ErrRefused)
}

func TestWorktreeErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	dir := t.TempDir()
	for _, bad := range []WorktreeOptions{{}, {Path: filepath.Join(dir, "x")}, {Path: filepath.Join(dir, "x"), Branch: "-b"}} {
		_, err := r.AddWorktree(ctx, bad)
		require.ErrorIs(t, err, ErrInvalidName)
	}
	_, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(dir, "x"), Branch: "main"})
	require.ErrorIs(t, err, ErrRefused, "checked out already")
	_, err = r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(dir, "x"), Branch: "y", From: "absent"})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = newRepo(t).AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(dir, "x"), Branch: "y"})
	require.ErrorIs(t, err, ErrUnborn)
	_, err = r.RemoveWorktree(ctx, dir, true)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Merge(ctx, "absent", MergeOptions{})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = conflicted(t).Merge(ctx, "side", MergeOptions{})
	require.ErrorIs(t, err, ErrConflict)

	// A directory that somebody deleted.
	w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(dir, "gone"), Branch: "gone"})
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(w.Root()))
	assert.True(t, must(r.Worktrees(ctx))[1].Prunable)
	require.NoError(t, r.PruneWorktrees(ctx))
	assert.Len(t, must(r.Worktrees(ctx)), 1)
	_, err = w.Status(ctx, StatusOptions{})
	require.Error(t, err)
	var failed *CommandError
	assert.True(t, errors.As(err, &failed))
}

func FuzzParseConflicts(f *testing.F) {
	f.Add("tree\x00a\x00\x001\x00a\x00CONFLICT (contents)\x00text\x00")
	f.Add("\x00\x00-1\x00")
	f.Fuzz(func(t *testing.T, in string) {
		_, conflicts := parseConflicts(in)
		for _, c := range conflicts {
			if c.Path == "" {
				t.Errorf("conflict without a path from %q", in)
			}
		}
	})
}
