package filesystemtest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openLocal(t *testing.T, files map[string]string) filesystem.Provider {
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, []byte(text), 0o644))
	}
	l, err := filesystem.NewLocal(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func openMemory(t *testing.T, files map[string]string) filesystem.Provider {
	m, err := filesystem.NewMemory(files)
	require.NoError(t, err)
	return m
}

func TestLocal(t *testing.T)  { TestProvider(t, openLocal) }
func TestMemory(t *testing.T) { TestProvider(t, openMemory) }

func TestReadOnly(t *testing.T) {
	t.Run("MapFS", func(t *testing.T) {
		TestProvider(t, func(t *testing.T, files map[string]string) filesystem.Provider {
			m := make(fstest.MapFS)
			for name, text := range files {
				m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
			}
			return filesystem.ReadOnly(m)
		})
	})
	t.Run("DirFS", func(t *testing.T) {
		TestProvider(t, func(t *testing.T, files map[string]string) filesystem.Provider {
			return filesystem.ReadOnly(os.DirFS(openLocal(t, files).(*filesystem.Local).Dir()))
		})
	})
}

func TestReadOnlyDoesNotFollowSymlinksOut(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o644))
	dir := openLocal(t, Files).(*filesystem.Local).Dir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "out")))
	require.NoError(t, os.Symlink("dir/b.txt", filepath.Join(dir, "in")))
	p := filesystem.ReadOnly(os.DirFS(dir))
	_, err := p.Open(t.Context(), "out/secret")
	assert.ErrorIs(t, err, filesystem.ErrOutsideRoot)
	_, err = p.Lstat(t.Context(), "out/secret")
	assert.ErrorIs(t, err, filesystem.ErrOutsideRoot)
	info, err := p.Lstat(t.Context(), "out")
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSymlink, info.Mode().Type())
	assert.Equal(t, "beta\n", read(t, p, "in"))
}

// An overlay must look the same whether its content lies below, above or in
// both.
func TestOverlay(t *testing.T) {
	t.Run("Below", func(t *testing.T) {
		TestProvider(t, func(t *testing.T, files map[string]string) filesystem.Provider {
			return filesystem.NewOverlay(openLocal(t, files))
		})
	})
	t.Run("Above", func(t *testing.T) {
		TestProvider(t, func(t *testing.T, files map[string]string) filesystem.Provider {
			o := filesystem.NewOverlay(openMemory(t, nil))
			for name, text := range files {
				require.NoError(t, o.WriteFile(t.Context(), name, []byte(text), 0o644))
			}
			return o
		})
	})
	t.Run("Both", func(t *testing.T) {
		TestProvider(t, func(t *testing.T, files map[string]string) filesystem.Provider {
			below := maps.Clone(files)
			below["a.txt"], below["gone/x"], below["dir/gone"] = "old", "x", "x"
			delete(below, "dir/sub/c.txt")
			o := filesystem.NewOverlay(openMemory(t, below))
			require.NoError(t, o.WriteFile(t.Context(), "a.txt", []byte(files["a.txt"]), 0o644))
			require.NoError(t, o.WriteFile(t.Context(), "dir/sub/c.txt", []byte(files["dir/sub/c.txt"]), 0o644))
			require.NoError(t, o.RemoveAll(t.Context(), "gone"))
			require.NoError(t, o.Remove(t.Context(), "dir/gone"))
			return o
		})
	})
}

func TestOverlayCommitsAndDiscards(t *testing.T) {
	base := openLocal(t, Files).(*filesystem.Local)
	o := filesystem.NewOverlay(base)
	ctx := t.Context()
	require.NoError(t, o.WriteFile(ctx, "a.txt", []byte("ALPHA\n"), 0o644))
	require.NoError(t, o.WriteFile(ctx, "empty", nil, 0o644)) // as it was
	require.NoError(t, o.Rename(ctx, "dir", "moved"))
	require.NoError(t, o.WriteFile(ctx, "new/n", []byte("n"), 0o600))
	require.NoError(t, o.Remove(ctx, "other/ä ö.txt"))
	require.NoError(t, o.WriteFile(ctx, "other/ä ö.txt", []byte("back\n"), 0o644))
	assert.Equal(t, "alpha\n", read(t, base, "a.txt"), "the base is not touched")

	changes, err := o.Changes(ctx)
	require.NoError(t, err)
	kinds := make(map[string]filesystem.ChangeKind)
	for _, c := range changes {
		kinds[c.Path] = c.Kind
	}
	assert.Equal(t, map[string]filesystem.ChangeKind{
		"a.txt": filesystem.Modified, "dir": filesystem.Deleted, "other/ä ö.txt": filesystem.Modified,
		"moved": filesystem.Created, "moved/.gitignore": filesystem.Created, "moved/b.txt": filesystem.Created, "moved/sub": filesystem.Created,
		"moved/sub/c.txt": filesystem.Created, "moved/x.log": filesystem.Created, "new": filesystem.Created, "new/n": filesystem.Created,
	}, kinds)
	assert.Equal(t, "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-alpha\n+ALPHA\n", changes[0].Diff)

	require.NoError(t, o.Commit(ctx, base))
	assert.Equal(t, "ALPHA\n", read(t, base, "a.txt"))
	assert.Equal(t, "gamma", read(t, base, "moved/sub/c.txt"))
	missing(t, base, "dir")
	changes, err = o.Changes(ctx)
	require.NoError(t, err)
	assert.Empty(t, changes)

	require.NoError(t, o.RemoveAll(ctx, "moved"))
	o.Discard()
	assert.Equal(t, "gamma", read(t, o, "moved/sub/c.txt"))
}

// What moves away and comes back, or is removed and made again, is what it was.
func TestOverlayCommitKeepsWhatCameBack(t *testing.T) {
	base := openLocal(t, Files).(*filesystem.Local)
	o := filesystem.NewOverlay(base)
	ctx := t.Context()
	require.NoError(t, o.Rename(ctx, "dir", "away"))
	require.NoError(t, o.Rename(ctx, "away", "dir"))
	changes, err := o.Changes(ctx)
	require.NoError(t, err)
	assert.Empty(t, changes)
	require.NoError(t, o.RemoveAll(ctx, "other"))
	require.NoError(t, o.WriteFile(ctx, "other/new", []byte("n"), 0o644))
	require.NoError(t, o.Remove(ctx, "dir/sub/c.txt")) // and then a file takes the place of its directory
	require.NoError(t, o.RemoveAll(ctx, "dir/sub"))
	require.NoError(t, o.WriteFile(ctx, "dir/sub", []byte("file"), 0o644))
	require.NoError(t, o.Remove(ctx, "a.txt")) // and a directory that of a file
	require.NoError(t, o.WriteFile(ctx, "a.txt/in", []byte("in"), 0o644))
	require.NoError(t, o.Commit(ctx, base))
	assert.Equal(t, "beta\n", read(t, base, "dir/b.txt"))
	assert.Equal(t, "file", read(t, base, "dir/sub"))
	assert.Equal(t, "in", read(t, base, "a.txt/in"))
	assert.Equal(t, []string{"new"}, names(t, base, "other"))
}

// A commit that ends halfway has removed nothing that it did not write elsewhere.
func TestOverlayCommitRemovesLast(t *testing.T) {
	base := openMemory(t, Files).(*filesystem.Memory)
	o := filesystem.NewOverlay(base)
	require.NoError(t, o.Rename(t.Context(), "dir", "moved"))
	require.NoError(t, o.WriteFile(t.Context(), "zzz", nil, 0o644))
	assert.ErrorIs(t, o.Commit(t.Context(), noFile{base, "zzz"}), filesystem.ErrProtected)
	assert.Equal(t, "beta\n", read(t, base, "dir/b.txt"))
	assert.Equal(t, "beta\n", read(t, base, "moved/b.txt"))
	require.NoError(t, o.Commit(t.Context(), base))
	missing(t, base, "dir")
}

// noFile refuses to write one file.
type noFile struct {
	filesystem.WritableProvider
	name string
}

func (p noFile) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	if name == p.name {
		return filesystem.ErrProtected
	}
	return p.WritableProvider.WriteFile(ctx, name, data, perm)
}

func TestOverlayKeepsModesOfDirectories(t *testing.T) {
	base := openLocal(t, Files).(*filesystem.Local)
	ctx := t.Context()
	require.NoError(t, base.Chmod(ctx, "dir", 0o700))
	o := filesystem.NewOverlay(base)
	require.NoError(t, o.WriteFile(ctx, "dir/sub/new", nil, 0o644))
	require.NoError(t, o.Chmod(ctx, "dir/sub", 0o500))
	mode := func(p filesystem.Provider, name string) fs.FileMode {
		info, err := p.Stat(ctx, name)
		require.NoError(t, err)
		return info.Mode()
	}
	assert.Equal(t, fs.ModeDir|0o700, mode(o, "dir"))
	require.NoError(t, o.Commit(ctx, base))
	assert.Equal(t, fs.ModeDir|0o700, mode(base, "dir"))
	assert.Equal(t, fs.ModeDir|0o500, mode(base, "dir/sub"))
	assert.Equal(t, "", read(t, base, "dir/sub/new"))
	require.NoError(t, base.Chmod(ctx, "dir/sub", 0o700))
}

func TestOverlayAndSymlinksOfItsBase(t *testing.T) {
	base := openLocal(t, Files).(*filesystem.Local)
	ctx := t.Context()
	for link, target := range map[string]string{"link": "dir", "two": "link/sub", "file": "a.txt", "replaced": "a.txt", "other/l": "../a.txt"} {
		require.NoError(t, os.Symlink(target, filepath.Join(base.Dir(), link)))
	}
	o := filesystem.NewOverlay(filesystem.NewOverlay(base))
	assert.Equal(t, "gamma", read(t, o, "two/c.txt"))
	require.NoError(t, o.WriteFile(ctx, "link/b.txt", []byte("B"), 0o644))
	assert.Equal(t, "B", read(t, o, "dir/b.txt"))
	assert.Error(t, o.Rename(ctx, "dir", "link/sub/inside"), "a directory cannot move into itself through a symlink either")
	assert.Error(t, o.Rename(ctx, "other", "away"), "the symlink in it would be lost")
	missing(t, o, "away")
	assert.Equal(t, "umlaut\n", read(t, o, "other/ä ö.txt"))

	assert.Error(t, o.Rename(ctx, "two", "three"), "a symlink would become a copy")
	require.NoError(t, o.WriteFile(ctx, "n", []byte("moved"), 0o644))
	require.NoError(t, o.Rename(ctx, "n", "replaced"))
	assert.Equal(t, "moved", read(t, o, "replaced"))

	require.NoError(t, o.Remove(ctx, "link"))
	require.NoError(t, o.Remove(ctx, "file"))
	missing(t, o, "link")
	missing(t, o, "link/b.txt")
	missing(t, o, "two/c.txt")
	assert.Equal(t, "gamma", read(t, o, "dir/sub/c.txt"))
	require.NoError(t, o.WriteFile(ctx, "file", []byte("no symlink any more"), 0o644))
	require.NoError(t, o.Mkdir(ctx, "link", 0o755))
	assert.Empty(t, names(t, o, "link"))

	require.NoError(t, o.Commit(ctx, base))
	assert.Equal(t, "alpha\n", read(t, base, "a.txt"))
	assert.Equal(t, "no symlink any more", read(t, base, "file"))
	assert.Equal(t, "moved", read(t, base, "replaced"))
	assert.Equal(t, "B", read(t, base, "dir/b.txt"))
	assert.Empty(t, names(t, base, "link"))
}

// What is written while changes are committed is in the base or still above it.
func TestOverlayLosesNoWriteBesideACommit(t *testing.T) {
	base := openMemory(t, nil).(*filesystem.Memory)
	o := filesystem.NewOverlay(base)
	var group sync.WaitGroup
	for w := range 3 {
		group.Go(func() {
			for i := range 100 {
				assert.NoError(t, o.WriteFile(t.Context(), fmt.Sprintf("d%d/f%d", w, i), []byte("x"), 0o644))
			}
		})
	}
	for range 100 {
		require.NoError(t, o.Commit(t.Context(), base))
	}
	group.Wait()
	for w := range 3 {
		assert.Len(t, names(t, o, fmt.Sprint("d", w)), 100)
	}
}

// selectingTree selects another tree as soon as one of its files is opened.
type selectingTree struct {
	*filesystem.Memory
	opened func()
}

func (s selectingTree) Open(ctx context.Context, name string) (fs.File, error) {
	s.opened()
	return s.Memory.Open(ctx, name)
}

// A change is written to the tree that it was made for.
func TestSelectionDuringAChange(t *testing.T) {
	providers := registry.NewKeyed[filesystem.Provider]("file tree")
	selected := registry.NewSingleSelector(providers)
	one := openMemory(t, map[string]string{"f": "1\n"}).(*filesystem.Memory)
	two := openMemory(t, map[string]string{"f": "1\n", "g": "2\n"})
	require.NoError(t, providers.Register("one", selectingTree{one, func() { assert.NoError(t, selected.Select("two")) }}))
	require.NoError(t, providers.Register("two", two))
	require.NoError(t, selected.Select("one"))
	s, err := filesystem.New(filesystem.Options{Providers: selected})
	require.NoError(t, err)
	for _, change := range []func() error{
		func() error {
			_, err := s.Edit(t.Context(), "f", filesystem.Edit{Old: "1", New: "2"})
			return err
		},
		func() error {
			_, err := s.Patch(t.Context(), "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-2\n+3\n")
			return err
		},
		func() error { return s.Copy(t.Context(), "f", "g") },
	} {
		require.NoError(t, selected.Select("one"))
		require.NoError(t, change())
	}
	assert.Equal(t, "3\n", read(t, one, "f"))
	assert.Equal(t, "3\n", read(t, one, "g"))
	assert.Equal(t, "1\n", read(t, two, "f"))
	assert.Equal(t, "2\n", read(t, two, "g"))
}

func TestServiceFollowsTheSelection(t *testing.T) {
	providers := registry.NewKeyed[filesystem.Provider]("file tree")
	require.NoError(t, providers.Register("one", openMemory(t, map[string]string{"f": "1"})))
	require.NoError(t, providers.Register("two", openMemory(t, map[string]string{"f": "2"})))
	selected := registry.NewSingleSelector(providers)
	_, err := filesystem.New(filesystem.Options{Providers: selected})
	assert.Error(t, err)
	require.NoError(t, selected.Select("one"))
	s, err := filesystem.New(filesystem.Options{Providers: selected})
	require.NoError(t, err)
	for _, c := range [][2]string{{"one", "1"}, {"two", "2"}, {"one", "1"}} {
		require.NoError(t, selected.Select(c[0]))
		data, err := s.ReadFile(t.Context(), "f")
		require.NoError(t, err)
		assert.Equal(t, c[1], string(data))
	}
	selected.Clear()
	data, err := s.ReadFile(t.Context(), "f")
	require.NoError(t, err)
	assert.Equal(t, "1", string(data))
}
