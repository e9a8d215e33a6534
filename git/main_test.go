package git

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TOKENRING_GIT_VICTIM"); dir != "" {
		runVictim(dir)
	}
	goleak.VerifyTestMain(m)
}

// isolated keeps the machine's configuration out of the tests.
var isolated = []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_NOSYSTEM=1"}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func testOptions() Options {
	return Options{Env: isolated, Identity: Identity{"Agent", "agent@example.org"}, Logger: quiet}
}

// repo is a real repository in a temporary directory.
type repo struct {
	t   testing.TB
	dir string
	*Service
}

func newRepo(t testing.TB, change ...func(*Options)) *repo {
	t.Helper()
	opts := testOptions()
	for _, c := range change {
		c(&opts)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	s, err := Init(context.Background(), dir, "", opts)
	require.NoError(t, err)
	return &repo{t, dir, s}
}

// withCommit is newRepo with a first commit of two files.
func withCommit(t testing.TB, change ...func(*Options)) *repo {
	t.Helper()
	r := newRepo(t, change...)
	r.file("a.txt", "one\n")
	r.file("dir/b.txt", "two\n")
	r.run("add", "-A")
	r.run("commit", "-qm", "first")
	return r
}

func (r *repo) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *repo) file(name, content string) {
	r.t.Helper()
	require.NoError(r.t, os.MkdirAll(filepath.Dir(r.path(name)), 0o777))
	require.NoError(r.t, os.WriteFile(r.path(name), []byte(content), 0o666))
}

func (r *repo) read(name string) string {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	require.NoError(r.t, err)
	return string(data)
}

func (r *repo) exists(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

// run is plain git, as a person would run it.
func (r *repo) run(args ...string) string { return runIn(r.t, r.dir, args...) }

// try is run for commands that stop half way, such as a merge with conflicts.
func (r *repo) try(args ...string) { _ = person(r.dir, args...).Run() }

func person(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), isolated...), "GIT_AUTHOR_NAME=Person", "GIT_AUTHOR_EMAIL=person@example.org",
		"GIT_COMMITTER_NAME=Person", "GIT_COMMITTER_EMAIL=person@example.org")
	return cmd
}

func runIn(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := person(dir, args...).CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
	return strings.TrimRight(string(out), "\n")
}

func (r *repo) hook(name, script string) {
	r.t.Helper()
	dir := filepath.Join(r.GitDir(), "hooks")
	require.NoError(r.t, os.MkdirAll(dir, 0o777))
	require.NoError(r.t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o777))
}

// whenThere calls f once the file exists.
func whenThere(file string, f func()) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(file); err == nil {
			f()
			return
		}
	}
}

// status is the short status as a person sees it, with each file.
func (r *repo) status() string {
	return r.run("--no-optional-locks", "-c", "color.ui=false", "status", "--short", "-uall")
}

func (r *repo) noScratchLeft() {
	r.t.Helper()
	left, err := filepath.Glob(filepath.Join(r.GitDir(), scratchPrefix+"*"))
	require.NoError(r.t, err)
	require.Empty(r.t, left)
	require.NoFileExists(r.t, filepath.Join(r.GitDir(), "index.lock"))
}
