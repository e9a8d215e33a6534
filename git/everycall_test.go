package git

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reads are all calls that look at a repository.
func reads(r *repo) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Status":        func(ctx context.Context) error { _, err := r.Status(ctx, StatusOptions{}); return err },
		"Diff":          func(ctx context.Context) error { _, err := r.Diff(ctx, DiffOptions{Untracked: true}); return err },
		"Log":           func(ctx context.Context) error { _, err := r.Log(ctx, LogOptions{}); return err },
		"Show":          func(ctx context.Context) error { _, err := r.Show(ctx, "HEAD"); return err },
		"Blame":         func(ctx context.Context) error { _, err := r.Blame(ctx, "", "a.txt", 0, 0); return err },
		"CommitDiff":    func(ctx context.Context) error { _, err := r.CommitDiff(ctx, CommitOptions{}); return err },
		"Snapshots":     func(ctx context.Context) error { _, err := r.Snapshots(ctx); return err },
		"Backups":       func(ctx context.Context) error { _, err := r.Backups(ctx); return err },
		"FindSnapshot":  func(ctx context.Context) error { _, err := r.FindSnapshot(ctx, "x"); return err },
		"DiffSnapshot":  func(ctx context.Context) error { _, err := r.DiffSnapshot(ctx, "x", DiffOptions{}); return err },
		"Branches":      func(ctx context.Context) error { _, err := r.Branches(ctx); return err },
		"CurrentBranch": func(ctx context.Context) error { _, err := r.CurrentBranch(ctx); return err },
		"Worktrees":     func(ctx context.Context) error { _, err := r.Worktrees(ctx); return err },
		"Checkpoint":    func(ctx context.Context) error { _, err := r.Checkpoint(ctx, "HEAD"); return err },
		"Open":          func(ctx context.Context) error { _, err := Open(ctx, r.dir, r.opts); return err },
	}
}

// changes are all calls that change one.
func changes(r *repo) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Commit":        func(ctx context.Context) error { _, err := r.Commit(ctx, CommitOptions{Message: "m"}); return err },
		"Commit, asked": func(ctx context.Context) error { _, err := r.Commit(ctx, CommitOptions{}); return err },
		"Snapshot":      func(ctx context.Context) error { _, err := r.Snapshot(ctx, ""); return err },
		"Restore":       func(ctx context.Context) error { _, err := r.RestoreSnapshot(ctx, "x"); return err },
		"Prune":         func(ctx context.Context) error { _, err := r.PruneSnapshots(ctx, 0, 0); return err },
		"Rollback": func(ctx context.Context) error {
			_, err := r.Rollback(ctx, RollbackOptions{SetAside: true})
			return err
		},
		"Undo":         func(ctx context.Context) error { _, err := r.Undo(ctx, ""); return err },
		"Note":         func(ctx context.Context) error { return r.NoteCheckpoint(ctx, "HEAD", "cp") },
		"CreateBranch": func(ctx context.Context) error { return r.CreateBranch(ctx, "new", "") },
		"SwitchBranch": func(ctx context.Context) error { _, err := r.SwitchBranch(ctx, "side", false, DirtySave); return err },
		"DeleteBranch": func(ctx context.Context) error { return r.DeleteBranch(ctx, "side", true) },
		"Merge":        func(ctx context.Context) error { _, err := r.Merge(ctx, "side", MergeOptions{}); return err },
		"AddWorktree": func(ctx context.Context) error {
			_, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(r.t.TempDir(), "w"), Branch: "w"})
			return err
		},
		"RemoveWorktree": func(ctx context.Context) error { _, err := r.RemoveWorktree(ctx, "x", true); return err },
		"MergeWorktree":  func(ctx context.Context) error { _, err := r.MergeWorktree(ctx, "x", MergeOptions{}); return err },
		"PruneWorktrees": func(ctx context.Context) error { return r.PruneWorktrees(ctx) },
		"Auto-snapshot": func(ctx context.Context) error {
			return NewAutoSnapshot(r.Service, AutoSnapshotOptions{}).BeforeWrite(ctx)
		},
	}
}

// busy is a repository in which every call has something to do.
func busy(t *testing.T, change ...func(*Options)) *repo {
	t.Helper()
	r := withCommit(t, change...)
	r.run("branch", "side")
	r.file("dir/b.txt", "second\n")
	r.run("commit", "-qam", "second")
	r.file("a.txt", "staged\n")
	r.run("add", "a.txt")
	r.file("a.txt", "not staged\n")
	r.file("untracked.txt", "u\n")
	return r
}

// state is everything that a person could miss.
func (r *repo) state() string {
	return r.run("rev-parse", "HEAD") + r.status() + r.run("diff", "--cached") + r.run("diff") + r.run("for-each-ref") + r.run("worktree", "list")
}

func TestEveryCallIsCancellable(t *testing.T) {
	t.Parallel()
	r := busy(t)
	before := r.state()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, calls := range []map[string]func(context.Context) error{reads(r), changes(r)} {
		for name, call := range calls {
			require.ErrorIs(t, call(ctx), context.Canceled, name)
		}
	}
	assert.Equal(t, before, r.state())
	r.noScratchLeft()
}

// Whatever a call was doing when its context ended, git is gone when it returns
// and no work is: a filter that hangs stands for any slow part of git.
func TestEveryCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Status", "Diff", "CommitDiff", "Commit", "Commit, asked", "Snapshot", "Rollback", "SwitchBranch", "Auto-snapshot"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := busy(t)
			before := r.state()
			ready := r.path(".git/ready")
			require.NoError(t, os.WriteFile(r.path(".git/info/attributes"), []byte("* filter=slow\n"), 0o666))
			r.run("config", "filter.slow.clean", "touch "+ready+"; sleep 300")
			later := time.Now().Add(time.Hour) // what git has to look at again
			require.NoError(t, os.Chtimes(r.path("a.txt"), later, later))
			go whenThere(ready, cancel)
			call, ok := changes(r)[name]
			if !ok {
				call = reads(r)[name]
			}
			require.ErrorIs(t, call(ctx), context.Canceled)
			r.run("config", "--unset", "filter.slow.clean")
			assert.Equal(t, before, r.state())
			r.noScratchLeft()
		})
	}
}

// Another process holds the index: every call that needs it waits, and when it
// has waited long enough fails with nothing half done.
func TestEveryCallWaitsForTheIndex(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Commit", "Commit, asked", "Rollback", "Undo", "SwitchBranch", "Merge", "RestoreSnapshot"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			lock, waits := "", 0
			r := busy(t, func(o *Options) {
				o.Trace.LockWait = func(context.Context, time.Duration) {
					if waits++; waits == 2 {
						_ = os.Remove(lock)
					}
				}
			})
			lock = filepath.Join(r.GitDir(), "index.lock")
			r.run("branch", "-D", "-q", "side")
			r.run("branch", "side", r.run("commit-tree", "-p", "HEAD", "-m", "elsewhere", "HEAD~1^{tree}"))
			call := changes(r)[name]
			switch name {
			case "Rollback", "Merge", "Undo":
				r.run("checkout", "-q", "HEAD", "--", "a.txt") // else in the way of a merge
			}
			snap, err := r.Snapshot(ctx, "")
			require.NoError(t, err)
			switch name {
			case "Undo":
				_, err := r.Rollback(ctx, RollbackOptions{})
				require.NoError(t, err)
			case "RestoreSnapshot":
				r.file("a.txt", "changed since\n")
				call = func(ctx context.Context) error { _, err := r.RestoreSnapshot(ctx, snap.ID); return err }
			}
			before := r.state() + r.read("a.txt") + r.read("dir/b.txt")

			r.opts.LockWait = -1
			require.NoError(t, os.WriteFile(lock, nil, 0o666))
			require.ErrorContains(t, call(ctx), "index.lock")
			require.NoError(t, os.Remove(lock))
			assert.Equal(t, before, r.state()+r.read("a.txt")+r.read("dir/b.txt"))

			r.opts.LockWait, waits = 0, 0
			require.NoError(t, os.WriteFile(lock, nil, 0o666))
			require.NoError(t, call(ctx))
			assert.GreaterOrEqual(t, waits, 2)
			r.noScratchLeft()
		})
	}
}
