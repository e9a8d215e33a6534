package sqlqueue_test

import (
	"context"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// TestNobodyIsToldBeforeTheSync: what SQLite has committed is told once it is on
// disk, and while that takes time the next transaction is committed.
func TestNobodyIsToldBeforeTheSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q, other := open(t, path, sqlqueue.Options{}), open(t, path, sqlqueue.Options{})
	syncing, synced := make(chan struct{}), make(chan error)
	q.SetSync(func() error {
		syncing <- struct{}{}
		return <-synced
	})
	told := make(chan error, 41)
	enqueue := func() {
		_, err := q.Enqueue(t.Context(), queue.Item{})
		told <- err
	}
	committed := func() int {
		d, err := other.Depth(t.Context())
		require.NoError(t, err)
		return d.Ready
	}
	go enqueue()
	<-syncing
	assert.Equal(t, 1, committed())
	for range 40 {
		go enqueue()
	}
	for q.Queued() < 40 {
		runtime.Gosched()
	}
	assert.Empty(t, told)
	synced <- nil
	require.NoError(t, <-told)

	<-syncing // of a half of the others
	for committed() < 41 {
		runtime.Gosched()
	}
	assert.Empty(t, told)
	synced <- nil
	for range 20 {
		require.NoError(t, <-told)
	}
	<-syncing
	assert.Empty(t, told)
	synced <- nil
	for range 20 {
		require.NoError(t, <-told)
	}
}

func TestSyncFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q, err := sqlqueue.Open(path, sqlqueue.Options{})
	require.NoError(t, err)
	fail := error(nil)
	q.SetSync(func() error { return fail })
	_, err = q.Enqueue(t.Context(), queue.Item{ID: "a", Key: "k"}, queue.Item{ID: "b", Key: "k"})
	require.NoError(t, err)
	held, err := q.TryReceive(t.Context())
	require.NoError(t, err)
	waiting := make(chan error)
	go func() {
		_, err := q.Receive(t.Context())
		waiting <- err
	}()
	for q.Waiting() == 0 {
		runtime.Gosched()
	}

	fail = syscall.EIO
	_, err = q.Enqueue(t.Context(), queue.Item{ID: "c", Key: "k"})
	require.ErrorIs(t, err, sqlqueue.ErrSync)
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorIs(t, <-waiting, sqlqueue.ErrSync, "nobody waits for what cannot come")
	fail = nil
	require.ErrorIs(t, q.Ack(t.Context(), held.Lease), sqlqueue.ErrSync, "a later sync that succeeds proves nothing")
	_, err = q.Receive(t.Context())
	require.ErrorIs(t, err, sqlqueue.ErrSync)
	_, err = q.Depth(t.Context())
	require.ErrorIs(t, err, sqlqueue.ErrSync)
	for _, err := range q.List(t.Context(), queue.Filter{}) {
		require.ErrorIs(t, err, sqlqueue.ErrSync)
	}
	require.NoError(t, q.Close())
	_, err = q.Depth(context.Background())
	require.ErrorIs(t, err, queue.ErrClosed)

	q = open(t, path, sqlqueue.Options{})
	require.NoError(t, q.Ack(t.Context(), held.Lease))
	d, err := q.TryReceive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "b", d.Item.ID)
}
