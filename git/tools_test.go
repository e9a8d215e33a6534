package git

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func callTool(t *testing.T, r *repo, name, args string) (string, error) {
	t.Helper()
	for _, tl := range r.Tools() {
		if tl.Name == name {
			res, err := tl.Call(t.Context(), json.RawMessage(args))
			return res.Text, err
		}
	}
	require.Fail(t, "no tool "+name)
	return "", nil
}

func TestTools(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "one\nmore\n")
	r.file("new.txt", "n\n")
	for _, c := range []struct{ tool, args, want string }{
		{"git_status", `{}`, ".M a.txt"},
		{"git_status", `{"paths":["dir"]}`, "Nothing differs"},
		{"git_diff", `{}`, "+more"},
		{"git_diff", `{"staged":true}`, "Nothing differs."},
		{"git_diff", `{"paths":["absent"]}`, "Nothing differs."},
		{"git_diff", `{"stat":true}`, "A new.txt +1 -0"},
		{"git_commit", `{"message":"Say more"}`, "2 files changed"},
		{"git_log", `{}`, "Say more"},
		{"git_log", `{"grep":"absent"}`, "No commits."},
		{"git_show", `{"rev":"HEAD"}`, "+more"},
		{"git_show", `{"rev":"HEAD~1"}`, "first"},
		{"git_rollback", `{}`, "Say more"},
		{"git_undo", `{}`, "state is back"},
		{"git_branch", `{"name":"side","create":true}`, "On branch side."},
		{"git_branch", `{}`, "* side"},
	} {
		out, err := callTool(t, r, c.tool, c.args)
		require.NoError(t, err, "%s %s", c.tool, c.args)
		assert.Contains(t, out, c.want, "%s %s", c.tool, c.args)
	}
	for _, c := range []struct{ tool, args string }{
		{"git_show", `{"rev":"--output=/tmp/x"}`}, {"git_diff", `{"from":"--output=x"}`}, {"git_log", `{"from":"-x"}`},
		{"git_log", `{"from":"absent"}`}, {"git_commit", `{"paths":["../x"]}`}, {"git_rollback", `{"commits":99}`},
		{"git_branch", `{"name":"-f"}`}, {"git_branch", `{"name":"absent"}`}, {"git_branch", `{"name":"a..b","create":true}`},
		{"git_status", `{"paths":[".git"]}`}, {"git_undo", `{"backup":"absent"}`},
	} {
		_, err := callTool(t, r, c.tool, c.args)
		assert.Error(t, err, "%s %s", c.tool, c.args)
	}
	for _, tl := range r.Tools() {
		if tl.Annotations.ReadOnly {
			assert.Empty(t, tl.EffectsOf(nil), tl.Name)
		} else if tl.Name == "git_branch" {
			assert.Empty(t, tl.EffectsOf(json.RawMessage(`{}`)), "a list")
			assert.Equal(t, tool.Exec, tl.EffectsOf(json.RawMessage(`{"name":"x"}`))[0].Kind)
		} else {
			assert.Equal(t, tool.Exec, tl.EffectsOf(nil)[0].Kind, tl.Name)
		}
	}
}

// A model that asks for a commit of everything gets one of its own changes.
func TestCommitToolSparesThePersonsChanges(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "person\n")
	r.file("draft.txt", "person\n")
	autoCommit(t, r, AutoCommitOptions{})
	_, err := callTool(t, r, "git_commit", `{"message":"m"}`)
	require.ErrorIs(t, err, ErrNothingToCommit)
	r.file("agent/x.txt", "agent\n")
	r.file("agent/y.txt", "agent\n")
	for _, tl := range r.Tools() {
		if tl.Name == "git_commit" {
			preview, err := tl.Preview(t.Context(), json.RawMessage(`{"message":"m"}`))
			require.NoError(t, err)
			assert.Contains(t, preview, "agent/x.txt")
			assert.NotContains(t, preview, "draft")
		}
	}
	_, err = callTool(t, r, "git_commit", `{"message":"m","paths":["agent/x.txt"]}`)
	require.NoError(t, err)
	_, err = callTool(t, r, "git_commit", `{"message":"m","paths":["."]}`)
	require.NoError(t, err)
	assert.Equal(t, " M a.txt\n?? draft.txt", r.status())
	r.file("a.txt", "person and agent\n")
	_, err = callTool(t, r, "git_commit", `{"message":"m","paths":["a.txt"]}`)
	require.ErrorIs(t, err, ErrRefused)

	// The person may.
	out, err := r.Command(t.Context(), "commit all of it")
	require.NoError(t, err)
	assert.Contains(t, out, "all of it")
	assert.Empty(t, r.status())
}

func TestCommand(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "x\n")
	run := func(args, want string) string {
		t.Helper()
		out, err := r.Command(t.Context(), args)
		require.NoError(t, err, args)
		assert.Contains(t, out, want, args)
		return out
	}
	run("", "/git status")
	run("status", ".M a.txt")
	run("diff a.txt", "+x")
	run("snapshots", "No saved")
	run("snapshot before it", "Saved as")
	snaps := must(r.Snapshots(t.Context()))
	run("snapshots", "before it")
	run("commit", "Update a.txt")
	run("log 1", "Update a.txt")
	run("rollback", "Update a.txt")
	run("undo", "back")
	run("restore "+snaps[0].ID+" a.txt", "are back")
	run("switch -c side", "On branch side")
	run("branch", "* side")
	for _, bad := range []string{"nonsense", "log x", "rollback 0", "restore", "switch", "switch absent", "restore absent"} {
		_, err := r.Command(t.Context(), bad)
		assert.Error(t, err, bad)
	}
}

func TestBranches(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	require.NoError(t, r.CreateBranch(ctx, "side", ""))
	require.Error(t, r.CreateBranch(ctx, "side", ""))
	for _, bad := range []string{"", "-x", "a b", "a..b", "x.lock", "HEAD", "@{-1}", "a\x00b", "refs/../x"} {
		require.ErrorIs(t, r.CreateBranch(ctx, bad, ""), ErrInvalidName, "%q", bad)
	}
	require.ErrorIs(t, r.CreateBranch(ctx, "x", "absent"), ErrNotFound)
	before := r.Stats().Commands
	list := must(r.Branches(ctx))
	require.Len(t, list, 2)
	assert.True(t, list[0].Current)
	assert.Equal(t, "first", list[0].Subject)
	assert.Equal(t, before+1, r.Stats().Commands)
	must(r.Branches(ctx))
	assert.Equal(t, before+1, r.Stats().Commands, "cached")
	r.run("branch", "third")
	assert.Len(t, must(r.Branches(ctx)), 3, "until a reference changes")
	r.run("switch", "-q", "third")
	assert.True(t, must(r.Branches(ctx))[2].Current)
	r.run("commit", "-q", "--allow-empty", "-m", "unmerged")
	assert.Equal(t, "unmerged", must(r.Branches(ctx))[2].Subject)

	_, err := r.SwitchBranch(ctx, "main", false, "")
	require.NoError(t, err)
	w, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "w"), Branch: "elsewhere"})
	require.NoError(t, err)
	assert.Equal(t, w.Root(), must(r.Branches(ctx))[0].Worktree)
	runIn(t, w.Root(), "switch", "-q", "side")
	assert.Empty(t, must(r.Branches(ctx))[0].Worktree, "another worktree switches")
	runIn(t, w.Root(), "switch", "-q", "elsewhere")
	require.NoError(t, r.DeleteBranch(ctx, "side", false))
	require.ErrorIs(t, r.DeleteBranch(ctx, "third", false), ErrRefused)
	require.Error(t, r.DeleteBranch(ctx, "main", true), "the current branch")
	assert.Empty(t, must(r.Backups(ctx)), "of a branch that is still there")
	tip := r.run("rev-parse", "third")
	require.NoError(t, r.DeleteBranch(ctx, "third", true))
	backup := must(r.Backups(ctx))[0]
	assert.Equal(t, tip, backup.Head, "the commits of a deleted branch are kept")
	require.ErrorIs(t, r.DeleteBranch(ctx, "third", true), ErrNotFound)
	_, err = r.Undo(ctx, backup.ID)
	require.NoError(t, err)
	assert.Equal(t, tip, r.run("rev-parse", "third"))
	r.file("a.txt", "uncommitted\n")
	r.run("switch", "-q", "third")
	_, err = r.Undo(ctx, backup.ID)
	require.ErrorContains(t, err, "already exists")
	assert.Equal(t, "uncommitted\n", r.read("a.txt"))
}

func TestSwitchWithADirtyTree(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.run("switch", "-qc", "side")
	r.file("a.txt", "side\n")
	r.run("commit", "-qam", "side")
	r.run("switch", "-q", "main")
	r.file("dir/b.txt", "carried\n")
	_, err := r.SwitchBranch(ctx, "side", false, DirtyRefuse)
	require.ErrorIs(t, err, ErrLocalChanges)
	_, err = r.SwitchBranch(ctx, "side", false, DirtyCarry)
	require.NoError(t, err)
	assert.Equal(t, "carried\n", r.read("dir/b.txt"))
	r.file("a.txt", "in the way\n")
	r.file("untracked.txt", "u\n")
	before := r.status()
	_, err = r.SwitchBranch(ctx, "main", false, DirtyCarry)
	require.ErrorIs(t, err, ErrLocalChanges)
	assert.Equal(t, before, r.status())
	backup, err := r.SwitchBranch(ctx, "main", false, DirtySave)
	require.NoError(t, err)
	assert.Empty(t, r.status())
	_, err = r.SwitchBranch(ctx, "side", false, DirtyRefuse)
	require.NoError(t, err)
	_, err = r.Undo(ctx, backup.ID)
	require.NoError(t, err)
	assert.Equal(t, before, r.status())
	assert.Equal(t, "in the way\n", r.read("a.txt"))
}

// A switch that fails leaves the work where it was, although it had been set
// aside.
func TestSwitchThatFailsKeepsTheWork(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := busy(t)
	_, err := r.AddWorktree(ctx, WorktreeOptions{Path: filepath.Join(t.TempDir(), "w"), Branch: "elsewhere"})
	require.NoError(t, err)
	before := r.state()
	for name, create := range map[string]bool{"elsewhere": false, "side": true, "main": true} {
		backup, err := r.SwitchBranch(ctx, name, create, DirtySave)
		require.Error(t, err, name)
		assert.Nil(t, backup)
		assert.Equal(t, before, r.state(), name)
	}
	r.noScratchLeft()
}

func TestLogShowBlame(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := history(t)
	log := must(r.Log(ctx, LogOptions{Stat: true}))
	require.Len(t, log, 3)
	assert.Equal(t, "third", log[0].Subject)
	assert.Equal(t, 1, log[0].Added)
	assert.Equal(t, "Person", log[0].Author.Name)
	assert.Len(t, log[2].Files, 2, "the root commit")
	assert.Len(t, must(r.Log(ctx, LogOptions{Limit: 1, Skip: 1})), 1)
	assert.Len(t, must(r.Log(ctx, LogOptions{Paths: []string{"dir"}})), 1)
	assert.Len(t, must(r.Log(ctx, LogOptions{Until: "HEAD~1"})), 1)
	assert.Empty(t, must(newRepo(t).Log(ctx, LogOptions{})))
	_, err := r.Log(ctx, LogOptions{Until: "absent"})
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, err, `"absent"`)
	_, err = r.Show(ctx, "absent")
	require.ErrorIs(t, err, ErrNotFound)

	r.file("a.txt", "third\nnot committed\n")
	lines, err := r.Blame(ctx, "", "a.txt", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	assert.Equal(t, log[0].Hash, lines[0].Hash)
	assert.Equal(t, "third", lines[0].Text)
	assert.Equal(t, fmt.Sprintf("%040d", 0), lines[1].Hash)
	lines, err = r.Blame(ctx, "HEAD", "a.txt", 1, 1)
	require.NoError(t, err)
	assert.Equal(t, 1, lines[0].Line)
	_, err = r.Blame(ctx, "HEAD", "absent", 0, 0)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Blame(ctx, "absent", "a.txt", 0, 0)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Blame(ctx, "", "../x", 0, 0)
	require.ErrorIs(t, err, ErrInvalidName)
}

func TestDiff(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.run("config", "diff.noprefix", "true")
	r.run("config", "diff.external", "false")
	r.run("config", "color.ui", "always")
	r.file("a.txt", "one\ntwo\n")
	r.run("add", "a.txt")
	r.file("a.txt", "one\ntwo\nthree\n")
	r.file("new.txt", "new\n")
	d := must(r.Diff(ctx, DiffOptions{}))
	require.Len(t, d.Files, 1)
	assert.Equal(t, 2, d.Added)
	assert.Contains(t, d.Patch(), "--- a/a.txt\n+++ b/a.txt\n")
	assert.Equal(t, 1, must(r.Diff(ctx, DiffOptions{Staged: true})).Added)
	d = must(r.Diff(ctx, DiffOptions{Untracked: true}))
	require.Len(t, d.Files, 2)
	assert.Contains(t, d.Patch(), "+new")
	assert.Equal(t, "MM a.txt\n?? new.txt", r.status())
	assert.Empty(t, must(r.Diff(ctx, DiffOptions{StatOnly: true})).Patch())
	d = must(r.Diff(ctx, DiffOptions{MaxBytes: 60}))
	assert.Positive(t, d.Files[0].Cut)
	assert.Contains(t, d.Patch(), "cut")
	_, err := r.Diff(ctx, DiffOptions{To: "HEAD", Staged: true})
	require.Error(t, err)
	u := newRepo(t)
	u.file("x", "x\n")
	assert.Len(t, must(u.Diff(ctx, DiffOptions{Untracked: true})).Files, 1)
	r.noScratchLeft()
}

// Every file has its own patch, also after one that git shows in two parts and
// one that it shows in none.
// Paths that do not exist, or are ignored, hide nothing of the others.
func TestDiffOfUntrackedPaths(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file(".git/info/exclude", "*.log\n")
	r.file("new.txt", "new\n")
	r.file("x.log", "ignored\n")
	r.run("rm", "-q", "dir/b.txt")
	require.NoError(t, os.Remove(r.path("a.txt")))
	for want, paths := range map[string][]string{
		"new.txt":           {"new.txt", "missing", "x.log"},
		"dir/b.txt new.txt": {"dir/b.txt", r.path("new.txt")},
		"a.txt":             {"a.txt"},
		"":                  {"missing"},
	} {
		d, err := r.Diff(t.Context(), DiffOptions{Untracked: true, Paths: paths})
		require.NoError(t, err, want)
		var names []string
		for _, f := range d.Files {
			names = append(names, f.Path)
		}
		assert.Equal(t, want, strings.Join(names, " "))
	}
	d, err := r.Diff(t.Context(), DiffOptions{MaxBytes: math.MaxInt})
	require.NoError(t, err)
	assert.Contains(t, d.Patch(), "deleted file")
	_, err = r.Diff(t.Context(), DiffOptions{Paths: []string{"../x"}})
	require.ErrorIs(t, err, ErrInvalidName)
}

func TestDiffGivesEachFileItsPatch(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.file("z.txt", "z\n")
	r.run("add", "-A")
	r.run("commit", "-qm", "z")
	require.NoError(t, os.Remove(r.path("a.txt")))
	require.NoError(t, os.Symlink("target", r.path("a.txt")))
	r.file("dir/b.txt", "changed b\n")
	r.file("z.txt", "changed z\n")
	r.file("bin", "\x00\x00")
	r.file("new\nline", "odd\n")
	d := must(r.Diff(ctx, DiffOptions{Untracked: true}))
	require.Len(t, d.Files, 5)
	for path, want := range map[string]string{"a.txt": "+target", "dir/b.txt": "+changed b", "z.txt": "+changed z", "bin": "Binary files", "new\nline": "+odd"} {
		i := slices.IndexFunc(d.Files, func(f FileDiff) bool { return f.Path == path })
		require.GreaterOrEqual(t, i, 0, path)
		assert.Contains(t, d.Files[i].Patch, want, path)
	}
	assert.Equal(t, Code('T'), d.Files[0].Status)
	assert.Contains(t, d.Files[0].Patch, "-one")

	c := conflicted(t)
	c.file("dir/b.txt", "changed b\n")
	c.run("add", "dir/b.txt")
	d = must(c.Diff(ctx, DiffOptions{Staged: true}))
	require.Len(t, d.Files, 1)
	assert.Contains(t, d.Files[0].Patch, "+changed b")
	d = must(c.Diff(ctx, DiffOptions{}))
	require.Len(t, d.Files, 2)
	assert.Contains(t, d.Files[0].Patch, "+<<<<<<<")
	assert.Contains(t, d.Files[1].Patch, "+changed b")
}

func TestCutLargest(t *testing.T) {
	t.Parallel()
	files := []FileDiff{{Patch: "aaa\n"}, {Patch: string(make([]byte, 1000))}, {Patch: string(make([]byte, 500))}}
	cutLargest(files, 304)
	assert.Len(t, files[0].Patch, 4)
	assert.Len(t, files[1].Patch, 150)
	assert.Equal(t, 850, files[1].Cut)
	assert.Len(t, files[2].Patch, 150)
}

// A diff for a reader keeps its bound, whatever it holds, and says what is missing.
func TestRenderKeepsItsBound(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 10, 50, 300, 3000} {
		for _, line := range []string{"+text\n", "+\xff\xfe\n"} {
			for _, lines := range []int{1, 100} {
				d := &Diff{}
				for i := range n {
					d.Files = append(d.Files, FileDiff{Path: fmt.Sprintf("dir/%d.txt", i), Status: 'M', Added: lines, Patch: strings.Repeat(line, lines)})
				}
				text := d.render(4 << 10)
				assert.LessOrEqual(t, len(text), 4<<10, "%d files of %d lines", n, lines)
				shown := strings.Count(text, "\n\n+")
				if shown < n {
					assert.Contains(t, text, fmt.Sprintf("the patches of %d more files are not shown", n-shown))
				}
			}
		}
	}
}

func FuzzDiffOutput(f *testing.F) {
	f.Add(":1 2 a b M\x00f\x001\t1\tf\x00\x00diff --git a b\n+x\ndiff --git c d\n-y", 3)
	f.Add("\x00\x00di\ndiff --", 1)
	f.Fuzz(func(t *testing.T, in string, step int) {
		step = max(step%17, 1)
		whole, parts := diffOutput{patches: newPatchSplitter(1 << 20)}, diffOutput{patches: newPatchSplitter(1 << 20)}
		whole.write([]byte(in))
		whole.patches.end()
		for rest := in; rest != ""; {
			n := min(step, len(rest))
			parts.write([]byte(rest[:n]))
			rest = rest[n:]
		}
		parts.patches.end()
		if string(whole.records) != string(parts.records) || fmt.Sprint(whole.patches.patches) != fmt.Sprint(parts.patches.patches) {
			t.Errorf("splitting depends on how %q arrives", in)
		}
	})
}
