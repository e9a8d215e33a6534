package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyAccess tries each operation that takes a name.
func everyAccess(s *Service, ctx context.Context, name string) map[string]error {
	_, read := s.ReadFile(ctx, name)
	_, lines := s.ReadLines(ctx, name, 1, 1)
	_, bytes := s.ReadRange(ctx, name, 0, 1)
	_, stat := s.Stat(ctx, name)
	_, search := s.Search(ctx, Query{Patterns: []string{"secret"}, Dir: name})
	_, edit := s.Edit(ctx, name, Edit{Old: "secret", New: "public"})
	_, patch := s.Patch(ctx, fmt.Sprintf("--- a/%[1]s\n+++ b/%[1]s\n@@ -1 +1 @@\n-secret\n\\ No newline at end of file\n+public\n", name))
	_, list := s.ReadDir(ctx, name)
	_, tree := s.Tree(ctx, name+"/", TreeOptions{})
	_, files := s.List(ctx, ListOptions{Dir: name + "/"})
	_, run := s.Run(ctx, []string{"true"}, name+"/", 0)
	var walk error
	for _, err := range s.Walk(ctx, WalkOptions{Dir: name + "/"}) {
		walk = errors.Join(walk, err)
	}
	below := name + "/below"
	return map[string]error{
		"patch": patch, "readdir": list, "tree": tree, "list": errors.Join(files...), "run in": run, "walk": walk,
		"remove": s.Remove(ctx, below), "remove all": s.RemoveAll(ctx, below), "rename from": s.Rename(ctx, below, "elsewhere"),
		"read": read, "lines": lines, "range": bytes, "stat": stat, "search": search, "edit": edit,
		"write": s.WriteFile(ctx, name, []byte("x")), "append": s.Append(ctx, name, []byte("x")),
		"select": s.Select(ctx, name), "copy from": s.Copy(ctx, name, "copied"), "copy to": s.Copy(ctx, "inside.txt", name),
		"rename to": s.Rename(ctx, "missing", name), "mkdir": s.Mkdir(ctx, name+"/sub"), "chmod": s.Chmod(ctx, name, 0o777),
	}
}

func TestNoNameLeavesTheRoot(t *testing.T) {
	outside := t.TempDir()
	writeTree(t, outside, map[string]string{"secret.txt": "secret", "sub/secret.txt": "secret"})
	s := newTestService(t, Options{}, map[string]string{"inside.txt": "in", "dir/file": "in"})
	root := rootOf(s)
	rel, err := filepath.Rel(root, outside)
	require.NoError(t, err)
	for link, target := range map[string]string{
		"abs-file": filepath.Join(outside, "secret.txt"),
		"abs-dir":  outside,
		"rel-file": filepath.Join(rel, "secret.txt"),
		"rel-dir":  rel,
		"up":       "..",
		"chain1":   "chain2",
		"chain2":   "dir/chain3",
		"loop":     "loop",
		"dir/up":   "../../" + filepath.Base(root) + "/../x",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(root, link)))
	}
	require.NoError(t, os.Symlink("../"+filepath.Join(rel, "secret.txt"), filepath.Join(root, "dir/chain3")))

	for _, name := range []string{
		"..", "../x", "dir/../../x", "./../x", "dir/../../../etc/passwd", "/etc/passwd", "//etc/passwd", "/",
		filepath.Join(outside, "secret.txt"), rel + "/secret.txt", root + "/../x",
		`C:\Windows\win.ini`, "C:/Windows/win.ini", `\\server\share\x`,
		"abs-file", "abs-dir/secret.txt", "rel-file", "rel-dir/secret.txt", "rel-dir/sub/secret.txt",
		"up/x", "chain1", "dir/up", "loop",
		"a\x00b", "inside.txt\x00", "", strings.Repeat("d/", 2100), strings.Repeat("n", 300),
	} {
		for op, err := range everyAccess(s, t.Context(), name) {
			if op == "search" && name == "" {
				continue // the root
			}
			if assert.Error(t, err, "%s of %.60q", op, name) && (strings.HasPrefix(name, "..") || strings.HasPrefix(name, "rel") || strings.HasPrefix(name, "abs")) {
				if op != "rename to" && op != "copy from" && op != "walk" && op != "list" { // which never follow
					assert.ErrorIs(t, err, ErrOutsideRoot, "%s of %.60q", op, name)
				}
			}
		}
	}
	for _, f := range []string{"secret.txt", "sub/secret.txt"} {
		data, err := os.ReadFile(filepath.Join(outside, f))
		require.NoError(t, err)
		assert.Equal(t, "secret", string(data))
	}
	list, err := os.ReadDir(outside)
	require.NoError(t, err)
	assert.Len(t, list, 2)

	// Neither walks nor searches follow what leads out.
	r, err := s.Search(t.Context(), Query{Patterns: []string{"secret"}})
	require.NoError(t, err)
	assert.Zero(t, r.TotalFiles)
	for e, err := range s.Walk(t.Context(), WalkOptions{}) {
		require.NoError(t, err)
		assert.NotContains(t, e.Path, "secret")
	}
}

func TestNamesOfOtherSystems(t *testing.T) {
	for name, refused := range map[string]bool{
		`a\b`: true, `..\x`: true, `C:`: true, `c:x`: true, `C:\x`: true, `\\server\share`: true, `\\?\C:\x`: true, "file:stream": true, "/x": true,
		"NUL": true, "nul": true, "dir/CON": true, "aux.go": true, "Com1.txt": true, "lpt9": true, "COM¹": true, "prn .txt": true, "conin$": true,
		"a/b": false, "null": false, "com": false, "com10": false, "console.go": false, "lpt": false, "..x": false, "dir/.hidden": false,
	} {
		_, err := cleanName(name, true)
		assert.Equal(t, refused, err != nil, "%q: %v", name, err)
		if refused {
			assert.ErrorIs(t, err, ErrOutsideRoot, name)
		}
	}
}

func TestSymlinksInsideTheRootAreFollowed(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"real/file.txt": "one"})
	root := rootOf(s)
	require.NoError(t, os.Symlink("real", filepath.Join(root, "alias")))
	require.NoError(t, os.Symlink("../real/file.txt", filepath.Join(root, "real", "self")))
	data, err := s.ReadFile(t.Context(), "alias/file.txt")
	require.NoError(t, err)
	assert.Equal(t, "one", string(data))

	require.NoError(t, s.WriteFile(t.Context(), "alias/self", []byte("two")))
	data, err = os.ReadFile(filepath.Join(root, "real/file.txt"))
	require.NoError(t, err)
	assert.Equal(t, "two", string(data))
	info, err := os.Lstat(filepath.Join(root, "real/self"))
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&fs.ModeSymlink, "the symlink stays one")
}

func TestAbsoluteNamesBelowTheRootAreAccepted(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"dir/file": "in"})
	data, err := s.ReadFile(t.Context(), filepath.Join(rootOf(s), "dir/file"))
	require.NoError(t, err)
	assert.Equal(t, "in", string(data))
}

func TestProtectedFilesAreNotChanged(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{".git/config": "x", "sub/.git/hooks/": "", "inside.txt": "", "outer/inner/.git/HEAD": "", "outer/inner/f": "", "plain/d/f": ""})
	require.NoError(t, os.Symlink(".git", filepath.Join(rootOf(s), "innocent")))
	for _, name := range []string{".git/config", ".git/hooks/pre-commit", ".GIT/config", "sub/.git/hooks/x", "innocent/config", "./x/../.git/config",
		".g\u200cit/config", ".git./config", ".git /config", "GIT~1/config", ".git::$INDEX_ALLOCATION/config"} {
		assert.ErrorIs(t, s.WriteFile(t.Context(), name, nil), ErrProtected, name)
		assert.ErrorIs(t, s.Append(t.Context(), name, nil), ErrProtected, name)
		assert.ErrorIs(t, s.RemoveAll(t.Context(), name), ErrProtected, name)
		assert.ErrorIs(t, s.Rename(t.Context(), "inside.txt", name), ErrProtected, name)
	}
	assert.ErrorIs(t, s.RemoveAll(t.Context(), "."), ErrProtected)
	err := s.RemoveAll(t.Context(), "outer")
	assert.ErrorIs(t, err, ErrProtected, "a repository is not removed with what contains it")
	assert.ErrorContains(t, err, "outer/inner/.git")
	assert.FileExists(t, filepath.Join(rootOf(s), "outer/inner/.git/HEAD"))
	require.NoError(t, s.Remove(t.Context(), "outer/inner/f"))
	require.NoError(t, s.Rename(t.Context(), "outer", "moved"))
	require.NoError(t, s.RemoveAll(t.Context(), "plain"))
	_, err = s.ReadFile(t.Context(), ".git/config")
	assert.NoError(t, err, "reading is harmless")
}

// A symlink that is swapped against a directory while names go through it must
// never lead a read or write out of the root.
func TestSwappedSymlinkDoesNotLeadOut(t *testing.T) {
	outside := t.TempDir()
	writeTree(t, outside, map[string]string{"file": "secret"})
	s := newTestService(t, Options{}, map[string]string{"real/file": "inside", "swap/file": "inside"})
	root := rootOf(s)
	rounds := 150
	if long() {
		rounds = 20_000
	}
	ctx, cancel := context.WithCancel(t.Context())
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for ctx.Err() == nil {
			// swap becomes a symlink to outside, and then a directory again.
			_ = os.Rename(filepath.Join(root, "swap"), filepath.Join(root, "parked"))
			_ = os.Symlink(outside, filepath.Join(root, "swap"))
			_ = os.Remove(filepath.Join(root, "swap"))
			_ = os.Rename(filepath.Join(root, "parked"), filepath.Join(root, "swap"))
		}
	})
	for range rounds {
		if data, err := s.ReadFile(t.Context(), "swap/file"); err == nil {
			assert.NotEqual(t, "secret", string(data))
		}
		_ = s.WriteFile(t.Context(), "swap/file", []byte("inside"))
		_ = s.Append(t.Context(), "swap/new", []byte("x"))
		r, err := s.Search(t.Context(), Query{Patterns: []string{"secret"}})
		require.NoError(t, err)
		assert.Zero(t, r.TotalMatches)
	}
	cancel()
	swapper.Wait()
	list, err := os.ReadDir(outside)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	data, err := os.ReadFile(filepath.Join(outside, "file"))
	require.NoError(t, err)
	assert.Equal(t, "secret", string(data))
}

// hidingTree refuses to open one file of a local tree.
type hidingTree struct{ *Local }

func (h hidingTree) Open(ctx context.Context, name string) (fs.File, error) {
	if filepath.Base(name) == ".env" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return h.Local.Open(ctx, name)
}

// remoteTree has a directory, but not on this machine.
type remoteTree struct{ *Memory }

func (remoteTree) Dir() string { return "/" }

// What a provider made of another one refuses is not found around it.
func TestSearchAsksTheProvider(t *testing.T) {
	local := newTestService(t, Options{}, map[string]string{".env": "secret", "f": "secret"}).Provider().(*Local)
	s := newTestService(t, Options{Provider: hidingTree{local}}, nil)
	r, err := s.Search(t.Context(), Query{Patterns: []string{"secret"}})
	require.NoError(t, err)
	assert.Equal(t, 1, r.TotalFiles)
	require.Len(t, r.Errors, 1)
	assert.ErrorIs(t, r.Errors[0], fs.ErrPermission)
	_, err = s.ReadFile(t.Context(), filepath.Join(local.Dir(), "f"))
	assert.NoError(t, err)

	m, err := NewMemory(map[string]string{"f": "text"})
	require.NoError(t, err)
	_, err = newTestService(t, Options{Provider: remoteTree{m}}, nil).ReadFile(t.Context(), "/f")
	assert.ErrorIs(t, err, ErrOutsideRoot, "a path of this machine means nothing there")
}

func TestSizeLimits(t *testing.T) {
	s := newTestService(t, Options{MaxFileSize: 10}, map[string]string{"big": "12345678901", "fits": "1234567890"})
	_, err := s.ReadFile(t.Context(), "big")
	assert.ErrorIs(t, err, ErrTooLarge)
	_, err = s.ReadFile(t.Context(), "fits")
	assert.NoError(t, err)
	assert.ErrorIs(t, s.WriteFile(t.Context(), "new", make([]byte, 11)), ErrTooLarge)
	data, err := s.ReadRange(t.Context(), "big", 9, 10)
	require.NoError(t, err)
	assert.Equal(t, "01", string(data))
}
