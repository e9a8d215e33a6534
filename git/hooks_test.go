package git

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFailedCommitChangesNothing(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.hook("pre-commit", "echo the linter found 3 problems; exit 1")
	r.file("a.txt", "staged\n")
	r.run("add", "a.txt")
	r.file("a.txt", "more\n")
	r.file("new.txt", "n\n")
	before := r.status()
	for _, paths := range [][]string{nil, {"new.txt"}} {
		_, err := r.Commit(t.Context(), CommitOptions{Message: "m", Paths: paths})
		require.ErrorIs(t, err, ErrHook)
		assert.ErrorContains(t, err, "the linter found 3 problems")
		assert.Equal(t, before, r.status())
		r.noScratchLeft()
	}
	_, err := r.Commit(t.Context(), CommitOptions{Message: "m", NoVerify: true})
	require.NoError(t, err)
}

// A HEAD that another process moved while the commit failed is not the commit.
func TestFailedCommitWhileHeadMoves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		exit, want string
		amend      bool
	}{{"0", "cannot lock ref", false}, {"1", "refused by a hook", false}, {"1", "refused by a hook", true}} {
		r := withCommit(t)
		r.file("a.txt", "two\n")
		r.run("commit", "-qam", "second")
		r.hook("pre-commit", "git update-ref HEAD HEAD~1; exit "+c.exit)
		r.file("a.txt", "three\n")
		_, err := r.Commit(t.Context(), CommitOptions{Message: "third", Amend: c.amend})
		require.ErrorContains(t, err, c.want)
		assert.Equal(t, "MM a.txt", r.status())
		r.noScratchLeft()
	}
}

// Whatever a hook says, and wherever, is in the error, and its failure is not
// taken for another one.
func TestFailureOfEveryHookIsReported(t *testing.T) {
	t.Parallel()
	for _, hook := range []string{"pre-commit", "prepare-commit-msg", "commit-msg"} {
		r := withCommit(t)
		r.hook(hook, "echo on stdout; echo about gpg failed to sign >&2; exit 7")
		r.file("a.txt", "x\n")
		before := r.status()
		_, err := r.Commit(t.Context(), CommitOptions{Message: "m"})
		require.ErrorIs(t, err, ErrHook, hook)
		assert.NotErrorIs(t, err, ErrSigning)
		assert.ErrorContains(t, err, "on stdout")
		assert.ErrorContains(t, err, "about gpg")
		assert.Equal(t, before, r.status())

		r.hook(hook, "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1")
		_, err = r.Commit(t.Context(), CommitOptions{Message: "m"})
		require.ErrorIs(t, err, ErrHook, hook)
		assert.ErrorContains(t, err, "the end")
		assert.Less(t, len(err.Error()), 20<<10, "bounded")

		r.hook(hook, "kill -9 $$")
		_, err = r.Commit(t.Context(), CommitOptions{Message: "m"})
		require.Error(t, err, hook)
		assert.Equal(t, before, r.status())
		r.noScratchLeft()
	}
}

func TestCommitMsgHookMayChangeTheMessage(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.hook("commit-msg", `echo "Change-Id: 1" >> "$1"`)
	r.file("a.txt", "x\n")
	c, err := r.Commit(t.Context(), CommitOptions{Message: "subject"})
	require.NoError(t, err)
	assert.Contains(t, c.Message, "Change-Id: 1")
}

// A hook that changes files and stages them gets its changes committed, as with
// git itself.
func TestPreCommitHookMayStage(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.hook("pre-commit", "echo formatted > a.txt; git add a.txt")
	r.file("a.txt", "unformatted\n")
	_, err := r.Commit(t.Context(), CommitOptions{Message: "m"})
	require.NoError(t, err)
	assert.Equal(t, "formatted", r.run("show", "HEAD:a.txt"))
	assert.Empty(t, r.status())
}

func TestSigningFailureIsReported(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.run("config", "commit.gpgSign", "true")
	program, _ := trap(t)
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho no secret key here >&2\nexit 2\n"), 0o777))
	r.run("config", "gpg.program", program)
	r.run("config", "gpg.ssh.program", program)
	r.run("config", "user.signingKey", "key::ssh-ed25519 x")
	r.file("a.txt", "x\n")
	for _, format := range []string{"openpgp", "ssh"} {
		r.run("config", "gpg.format", format)
		_, err := r.Commit(t.Context(), CommitOptions{Message: "m"})
		require.ErrorIs(t, err, ErrSigning, format)
		if format == "ssh" || r.GitVersion().AtLeast(2, 41) { // before, git keeps it to itself
			assert.ErrorContains(t, err, "no secret key here")
		}
	}
	assert.Equal(t, " M a.txt", r.status())
}
