package git

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// files are the contents of the working tree by path.
func (r *repo) files() map[string]string {
	r.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.Name() == ".git":
			return filepath.SkipDir
		case e.IsDir():
			return nil
		}
		rel, _ := filepath.Rel(r.dir, path)
		data, err := os.ReadFile(path)
		found[filepath.ToSlash(rel)] = string(data)
		return err
	})
	require.NoError(r.t, err)
	return found
}

// kept are the hashes of all that a reference or the index holds.
func (r *repo) kept() map[string]bool {
	held := map[string]bool{}
	for line := range strings.Lines(r.run("rev-list", "--objects", "--all", "HEAD") + "\n" + r.run("ls-files", "-s")) {
		for _, field := range strings.Fields(line)[:min(2, len(strings.Fields(line)))] {
			held[field] = true
		}
	}
	return held
}

func blobHash(content string) string {
	sum := sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(content), content)))
	return hex.EncodeToString(sum[:])
}

// Whatever is called in whatever order, done or refused: what was in a file
// before, committed or never seen by git, is in the working tree or under a
// reference after it, and a file that git ignores is where it was.
func TestNothingIsEverLost(t *testing.T) {
	t.Parallel()
	seeds, steps := 4, 25
	if os.Getenv("TOKENRING_LONG") != "" {
		seeds, steps = 100, 100
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			walk(t, rand.New(rand.NewPCG(uint64(seed), 8)), steps)
		})
	}
}

func walk(t *testing.T, rnd *rand.Rand, steps int) {
	ctx := t.Context()
	r := withCommit(t)
	// A file that comes and goes with the commits makes the same paths ignored now
	// and untracked then.
	rules := []string{".git/info/exclude", ".gitignore"}[rnd.IntN(2)]
	r.file(rules, "*.log\n")
	r.run("add", "-A")
	r.run("commit", "-q", "--allow-empty", "-m", "ignore logs")
	names := []string{"a.txt", "dir/b.txt", "c.txt", "dir/sub/d.txt", "dir", "c.txt/e", "x.log", "dir/y.log"}
	serial := 0
	// write is a person or an agent at work in a tree.
	write := func(dir string) {
		for range rnd.IntN(4) {
			name := filepath.Join(dir, names[rnd.IntN(len(names))])
			if rnd.IntN(4) == 0 && !strings.HasSuffix(name, ".log") {
				_ = os.Remove(name) // fails for what is not there, or not empty
				continue
			}
			serial++
			if os.MkdirAll(filepath.Dir(name), 0o777) == nil {
				// Of lengths that differ, so that no tick of the clock hides a change.
				_ = os.WriteFile(name, []byte(fmt.Sprintf("content %d %s\n", serial, strings.Repeat("x", serial))), 0o666)
			}
		}
	}
	some := func(list []Snapshot) string {
		if len(list) == 0 {
			return "none"
		}
		return list[rnd.IntN(len(list))].ID
	}
	branch := func() string { return fmt.Sprintf("b%d", rnd.IntN(3)) }
	tree := filepath.Join(t.TempDir(), "tree")
	operations := []struct {
		name string
		do   func() error
	}{
		{"commit", func() error { _, err := r.Commit(ctx, CommitOptions{}); return err }},
		{"commit a path", func() error { _, err := r.Commit(ctx, CommitOptions{Paths: []string{"dir"}}); return err }},
		{"amend", func() error { _, err := r.Commit(ctx, CommitOptions{Amend: true}); return err }},
		{"snapshot", func() error { _, err := r.Snapshot(ctx, ""); return err }},
		{"restore", func() error { _, err := r.RestoreSnapshot(ctx, some(must(r.Snapshots(ctx)))); return err }},
		{"restore a backup", func() error { _, err := r.RestoreSnapshot(ctx, some(must(r.Backups(ctx)))); return err }},
		{"restore a path", func() error { _, err := r.RestoreSnapshot(ctx, some(must(r.Snapshots(ctx))), "dir"); return err }},
		{"rollback", func() error { _, err := r.Rollback(ctx, RollbackOptions{N: 1 + rnd.IntN(2), Merges: true}); return err }},
		{"rollback, set aside", func() error { _, err := r.Rollback(ctx, RollbackOptions{SetAside: true, Merges: true}); return err }},
		{"undo", func() error { _, err := r.Undo(ctx, some(must(r.Backups(ctx)))); return err }},
		{"switch", func() error { _, err := r.SwitchBranch(ctx, branch(), false, DirtyCarry); return err }},
		{"switch, save", func() error { _, err := r.SwitchBranch(ctx, branch(), rnd.IntN(2) == 0, DirtySave); return err }},
		{"create branch", func() error { return r.CreateBranch(ctx, branch(), "") }},
		{"delete branch", func() error { return r.DeleteBranch(ctx, branch(), true) }},
		{"merge", func() error { _, err := r.Merge(ctx, branch(), MergeOptions{}); return err }},
		{"add worktree", func() error { _, err := r.AddWorktree(ctx, WorktreeOptions{Path: tree, Branch: "agent"}); return err }},
		{"work in the worktree", func() error {
			s, err := Open(ctx, tree, r.opts)
			if err != nil {
				return err
			}
			write(tree)
			_, err = s.Commit(ctx, CommitOptions{})
			return err
		}},
		{"merge worktree", func() error { _, err := r.MergeWorktree(ctx, tree, MergeOptions{}); return err }},
		{"remove worktree", func() error { _, err := r.RemoveWorktree(ctx, tree, true); return err }},
		{"stage", func() error { return person(r.dir, "add", "dir").Run() }},
		{"commit ignored files", func() error {
			_ = person(r.dir, "add", "--force", ".").Run()
			return person(r.dir, "commit", "-qm", "ignored files too").Run()
		}},
		{"stop tracking them", func() error {
			_ = person(r.dir, "rm", "-rq", "--cached", "--ignore-unmatch", "*.log").Run()
			return person(r.dir, "commit", "-qm", "no ignored files").Run()
		}},
		{"cancelled in the middle", func() error {
			ctx, cancel := context.WithTimeout(ctx, time.Duration(rnd.IntN(40))*time.Millisecond)
			defer cancel()
			var err error
			switch rnd.IntN(5) {
			case 0:
				_, err = r.Rollback(ctx, RollbackOptions{SetAside: true, Merges: true})
			case 1:
				_, err = r.Undo(ctx, "")
			case 2:
				_, err = r.RestoreSnapshot(ctx, some(must(r.Snapshots(t.Context()))))
			case 3:
				_, err = r.SwitchBranch(ctx, branch(), false, []Dirty{DirtyCarry, DirtySave}[rnd.IntN(2)])
			case 4:
				_, err = r.Merge(ctx, branch(), MergeOptions{})
			}
			return err
		}},
	}
	for range steps {
		write(r.dir)
		if rnd.IntN(3) == 0 {
			_ = person(r.dir, "add", "-A").Run()
		}
		before := r.files()
		ignored := splitNul(r.run("ls-files", "--others", "--ignored", "--exclude-standard", "-z"))
		op := operations[rnd.IntN(len(operations))]
		err := op.do()
		after, kept := r.files(), r.kept()
		now := slices.Collect(maps.Values(after))
		for name, content := range before {
			if slices.Contains(ignored, name) {
				require.Equal(t, content, after[name], "%s of an ignored file %s: %v", op.name, name, err)
			} else if !slices.Contains(now, content) {
				require.True(t, kept[blobHash(content)], "%s lost %s: %v", op.name, name, err)
			}
		}
		require.NoFileExists(t, filepath.Join(r.GitDir(), "index.lock"), op.name)
	}
	r.run("fsck", "--strict")
	r.noScratchLeft()
}
