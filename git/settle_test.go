package git

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A call that is cancelled in the middle of the files, here by a filter that hangs
// at the first of them, brings back what it has changed.
func TestCallsThatStopHalfWayChangeNothing(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(ctx context.Context, r *repo, saved Snapshot) error{
		"rollback": func(ctx context.Context, r *repo, _ Snapshot) error {
			_, err := r.Rollback(ctx, RollbackOptions{})
			return err
		},
		"rollback, set aside": func(ctx context.Context, r *repo, _ Snapshot) error {
			r.file("a.txt", "dirty\n")
			_, err := r.Rollback(ctx, RollbackOptions{SetAside: true})
			return err
		},
		"undo": func(ctx context.Context, r *repo, saved Snapshot) error { _, err := r.Undo(ctx, saved.ID); return err },
		"restore": func(ctx context.Context, r *repo, saved Snapshot) error {
			_, err := r.RestoreSnapshot(ctx, saved.ID)
			return err
		},
		"switch": func(ctx context.Context, r *repo, _ Snapshot) error {
			_, err := r.SwitchBranch(ctx, "side", false, DirtyCarry)
			return err
		},
		"switch, save": func(ctx context.Context, r *repo, _ Snapshot) error {
			_, err := r.SwitchBranch(ctx, "side", false, DirtySave)
			return err
		},
		"merge": func(ctx context.Context, r *repo, _ Snapshot) error {
			_, err := r.Merge(ctx, "side", MergeOptions{})
			return err
		},
		"fast-forward": func(ctx context.Context, r *repo, _ Snapshot) error {
			_, err := r.Merge(ctx, "ahead", MergeOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := history(t)
			for branch, from := range map[string]string{"side": "main~1", "ahead": "main"} {
				r.run("switch", "-qc", branch, from)
				r.file("0.txt", branch)
				r.file("new.txt", branch)
				r.run("add", "-A")
				r.run("commit", "-qm", branch)
			}
			r.run("switch", "-q", "main")
			rb, err := r.Rollback(t.Context(), RollbackOptions{})
			require.NoError(t, err)
			r.file("dir/b.txt", "uncommitted\n")
			r.file("untracked.txt", "untracked\n")
			before := r.state()
			ready := r.path(".git/ready")
			require.NoError(t, os.WriteFile(r.path(".git/info/attributes"), []byte("* filter=slow\n"), 0o666))
			r.run("config", "filter.slow.smudge", "if [ -e "+ready+" ]; then cat; else touch "+ready+"; sleep 300; fi")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go whenThere(ready, cancel)
			require.ErrorIs(t, call(ctx, r, rb.Backup), context.Canceled)
			for _, snap := range must(r.Snapshots(t.Context())) { // of the state half way
				require.True(t, strings.HasPrefix(snap.Reason, "interrupted, before "), snap.Reason)
				r.run("update-ref", "-d", snap.ref())
			}
			if name == "rollback, set aside" {
				assert.Equal(t, "dirty\n", r.read("a.txt"))
				r.run("checkout", "-q", "--", "a.txt")
			}
			assert.Equal(t, before, r.state())
			r.noScratchLeft()
		})
	}
}

// Neither does one that git gives up on its own in the middle of the files.
func TestCallsThatGitGivesUpChangeNothing(t *testing.T) {
	t.Parallel()
	r := history(t)
	r.run("switch", "-qc", "ahead")
	for _, name := range []string{"0.txt", "a.txt", "z.txt"} {
		r.file(name, "ahead\n")
	}
	r.run("add", "-A")
	r.run("commit", "-qm", "ahead")
	r.run("switch", "-q", "main")
	r.file("dir/b.txt", "uncommitted\n")
	before := r.state()
	failing := r.path(".git/failing")
	require.NoError(t, os.WriteFile(r.path(".git/info/attributes"), []byte("z.txt filter=bad\n"), 0o666))
	r.run("config", "filter.bad.smudge", "test ! -e "+failing+" && cat")
	r.run("config", "filter.bad.clean", "cat")
	r.run("config", "filter.bad.required", "true")
	require.NoError(t, os.WriteFile(failing, nil, 0o666))
	_, err := r.Merge(t.Context(), "ahead", MergeOptions{})
	require.ErrorContains(t, err, "smudge")
	_, err = r.SwitchBranch(t.Context(), "ahead", false, DirtyCarry)
	require.ErrorContains(t, err, "smudge")
	for _, snap := range must(r.Snapshots(t.Context())) {
		r.run("update-ref", "-d", snap.ref())
	}
	assert.Equal(t, before, r.state())
	r.noScratchLeft()
}

// When the last hook runs the branch is checked out, whatever becomes of the hook.
func TestSwitchWhoseHookFails(t *testing.T) {
	t.Parallel()
	for _, policy := range []Dirty{DirtyCarry, DirtySave} {
		for _, script := range []string{"exit 3", "touch .git/ready; sleep 300"} {
			r := busy(t)
			r.hook("post-checkout", script)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go whenThere(r.path(".git/ready"), cancel)
			backup, err := r.SwitchBranch(ctx, "side", false, policy)
			assert.Equal(t, "side", r.run("branch", "--show-current"))
			if script == "exit 3" {
				require.ErrorIs(t, err, ErrHook)
				cancel()
				require.NoError(t, os.WriteFile(r.path(".git/ready"), nil, 0o666))
			} else {
				require.NoError(t, err)
			}
			if policy == DirtySave {
				require.NotNil(t, backup)
				assert.Empty(t, r.status())
			} else {
				require.Nil(t, backup)
				assert.Equal(t, "MM a.txt\n?? untracked.txt", r.status())
				assert.Empty(t, must(r.Backups(t.Context())))
			}
		}
	}
}
