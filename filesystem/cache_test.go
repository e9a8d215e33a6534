package filesystem

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
	require.Eventually(t, func() bool { // what was changed a moment ago is not kept
		return read("a") == "1" && s.Stats().CacheHits > 0
	}, 20*time.Second, 10*time.Millisecond)
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

func TestSubmodulesUseTheRulesOfTheirRepository(t *testing.T) {
	git := needGit(t)
	dir := t.TempDir()
	git(dir, "", "init", "-q", "library")
	library, main := filepath.Join(dir, "library"), filepath.Join(dir, "main")
	writeTree(t, library, map[string]string{"f": "", ".gitignore": "built\n"})
	git(library, "", "add", ".")
	git(library, "", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x")
	git(dir, "", "init", "-q", "main")
	git(main, "", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, "sub")
	writeTree(t, main, map[string]string{
		".gitignore": "*.o\n", "a.o": "", "sub/a.o": "", "sub/built": "", "sub/excluded": "", ".git/info/exclude": "f\n", ".git/modules/sub/info/exclude": "excluded\n",
	})
	s := newTestService(t, Options{Root: main}, nil)
	assert.Equal(t, []string{".gitignore", ".gitmodules", "sub/", "sub/.gitignore", "sub/a.o", "sub/f"}, walked(t, s, WalkOptions{}))
	assert.Equal(t, "a.o\x00.gitignore\x00f\x00", git(filepath.Join(main, "sub"), "", "ls-files", "-co", "--exclude-standard", "-z"))
	inner := newTestService(t, Options{Root: filepath.Join(main, "sub")}, nil)
	assert.Equal(t, []string{".gitignore", "a.o", "f"}, walked(t, inner, WalkOptions{}))
}

// Each way to say core.excludesFile is compared with what git makes of it.
func TestExcludesFile(t *testing.T) {
	git := needGit(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "xdg"))
	os.Unsetenv("GIT_CONFIG_GLOBAL")
	t.Cleanup(func() { os.Setenv("GIT_CONFIG_GLOBAL", os.DevNull) })
	dir := filepath.Join(home, "work", "repo")
	writeTree(t, home, map[string]string{
		"work/repo/":     "",
		"xdg/git/ignore": "xdg\n", "plain": "plain\n", "with space": "space\n", "work/repo/rel": "relative\n", "work/included": "[core]\nexcludesFile = ~/plain\n",
	})
	git(dir, "", "init", "-q", "-b", "main")
	writeTree(t, dir, map[string]string{"xdg": "", "plain": "", "space": "", "relative": "", "f": ""})
	original, err := os.ReadFile(filepath.Join(dir, ".git/config"))
	require.NoError(t, err)
	for _, c := range []struct{ name, user, repo string }{
		{"default", "", ""},
		{"home", "[core]\n\texcludesFile = ~/plain\n", ""},
		{"repository overrules the user", "[core]\nexcludesfile=~/plain", "[core]\n\texcludesFile = rel\n"},
		{"quoted", "[core] excludesFile = \"~/with space\" ; comment\n", ""},
		{"absolute, section twice", "[Core]\nEXCLUDESFILE = x\n[user]\nname = y\n[core]\nexcludesFile = " + filepath.Join(home, "plain") + "\n", ""},
		{"include", "[include]\npath = work/included\n", ""},
		{"include by place", "[includeIf \"gitdir:~/work/\"]\npath = ~/work/included\n", ""},
		{"include by place, pattern", "[includeIf \"gitdir/i:**/REPO/.git\"]\npath = ~/work/included\n", ""},
		{"include elsewhere", "[includeIf \"gitdir:~/other/\"]\npath = ~/work/included\n", ""},
		{"include by this branch", "[includeIf \"onbranch:ma*\"]\npath = ~/work/included\n", ""},
		{"include by branch", "[includeIf \"onbranch:topic\"]\npath = ~/work/included\n", ""},
		{"empty", "[core]\nexcludesFile =\n", ""},
		{"missing", "[core]\nexcludesFile = ~/nowhere\n", ""},
		{"subsection", "[core \"x\"]\nexcludesFile = ~/plain\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(c.user), 0o644))
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".git/config"), append(original[:len(original):len(original)], c.repo...), 0o644))
			s := newTestService(t, Options{Root: dir}, nil)
			want := strings.FieldsFunc(git(dir, "", "ls-files", "-co", "--exclude-standard", "-z"), func(r rune) bool { return r == 0 })
			assert.Equal(t, want, walked(t, s, WalkOptions{}))
		})
	}
}

// Each way to say core.ignoreCase is compared with what git makes of it.
func TestIgnoreCaseSetting(t *testing.T) {
	git := needGit(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	for _, line := range []string{"ignoreCase", "ignorecase =", "ignorecase = true", "IGNORECASE = TRUE", "ignorecase = Yes ; comment", "ignorecase = on",
		"ignorecase = 2", "ignorecase = -1", "ignorecase = 0", "ignorecase = no", "ignorecase = \"False\""} {
		require.NoError(t, os.WriteFile(file, []byte("[core]\n"+line+"\n"), 0o644))
		var settings gitSettings
		settings.read(newHostFiles(), file, 0)
		assert.Equal(t, strings.TrimSpace(git(dir, "", "config", "-f", file, "--type=bool", "core.ignorecase")), strconv.FormatBool(settings.ignoreCase), line)
	}
}

// A file that is dated to whole seconds can change twice in one.
func TestCoarseTimesSettleLater(t *testing.T) {
	changed := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		part, age time.Duration
		want      bool
	}{{0, time.Second, false}, {0, 3 * time.Second, true}, {1, 50 * time.Millisecond, false}, {1, time.Second, true}} {
		stamp := fileStamp{MTime: changed.Add(c.part).UnixNano()}
		assert.Equal(t, c.want, stamp.settledAt(changed.Add(c.age)), "%+v", c)
	}
}
