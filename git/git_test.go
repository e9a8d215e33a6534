package git

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenFindsEveryKindOfRepository(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	t.Run("below the root", func(t *testing.T) {
		r := withCommit(t)
		s, err := Open(ctx, r.path("dir"), testOptions())
		require.NoError(t, err)
		assert.Equal(t, r.dir, s.Root())
	})
	t.Run("by a symbolic link", func(t *testing.T) {
		r := withCommit(t)
		link := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(r.dir, link))
		s, err := Open(ctx, link, testOptions())
		require.NoError(t, err)
		clean, err := s.checkPaths([]string{filepath.Join(link, "dir", "b.txt"), filepath.Join(link, "absent", "x"), r.path("a.txt")})
		require.NoError(t, err)
		assert.Equal(t, []string{"dir/b.txt", "absent/x", "a.txt"}, clean)
		_, err = s.checkPaths([]string{filepath.Join(filepath.Dir(link), "x")})
		require.ErrorIs(t, err, ErrInvalidName)
	})
	t.Run("none", func(t *testing.T) {
		opts := testOptions()
		dir := t.TempDir()
		opts.Env = append(opts.Env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
		_, err := Open(ctx, dir, opts)
		require.ErrorIs(t, err, ErrNotRepository)
		assert.Contains(t, err.Error(), dir)
	})
	t.Run("missing directory", func(t *testing.T) {
		_, err := Open(ctx, filepath.Join(t.TempDir(), "absent"), testOptions())
		require.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("file", func(t *testing.T) {
		r := withCommit(t)
		_, err := Open(ctx, r.path("a.txt"), testOptions())
		require.ErrorContains(t, err, "not a directory")
	})
	t.Run("inside the git directory", func(t *testing.T) {
		r := withCommit(t)
		_, err := Open(ctx, r.GitDir(), testOptions())
		require.ErrorIs(t, err, ErrNotRepository)
	})
	t.Run("bare", func(t *testing.T) {
		r := withCommit(t)
		bare := t.TempDir()
		runIn(t, r.dir, "clone", "-q", "--bare", ".", bare)
		s, err := Open(ctx, bare, testOptions())
		require.NoError(t, err)
		assert.True(t, s.Bare())
		_, err = s.Status(ctx, StatusOptions{})
		require.ErrorIs(t, err, ErrBare)
		_, err = s.Commit(ctx, CommitOptions{})
		require.ErrorIs(t, err, ErrBare)
		log, err := s.Log(ctx, LogOptions{})
		require.NoError(t, err)
		assert.Len(t, log, 1)
		branches, err := s.Branches(ctx)
		require.NoError(t, err)
		assert.Len(t, branches, 1)
	})
	t.Run("shallow", func(t *testing.T) {
		r := withCommit(t)
		r.run("commit", "-q", "--allow-empty", "-m", "second")
		dir := t.TempDir()
		runIn(t, r.dir, "clone", "-q", "--depth=1", "file://"+r.dir, dir)
		s, err := Open(ctx, dir, testOptions())
		require.NoError(t, err)
		assert.True(t, s.Shallow())
		_, err = s.Rollback(ctx, RollbackOptions{})
		require.ErrorIs(t, err, ErrRefused)
		assert.ErrorContains(t, err, "shallow")
	})
	t.Run("submodule", func(t *testing.T) {
		inner, outer := withCommit(t), withCommit(t)
		outer.run("-c", "protocol.file.allow=always", "submodule", "add", "-q", inner.dir, "sub")
		outer.run("commit", "-qm", "add submodule")
		s, err := Open(ctx, outer.path("sub"), testOptions())
		require.NoError(t, err)
		assert.Equal(t, outer.path("sub"), s.Root())
		outer.file("sub/new.txt", "x\n")
		c, err := s.Commit(ctx, CommitOptions{Message: "in the submodule"})
		require.NoError(t, err)
		assert.Len(t, c.Files, 1)
		st, err := outer.Status(ctx, StatusOptions{})
		require.NoError(t, err)
		require.Len(t, st.Entries, 1)
		assert.Equal(t, "SC..", st.Entries[0].Submodule)
	})
	t.Run("linked working tree", func(t *testing.T) {
		r := withCommit(t)
		dir := filepath.Join(t.TempDir(), "linked")
		r.run("worktree", "add", "-q", "-b", "side", dir)
		s, err := Open(ctx, dir, testOptions())
		require.NoError(t, err)
		assert.True(t, s.Linked())
		require.NoError(t, os.WriteFile(filepath.Join(dir, "c.txt"), []byte("c"), 0o666))
		c, err := s.Commit(ctx, CommitOptions{})
		require.NoError(t, err)
		assert.Equal(t, "Add c.txt", c.Message)
		assert.Equal(t, c.Hash, r.run("rev-parse", "side"))
		assert.Empty(t, r.status())
	})
	t.Run("detached", func(t *testing.T) {
		r := withCommit(t)
		r.run("checkout", "-q", "--detach")
		st, err := r.Status(ctx, StatusOptions{})
		require.NoError(t, err)
		assert.True(t, st.Detached())
		r.file("a.txt", "changed\n")
		c, err := r.Commit(ctx, CommitOptions{Message: "on no branch"})
		require.NoError(t, err)
		assert.Equal(t, c.Hash, r.run("rev-parse", "HEAD"))
		_, err = r.Rollback(ctx, RollbackOptions{})
		require.NoError(t, err)
	})
	t.Run("no git", func(t *testing.T) {
		opts := testOptions()
		opts.Program = "git-that-does-not-exist"
		_, err := Open(ctx, t.TempDir(), opts)
		require.ErrorIs(t, err, ErrNoGit)
	})
	t.Run("old git", func(t *testing.T) {
		program := filepath.Join(t.TempDir(), "git")
		require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho git version 2.17.1\n"), 0o777))
		opts := testOptions()
		opts.Program = program
		_, err := Open(ctx, t.TempDir(), opts)
		require.ErrorIs(t, err, ErrNoGit)
		assert.ErrorContains(t, err, "2.17.1")
	})
	t.Run("bad pattern", func(t *testing.T) {
		_, err := Open(ctx, withCommit(t).dir, Options{InheritEnv: []string{"[A"}})
		require.ErrorIs(t, err, path.ErrBadPattern)
	})
	t.Run("cancelled", func(t *testing.T) {
		r := withCommit(t)
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, err := r.Status(ctx, StatusOptions{})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// In a repository that lacks something, every call works or says what it lacks.
func TestEveryCallSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	typed := []error{ErrBare, ErrUnborn, ErrNotFound, ErrNothingToCommit, ErrRefused}
	for name, c := range map[string]struct {
		open  func() *repo
		want  error
		works []string // of the calls that changes and reads list
	}{
		"bare": {func() *repo {
			dir := t.TempDir()
			runIn(t, withCommit(t).dir, "clone", "-q", "--bare", ".", dir)
			s, err := Open(ctx, dir, testOptions())
			require.NoError(t, err)
			return &repo{t, dir, s}
		}, ErrBare, []string{"Log", "Show", "Snapshots", "Backups", "Branches", "CurrentBranch", "Worktrees", "Checkpoint", "Open", "Prune", "Note", "CreateBranch", "AddWorktree", "PruneWorktrees"}},
		"unborn": {func() *repo { return newRepo(t) }, nil,
			[]string{"Status", "Diff", "Log", "CommitDiff", "Snapshots", "Backups", "Branches", "CurrentBranch", "Worktrees", "Open", "Prune", "Snapshot", "PruneWorktrees", "Auto-snapshot"}},
		"detached": {func() *repo {
			r := busy(t)
			r.run("checkout", "-q", "--detach")
			return r
		}, nil, []string{"Status", "Diff", "Log", "Show", "Blame", "CommitDiff", "CurrentBranch", "Commit", "Snapshot", "Rollback", "Note", "CreateBranch", "AddWorktree"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, calls := range []map[string]func(context.Context) error{reads(c.open()), changes(c.open())} {
				for what := range calls {
					r := c.open()
					call := changes(r)[what]
					if call == nil {
						call = reads(r)[what]
					}
					err := call(ctx)
					if slices.Contains(c.works, what) {
						require.NoError(t, err, what)
					} else if err != nil {
						assert.True(t, slices.ContainsFunc(typed, func(e error) bool { return errors.Is(err, e) }), "%s: %v", what, err)
						assert.NotContains(t, err.Error(), "exit code 128", what)
					}
					if c.want != nil && slices.Contains([]string{"Status", "Diff", "Commit", "Snapshot", "Restore", "Rollback", "Undo", "Merge", "SwitchBranch", "CommitDiff"}, what) {
						require.ErrorIs(t, err, c.want, what)
					}
				}
			}
		})
	}
}

func TestInitOpensWhatExists(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	s, err := Init(t.Context(), r.dir, "other", testOptions())
	require.NoError(t, err)
	branch, err := s.CurrentBranch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "main", branch)
	_, err = Init(t.Context(), t.TempDir(), "-x", testOptions())
	require.ErrorIs(t, err, ErrInvalidName)
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Version{
		"git version 2.39.5":                   {2, 39, 5},
		"git version 2.39.5 (Apple Git-154)":   {2, 39, 5},
		"git version 2.45.1.windows.1":         {2, 45, 1},
		"git version 2.50.0-rc1":               {2, 50, 0},
		"git version 2.52.GIT":                 {2, 52, 0},
		"git version 2.43.0.rc1.174.gcd1f2a5e": {2, 43, 0},
	} {
		got, err := parseVersion(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
	}
	for _, bad := range []string{"", "git", "svn version 1.2", "git version x.y"} {
		_, err := parseVersion(bad)
		assert.Error(t, err, bad)
	}
}

// The environment of the parent must not lead git elsewhere, make it wait or
// make it speak another language.
func TestEnvironmentIsClean(t *testing.T) {
	r := withCommit(t)
	other := withCommit(t)
	for name, value := range map[string]string{
		"GIT_DIR": other.GitDir(), "GIT_WORK_TREE": other.dir, "GIT_INDEX_FILE": "/nonexistent/index", "GIT_TRACE": "1",
		"GIT_AUTHOR_DATE": "garbage", "GIT_PAGER": "false", "PAGER": "false", "GIT_EDITOR": "false", "LC_ALL": "de_DE.UTF-8",
		"GIT_EXTERNAL_DIFF": "false", "GIT_LITERAL_PATHSPECS": "0", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.bare", "GIT_CONFIG_VALUE_0": "true",
	} {
		t.Setenv(name, value)
	}
	s, err := Open(t.Context(), r.dir, testOptions())
	require.NoError(t, err)
	assert.Equal(t, r.dir, s.Root())
	r.file("a.txt", "changed\n")
	c, err := s.Commit(t.Context(), CommitOptions{})
	require.NoError(t, err)
	assert.Equal(t, "Update a.txt", c.Subject)
	_, err = s.Diff(t.Context(), DiffOptions{From: "HEAD~1"})
	require.NoError(t, err)
}

// What a hook sees is what git saw: nothing that would make anything wait for a
// person, page, or go elsewhere.
func TestEnvironmentOfHooks(t *testing.T) {
	dir := withCommit(t).dir
	for name, value := range map[string]string{
		"GIT_ASKPASS": "/evil", "SSH_ASKPASS": "/evil", "SSH_ASKPASS_REQUIRE": "force", "GIT_TERMINAL_PROMPT": "1", "EDITOR": "vi", "VISUAL": "vi", "GIT_EDITOR": "vi",
		"GIT_SEQUENCE_EDITOR": "vi", "PAGER": "less", "LESS": "-R", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de", "LC_TIME": "de_DE.UTF-8",
		"GIT_TRACE2": "1", "GIT_NAMESPACE": "x", "GIT_OBJECT_DIRECTORY": "/nonexistent", "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nonexistent",
		"GIT_ICASE_PATHSPECS": "1", "GIT_GLOB_PATHSPECS": "1", "GIT_QUARANTINE_PATH": "x", "GIT_COMMON_DIR": "/nonexistent", "GIT_DISCOVERY_ACROSS_FILESYSTEM": "1",
		"AWS_SECRET_ACCESS_KEY": "secret", "SSH_AUTH_SOCK": "/agent",
	} {
		t.Setenv(name, value)
	}
	s, err := Open(t.Context(), dir, testOptions())
	require.NoError(t, err)
	r := &repo{t, dir, s}
	seen := r.path(".git/seen")
	r.hook("pre-commit", "env > "+seen)
	r.file("a.txt", "changed\n")
	_, err = r.Commit(t.Context(), CommitOptions{Message: "m"})
	require.NoError(t, err)
	data, err := os.ReadFile(seen)
	require.NoError(t, err)
	env := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"GIT_ASKPASS": "", "SSH_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never", "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": ":", "GIT_SEQUENCE_EDITOR": ":", "GIT_PAGER": "cat", "PAGER": "cat",
		"LC_MESSAGES": "C", "LC_CTYPE": "de_DE.UTF-8", "SSH_AUTH_SOCK": "/agent",
	} {
		assert.Equal(t, want, env[name], name)
	}
	for _, name := range []string{"EDITOR", "VISUAL", "LESS", "LANG", "LC_ALL", "LC_TIME", "GIT_TRACE2", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_QUARANTINE_PATH", "GIT_COMMON_DIR", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "AWS_SECRET_ACCESS_KEY"} {
		assert.NotContains(t, env, name)
	}
	assert.Empty(t, env["LANGUAGE"])
}
