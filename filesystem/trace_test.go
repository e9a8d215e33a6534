package filesystem

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTraceTellsHowOperationsWent(t *testing.T) {
	var ops []Operation
	s := newTestService(t, Options{Trace: Trace{Done: func(_ context.Context, op Operation) { ops = append(ops, op) }}}, map[string]string{"a": "1\n", "b": "22\n"})
	ctx := t.Context()
	last := func() Operation {
		require.Len(t, ops, 1)
		op := ops[0]
		ops = nil
		assert.Positive(t, op.Duration)
		op.Duration = 0
		return op
	}
	must := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	must(s.ReadFile(ctx, "b"))
	assert.Equal(t, Operation{Name: "read", Path: "b", Bytes: 3}, last())
	must(s.ReadLines(ctx, "b", 1, 1))
	assert.Equal(t, Operation{Name: "read", Path: "b", Bytes: 2}, last())
	must(s.ReadRange(ctx, "b", 1, 1))
	assert.Equal(t, Operation{Name: "read", Path: "b", Bytes: 1}, last())
	must(nil, s.WriteFile(ctx, "c", []byte("1234")))
	assert.Equal(t, Operation{Name: "write", Path: "c", Bytes: 4}, last())
	must(nil, s.Append(ctx, "c", []byte("5")))
	assert.Equal(t, Operation{Name: "append", Path: "c", Bytes: 1}, last())
	must(nil, s.Copy(ctx, "c", "d"))
	assert.Equal(t, Operation{Name: "copy", Path: "d"}, last())
	must(nil, s.Rename(ctx, "d", "e"))
	assert.Equal(t, Operation{Name: "rename", Path: "d"}, last())
	must(nil, s.Chmod(ctx, "e", 0o600))
	assert.Equal(t, Operation{Name: "chmod", Path: "e"}, last())
	must(nil, s.Remove(ctx, "e"))
	assert.Equal(t, Operation{Name: "remove", Path: "e"}, last())
	must(nil, s.Mkdir(ctx, "dir"))
	assert.Equal(t, Operation{Name: "mkdir", Path: "dir"}, last())
	must(s.Edit(ctx, "a", Edit{Old: "1", New: "2"}))
	assert.Equal(t, "edit", last().Name)
	must(s.PreviewEdit(ctx, "a", Edit{Old: "2", New: "3"}))
	assert.Empty(t, ops, "a preview does nothing")
	must(s.Patch(ctx, "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-2\n+3\n"))
	assert.Equal(t, "patch", last().Name)
	must(s.Search(ctx, Query{Patterns: []string{"3"}, Dir: "."}))
	assert.Equal(t, Operation{Name: "search", Path: ".", Bytes: 10}, last())
	names, errs := s.List(ctx, ListOptions{})
	assert.Len(t, names, 3)
	assert.Empty(t, errs)
	assert.Equal(t, Operation{Name: "list"}, last())
	must(s.Run(ctx, []string{"true"}, "", 0))
	assert.Equal(t, Operation{Name: "run", Path: "true"}, last())

	assert.Zero(t, s.Stats().Failed)
	_, err := s.ReadFile(ctx, "missing")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.Equal(t, Operation{Name: "read", Path: "missing", Err: err}, last())
	assert.ErrorIs(t, s.Remove(ctx, "../x"), ErrOutsideRoot)
	assert.ErrorIs(t, last().Err, ErrOutsideRoot)
	assert.EqualValues(t, 2, s.Stats().Failed)
}

func BenchmarkNilTrace(b *testing.B) {
	s, ctx := &Service{}, b.Context()
	for range b.N { // Loop itself takes longer than the call
		began := s.begin()
		s.done(ctx, began, "read", "x", 0, nil)
	}
}

func TestExistsIsRememberedUntilSomethingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestService(t, Options{ExistsTTL: time.Minute}, map[string]string{"a": ""})
		root := rootOf(s)
		exists := func(name string) bool {
			t.Helper()
			ok, err := s.Exists(t.Context(), name)
			require.NoError(t, err)
			return ok
		}
		assert.True(t, exists("a"))
		assert.False(t, exists("b"))
		require.NoError(t, os.Rename(filepath.Join(root, "a"), filepath.Join(root, "b")))
		assert.True(t, exists("./a"), "nobody told the service")
		assert.False(t, exists("b"))
		assert.EqualValues(t, 2, s.Stats().ExistsHits)
		time.Sleep(time.Minute) // of the bubble's clock
		assert.False(t, exists("a"))
		assert.True(t, exists("b"))

		require.NoError(t, s.Rename(t.Context(), "b", "c"))
		assert.False(t, exists("b"))
		assert.True(t, exists("c"))
		require.NoError(t, os.Remove(filepath.Join(root, "c")))
		require.NoError(t, s.MarkDirty("c"))
		assert.False(t, exists("c"))
		assert.EqualValues(t, 2, s.Stats().ExistsHits)

		_, err := s.Exists(t.Context(), "../x")
		assert.ErrorIs(t, err, ErrOutsideRoot)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = s.Exists(ctx, "c")
		assert.ErrorIs(t, err, context.Canceled)
	})
}
