package filesystem

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContentCacheFollowsTheFile(t *testing.T) {
	s := newTestService(t, Options{CacheBytes: 1000}, map[string]string{"a": "1", "b": strings.Repeat("b", 200), "big": strings.Repeat("x", 300)})
	makeOld(t, rootOf(s))
	read := func(name string) string {
		data, err := s.ReadFile(t.Context(), name)
		require.NoError(t, err)
		return string(data)
	}
	first := read("a")
	for range 3 {
		assert.Equal(t, first, read("a"))
	}
	assert.EqualValues(t, 3, s.Stats().CacheHits)
	data, err := s.ReadFile(t.Context(), "a")
	require.NoError(t, err)
	data[0] = 'X'
	assert.Equal(t, "1", read("a"), "who reads owns what was read")
	require.NoError(t, os.WriteFile(filepath.Join(rootOf(s), "a"), []byte("2"), 0o644))
	assert.Equal(t, "2", read("a"))
	assert.Equal(t, "2", read("a"))
	read("big")
	assert.LessOrEqual(t, s.Stats().CacheBytes, int64(1000))
}

func TestIgnoreFilesAreReadAgainWhenTheyChange(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{".git/HEAD": "ref: x", ".git/info/": "", "a": "", "b": "", "dir/c": ""})
	root := rootOf(s)
	assert.Equal(t, []string{"a", "b", "dir/", "dir/c"}, walked(t, s, WalkOptions{}))
	for _, step := range []struct {
		file, text string
		want       []string
	}{
		{".gitignore", "a\n", []string{".gitignore", "b", "dir/", "dir/c"}},
		{".git/info/exclude", "b\n", []string{".gitignore", "dir/", "dir/c"}},
		{".gitignore", "!b\n", []string{".gitignore", "a", "b", "dir/", "dir/c"}},
		{".git/info/exclude", "", []string{".gitignore", "a", "b", "dir/", "dir/c"}},
		{"dir/.gitignore", "*\n", []string{".gitignore", "a", "b", "dir/"}},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, step.file), []byte(step.text), 0o644))
		assert.Equal(t, step.want, walked(t, s, WalkOptions{}), step.file)
	}
}

func TestRulesFromOutsideTheRoot(t *testing.T) {
	git := needGit(t)
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		".gitignore": "*.o\n/sub/top\nsub/*.tmp\n", "sub/.gitignore": "!keep.o\n", "sub/deep/.gitignore": "x\n",
		"sub/deep/a.o": "", "sub/deep/keep.o": "", "sub/deep/x": "", "sub/deep/y": "", "sub/deep/z.tmp": "", "sub/top": "", "sub/deep/global": "",
		"linked/": "", "sub/deep/module/f.o": "", "sub/deep/module/global": "",
	})
	git(dir, "", "init", "-q")
	global := filepath.Join(t.TempDir(), "ignore")
	require.NoError(t, os.WriteFile(global, []byte("global\n"), 0o644))
	git(dir, "", "config", "core.excludesFile", global)
	s := newTestService(t, Options{Root: filepath.Join(dir, "sub/deep")}, nil)
	assert.Equal(t, []string{".gitignore", "keep.o", "module/", "y", "z.tmp"}, walked(t, s, WalkOptions{}))

	// A repository inside has its own rules only.
	git(filepath.Join(dir, "sub/deep/module"), "", "init", "-q")
	assert.Equal(t, []string{".gitignore", "keep.o", "module/", "module/f.o", "module/global", "y", "z.tmp"}, walked(t, s, WalkOptions{}))
}

func TestLinkedWorktreesUseTheRulesOfTheirRepository(t *testing.T) {
	git := needGit(t)
	dir := t.TempDir()
	git(dir, "", "init", "-q", "main")
	main, linked := filepath.Join(dir, "main"), filepath.Join(dir, "linked")
	git(main, "", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
	git(main, "", "worktree", "add", "-q", linked)
	writeTree(t, dir, map[string]string{"main/.git/info/exclude": "excluded\n", "linked/excluded": "", "linked/f": ""})
	s := newTestService(t, Options{Root: linked}, nil)
	assert.Equal(t, []string{"f"}, walked(t, s, WalkOptions{}))
	assert.Equal(t, "f\x00", git(linked, "", "ls-files", "-co", "--exclude-standard", "-z"))
}
