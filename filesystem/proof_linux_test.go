package filesystem

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A disk that fills up during a write leaves the old content and no debris.
func TestFullDiskLeavesTheOldContent(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	s := newTestService(t, Options{Root: dir}, nil)
	ctx := t.Context()
	require.NoError(t, s.WriteFile(ctx, "f", []byte("old content\n")))
	s.MarkClean(s.WriteGeneration())
	big := bytes.Repeat([]byte("x"), 1<<20)
	assert.ErrorIs(t, s.WriteFile(ctx, "f", big), syscall.ENOSPC)
	assert.ErrorIs(t, s.Append(ctx, "f", big), syscall.ENOSPC)
	assert.ErrorIs(t, s.WriteFile(ctx, "new/f", big), syscall.ENOSPC)
	_, err := s.Edit(ctx, "f", Edit{Old: "old", New: string(big)})
	assert.ErrorIs(t, err, syscall.ENOSPC)
	assert.False(t, s.Dirty())
	data, err := s.ReadFile(ctx, "f")
	require.NoError(t, err)
	assert.Equal(t, "old content\n", string(data))
	list, err := s.ReadDir(ctx, ".")
	require.NoError(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"f", "new"}, names)
	require.NoError(t, s.WriteFile(ctx, "f", []byte("there is room again")))
}

// asNobody reports whether permissions bind this process. When they do not,
// because it runs as root, the test is run again by a process that they bind.
func asNobody(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "nobody")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777))
	binary, err := os.ReadFile(self)
	require.NoError(t, err)
	program := filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(program, binary, 0o755))
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

// A directory that cannot be written keeps what is in it.
func TestReadOnlyDirectoryGivesAClearError(t *testing.T) {
	if !asNobody(t) {
		return
	}
	s := newTestService(t, Options{}, map[string]string{"dir/file": "old"})
	require.NoError(t, os.Chmod(filepath.Join(rootOf(s), "dir"), 0o500))
	t.Cleanup(func() { os.Chmod(filepath.Join(rootOf(s), "dir"), 0o755) })
	err := s.WriteFile(t.Context(), "dir/file", []byte("new"))
	assert.True(t, errors.Is(err, fs.ErrPermission))
	data, err := s.ReadFile(t.Context(), "dir/file")
	require.NoError(t, err)
	assert.Equal(t, "old", string(data))
}

// A directory that cannot be read is an error beside what can.
func TestUnreadableDirectoryDoesNotEndAWalk(t *testing.T) {
	if !asNobody(t) {
		return
	}
	s := newTestService(t, Options{}, map[string]string{"a": "x", "locked/b": "x", "z": "x"})
	require.NoError(t, os.Chmod(filepath.Join(rootOf(s), "locked"), 0))
	t.Cleanup(func() { os.Chmod(filepath.Join(rootOf(s), "locked"), 0o755) })
	var names []string
	failed := 0
	for e, err := range s.Walk(t.Context(), WalkOptions{}) {
		if err != nil {
			assert.True(t, errors.Is(err, os.ErrPermission))
			failed++
			continue
		}
		names = append(names, e.Path)
	}
	assert.Equal(t, []string{"a", "locked", "z"}, names)
	assert.Equal(t, 1, failed)
	r, err := s.Search(t.Context(), Query{Patterns: []string{"x"}})
	require.NoError(t, err)
	assert.Equal(t, 2, r.TotalFiles)
	assert.Equal(t, 1, r.ErrorCount)
}

// A large file is searched and read in parts within little memory.
func TestLargeFile(t *testing.T) {
	size := int64(32 << 20)
	if long() {
		size = 2 << 30
	}
	s := newTestService(t, Options{}, nil)
	f, err := os.Create(filepath.Join(rootOf(s), "large"))
	require.NoError(t, err)
	w := bufio.NewWriterSize(f, 1<<20)
	line := bytes.Repeat([]byte("0123456789abcde\n"), 1<<12)
	for n := int64(0); n < size; n += int64(len(line)) {
		_, err := w.Write(line)
		require.NoError(t, err)
	}
	fmt.Fprintln(w, "needle")
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := s.Search(t.Context(), Query{Patterns: []string{"needle"}, Before: 1})
	require.NoError(t, err)
	last, err := s.ReadLines(t.Context(), "large", int(size/16)+1, 5)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	assert.Equal(t, fmt.Sprintf("large-%d-0123456789abcde\nlarge:%d:needle\n", size/16, size/16+1), r.String())
	assert.Equal(t, []string{"needle"}, last.Lines)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20))
	if size > DefaultMaxFileSize {
		_, err = s.ReadFile(t.Context(), "large")
		assert.ErrorIs(t, err, ErrTooLarge)
	}
}

// A tree of a million entries is walked, listed and searched.
func TestLargeTree(t *testing.T) {
	dirs := 3
	if long() {
		dirs = 1000
	}
	s := newTestService(t, Options{}, nil)
	for d := range dirs {
		dir := filepath.Join(rootOf(s), fmt.Sprintf("d%d/e%d", d%30, d))
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for f := range 1000 {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(f)), nil, 0o644))
		}
	}
	for _, unordered := range []bool{false, true} {
		n := 0
		for e, err := range s.Walk(t.Context(), WalkOptions{Unordered: unordered}) {
			require.NoError(t, err)
			if e.IsRegular() {
				n++
			}
		}
		assert.Equal(t, dirs*1000, n)
	}
	names, errs := s.List(t.Context(), ListOptions{})
	assert.Empty(t, errs)
	assert.Len(t, names, dirs*1000)
	require.NoError(t, s.WriteFile(t.Context(), "d2/e2/500", []byte("needle")))
	r, err := s.Search(t.Context(), Query{Patterns: []string{"needle"}})
	require.NoError(t, err)
	assert.Equal(t, "d2/e2/500:1:needle\n", r.String())
	assert.Equal(t, dirs*1000, r.Searched)
}
