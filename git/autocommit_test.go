package git

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func passed() bool { return true }

func autoCommit(t *testing.T, r *repo, opts AutoCommitOptions) *AutoCommit {
	t.Helper()
	if opts.Passed == nil {
		opts.Passed = passed
	}
	a := NewAutoCommit(r.Service, opts)
	require.NoError(t, a.Begin(t.Context()))
	return a
}

// A person has staged, unstaged, untracked and deleted files; the agent's commit
// holds none of them and leaves all of them as they were.
func TestAutoCommitSparesThePersonsChanges(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("c.txt", "c\n")
	r.run("add", "c.txt")
	r.run("commit", "-qm", "second")
	r.file("a.txt", "staged by the person\n")
	r.run("add", "a.txt")
	r.file("a.txt", "and changed again\n")
	r.file("staged-new.txt", "new\n")
	r.run("add", "staged-new.txt")
	r.run("mv", "c.txt", "renamed.txt")
	r.file("notes/private.txt", "untracked\n")
	require.NoError(t, os.Remove(r.path("dir/b.txt")))
	before, staged := r.status(), r.run("diff", "--cached")

	a := autoCommit(t, r, AutoCommitOptions{})
	require.NoError(t, a.AfterTesting(t.Context()))
	_, any := a.Last()
	assert.False(t, any, "nothing of the agent's")
	assert.Equal(t, before, r.status())

	r.file("agent.txt", "work\n")
	r.file("notes/agent.txt", "work beside\n")
	require.NoError(t, a.AfterTesting(t.Context()))
	c, ok := a.Last()
	require.True(t, ok)
	assert.Equal(t, "agent.txt\nnotes/agent.txt", r.run("show", "--format=", "--name-only", "HEAD"))
	assert.Len(t, c.Files, 2)
	assert.Equal(t, before, r.status())
	assert.Equal(t, staged, r.run("diff", "--cached"))
	assert.Empty(t, a.Skipped())
	r.noScratchLeft()
}

func TestAutoCommitLeavesOutWhatBothChanged(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "person\n")
	r.file("mine.txt", "person\n")
	var reported []Skipped
	a := autoCommit(t, r, AutoCommitOptions{OnSkipped: func(_ context.Context, s []Skipped) { reported = s }})
	r.file("a.txt", "person and agent\n")
	require.NoError(t, os.Remove(r.path("mine.txt")))
	r.file("agent.txt", "agent\n")
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Equal(t, "agent.txt", r.run("show", "--format=", "--name-only", "HEAD"))
	assert.Equal(t, " M a.txt", r.status())
	require.Len(t, reported, 1)
	assert.Equal(t, "a.txt", reported[0].Path)
	assert.Equal(t, reported, a.Skipped())

	// The person commits; from now on the file is as good as any.
	r.run("commit", "-qam", "the person's")
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Empty(t, a.Skipped())
	r.file("a.txt", "agent again\n")
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Empty(t, r.status())
}

// What the agent removed with git rm and git mv, or told git to forget, does not
// stop the rest.
func TestAutoCommitOfRemovedFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	r.file("kept/c.txt", "c\n")
	r.file("kept/d.txt", "d\n")
	r.file("secret.env", "s\n")
	r.run("add", "-A")
	r.run("commit", "-qm", "more")
	a := autoCommit(t, r, AutoCommitOptions{})
	r.run("rm", "-q", "a.txt")
	r.run("mv", "dir/b.txt", "kept/b.txt")
	r.run("rm", "-q", "kept/c.txt")
	r.run("rm", "-q", "--cached", "secret.env", "kept/d.txt")
	r.file(".gitignore", "*.env\n")
	r.file("new.txt", "new\n")
	require.NoError(t, a.AfterTesting(ctx))
	assert.Equal(t, "D  kept/d.txt\nD  secret.env\n?? kept/d.txt", r.status(), "git cannot commit that by path")
	assert.Len(t, a.Skipped(), 2)
	assert.Equal(t, "A\t.gitignore\nD\ta.txt\nR100\tdir/b.txt\tkept/b.txt\nD\tkept/c.txt\nA\tnew.txt", r.run("show", "--format=", "--name-status"))

	r.run("commit", "-qm", "forget them")
	r.run("rm", "-qr", "kept")
	require.NoError(t, os.RemoveAll(r.path("kept")))
	c, err := r.Commit(ctx, CommitOptions{Paths: []string{"kept"}, Message: "a directory"})
	require.NoError(t, err)
	assert.Len(t, c.Files, 1)
	_, err = r.Commit(ctx, CommitOptions{Paths: []string{"kept"}, Message: "again"})
	require.ErrorIs(t, err, ErrNotFound)
	r.noScratchLeft()
}

func TestAutoCommitConditions(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	green := false
	a := autoCommit(t, r, AutoCommitOptions{Passed: func() bool { return green }, Disabled: true})
	r.file("a.txt", "agent\n")
	head := r.run("rev-parse", "HEAD")
	require.NoError(t, a.AfterTesting(t.Context()))
	a.SetDisabled(false)
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Equal(t, head, r.run("rev-parse", "HEAD"), "tests are red")
	green = true
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.NotEqual(t, head, r.run("rev-parse", "HEAD"))

	require.Error(t, NewAutoCommit(r.Service, AutoCommitOptions{}).AfterTesting(t.Context()))
	require.ErrorIs(t, NewAutoCommit(r.Service, AutoCommitOptions{Passed: passed}).AfterTesting(t.Context()), ErrNoBaseline)
}

func TestAutoCommitOnlyWhatTheAgentWrote(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	a := autoCommit(t, r, AutoCommitOptions{Changed: func() []string { return []string{r.path("a.txt"), "never-written.txt"} }})
	r.file("a.txt", "agent\n")
	r.file("dir/b.txt", "the person, meanwhile\n")
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Equal(t, " M dir/b.txt", r.status())
}

func TestAutoCommitStateSurvives(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "person\n")
	a := autoCommit(t, r, AutoCommitOptions{})
	gen := a.Generation()
	data, err := json.Marshal(a)
	require.NoError(t, err)
	r.file("agent.txt", "before the crash\n")

	b := NewAutoCommit(r.Service, AutoCommitOptions{Passed: passed})
	require.NoError(t, json.Unmarshal(data, b))
	require.NoError(t, b.Begin(t.Context()), "keeps the restored baseline")
	require.NoError(t, b.AfterTesting(t.Context()))
	assert.Equal(t, " M a.txt", r.status())
	c, ok := b.Last()
	require.True(t, ok)
	data, err = json.Marshal(b)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, a))
	again, _ := a.Last()
	assert.Equal(t, c.Hash, again.Hash)
	assert.NotEmpty(t, c.Files)
	assert.Empty(t, again.Files, "they may be many")
	assert.NotEqual(t, gen, a.Generation())

	a.Reset("memory")
	_, ok = a.Last()
	assert.True(t, ok)
	a.Reset("all")
	_, ok = a.Last()
	assert.False(t, ok)
	require.NoError(t, a.AfterTesting(t.Context()), "the baseline stays")
	assert.Equal(t, " M a.txt", r.status())
	require.Error(t, json.Unmarshal([]byte(`{"begun":3}`), a))

	// A baseline of another place says nothing about this one.
	other := withCommit(t)
	o := NewAutoCommit(other.Service, AutoCommitOptions{Passed: passed})
	require.NoError(t, json.Unmarshal(data, o))
	require.ErrorIs(t, o.AfterTesting(t.Context()), ErrNoBaseline)
	require.NoError(t, o.Rebase(t.Context()))
	require.NoError(t, o.AfterTesting(t.Context()))
}

func TestAutoCommitInASubdirectoryAndNestedRepository(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	s, err := Open(t.Context(), r.path("dir"), testOptions())
	require.NoError(t, err)
	a := NewAutoCommit(s, AutoCommitOptions{Passed: passed})
	require.NoError(t, a.Begin(t.Context()))
	r.file("a.txt", "outside\n")
	r.file("dir/b.txt", "inside\n")
	r.run("init", "-q", "dir/nested")
	r.file("dir/nested/x", "x")
	runIn(t, r.path("dir/nested"), "add", "-A")
	runIn(t, r.path("dir/nested"), "commit", "-qm", "nested")
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Equal(t, "dir/b.txt", r.run("show", "--format=", "--name-only", "HEAD"))
	assert.Len(t, a.Skipped(), 2)
}

func TestAutoCommitBeforeTheFirstCommit(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.file("person.txt", "p\n")
	r.run("add", "person.txt")
	a := autoCommit(t, r, AutoCommitOptions{})
	r.file("agent.txt", "a\n")
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Equal(t, "agent.txt", r.run("ls-tree", "--name-only", "HEAD"))
	assert.Equal(t, "A  person.txt", r.status())
}

// A baseline survives a resume whatever files are called.
func TestAutoCommitStateWithOddNames(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	odd := []string{"not\xffutf8", `"quoted"`, `"\xff`, "new\nline", "sp ace"}
	for _, name := range odd {
		r.file(name, "person\n")
	}
	require.NoError(t, os.Symlink("to\xff", r.path("link")))
	data, err := json.Marshal(autoCommit(t, r, AutoCommitOptions{}))
	require.NoError(t, err)
	before := r.status()
	b := NewAutoCommit(r.Service, AutoCommitOptions{Passed: passed})
	require.NoError(t, json.Unmarshal(data, b))
	require.NoError(t, b.AfterTesting(t.Context()))
	assert.Equal(t, before, r.status())
	r.file("agent\xff", "agent\n")
	require.NoError(t, b.AfterTesting(t.Context()))
	assert.Equal(t, before, r.status())
	assert.Empty(t, b.Skipped())
	require.Error(t, json.Unmarshal([]byte(`{"dirty":{"\"":"x"}}`), b))
}

func TestAutoCommitOfAll(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "person\n")
	a := autoCommit(t, r, AutoCommitOptions{All: true})
	r.file("a.txt", "person and agent\n")
	r.file("new.txt", "agent\n")
	require.NoError(t, a.AfterTesting(t.Context()))
	assert.Empty(t, r.status())
	assert.Empty(t, a.Skipped())
	r.file("a.txt", "again\n")
	_, err := callTool(t, r, "git_commit", `{"message":"m","paths":["a.txt"]}`)
	require.NoError(t, err)
}
