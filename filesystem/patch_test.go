package filesystem

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i+1)
	}
	return b.String()
}

func TestPatch(t *testing.T) {
	head := "--- a/f\n+++ b/f\n"
	for _, c := range []struct{ name, before, patch, after, note, fails string }{
		{"plain", numbered(9), head + "@@ -3,3 +3,3 @@\n line 3\n-line 4\n+LINE 4\n line 5\n", strings.Replace(numbered(9), "line 4", "LINE 4", 1), "", ""},
		{"wrong line numbers", numbered(9), head + "@@ -1,3 +1,3 @@\n line 3\n-line 4\n+LINE 4\n line 5\n", strings.Replace(numbered(9), "line 4", "LINE 4", 1), "at line 3 instead of 1", ""},
		{"no line numbers", numbered(9), head + "@@\n line 3\n-line 4\n+LINE 4\n line 5\n", strings.Replace(numbered(9), "line 4", "LINE 4", 1), "", ""},
		{"wrong counts", numbered(9), head + "@@ -3,9 +3,1 @@\n line 3\n-line 4\n line 5\n", strings.Replace(numbered(9), "line 4\n", "", 1), "", ""},
		{"two hunks", numbered(20), head + "@@ -2,1 +2,0 @@\n-line 2\n@@ -10,2 +9,3 @@\n line 10\n+new\n line 11\n", strings.Replace(strings.Replace(numbered(20), "line 2\n", "", 1), "line 10\n", "line 10\nnew\n", 1), "", ""},
		{"insert behind a line", numbered(2), head + "@@ -1,0 +2 @@\n+new\n", "line 1\nnew\nline 2\n", "", ""},
		{"fuzz", numbered(9), head + "@@ -3,5 +3,5 @@\n line 3\n line 4\n-line 5\n+LINE 5\n line 6\n other\n", strings.Replace(numbered(9), "line 5", "LINE 5", 1), "lines of its context differ", ""},
		{"CRLF", "a\r\nb\r\nc\r\n", head + "@@ -1,3 +1,4 @@\n a\n-b\n+x\n+y\n c\n", "a\r\nx\r\ny\r\nc\r\n", "", ""},
		{"no newline at the end", "a\nb", head + "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n", "a\nc", "", ""},
		{"newline added", "a\nb", head + "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n", "a\nb\n", "", ""},
		{"prose around", numbered(3), "Here it is:\n\n" + head + "@@ -2 +2 @@\n-line 2\n+x\n\n\n", "line 1\nx\nline 3\n", "", ""},
		{"same place twice, by number", "x\ny\nx\ny\n", head + "@@ -3,2 +3,2 @@\n-x\n+z\n y\n", "x\ny\nz\ny\n", "", ""},

		{"removed line like a header", "-- x\na\n", head + "@@ -1,2 +1,2 @@\n--- x\n+++ y\n a\n", "++ y\na\n", "", ""},
		{"blank lines behind", "1\n\n", head + "@@ -1,2 +1,2 @@\n-1\n+2\n\n" + strings.Repeat("\n", 200_000), "2\n\n", "", ""},

		{"two places", "x\ny\nx\ny\n", head + "@@ -2,2 +2,2 @@\n-x\n+z\n y\n", "", "", "fits at lines 1, 3"},
		{"two places with fuzz", "a\nx\nb\nc\nx\nd\n", head + "@@ -1,3 +1,3 @@\n q\n-x\n+z\n r\n", "", "", "fits at lines 1, 4"},
		{"nowhere", numbered(9), head + "@@ -3,3 +3,3 @@\n line 3\n-line four\n+LINE 4\n line 5\n", "", "", "Nearest"},
		{"nothing", numbered(3), head + "@@ -1 +1 @@\n line 1\n", "", "", "changes nothing"},
		{"no files", numbered(3), "hello\n", "", "", "no file"},
		{"no header", numbered(3), "@@ -1 +1 @@\n-line 1\n", "", "", "before the first file"},
		{"bad line", numbered(3), head + "@@ -1 +1 @@\n-line 1\nxx\n", "", "", "neither"},
		{"only additions, no place", numbered(3), head + "@@\n+x\n", "", "", "does not say where"},
		{"rename", numbered(3), "--- a/f\n+++ b/g\n@@ -1 +1 @@\n-line 1\n+x\n", "", "", "rename it first"},
		{"outside", numbered(3), "--- ../f\n+++ ../f\n@@ -1 +1 @@\n-line 1\n+x\n", "", "", "outside the root"},
		{"second file fails", numbered(3), head + "@@ -1 +1 @@\n-line 1\n+x\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n", "", "", "g"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestService(t, Options{}, map[string]string{"f": c.before})
			preview, perr := s.PreviewPatch(t.Context(), c.patch)
			r, err := s.Patch(t.Context(), c.patch)
			data, rerr := os.ReadFile(filepath.Join(rootOf(s), "f"))
			require.NoError(t, rerr)
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				require.Error(t, perr)
				assert.Equal(t, c.before, string(data))
				assert.False(t, s.Dirty())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, preview, r)
			assert.Equal(t, c.after, string(data))
			assert.Contains(t, strings.Join(r[0].Notes, "\n"), c.note)
			if c.note == "" {
				assert.Empty(t, r[0].Notes)
			}
		})
	}
}

func TestPatchCreatesAndDeletes(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"old": "a\nb\n", "empty": ""})
	diff := "--- /dev/null\n+++ b/new/file\n@@ -0,0 +1,2 @@\n+x\n+y\n--- a/old\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n"
	r, err := s.Patch(t.Context(), diff)
	require.NoError(t, err)
	assert.Equal(t, Created, r[0].Kind)
	assert.Equal(t, Deleted, r[1].Kind)
	data, err := s.ReadFile(t.Context(), "new/file")
	require.NoError(t, err)
	assert.Equal(t, "x\ny\n", string(data))
	ok, err := s.Exists(t.Context(), "old")
	require.NoError(t, err)
	assert.False(t, ok)
	_, err = s.Patch(t.Context(), "--- /dev/null\n+++ b/new/file\n@@ -0,0 +1 @@\n+x\n")
	assert.ErrorIs(t, err, os.ErrExist)
	r, err = s.Patch(t.Context(), "--- /dev/null\n+++ b/other\n@@ -0,0 +1 @@\n+x\n--- /dev/null\n+++ b/empty\n@@ -0,0 +1 @@\n+x\n")
	require.NoError(t, err)
	assert.Equal(t, Created, r[0].Kind)
	assert.Equal(t, Modified, r[1].Kind, "what was empty was there")
}

// A diff that this package makes applies to what it was made from, wherever the
// lines are.
func FuzzPatch(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nc\nd")
	f.Add("", "x\n")
	f.Add("a", "a\n")
	f.Add("-- a\nb\n", "++ c\nb\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.ContainsAny(before+after, "\r\x00\ufeff") || before == after || before == "" {
			t.Skip("conventions of the file are tested elsewhere")
		}
		files, err := parsePatch(UnifiedDiff("f", "f", before, after))
		require.NoError(t, err)
		got, notes, err := applyHunks(before, files[0].hunks)
		require.NoError(t, err)
		assert.Equal(t, after, got)
		assert.Empty(t, notes)
	})
}

func FuzzParsePatch(f *testing.F) {
	f.Add("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", "a\n")
	f.Fuzz(func(t *testing.T, diff, text string) {
		files, err := parsePatch(diff)
		if err != nil {
			return
		}
		for _, p := range files {
			_, _, _ = applyHunks(text, p.hunks)
		}
	})
}

// failingTree is a tree in which some names can be neither written nor removed.
type failingTree struct {
	*Memory
	full map[string]bool
}

func (f *failingTree) check(name string) error {
	if f.full[name] {
		return &fs.PathError{Op: "write", Path: name, Err: syscall.ENOSPC}
	}
	return nil
}

func (f *failingTree) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	if err := f.check(name); err != nil {
		return err
	}
	return f.Memory.WriteFile(ctx, name, data, perm)
}

func (f *failingTree) Remove(ctx context.Context, name string) error {
	if err := f.check(name); err != nil {
		return err
	}
	return f.Memory.Remove(ctx, name)
}

func TestPatchOfSeveralFilesIsUndoneWhenOneCannotBeWritten(t *testing.T) {
	files := map[string]string{"a": "1\n", "b": "1\n", "c": "1\n", "y": "1\n", "z": "1\n"}
	change, removal := "@@ -1 +1 @@\n-1\n+2\n", "@@ -1 +0,0 @@\n-1\n"
	diff := "--- a/b\n+++ /dev/null\n" + removal + "--- a/a\n+++ b/a\n" + change + "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+n\n" +
		"--- a/y\n+++ /dev/null\n" + removal + "--- a/z\n+++ b/z\n" + change + "--- a/c\n+++ b/c\n" + change
	for _, fails := range []string{"z", "y"} {
		m, err := NewMemory(files)
		require.NoError(t, err)
		require.NoError(t, m.Chmod(t.Context(), "b", 0o755))
		s := newTestService(t, Options{Provider: &failingTree{m, map[string]bool{fails: true}}}, nil)
		r, err := s.Patch(t.Context(), diff)
		assert.ErrorIs(t, err, syscall.ENOSPC)
		assert.ErrorContains(t, err, "nothing was changed")
		assert.Empty(t, r)
		for name, text := range files {
			data, err := s.ReadFile(t.Context(), name)
			require.NoError(t, err)
			assert.Equal(t, text, string(data), name)
		}
		info, err := s.Stat(t.Context(), "b")
		require.NoError(t, err)
		assert.EqualValues(t, 0o755, info.Mode(), "the mode comes back too")
		_, err = s.Stat(t.Context(), "new")
		assert.ErrorIs(t, err, fs.ErrNotExist)
	}
}
