package sqlqueue_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// mount makes a disk in memory of that many bytes.
func mount(t *testing.T, size string) (dir string) {
	dir = t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a disk needs the right to: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// TestFullDisk fills a disk with the queue's items, and makes room by removing
// what others have there.
func TestFullDisk(t *testing.T) {
	dir := mount(t, "4m")
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 2<<20), 0o600))
	path := filepath.Join(dir, "q.db")
	q, err := sqlqueue.Open(path, sqlqueue.Options{})
	require.NoError(t, err)
	var acked []string
	for err == nil {
		var ids []string
		ids, err = q.Enqueue(t.Context(), queue.Item{Payload: make([]byte, 50_000)})
		acked = append(acked, ids...)
	}
	require.ErrorIs(t, err, sqlqueue.ErrDiskFull)
	require.NotEmpty(t, acked)
	require.NoError(t, os.Remove(ballast))
	ids, err := q.Enqueue(t.Context(), queue.Item{Name: "after"})
	require.NoError(t, err)
	acked = append(acked, ids...)
	require.NoError(t, q.Close())

	q = open(t, path, sqlqueue.Options{})
	for _, id := range acked {
		d, err := q.TryReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, id, d.Item.ID)
		require.NoError(t, q.Ack(t.Context(), d.Lease))
	}
	_, err = q.TryReceive(t.Context())
	require.ErrorIs(t, err, queue.ErrEmpty)
	require.NoError(t, q.Close()) // before the disk goes
}

// TestReadOnlyDisk makes and opens a queue where nothing may be written.
func TestReadOnlyDisk(t *testing.T) {
	dir := mount(t, "4m")
	remount := func(flags uintptr) {
		t.Helper()
		require.NoError(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""))
	}
	path := filepath.Join(dir, "q.db")
	remount(syscall.MS_RDONLY)
	_, err := sqlqueue.Open(path, sqlqueue.Options{})
	require.ErrorIs(t, err, sqlqueue.ErrReadOnly)
	remount(0)
	q, err := sqlqueue.Open(path, sqlqueue.Options{})
	require.NoError(t, err)
	_, err = q.Enqueue(t.Context(), queue.Item{Name: "kept"})
	require.NoError(t, err)
	require.NoError(t, q.Close())
	remount(syscall.MS_RDONLY)
	_, err = sqlqueue.Open(path, sqlqueue.Options{})
	require.ErrorIs(t, err, sqlqueue.ErrReadOnly)
	remount(0)
	q, err = sqlqueue.Open(path, sqlqueue.Options{})
	require.NoError(t, err)
	d, err := q.Receive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "kept", d.Item.Name)
	require.NoError(t, q.Close())
}
