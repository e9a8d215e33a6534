//go:build unix

package filesystem

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpecialFilesAreRefused(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"inside.txt": "in"})
	root := rootOf(s)
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "pipe"), 0o644))
	listener, err := net.Listen("unix", filepath.Join(root, "socket"))
	require.NoError(t, err)
	defer listener.Close()
	names := []string{"pipe", "socket"}
	if err := syscall.Mknod(filepath.Join(root, "device"), syscall.S_IFCHR|0o666, 1<<8|5); err == nil {
		names = append(names, "device")
	}
	for _, name := range names {
		for op, err := range everyAccess(s, t.Context(), name) {
			switch op {
			case "rename to":
				continue
			case "mkdir", "walk", "list", "run in", "remove", "remove all", "rename from": // nothing lies below
				assert.Error(t, err, "%s of %s", op, name)
				continue
			}
			assert.ErrorIs(t, err, ErrNotRegular, "%s of %s", op, name)
		}
	}
	r, err := s.Search(t.Context(), Query{Patterns: []string{"in"}})
	require.NoError(t, err)
	assert.Equal(t, 1, r.Searched)
}
