package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trap is a program that leaves a mark when it runs.
func trap(t *testing.T) (program string, ran func() string) {
	t.Helper()
	dir := t.TempDir()
	program = filepath.Join(dir, "evil")
	mark := filepath.Join(dir, "ran")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$0 $@ :: $(tr '\\0' ' ' </proc/$PPID/cmdline)\" >> "+mark+"\ncat\n"), 0o777))
	return program, func() string {
		said, _ := os.ReadFile(mark)
		_ = os.Remove(mark)
		return string(said)
	}
}

// A repository whose configuration runs programs must not run them when it is
// opened as untrusted.
func TestUntrustedRunsNothing(t *testing.T) {
	t.Parallel()
	r := withCommit(t, func(o *Options) { o.Untrusted = true })
	script, ran := trap(t)
	for _, key := range []string{"core.fsmonitor", "diff.external", "gpg.program", "gpg.openpgp.program", "gpg.ssh.program", "gpg.x509.program", "gpg.ssh.defaultKeyCommand", "core.pager", "core.editor", "core.sshCommand", "credential.helper"} {
		r.run("config", key, script)
	}
	r.run("config", "commit.gpgSign", "true")
	r.run("config", "log.showSignature", "true")
	r.run("config", "diff.evil.command", script)
	r.run("config", "diff.evil.textconv", script)
	r.run("config", "filter.e=v.il.clean", script)
	r.run("config", "filter.e=v.il.smudge", script)
	r.run("config", "filter.e=v.il.required", "true")
	r.run("config", "merge.evil.driver", script)
	r.file(".gitattributes", "*.txt diff=evil filter=e=v.il merge=evil\n")
	for _, hook := range []string{"pre-commit", "post-commit", "commit-msg", "prepare-commit-msg", "post-index-change", "reference-transaction", "post-checkout"} {
		r.hook(hook, script+" </dev/null")
	}
	ran() // what made the repository may
	r.file("a.txt", "changed\n")
	ctx := t.Context()
	_, err := r.Status(ctx, StatusOptions{})
	require.NoError(t, err)
	_, err = r.Diff(ctx, DiffOptions{Untracked: true})
	require.NoError(t, err)
	_, err = r.Snapshot(ctx, "")
	require.NoError(t, err)
	_, err = r.Commit(ctx, CommitOptions{})
	require.NoError(t, err)
	_, err = r.Log(ctx, LogOptions{Stat: true})
	require.NoError(t, err)
	_, err = r.Show(ctx, "HEAD")
	require.NoError(t, err)
	_, err = r.SwitchBranch(ctx, "side", true, DirtyCarry)
	require.NoError(t, err)
	_, err = r.Rollback(ctx, RollbackOptions{})
	require.NoError(t, err)
	_, err = r.Undo(ctx, "")
	require.NoError(t, err)
	_, err = r.Blame(ctx, "", "a.txt", 0, 0)
	require.NoError(t, err)
	_, err = r.Merge(ctx, "main", MergeOptions{NoFF: true})
	require.NoError(t, err)
	assert.Empty(t, ran())

	// A repository that claims everything as its working tree.
	r.run("config", "core.worktree", filepath.Dir(r.dir))
	_, err = Open(ctx, r.dir, r.opts)
	require.ErrorIs(t, err, ErrRefused)
}

// A signature that a merge would verify is verified by a program.
func TestUntrustedVerifiesNoSignature(t *testing.T) {
	t.Parallel()
	for name, armour := range map[string]string{"gpg.openpgp.program": "PGP SIGNATURE", "gpg.ssh.program": "SSH SIGNATURE", "gpg.x509.program": "SIGNED MESSAGE"} {
		r := withCommit(t, func(o *Options) { o.Untrusted = true })
		script, ran := trap(t)
		r.run("config", name, script)
		r.run("config", "merge.verifySignatures", "true")
		raw := strings.Replace(r.run("cat-file", "commit", "HEAD"), "\n\n", "\ngpgsig -----BEGIN "+armour+"-----\n x\n -----END "+armour+"-----\n\n", 1)
		raw = strings.Replace(raw, "author ", "parent "+r.run("rev-parse", "HEAD")+"\nauthor ", 1)
		signed, err := r.git(t.Context(), call{args: []string{"hash-object", "-t", "commit", "-w", "--stdin"}, stdin: []byte(raw + "\n"), writes: true})
		require.NoError(t, err)
		r.run("branch", "signed", strings.TrimSpace(signed))
		_, err = r.Merge(t.Context(), "signed", MergeOptions{NoFF: true})
		require.NoError(t, err)
		_, err = r.Show(t.Context(), "signed")
		require.NoError(t, err)
		assert.Empty(t, ran(), name)
	}
}

// A partial clone fetches what it lacks when it is needed, from a remote that the
// repository names.
func TestUntrustedFetchesNothing(t *testing.T) {
	t.Parallel()
	r := withCommit(t, func(o *Options) { o.Untrusted = true })
	script, ran := trap(t)
	for key, value := range map[string]string{
		"core.repositoryFormatVersion": "1", "extensions.partialClone": "evil", "remote.evil.promisor": "true",
		"remote.evil.url": "ext::" + script, "remote.evil.uploadpack": script, "protocol.ext.allow": "always", "protocol.file.allow": "always",
	} {
		r.run("config", key, value)
	}
	hash := r.run("rev-parse", "HEAD:a.txt")
	require.NoError(t, os.Remove(r.path(".git/objects/"+hash[:2]+"/"+hash[2:])))
	r.file("a.txt", "changed\n")
	for _, url := range []string{"ext::" + script, r.dir, "file://" + r.dir, "git://127.0.0.1:1/x", "ssh://127.0.0.1:1/x", "https://127.0.0.1:1/x"} {
		r.run("config", "remote.evil.url", url)
		_, err := r.Diff(t.Context(), DiffOptions{})
		require.ErrorContains(t, err, "not allowed", url)
		assert.Empty(t, ran(), url)
	}
}

// A repository within another one, such as a dependency that was cloned into a
// project, claims the files of the other.
func TestUntrustedRepositoryThatClaimsAnother(t *testing.T) {
	t.Parallel()
	victim := withCommit(t)
	dir := victim.path("vendor/evil")
	_, err := Init(t.Context(), dir, "", testOptions())
	require.NoError(t, err)
	opts := testOptions()
	opts.Untrusted = true
	_, err = Open(t.Context(), dir, opts)
	require.NoError(t, err)
	runIn(t, dir, "config", "core.worktree", victim.dir)
	_, err = Open(t.Context(), dir, opts)
	require.ErrorIs(t, err, ErrRefused)

	// What is entitled to its working tree is opened.
	victim.run("worktree", "add", "-q", victim.path("linked"))
	victim.run("-c", "protocol.file.allow=always", "submodule", "add", "-q", withCommit(t).dir, "sub")
	for _, name := range []string{"linked", "sub", "dir", "."} {
		_, err = Open(t.Context(), victim.path(name), opts)
		require.NoError(t, err, name)
	}
}

// git runs itself in submodules, where their own configuration applies.
func TestUntrustedSubmodules(t *testing.T) {
	t.Parallel()
	inner, r := withCommit(t), withCommit(t, func(o *Options) { o.Untrusted = true })
	r.run("-c", "protocol.file.allow=always", "submodule", "add", "-q", inner.dir, "sub")
	r.run("commit", "-qm", "add submodule")
	script, ran := trap(t)
	runIn(t, r.path("sub"), "config", "filter.evil.clean", script)
	r.file(".git/modules/sub/info/attributes", "* filter=evil\n")
	r.file("sub/a.txt", "changed\n")
	r.file("a.txt", "changed\n")
	for name, call := range changes(r) {
		if err := call(t.Context()); name == "Commit" || name == "Snapshot" {
			require.ErrorIs(t, err, ErrRefused)
			assert.ErrorContains(t, err, "sub")
		}
		assert.Empty(t, ran(), name)
	}
	for name, call := range reads(r) {
		if err := call(t.Context()); name == "Status" || name == "Diff" {
			require.ErrorIs(t, err, ErrRefused)
		}
		assert.Empty(t, ran(), name)
	}
	// One that is not checked out does no harm.
	require.NoError(t, os.RemoveAll(r.path("sub")))
	require.NoError(t, os.Mkdir(r.path("sub"), 0o777))
	_, err := r.Commit(t.Context(), CommitOptions{Message: "m"})
	require.NoError(t, err)
	st, err := r.Status(t.Context(), StatusOptions{})
	require.NoError(t, err)
	assert.True(t, st.Clean())
}
