package git

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/git/internal/turns"
)

// bigRepo has n files in directories of 100.
func bigRepo(b *testing.B, n int) *repo {
	b.Helper()
	r := newRepo(b)
	r.run("config", "gc.auto", "0")
	r.run("config", "maintenance.auto", "false")
	for i := range n {
		dir := filepath.Join(r.dir, fmt.Sprintf("d%03d", i/100))
		if i%100 == 0 {
			require.NoError(b, os.MkdirAll(dir, 0o777))
		}
		require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d.txt", i)), fmt.Appendf(nil, "file %d\n", i), 0o666))
	}
	r.run("add", "-A")
	r.run("commit", "-qm", "base")
	r.run("status") // refreshes the index once, as any use of the tree does
	return r
}

// change gives k files new content.
func (r *repo) change(b *testing.B, k, round int) {
	for i := range k {
		name := filepath.Join(r.dir, fmt.Sprintf("d%03d", i/100), fmt.Sprintf("f%d.txt", i))
		if err := os.WriteFile(name, fmt.Appendf(nil, "file %d round %d\n", i, round), 0o666); err != nil {
			b.Fatal(err)
		}
	}
}

// bare is git without this package: no checks, no result.
func (r *repo) bare(b *testing.B, args ...string) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(append(os.Environ(), isolated...), "GIT_AUTHOR_NAME=P", "GIT_AUTHOR_EMAIL=p@x", "GIT_COMMITTER_NAME=P", "GIT_COMMITTER_EMAIL=p@x")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("git %v: %s", args, out)
	}
}

// least is how often each is measured, whatever the benchmark's time.
const least = 11

// BenchmarkCommit commits 20 changed files, beside the bare pair of commands
// that a script would run.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{5_000, 50_000} {
		r := bigRepo(b, n)
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			turns.Compare(b, least, func(round int) { r.change(b, 20, round) }, func() {
				if _, err := r.Commit(b.Context(), CommitOptions{Message: "round"}); err != nil {
					b.Fatal(err)
				}
			}, "git", func() {
				r.bare(b, "add", "-A")
				r.bare(b, "commit", "-qm", "round")
			})
		})
	}
}

// BenchmarkStatus reads the state of a tree with 20 changed files, beside git
// status.
func BenchmarkStatus(b *testing.B) {
	for _, n := range []int{5_000, 50_000} {
		r := bigRepo(b, n)
		r.change(b, 20, 1)
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			turns.Compare(b, least, func(int) {}, func() {
				if _, err := r.Status(b.Context(), StatusOptions{}); err != nil {
					b.Fatal(err)
				}
			}, "git", func() { r.bare(b, "status", "--porcelain=v2") })
		})
	}
}

// BenchmarkSnapshot saves the whole working state of a tree with 20 changed
// files, as before each input of an agent.
func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{5_000, 50_000} {
		r := bigRepo(b, n)
		r.change(b, 20, 1)
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := r.Snapshot(b.Context(), ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
