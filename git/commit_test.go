package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommitAll(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "changed\n")
	r.file("new/c.txt", "c\n")
	require.NoError(t, os.Remove(r.path("dir/b.txt")))
	c, err := r.Commit(t.Context(), CommitOptions{Message: "  Change things\n\nFor a reason.\n"})
	require.NoError(t, err)
	assert.Equal(t, "Change things", c.Subject)
	assert.Equal(t, "Change things\n\nFor a reason.", c.Message)
	assert.Equal(t, MessageGiven, c.Source)
	assert.Equal(t, Identity{"Agent", "agent@example.org"}, c.Author)
	assert.Len(t, c.Files, 3)
	assert.Equal(t, r.run("rev-parse", "HEAD"), c.Hash)
	assert.Empty(t, r.status())
	r.noScratchLeft()

	_, err = r.Commit(t.Context(), CommitOptions{Message: "again"})
	require.ErrorIs(t, err, ErrNothingToCommit)
	_, err = r.Commit(t.Context(), CommitOptions{})
	require.ErrorIs(t, err, ErrNothingToCommit)
	assert.Equal(t, int64(1), r.Stats().Commits)
}

func TestFirstCommit(t *testing.T) {
	t.Parallel()
	for _, paths := range [][]string{nil, {"a.txt"}} {
		t.Run(fmt.Sprint(paths), func(t *testing.T) {
			r := newRepo(t)
			r.file("a.txt", "a\n")
			c, err := r.Commit(t.Context(), CommitOptions{Paths: paths})
			require.NoError(t, err)
			assert.Equal(t, "Add a.txt", c.Message)
			assert.Empty(t, r.status())
			r.noScratchLeft()
		})
	}
	r := newRepo(t)
	_, err := r.Commit(t.Context(), CommitOptions{Message: "x"})
	require.ErrorIs(t, err, ErrNothingToCommit)
}

// What is staged stays staged, bit for bit, when other paths are committed.
func TestCommitPathsKeepsStaging(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "staged\n")
	r.run("add", "a.txt")
	r.file("a.txt", "and changed again\n")
	r.file("staged-new.txt", "n\n")
	r.run("add", "staged-new.txt")
	r.run("rm", "-q", "--cached", "dir/b.txt")
	before := r.status()
	staged := r.run("diff", "--cached")

	r.file("mine.txt", "mine\n")
	r.file("x/mine2.txt", "mine\n")
	c, err := r.Commit(t.Context(), CommitOptions{Paths: []string{"mine.txt", r.path("x")}})
	require.NoError(t, err)
	assert.Len(t, c.Files, 2)
	assert.Equal(t, before, r.status())
	assert.Equal(t, staged, r.run("diff", "--cached"))
	r.noScratchLeft()
}

func TestCommitPathsRemovesAndManyPaths(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	require.NoError(t, os.Remove(r.path("a.txt")))
	paths := []string{"a.txt"}
	for i := range 1500 {
		name := fmt.Sprintf("many/%04d-%s.txt", i, strings.Repeat("x", 20))
		r.file(name, "x")
		paths = append(paths, name)
	}
	c, err := r.Commit(t.Context(), CommitOptions{Paths: paths, Message: "many"})
	require.NoError(t, err)
	assert.Len(t, c.Files, 1501)
	assert.Empty(t, r.status())
	r.noScratchLeft()
}

// More paths than fit into the arguments of a program.
func TestCommitOfPathsThatFillMegabytes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	dir := strings.Repeat(strings.Repeat("d", 250)+"/", 12)
	paths := []string{"absent"}
	for i := range 900 {
		paths = append(paths, fmt.Sprintf("%s%d", dir, i))
	}
	for _, p := range paths[1:] {
		r.file(p, p)
	}
	r.file("theirs.txt", "theirs\n")
	r.run("add", "theirs.txt")
	_, err := r.Commit(ctx, CommitOptions{Paths: paths})
	require.ErrorIs(t, err, ErrNotFound)
	assert.Less(t, len(err.Error()), 10<<10)
	c, err := r.Commit(ctx, CommitOptions{Paths: paths[1:]})
	require.NoError(t, err)
	assert.Contains(t, c.Subject, "Add 900 files in dddd")
	_, err = r.Commit(ctx, CommitOptions{Paths: paths[1:], Message: "again"})
	require.ErrorIs(t, err, ErrNothingToCommit)
	_, err = r.CommitDiff(ctx, CommitOptions{Paths: paths[1:]})
	require.NoError(t, err)
	assert.Equal(t, "A  theirs.txt", r.status())
}

func TestCommitStaged(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "staged\n")
	r.run("add", "a.txt")
	r.file("dir/b.txt", "not staged\n")
	c, err := r.Commit(t.Context(), CommitOptions{Staged: true})
	require.NoError(t, err)
	assert.Equal(t, "Update a.txt", c.Message)
	assert.Equal(t, " M dir/b.txt", r.status())
	_, err = r.Commit(t.Context(), CommitOptions{Staged: true})
	require.ErrorIs(t, err, ErrNothingToCommit)
	_, err = r.Commit(t.Context(), CommitOptions{Staged: true, Paths: []string{"a"}})
	require.Error(t, err)
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	r := withCommit(t, func(o *Options) { o.Identity = Identity{}; o.InheritEnv = []string{"PATH", "HOME"} })
	r.file("a.txt", "x\n")
	_, err := r.Commit(t.Context(), CommitOptions{Message: "m"})
	require.ErrorIs(t, err, ErrNoIdentity)
	assert.ErrorContains(t, err, "user.name")

	r.run("config", "user.name", "Configured")
	r.run("config", "user.email", "c@example.org")
	r.opts.Identity = Identity{"Fallback", "f@example.org"}
	c, err := r.Commit(t.Context(), CommitOptions{Message: "m", SignOff: true,
		Author: Identity{"Author", "a@example.org"}, CoAuthors: []Identity{{"Co", "co@example.org"}}, Trailers: []string{CheckpointTrailer + ": 42"}})
	require.NoError(t, err)
	assert.Equal(t, "Configured", c.Committer.Name)
	assert.Equal(t, "Author", c.Author.Name)
	assert.Equal(t, "m\n\nTokenring-Checkpoint: 42\nCo-authored-by: Co <co@example.org>\nSigned-off-by: Configured <c@example.org>", c.Message)
	id, err := r.Checkpoint(t.Context(), "HEAD")
	require.NoError(t, err)
	assert.Equal(t, "42", id)

	r.file("a.txt", "y\n")
	for _, bad := range []CommitOptions{
		{Message: "m", Author: Identity{"x\ny", "e"}}, {Message: "m", Author: Identity{Name: "only"}},
		{Message: "m", CoAuthors: []Identity{{"a>b", "c"}}}, {Message: "m", Trailers: []string{"no trailer"}}, {Message: " \n"},
	} {
		_, err := r.Commit(t.Context(), bad)
		assert.Error(t, err, "%+v", bad)
	}
}

func TestAmend(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.file("a.txt", "amended\n")
	c, err := r.Commit(t.Context(), CommitOptions{Amend: true})
	require.NoError(t, err)
	assert.Equal(t, "first", c.Message)
	assert.Equal(t, MessageKept, c.Source)
	assert.Empty(t, c.Parents)
	c, err = r.Commit(t.Context(), CommitOptions{Amend: true, Message: "better"})
	require.NoError(t, err)
	assert.Equal(t, "better", c.Message)

	dir := t.TempDir()
	runIn(t, r.dir, "clone", "-q", ".", dir)
	s, err := Open(t.Context(), dir, testOptions())
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), CommitOptions{Amend: true, Message: "x"})
	require.ErrorIs(t, err, ErrRefused)
	_, err = s.Commit(t.Context(), CommitOptions{Amend: true, Message: "x", Force: true})
	require.NoError(t, err)

	r.file("a.txt", "second\n")
	r.run("commit", "-qam", "second")
	r.file("a.txt", "amended\n")
	_, err = r.Commit(t.Context(), CommitOptions{Amend: true})
	require.ErrorIs(t, err, ErrNothingToCommit)
	assert.Equal(t, "second", r.run("log", "-1", "--format=%s"))
	for _, message := range []string{"", "m"} {
		_, err = newRepo(t).Commit(t.Context(), CommitOptions{Amend: true, Message: message})
		require.ErrorIs(t, err, ErrUnborn)
	}
}

// A message that is there already stays as it is.
func TestAmendKeepsAnyMessage(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	for i, message := range []string{"\"quoted\"", "```\nfenced\n```", "long\n\n" + strings.Repeat("many words\n", 4000) + "the end"} {
		r.run("commit", "-q", "--allow-empty", "-m", message)
		r.file("a.txt", fmt.Sprint("amended", i))
		c, err := r.Commit(t.Context(), CommitOptions{Amend: true})
		require.NoError(t, err)
		assert.Equal(t, message, c.Message)
		c, err = r.Commit(t.Context(), CommitOptions{Amend: true, Message: message})
		require.NoError(t, err)
		assert.Equal(t, message, c.Message, "nor is a given one changed")
	}
}

// Messages are UTF-8, whatever the repository says about its own.
func TestMessagesAreUTF8(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.run("config", "i18n.commitEncoding", "ISO-8859-1")
	r.run("config", "i18n.logOutputEncoding", "ISO-8859-1")
	r.run("commit", "-q", "--allow-empty", "-m", "f\xfcr", "-m", CheckpointTrailer+": \xfc")
	checkpoint, err := r.Checkpoint(t.Context(), "HEAD")
	require.NoError(t, err)
	assert.Equal(t, "ü", checkpoint)
	r.file("a.txt", "x")
	c, err := r.Commit(t.Context(), CommitOptions{Amend: true})
	require.NoError(t, err)
	assert.Equal(t, "für", c.Subject)
	r.file("a.txt", "y")
	c, err = r.Commit(t.Context(), CommitOptions{Message: "größer", Author: Identity{"Jürgen", "j@example.org"}})
	require.NoError(t, err)
	assert.Equal(t, "größer", c.Message)
	assert.Equal(t, "Jürgen", c.Author.Name)
	assert.NotContains(t, r.run("cat-file", "commit", "HEAD"), "encoding")
}

// What a program says about a signature is no part of a message.
func TestShownSignaturesAreNoMessage(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := withCommit(t)
	program := filepath.Join(t.TempDir(), "gpg")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\ncat >/dev/null\necho gpg: Good signature >&2\necho '[GNUPG:] GOODSIG AAAAAAAAAAAAAAAA P <p@x>'\n"), 0o777))
	r.run("config", "gpg.program", program)
	r.run("config", "log.showSignature", "true")
	r.file("commit", "tree "+r.run("rev-parse", "HEAD^{tree}")+"\nauthor P <p@x> 1700000000 +0000\ncommitter P <p@x> 1700000000 +0000\n"+
		"gpgsig -----BEGIN PGP SIGNATURE-----\n \n aaaa\n -----END PGP SIGNATURE-----\n\nsigned\n")
	r.run("update-ref", "HEAD", r.run("hash-object", "-t", "commit", "-w", "commit"))
	require.NoError(t, os.Remove(r.path("commit")))
	require.Contains(t, r.run("log", "-1", "--format=%B"), "Good signature")
	checkpoint, err := r.Checkpoint(ctx, "HEAD")
	require.NoError(t, err)
	assert.Empty(t, checkpoint)
	log, err := r.Log(ctx, LogOptions{})
	require.NoError(t, err)
	assert.Equal(t, "signed", log[0].Message)
	r.file("a.txt", "x")
	c, err := r.Commit(ctx, CommitOptions{Amend: true})
	require.NoError(t, err)
	assert.Equal(t, "signed", c.Message)
}

func TestCommitRefusesConflicts(t *testing.T) {
	t.Parallel()
	r := conflicted(t)
	for _, opts := range []CommitOptions{{}, {Message: "m", Paths: []string{"a.txt"}}, {Message: "m", Staged: true}} {
		_, err := r.Commit(t.Context(), opts)
		require.ErrorIs(t, err, ErrConflict, "%+v", opts)
	}
	r.file("a.txt", "resolved\n")
	r.run("add", "a.txt")
	c, err := r.Commit(t.Context(), CommitOptions{Message: "merged"})
	require.NoError(t, err)
	assert.Len(t, c.Parents, 2)
}

func TestCommitPathsThatDoHarm(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	for _, bad := range []string{"", "..", "../x", "/etc/passwd", ".git/config", "dir/.GIT/x", "a\x00b"} {
		_, err := r.Commit(t.Context(), CommitOptions{Paths: []string{bad}, Message: "m"})
		assert.ErrorIs(t, err, ErrInvalidName, "%q", bad)
	}
	_, err := r.Commit(t.Context(), CommitOptions{Paths: []string{"absent"}, Message: "m"})
	assert.ErrorIs(t, err, ErrNotFound)
	for _, name := range []string{"--help", "-A", ":/", ":(exclude)a.txt", "*"} {
		if name != ":/" {
			r.file(name, "odd")
			_, err = r.Commit(t.Context(), CommitOptions{Paths: []string{name}, Message: "odd"})
			require.NoError(t, err, name)
		}
	}
	r.file(".gitignore", "*.log\n")
	r.file("x.log", "x")
	_, err = r.Commit(t.Context(), CommitOptions{Paths: []string{"x.log"}, Message: "m"})
	assert.ErrorIs(t, err, ErrRefused)
}

func TestMessageFromModel(t *testing.T) {
	t.Parallel()
	var diffs []string
	reply, fail := "```\nTeach a to say more\n```", error(nil)
	r := withCommit(t, func(o *Options) {
		o.MaxDiff = 4 << 10
		o.Message = func(_ context.Context, diff string) (string, error) {
			diffs = append(diffs, diff)
			return reply, fail
		}
	})
	r.file("a.txt", "one\nmore\n")
	r.file("big.txt", strings.Repeat("a long line of text\n", 5000))
	r.file("go.sum", strings.Repeat("hash\n", 100))
	r.file("image.png", "\x89PNG\x00\x00")
	c, err := r.Commit(t.Context(), CommitOptions{})
	require.NoError(t, err)
	assert.Equal(t, "Teach a to say more", c.Message)
	assert.Equal(t, MessageModel, c.Source)
	require.Len(t, diffs, 1)
	assert.LessOrEqual(t, len(diffs[0]), 4<<10)
	assert.Contains(t, diffs[0], "+more", "small files are shown whole")
	assert.Contains(t, diffs[0], "bytes cut")
	assert.Contains(t, diffs[0], "A go.sum +100 -0 (not shown)")
	assert.Contains(t, diffs[0], "A image.png (binary")
	assert.NotContains(t, diffs[0], "+hash")

	// The same change after it was taken back is known already.
	_, err = r.Rollback(t.Context(), RollbackOptions{})
	require.NoError(t, err)
	r.run("checkout", "-q", "refs/tokenring/backups/"+must(r.Backups(t.Context()))[0].ID, "--", ".")
	c, err = r.Commit(t.Context(), CommitOptions{})
	require.NoError(t, err)
	assert.Equal(t, MessageCached, c.Source)
	assert.Len(t, diffs, 1)

	for _, f := range []func(){func() { fail = errors.New("model is down") }, func() { fail, reply = nil, " \n" }} {
		f()
		r.file("a.txt", r.read("a.txt")+"x\n")
		c, err = r.Commit(t.Context(), CommitOptions{})
		require.NoError(t, err)
		assert.Equal(t, "Update a.txt", c.Message)
		assert.Equal(t, MessageSummary, c.Source)
	}
	r.opts.Message = func(context.Context, string) (string, error) { panic("host") }
	r.file("a.txt", "panic\n")
	c, err = r.Commit(t.Context(), CommitOptions{})
	require.NoError(t, err)
	assert.Equal(t, MessageSummary, c.Source)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestConventional(t *testing.T) {
	t.Parallel()
	replies := []string{"Did things", "fix(a): say more"}
	r := withCommit(t, func(o *Options) {
		o.Conventional = true
		o.Message = func(context.Context, string) (string, error) {
			reply := replies[0]
			replies = replies[1:]
			return reply, nil
		}
	})
	r.file("a.txt", "x\n")
	c, err := r.Commit(t.Context(), CommitOptions{})
	require.NoError(t, err)
	assert.Equal(t, "fix(a): say more", c.Message)
	r.file("a.txt", "y\n")
	_, err = r.Commit(t.Context(), CommitOptions{Message: "Update"})
	require.Error(t, err)
	r.opts.Message = nil
	c, err = r.Commit(t.Context(), CommitOptions{})
	require.NoError(t, err)
	assert.Equal(t, "chore: update a.txt", c.Message)

	for message, ok := range map[string]bool{
		"feat: x": true, "fix(scope)!: x": true, "BREAKING-CHANGE: y": true, "feat:x": false, "feat(): x": false, "x": false,
		"feat: x\nbody": false, "feat: x\n\nbody": true, "feat: ": false,
	} {
		assert.Equal(t, ok, CheckConventional(message) == nil, message)
	}
}

func TestSummaries(t *testing.T) {
	t.Parallel()
	file := func(code Code, path string) FileDiff { return FileDiff{Status: code, Path: path} }
	for want, files := range map[string][]FileDiff{
		"Remove a":          {file('D', "a")},
		"Rename old to new": {{Status: 'R', From: "old", Path: "new"}},
		"Add we?ird":        {file('A', "we\nird")},
		"Add 2 files in x/y\n\n- Add x/y/a\n- Add x/y/z/b": {file('A', "x/y/a"), file('A', "x/y/z/b")},
		"Update 2 files\n\n- Add a\n- Update x/b":          {file('A', "a"), file('M', "x/b")},
	} {
		assert.Equal(t, want, summarize(files, false))
	}
}

func TestIndexThatMovesWhileTheMessageIsWritten(t *testing.T) {
	t.Parallel()
	var r *repo
	asked := 0
	r = withCommit(t, func(o *Options) {
		o.Message = func(context.Context, string) (string, error) {
			asked++
			if asked == 1 {
				r.file("late.txt", "late\n")
				r.run("add", "late.txt")
			}
			return fmt.Sprintf("message %d", asked), nil
		}
	})
	r.file("a.txt", "x\n")
	c, err := r.Commit(t.Context(), CommitOptions{})
	require.NoError(t, err)
	assert.Equal(t, "message 2", c.Message)
	assert.Len(t, c.Files, 2)
	assert.Empty(t, r.status())
}

// On a file system with coarse times another index of the same size looks like the
// one before.
func TestIndexThatMovesWithinOneTick(t *testing.T) {
	t.Parallel()
	var r *repo
	r = withCommit(t, func(o *Options) {
		o.Message = func(context.Context, string) (string, error) {
			index := filepath.Join(r.GitDir(), "index")
			before, err := os.Stat(index)
			require.NoError(t, err)
			r.file("dir/b.txt", "staged meanwhile\n")
			r.run("add", "dir/b.txt")
			require.NoError(t, os.Chtimes(index, time.Time{}, before.ModTime()))
			after, err := os.Stat(index)
			require.NoError(t, err)
			require.Equal(t, before.Size(), after.Size())
			return "m", nil
		}
	})
	r.file("dir/b.txt", "staged before\n")
	r.run("add", "dir/b.txt")
	r.file("a.txt", "x\n")
	_, err := r.Commit(t.Context(), CommitOptions{Paths: []string{"a.txt"}})
	require.NoError(t, err)
	assert.Equal(t, "M  dir/b.txt", r.status())
}

func TestWaitsForTheIndexLock(t *testing.T) {
	t.Parallel()
	var r *repo
	lock := ""
	waits := 0
	r = withCommit(t, func(o *Options) {
		o.Trace.LockWait = func(context.Context, time.Duration) {
			if waits++; waits == 3 {
				_ = os.Remove(lock)
			}
		}
	})
	lock = filepath.Join(r.GitDir(), "index.lock")
	require.NoError(t, os.WriteFile(lock, nil, 0o666))
	r.file("a.txt", "x\n")
	_, err := r.Commit(t.Context(), CommitOptions{Message: "m"})
	require.NoError(t, err)
	assert.Equal(t, 3, waits)

	// The lock of a process that was killed: a clear error, and nothing changed.
	r.opts.LockWait = -1
	require.NoError(t, os.WriteFile(lock, nil, 0o666))
	r.file("a.txt", "y\n")
	_, err = r.Commit(t.Context(), CommitOptions{Message: "m"})
	require.ErrorContains(t, err, "index.lock")
	require.NoError(t, os.Remove(lock))
	assert.Equal(t, " M a.txt", r.status())
}
