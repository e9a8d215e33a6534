// Package filesystemtest is the conformance suite of file trees: what passes
// [TestProvider] can be served by a filesystem.Service.
package filesystemtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/filesystem"
)

// Files is what a provider under test contains at first.
var Files = map[string]string{
	"a.txt":          "alpha\n",
	"dir/b.txt":      "beta\n",
	"dir/sub/c.txt":  "gamma",
	"dir/.gitignore": "*.log\n",
	"dir/x.log":      "log\n",
	"empty":          "",
	"other/ä ö.txt":  "umlaut\n",
}

// TestProvider checks a provider. open is called for each part of the suite and
// returns a fresh tree that contains exactly files; it registers its own
// cleanup. A provider that is a filesystem.WritableProvider is checked for
// writing too.
func TestProvider(t *testing.T, open func(t *testing.T, files map[string]string) filesystem.Provider) {
	t.Run("Read", func(t *testing.T) { testRead(t, open(t, Files)) })
	t.Run("BadNames", func(t *testing.T) { testBadNames(t, open(t, Files)) })
	t.Run("Cancel", func(t *testing.T) { testCancel(t, open(t, Files)) })
	t.Run("Service", func(t *testing.T) { testService(t, open(t, Files)) })
	if _, ok := open(t, Files).(filesystem.WritableProvider); !ok {
		return
	}
	writable := func(t *testing.T) filesystem.WritableProvider {
		return open(t, Files).(filesystem.WritableProvider)
	}
	t.Run("Write", func(t *testing.T) { testWrite(t, writable(t)) })
	t.Run("Append", func(t *testing.T) { testAppend(t, writable(t)) })
	t.Run("Remove", func(t *testing.T) { testRemove(t, writable(t)) })
	t.Run("Rename", func(t *testing.T) { testRename(t, writable(t)) })
	t.Run("Mkdir", func(t *testing.T) { testMkdir(t, writable(t)) })
	t.Run("Chmod", func(t *testing.T) { testChmod(t, writable(t)) })
	t.Run("OpenFileKeepsItsContent", func(t *testing.T) { testSnapshot(t, writable(t)) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, writable(t)) })
}

func read(t *testing.T, p filesystem.Provider, name string) string {
	t.Helper()
	f, err := p.Open(t.Context(), name)
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(data)
}

func names(t *testing.T, p filesystem.Provider, dir string) []string {
	t.Helper()
	list, err := p.ReadDir(t.Context(), dir)
	require.NoError(t, err)
	out := []string{}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func missing(t *testing.T, p filesystem.Provider, name string) {
	t.Helper()
	_, err := p.Stat(t.Context(), name)
	assert.ErrorIs(t, err, fs.ErrNotExist, name)
	_, err = p.Lstat(t.Context(), name)
	assert.ErrorIs(t, err, fs.ErrNotExist, name)
	_, err = p.Open(t.Context(), name)
	assert.ErrorIs(t, err, fs.ErrNotExist, name)
}

func testRead(t *testing.T, p filesystem.Provider) {
	for _, name := range slices.Sorted(maps.Keys(Files)) {
		assert.Equal(t, Files[name], read(t, p, name))
		for _, stat := range []func(context.Context, string) (fs.FileInfo, error){p.Stat, p.Lstat} {
			info, err := stat(t.Context(), name)
			require.NoError(t, err)
			assert.True(t, info.Mode().IsRegular())
			assert.EqualValues(t, len(Files[name]), info.Size())
			assert.Equal(t, name[strings.LastIndexByte(name, '/')+1:], info.Name())
		}
	}
	assert.Equal(t, []string{"a.txt", "dir", "empty", "other"}, names(t, p, "."))
	assert.Equal(t, []string{".gitignore", "b.txt", "sub", "x.log"}, names(t, p, "dir"))
	for _, dir := range []string{".", "dir", "dir/sub"} {
		info, err := p.Stat(t.Context(), dir)
		require.NoError(t, err)
		assert.True(t, info.IsDir())
		f, err := p.Open(t.Context(), dir)
		require.NoError(t, err)
		info, err = f.Stat()
		require.NoError(t, err)
		assert.True(t, info.IsDir())
		require.NoError(t, f.Close())
	}
	missing(t, p, "nothing")
	missing(t, p, "dir/nothing")
	missing(t, p, "nowhere/nothing")
	_, err := p.Stat(t.Context(), "a.txt/below")
	assert.Error(t, err)
	_, err = p.ReadDir(t.Context(), "nothing")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = p.ReadDir(t.Context(), "a.txt")
	assert.Error(t, err)
}

func testBadNames(t *testing.T, p filesystem.Provider) {
	for _, name := range []string{"", "..", "../a.txt", "/a.txt", "dir/../../a.txt", "/"} {
		_, err := p.Open(t.Context(), name)
		assert.Error(t, err, "open %q", name)
		_, err = p.Stat(t.Context(), name)
		assert.Error(t, err, "stat %q", name)
		if w, ok := p.(filesystem.WritableProvider); ok {
			assert.Error(t, w.WriteFile(t.Context(), name, nil, 0o644), "write %q", name)
			assert.Error(t, w.Append(t.Context(), name, nil, 0o644), "append %q", name)
			assert.Error(t, w.Remove(t.Context(), name), "remove %q", name)
			assert.Error(t, w.Rename(t.Context(), "a.txt", name), "rename %q", name)
			assert.Error(t, w.Mkdir(t.Context(), name+"/x", 0o755), "mkdir %q", name)
		}
	}
}

func testCancel(t *testing.T, p filesystem.Provider) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Open(ctx, "a.txt")
	assert.ErrorIs(t, err, context.Canceled)
	_, err = p.Stat(ctx, "a.txt")
	assert.ErrorIs(t, err, context.Canceled)
	_, err = p.ReadDir(ctx, ".")
	assert.ErrorIs(t, err, context.Canceled)
	if w, ok := p.(filesystem.WritableProvider); ok {
		assert.ErrorIs(t, w.WriteFile(ctx, "a.txt", nil, 0o644), context.Canceled)
		assert.Equal(t, "alpha\n", read(t, p, "a.txt"))
	}
}

// testService checks what a Service makes of the provider.
func testService(t *testing.T, p filesystem.Provider) {
	s, err := filesystem.New(filesystem.Options{Provider: p})
	require.NoError(t, err)
	defer s.Close()
	var walked []string
	for e, err := range s.Walk(t.Context(), filesystem.WalkOptions{}) {
		require.NoError(t, err)
		walked = append(walked, e.Path)
	}
	assert.Equal(t, []string{"a.txt", "dir", "dir/.gitignore", "dir/b.txt", "dir/sub", "dir/sub/c.txt", "empty", "other", "other/ä ö.txt"}, walked)
	r, err := s.Search(t.Context(), filesystem.Query{Patterns: []string{"m"}})
	require.NoError(t, err)
	assert.Equal(t, "dir/sub/c.txt:1:gamma\nother/ä ö.txt:1:umlaut\n", r.String())
	ignored, err := s.Ignored(t.Context(), "dir/x.log")
	require.NoError(t, err)
	assert.True(t, ignored)
	if _, ok := p.(filesystem.WritableProvider); !ok {
		assert.ErrorIs(t, s.WriteFile(t.Context(), "a.txt", nil), filesystem.ErrReadOnly)
		return
	}
	edit, err := s.Edit(t.Context(), "dir/b.txt", filesystem.Edit{Old: "beta", New: "BETA"})
	require.NoError(t, err)
	assert.Contains(t, edit.Diff, "-beta\n+BETA\n")
	assert.Equal(t, "BETA\n", read(t, p, "dir/b.txt"))
	assert.Equal(t, []string{"dir/b.txt"}, s.Changed())
}

func testWrite(t *testing.T, p filesystem.WritableProvider) {
	ctx := t.Context()
	require.NoError(t, p.WriteFile(ctx, "a.txt", []byte("new"), 0o600))
	assert.Equal(t, "new", read(t, p, "a.txt"))
	info, err := p.Stat(ctx, "a.txt")
	require.NoError(t, err)
	assert.EqualValues(t, 0o644, info.Mode().Perm(), "the mode is kept")
	require.NoError(t, p.WriteFile(ctx, "new/deep/file", []byte("x"), 0o600))
	assert.Equal(t, "x", read(t, p, "new/deep/file"))
	info, err = p.Stat(ctx, "new/deep/file")
	require.NoError(t, err)
	assert.EqualValues(t, 0o600, info.Mode().Perm())
	assert.Error(t, p.WriteFile(ctx, "dir", nil, 0o644), "a directory is not replaced")
	assert.Error(t, p.WriteFile(ctx, "empty/file", nil, 0o644), "a file is not a directory")
	assert.Equal(t, []string{"file"}, names(t, p, "new/deep"), "nothing else is left behind")
	data := []byte("mine")
	require.NoError(t, p.WriteFile(ctx, "a.txt", data, 0o644))
	data[0] = 'X'
	assert.Equal(t, "mine", read(t, p, "a.txt"), "the caller keeps its memory")
}

func testAppend(t *testing.T, p filesystem.WritableProvider) {
	require.NoError(t, p.Append(t.Context(), "a.txt", []byte("more"), 0o600))
	assert.Equal(t, "alpha\nmore", read(t, p, "a.txt"))
	require.NoError(t, p.Append(t.Context(), "new/log", []byte("1"), 0o600))
	require.NoError(t, p.Append(t.Context(), "new/log", []byte("2"), 0o600))
	assert.Equal(t, "12", read(t, p, "new/log"))
	assert.Error(t, p.Append(t.Context(), "dir", nil, 0o644))
}

func testRemove(t *testing.T, p filesystem.WritableProvider) {
	ctx := t.Context()
	require.NoError(t, p.Remove(ctx, "a.txt"))
	missing(t, p, "a.txt")
	assert.ErrorIs(t, p.Remove(ctx, "a.txt"), fs.ErrNotExist)
	assert.Error(t, p.Remove(ctx, "dir"), "a directory that is not empty")
	require.NoError(t, p.Remove(ctx, "dir/sub/c.txt"))
	require.NoError(t, p.Remove(ctx, "dir/sub"))
	assert.Equal(t, []string{".gitignore", "b.txt", "x.log"}, names(t, p, "dir"))
	require.NoError(t, p.RemoveAll(ctx, "dir"))
	missing(t, p, "dir")
	missing(t, p, "dir/b.txt")
	assert.ErrorIs(t, p.RemoveAll(ctx, "dir"), fs.ErrNotExist)
	assert.Equal(t, []string{"empty", "other"}, names(t, p, "."))
	// What was removed can come back, without what it contained.
	require.NoError(t, p.WriteFile(ctx, "dir/new", []byte("n"), 0o644))
	assert.Equal(t, []string{"new"}, names(t, p, "dir"))
	require.NoError(t, p.WriteFile(ctx, "a.txt", []byte("again"), 0o644))
	assert.Equal(t, "again", read(t, p, "a.txt"))
}

func testRename(t *testing.T, p filesystem.WritableProvider) {
	ctx := t.Context()
	require.NoError(t, p.Rename(ctx, "a.txt", "new/place.txt"))
	missing(t, p, "a.txt")
	assert.Equal(t, "alpha\n", read(t, p, "new/place.txt"))
	require.NoError(t, p.Rename(ctx, "new/place.txt", "dir/b.txt"))
	assert.Equal(t, "alpha\n", read(t, p, "dir/b.txt"), "a file is replaced")
	require.NoError(t, p.Rename(ctx, "dir", "moved"))
	missing(t, p, "dir")
	missing(t, p, "dir/sub/c.txt")
	assert.Equal(t, "gamma", read(t, p, "moved/sub/c.txt"))
	assert.Equal(t, []string{".gitignore", "b.txt", "sub", "x.log"}, names(t, p, "moved"))
	assert.Error(t, p.Rename(ctx, "moved", "moved/sub/inside"))
	assert.Error(t, p.Rename(ctx, "nothing", "x"))
	assert.Error(t, p.Rename(ctx, "empty", "moved"), "a directory is not replaced by a file")
	require.NoError(t, p.Rename(ctx, "empty", "empty"))
	assert.Equal(t, "", read(t, p, "empty"))
}

func testMkdir(t *testing.T, p filesystem.WritableProvider) {
	require.NoError(t, p.Mkdir(t.Context(), "x/y/z", 0o755))
	require.NoError(t, p.Mkdir(t.Context(), "x/y", 0o755))
	assert.Equal(t, []string{"y"}, names(t, p, "x"))
	assert.Empty(t, names(t, p, "x/y/z"))
	assert.Error(t, p.Mkdir(t.Context(), "a.txt", 0o755))
	assert.Error(t, p.Mkdir(t.Context(), "a.txt/x", 0o755))
}

func testChmod(t *testing.T, p filesystem.WritableProvider) {
	require.NoError(t, p.Chmod(t.Context(), "a.txt", 0o755))
	require.NoError(t, p.Chmod(t.Context(), "dir", 0o700))
	for name, want := range map[string]fs.FileMode{"a.txt": 0o755, "dir": fs.ModeDir | 0o700} {
		info, err := p.Stat(t.Context(), name)
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode())
	}
	assert.Equal(t, "alpha\n", read(t, p, "a.txt"))
	assert.Equal(t, "beta\n", read(t, p, "dir/b.txt"))
	assert.ErrorIs(t, p.Chmod(t.Context(), "nothing", 0o644), fs.ErrNotExist)
}

func testSnapshot(t *testing.T, p filesystem.WritableProvider) {
	f, err := p.Open(t.Context(), "a.txt")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, p.WriteFile(t.Context(), "a.txt", []byte("new content"), 0o644))
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	assert.Equal(t, "alpha\n", string(data), "a replaced file stays whole for who opened it")
}

// testConcurrent checks that readers see whole contents only.
func testConcurrent(t *testing.T, p filesystem.WritableProvider) {
	ctx := t.Context()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := range 25 {
				text := strings.Repeat(fmt.Sprint(i), 1000+n)
				assert.NoError(t, p.WriteFile(ctx, "shared", []byte(text), 0o644))
				assert.NoError(t, p.WriteFile(ctx, fmt.Sprintf("own/%d/%d", i, n), []byte(text), 0o644))
			}
		})
		group.Go(func() {
			for range 50 {
				f, err := p.Open(ctx, "shared")
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if !assert.NoError(t, err) {
					return
				}
				data, err := io.ReadAll(f)
				f.Close()
				assert.NoError(t, err)
				if len(data) > 0 {
					assert.Equal(t, strings.Repeat(string(data[:1]), len(data)), string(data))
				}
				assert.GreaterOrEqual(t, len(data), 1000)
			}
		})
	}
	group.Wait()
	assert.Len(t, names(t, p, "own"), 4)
	assert.Len(t, names(t, p, "own/3"), 25)
}
