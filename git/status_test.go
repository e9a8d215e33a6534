package git

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func find(st *Status, path string) *Entry {
	for i := range st.Entries {
		if st.Entries[i].Path == path {
			return &st.Entries[i]
		}
	}
	return nil
}

func TestStatus(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	odd := []string{"with space", "tab\there", "new\nline", "-dash", ":(glob)*", "quote\"d", "ünïcode", "* R100 x"}
	for _, name := range odd {
		r.file(name, "x")
	}
	r.file("staged.txt", "s")
	r.run("add", "--", "staged.txt")
	r.file("staged.txt", "changed after")
	r.run("mv", "a.txt", "moved.txt")
	require.NoError(t, os.Remove(r.path("dir/b.txt")))
	r.file(".gitignore", "*.log\n")
	r.file("x.log", "")

	st, err := r.Status(t.Context(), StatusOptions{Ignored: true})
	require.NoError(t, err)
	assert.Equal(t, "main", st.Branch)
	assert.Len(t, st.Head, 40)
	for _, name := range odd {
		if assert.NotNil(t, find(st, name), name) {
			assert.Equal(t, KindUntracked, find(st, name).Kind)
		}
	}
	e := find(st, "staged.txt")
	require.NotNil(t, e)
	assert.Equal(t, "AM staged.txt", e.String())
	assert.True(t, e.Staged())
	e = find(st, "moved.txt")
	require.NotNil(t, e)
	assert.Equal(t, "a.txt", e.From)
	assert.Equal(t, 100, e.Score)
	assert.Equal(t, Code('D'), find(st, "dir/b.txt").Worktree)
	assert.Equal(t, KindIgnored, find(st, "x.log").Kind)
	assert.False(t, st.Clean())

	data, err := json.Marshal(st)
	require.NoError(t, err)
	var back Status
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, *st, back)

	st, err = r.Status(t.Context(), StatusOptions{Paths: []string{":(glob)*"}})
	require.NoError(t, err)
	require.Len(t, st.Entries, 1, "paths are literal")
}

func TestStatusOfUnbornBranchAndConflict(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	st, err := r.Status(t.Context(), StatusOptions{})
	require.NoError(t, err)
	assert.True(t, st.Unborn())
	assert.True(t, st.Clean())
	assert.Equal(t, "main", st.Branch)

	r = conflicted(t)
	st, err = r.Status(t.Context(), StatusOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"a.txt"}, st.Conflicts())
}

// conflicted is a repository in the middle of a merge with a conflict.
func conflicted(t *testing.T) *repo {
	t.Helper()
	r := diverged(t)
	r.try("merge", "-q", "side")
	require.FileExists(t, r.path(".git/MERGE_HEAD"))
	return r
}

// diverged is a repository whose branches main and side conflict.
func diverged(t *testing.T) *repo {
	t.Helper()
	r := withCommit(t)
	r.run("switch", "-qc", "side")
	r.file("a.txt", "side\n")
	r.run("commit", "-qam", "side")
	r.run("switch", "-q", "main")
	r.file("a.txt", "main\n")
	r.run("commit", "-qam", "main")
	return r
}

func TestStatusFollowsUpstream(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	dir := t.TempDir()
	runIn(t, r.dir, "clone", "-q", ".", dir)
	runIn(t, dir, "commit", "-q", "--allow-empty", "-m", "ahead")
	s, err := Open(t.Context(), dir, testOptions())
	require.NoError(t, err)
	st, err := s.Status(t.Context(), StatusOptions{})
	require.NoError(t, err)
	assert.Equal(t, "origin/main", st.Upstream)
	assert.Equal(t, 1, st.Ahead)
	assert.False(t, st.Gone)
}

func FuzzParseStatus(f *testing.F) {
	f.Add("# branch.oid (initial)\x00# branch.head main\x00? a b\x00! c\x00")
	f.Add("# branch.oid 1234\x00# branch.ab +1 -2\x00# stash 3\x001 .M N... 100644 100644 100644 aa bb file\x00")
	f.Add("2 R. N... 100644 100644 100644 aa bb R100 new\x00old\x00")
	f.Add("u UU N... 100644 100644 100644 100644 aa bb cc file\x00")
	f.Add("1 .M SCMU 160000 160000 160000 aa bb sub\x00")
	f.Fuzz(func(t *testing.T, in string) {
		st, err := parseStatus(in)
		if err != nil {
			return
		}
		for _, e := range st.Entries {
			if e.Path == "" {
				t.Errorf("entry without a path in %q", in)
			}
			if e.Kind == KindRenamed && e.From == "" {
				t.Errorf("rename without its origin in %q", in)
			}
		}
	})
}

func FuzzParseDiffAndLog(f *testing.F) {
	f.Add(":100644 100644 aa bb M\x00a\x001\t2\ta\x00")
	f.Add(":100644 100644 aa bb R100\x00a\x00b\x000\t0\t\x00a\x00b\x00")
	f.Add("\x01h\x00p q\x00n\x00e\x00n\x00e\x0012\x00msg\n\x00\x00\n:0 100644 00 aa A\x00f\x00-\t-\tf\x00\x01h")
	f.Fuzz(func(t *testing.T, in string) {
		_, _, _ = parseRawNumstat(in)
		_, _ = parseLog(in)
		_, _ = parseBlame(in)
	})
}
