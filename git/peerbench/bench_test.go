package peerbench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/git/internal/turns"
)

// pair is one repository, opened by both.
type pair struct {
	dir   string
	ours  *git.Service
	peer  *gogit.Worktree
	round int
}

func open(t testing.TB, files int) *pair {
	t.Helper()
	dir := t.TempDir()
	ours, err := git.Init(t.Context(), dir, "main", git.Options{
		Identity: git.Identity{Name: "Agent", Email: "agent@example.org"},
		Env:      []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	})
	require.NoError(t, err)
	for i := range files {
		name := filepath.Join(dir, fmt.Sprintf("d%03d", i/100), fmt.Sprintf("f%d.txt", i))
		if i%100 == 0 {
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		}
		require.NoError(t, os.WriteFile(name, fmt.Appendf(nil, "file %d\n", i), 0o666))
	}
	_, err = ours.Commit(t.Context(), git.CommitOptions{Message: "base"})
	require.NoError(t, err)
	repo, err := gogit.PlainOpen(dir)
	require.NoError(t, err)
	peer, err := repo.Worktree()
	require.NoError(t, err)
	return &pair{dir: dir, ours: ours, peer: peer}
}

// change gives 20 files new content.
func (p *pair) change(t testing.TB) {
	p.round++
	for i := range 20 {
		name := filepath.Join(p.dir, "d000", fmt.Sprintf("f%d.txt", i))
		require.NoError(t, os.WriteFile(name, fmt.Appendf(nil, "file %d round %d\n", i, p.round), 0o666))
	}
}

func (p *pair) commitOurs(t testing.TB) {
	_, err := p.ours.Commit(t.Context(), git.CommitOptions{Message: "round"})
	require.NoError(t, err)
}

func (p *pair) commitPeer(t testing.TB) {
	require.NoError(t, p.peer.AddWithOptions(&gogit.AddOptions{All: true}))
	_, err := p.peer.Commit("round", &gogit.CommitOptions{Author: &object.Signature{Name: "Agent", Email: "agent@example.org", When: time.Now()}})
	require.NoError(t, err)
}

// Both must do the same work for the figures to mean anything.
func TestBothDoTheSame(t *testing.T) {
	p := open(t, 50)
	for _, commit := range []func(testing.TB){p.commitOurs, p.commitPeer} {
		p.change(t)
		theirs, err := p.peer.Status()
		require.NoError(t, err)
		ours, err := p.ours.Status(t.Context(), git.StatusOptions{})
		require.NoError(t, err)
		assert.Len(t, ours.Entries, 20)
		changed := 0
		for _, s := range theirs {
			if s.Worktree != gogit.Unmodified || s.Staging != gogit.Unmodified {
				changed++
			}
		}
		assert.Equal(t, 20, changed)
		commit(t)
		c, err := p.ours.Show(t.Context(), "HEAD")
		require.NoError(t, err)
		assert.Len(t, c.Files, 20)
		st, err := p.ours.Status(t.Context(), git.StatusOptions{})
		require.NoError(t, err)
		assert.True(t, st.Clean())
	}
}

// least is how often each is measured, whatever the benchmark's time.
const least = 5

var sizes = []int{5_000, 50_000}

func BenchmarkGoGitCommit(b *testing.B) {
	for _, n := range sizes {
		p := open(b, n)
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			turns.Compare(b, least, func(int) { p.change(b) }, func() { p.commitOurs(b) }, "go-git", func() { p.commitPeer(b) })
		})
	}
}

func BenchmarkGoGitStatus(b *testing.B) {
	for _, n := range sizes {
		p := open(b, n)
		p.change(b)
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			turns.Compare(b, least, func(int) {}, func() {
				_, err := p.ours.Status(b.Context(), git.StatusOptions{})
				require.NoError(b, err)
			}, "go-git", func() {
				_, err := p.peer.Status()
				require.NoError(b, err)
			})
		})
	}
}
