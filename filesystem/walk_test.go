package filesystem

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func walked(t *testing.T, s *Service, opts WalkOptions) []string {
	t.Helper()
	var out []string
	for e, err := range s.Walk(t.Context(), opts) {
		require.NoError(t, err)
		name := e.Path
		if e.IsDir() {
			name += "/"
		}
		out = append(out, name)
	}
	return out
}

func TestWalk(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{
		".gitignore": "*.log\n!keep.log\n/out/\n", ".aiignore": "secret*\n", ".hidden/x": "", ".git/HEAD": "ref: x",
		"a.log": "", "keep.log": "", "a/b/c.txt": "", "a/b.txt": "", "out/x": "", "a/out/x": "", "secrets.env": "", "node_modules/m/x": "",
		"a-b": "", "a/.gitignore": "!*.log\n", "a/z.log": "",
	})
	require.NoError(t, os.Symlink("a", filepath.Join(rootOf(s), "link")))
	all := []string{".aiignore", ".gitignore", ".hidden/", ".hidden/x", "a/", "a/.gitignore", "a/b/", "a/b/c.txt", "a/b.txt", "a/out/", "a/out/x", "a/z.log", "a-b", "keep.log", "link"}
	assert.Equal(t, all, walked(t, s, WalkOptions{}))
	assert.Equal(t, []string{"a/", "a/b/", "a/b/c.txt", "a/b.txt", "a/out/", "a/out/x", "a/z.log", "a-b", "keep.log", "link"}, walked(t, s, WalkOptions{NoHidden: true}))
	assert.Equal(t, []string{"a/.gitignore", "a/b/", "a/b.txt", "a/out/", "a/z.log"}, walked(t, s, WalkOptions{Dir: "a", MaxDepth: 1}))
	assert.Equal(t, []string{"a/b/c.txt"}, walked(t, s, WalkOptions{Dir: "a/b"}))
	assert.Len(t, walked(t, s, WalkOptions{NoIgnore: true}), len(all)+7)

	for _, workers := range []int{1, 4} {
		unordered := walked(t, s, WalkOptions{Unordered: true, Workers: workers})
		sorted := slices.Clone(all)
		slices.Sort(sorted)
		slices.Sort(unordered)
		assert.Equal(t, sorted, unordered)
	}
	for range s.Walk(t.Context(), WalkOptions{Unordered: true}) {
		break
	}
	for _, dir := range []string{"missing", "../x", "a-b", "link"} {
		for _, unordered := range []bool{false, true} {
			var last error
			for _, err := range s.Walk(t.Context(), WalkOptions{Dir: dir, Unordered: unordered}) {
				last = err
			}
			assert.Error(t, last, dir)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, unordered := range []bool{false, true} {
		var last error
		for _, err := range s.Walk(ctx, WalkOptions{Unordered: unordered}) {
			last = err
		}
		assert.ErrorIs(t, last, context.Canceled)
	}
}

func TestGlob(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{
		"a.go": "", "a_test.go": "", "cmd/x/main.go": "", "cmd/y/main.go": "", "cmd/y/z/util.go": "", "doc/a.md": "", ".gitignore": "skip\n", "skip/a.go": "", "[x].go": "",
	})
	for pattern, want := range map[string][]string{
		"*.go":              {"[x].go", "a.go", "a_test.go"},
		"**/*.go":           {"[x].go", "a.go", "a_test.go", "cmd/x/main.go", "cmd/y/main.go", "cmd/y/z/util.go"},
		"cmd/*/main.go":     {"cmd/x/main.go", "cmd/y/main.go"},
		"cmd/{x,y/z}/*.go":  {"cmd/x/main.go", "cmd/y/z/util.go"},
		"./cmd/**/util.go":  {"cmd/y/z/util.go"},
		"cmd/[x-y]/main.go": {"cmd/x/main.go", "cmd/y/main.go"},
		"a.go":              {"a.go"},
		"skip/*.go":         nil,
		"nothing/*":         nil,
		`\[x\].go`:          {"[x].go"},
		"{a,b}.{go,md}":     {"a.go"},
	} {
		var got []string
		for name, err := range s.Glob(t.Context(), pattern, GlobOptions{}) {
			require.NoError(t, err)
			got = append(got, name)
		}
		assert.Equal(t, want, got, pattern)
	}
	for _, pattern := range []string{"", "[", "{a", "../*", "/etc/*"} {
		for _, err := range s.Glob(t.Context(), pattern, GlobOptions{}) {
			assert.Error(t, err, pattern)
		}
	}
	require.NoError(t, os.Symlink("cmd", filepath.Join(rootOf(s), "link")))
	for pattern, text := range map[string]string{
		strings.Repeat("{a,b}", 30):           "more than 1024 patterns",
		"{" + strings.Repeat("x", 5000) + "}": "longer than",
		"link/*":                              "symlinks are not followed here",
	} {
		var last error
		for _, err := range s.Glob(t.Context(), pattern, GlobOptions{}) {
			last = err
		}
		assert.ErrorContains(t, last, text)
	}
	assert.Equal(t, "no file matches\n", call(t, s, "glob", `{"pattern": "a.go/*"}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range s.Glob(ctx, "cmd/*/main.go", GlobOptions{}) {
		assert.Empty(t, name)
		assert.ErrorIs(t, err, context.Canceled)
	}
	_, err := find(t, s, "glob").Call(ctx, json.RawMessage(`{"pattern": "cmd/*/main.go"}`))
	assert.ErrorIs(t, err, context.Canceled)

	var dirs []string
	for name := range s.Glob(t.Context(), "cmd/*", GlobOptions{Dirs: true}) {
		dirs = append(dirs, name)
	}
	assert.Equal(t, []string{"cmd/x", "cmd/y"}, dirs)
}

// recordingTree notes which directories are read.
type recordingTree struct {
	*Memory
	read []string
}

func (r *recordingTree) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	r.read = append(r.read, name)
	return r.Memory.ReadDir(ctx, name)
}

func TestGlobReadsOnlyWhatCanMatch(t *testing.T) {
	m, err := NewMemory(map[string]string{
		"a.go": "", "cmd/w/x.go": "", "cmd/x/x.go": "", "cmd/x/deep/x.go": "", "cmd/y/z/x.go": "", "cmd/y/q/x.go": "", "pkg/p/x.go": "", "docs/d.md": "",
	})
	require.NoError(t, err)
	tree := &recordingTree{Memory: m}
	s := newTestService(t, Options{Provider: tree}, nil)
	for _, c := range []struct {
		pattern     string
		found, read []string
	}{
		{"*.go", []string{"a.go"}, []string{"."}},
		{"cmd/*/x.go", []string{"cmd/w/x.go", "cmd/x/x.go"}, []string{"cmd", "cmd/w", "cmd/x", "cmd/y"}},
		{"cmd/{x,y/z}/*.go", []string{"cmd/x/x.go", "cmd/y/z/x.go"}, []string{"cmd", "cmd/x", "cmd/y", "cmd/y/z"}},
		{"{cmd/x,pkg}/**/*.go", []string{"cmd/x/deep/x.go", "cmd/x/x.go", "pkg/p/x.go"}, []string{".", "cmd", "cmd/x", "cmd/x/deep", "pkg", "pkg/p"}},
		{"{docs,{p,q}kg}/*/x.go", []string{"pkg/p/x.go"}, []string{".", "docs", "pkg", "pkg/p"}},
		{"cmd/y{/q,}/x.go", []string{"cmd/y/q/x.go"}, []string{"cmd", "cmd/y", "cmd/y/q"}},
		{"nowhere/*.go", nil, nil},
		{"{cmd,[p]kg}/p/*.go", []string{"pkg/p/x.go"}, []string{".", "cmd", "pkg", "pkg/p"}},
	} {
		tree.read = nil
		var found []string
		for name, err := range s.Glob(t.Context(), c.pattern, GlobOptions{}) {
			require.NoError(t, err)
			found = append(found, name)
		}
		slices.Sort(tree.read)
		assert.Equal(t, c.found, found, c.pattern)
		assert.Equal(t, c.read, tree.read, c.pattern)
	}
	assert.Len(t, expandBraces(strings.Repeat("{a,b}", 10)), 1024)
	assert.Empty(t, expandBraces(strings.Repeat("{a,b}", 11)), "too many")
	assert.Equal(t, []string{`a\{\,[{,}]x`, "bcx", "bdx"}, expandBraces(`{a\{\,[{,}],b{c,d}}x`))
}

// unreadableTree cannot list one directory.
type unreadableTree struct{ *Memory }

func (u unreadableTree) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	if name == "a" {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrPermission}
	}
	return u.Memory.ReadDir(ctx, name)
}

func TestGlobGoesOnBehindWhatItCannotRead(t *testing.T) {
	m, err := NewMemory(map[string]string{"a/x.go": "", "b/x.go": ""})
	require.NoError(t, err)
	s := newTestService(t, Options{Provider: unreadableTree{m}}, nil)
	want := "b/x.go\n(1 directories could not be read, such as: walk a: readdir a: permission denied)\n"
	assert.Equal(t, want, call(t, s, "glob", `{"pattern": "**/*.go"}`))
	out, err := s.Command(t.Context(), "glob **/*.go")
	require.NoError(t, err)
	assert.Equal(t, want, out)
}

func TestWalkAllocatesLittle(t *testing.T) {
	for _, perDir := range []int{100, 5} {
		files := map[string]string{".gitignore": "*.o\n"}
		for i := range 600 {
			files[fmt.Sprintf("%d/d%d/file%d.txt", i/perDir%3, i/perDir, i)] = ""
		}
		s := newTestService(t, Options{}, files)
		for _, unordered := range []bool{false, true} {
			allocs := testing.AllocsPerRun(3, func() { countFiles(t, s, unordered) })
			assert.LessOrEqual(t, allocs/600, 2.0, "%d files in a directory, unordered is %v", perDir, unordered)
		}
	}
}
