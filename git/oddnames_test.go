package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oddNames are file names that a shell, a pathspec, an option parser, a line
// reader or a decoder would take for something else.
var oddNames = []string{
	"-A", "--help", ":(glob)*", ":/x", ":!x", "*", "[a]", " lead", "trail ", "new\nline", "tab\there", "car\rriage", "quote\"d", "back\\slash",
	"apo'strophe", "ünïcode", "not\xffutf8", "\xf0\x9f", "a -> b", "{b => c}/d", "~", "HEAD", "@{-1}", "deep/-x/:(top)y", strings.Repeat("x", 255),
}

func TestOddNamesThroughEverything(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.file("HEAD~1", "beside the odd ones\n")
	for _, name := range oddNames {
		r.file(name, "odd\n")
	}
	paths := func(files []FileDiff) []string {
		var list []string
		for _, f := range files {
			list = append(list, f.Path)
		}
		return list
	}
	d, err := r.Diff(ctx, DiffOptions{Untracked: true, Paths: oddNames})
	require.NoError(t, err)
	require.ElementsMatch(t, oddNames, paths(d.Files))
	for _, f := range d.Files {
		assert.Equal(t, 1, f.Added, "%q", f.Path)
	}
	c, err := r.Commit(ctx, CommitOptions{Message: "odd", Paths: oddNames})
	require.NoError(t, err)
	require.ElementsMatch(t, oddNames, paths(c.Files))
	log, err := r.Log(ctx, LogOptions{Paths: []string{"not\xffutf8"}, Stat: true})
	require.NoError(t, err)
	require.Len(t, log, 1)
	assert.ElementsMatch(t, []string{"not\xffutf8"}, paths(log[0].Files))
	lines, err := r.Blame(ctx, "", "new\nline", 0, 0)
	require.NoError(t, err)
	assert.Len(t, lines, 1)

	// The file that is like a revision was not meant.
	st, err := r.Status(ctx, StatusOptions{})
	require.NoError(t, err)
	require.Len(t, st.Entries, 1)
	assert.Equal(t, "HEAD~1", st.Entries[0].Path)

	snap, err := r.Snapshot(ctx, "before\nthe agent")
	require.NoError(t, err)
	for _, name := range oddNames {
		r.file(name, "agent\n")
	}
	r.file("a.txt", "agent\n")
	for _, name := range oddNames {
		_, err = r.RestoreSnapshot(ctx, snap.ID, name)
		require.NoError(t, err, "%q", name)
		assert.NotEqual(t, "agent\n", r.read(name), "%q", name)
	}
	assert.Equal(t, "agent\n", r.read("a.txt"), "only what was asked for")
	r.run("checkout", "-q", "--", "a.txt")

	rb, err := r.Rollback(ctx, RollbackOptions{})
	require.NoError(t, err)
	assert.False(t, r.exists("new\nline"))
	_, err = r.Undo(ctx, rb.Backup.ID)
	require.NoError(t, err)
	for _, name := range oddNames {
		assert.True(t, r.exists(name), "%q", name)
	}
	r.noScratchLeft()
}

func TestOddNamesOfWorktreesAndInConflicts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, dir := range []string{"-w", "with\nline", "sp ace", ":(top)"} {
		r := withCommit(t)
		r.file("new\nline", "base\n")
		r.run("add", "-A")
		r.run("commit", "-qm", "base")
		path := filepath.Join(t.TempDir(), dir)
		w, err := r.AddWorktree(ctx, WorktreeOptions{Path: path, Branch: "agent/ünï"})
		require.NoError(t, err, "%q", dir)
		require.NoError(t, os.WriteFile(filepath.Join(w.Root(), "new\nline"), []byte("theirs\n"), 0o666))
		_, err = w.Commit(ctx, CommitOptions{})
		require.NoError(t, err)
		r.file("new\nline", "ours\n")
		r.run("commit", "-qam", "ours")
		_, err = r.MergeWorktree(ctx, path, MergeOptions{})
		var conflict *ConflictError
		require.ErrorAs(t, err, &conflict)
		assert.Equal(t, "new\nline", conflict.Conflicts[0].Path)
		assert.Contains(t, conflict.Conflicts[0].Content, "theirs")
		assert.NotContains(t, err.Error(), "new\nline", "one line")
		_, err = r.RemoveWorktree(ctx, path, false)
		require.NoError(t, err)
		assert.NoDirExists(t, path)
	}
}

// What a model or a person reads has one line per file.
func TestOddNamesInText(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("x\n?? injected.txt", "x\n")
	r.file("not\xffutf8", "x\n")
	r.file("sp ace.txt", "one\n")
	for _, tool := range []string{"git_status", "git_diff"} {
		out, err := callTool(t, r, tool, `{}`)
		require.NoError(t, err)
		assert.NotContains(t, out, "\n?? injected", tool)
		assert.Contains(t, out, `"x\n?? injected.txt"`, tool)
		assert.Contains(t, out, `"not\xffutf8"`, tool)
	}
	run := func(args, want string) {
		t.Helper()
		out, err := r.Command(t.Context(), args)
		require.NoError(t, err, args)
		assert.Contains(t, out, want, args)
	}
	snap, err := r.Snapshot(t.Context(), "")
	require.NoError(t, err)
	r.file("sp ace.txt", "two\n")
	run(`diff 'sp ace.txt'`, "+two")
	run("restore "+snap.ID+` "sp ace.txt" "not\xffutf8"`, "are back")
	assert.Equal(t, "one\n", r.read("sp ace.txt"))
	for _, bad := range []string{`diff 'a`, `diff "a`, `restore "x`} {
		_, err := r.Command(t.Context(), bad)
		assert.ErrorContains(t, err, "quotes", bad)
	}
	first := r.run("rev-parse", "--short", "HEAD")
	run("commit everything", "everything")
	run("rollback "+first, "everything")
	_, err = r.Command(t.Context(), "rollback --all")
	require.ErrorIs(t, err, ErrInvalidName)
}
