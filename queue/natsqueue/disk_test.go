package natsqueue

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// TestDiskFillsUp has the disk of an embedded server fill up by what others write:
// no items are taken, work goes on, at last nothing is, and then all is again.
func TestDiskFillsUp(t *testing.T) {
	t.Parallel()
	var left atomic.Int64
	left.Store(1 << 40)
	q, err := embedded(t.Context(), t.TempDir(), Options{free: left.Load})
	require.NoError(t, err)
	defer func() { assert.NoError(t, q.Close()) }()
	_, err = q.Enqueue(t.Context(), queue.Item{Name: "a"}, queue.Item{Name: "b"})
	require.NoError(t, err)

	left.Store(itemReserve - 1)
	_, err = q.Enqueue(t.Context(), queue.Item{})
	require.ErrorIs(t, err, ErrNoSpace)
	d, err := q.Receive(t.Context())
	require.NoError(t, err)
	require.NoError(t, q.Ack(t.Context(), d.Lease))
	d, err = q.Receive(t.Context())
	require.NoError(t, err)

	left.Store(reserve - 1)
	require.ErrorIs(t, q.Ack(t.Context(), d.Lease), ErrNoSpace)
	depth, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Leased: 1}, depth)

	left.Store(itemReserve)
	require.NoError(t, q.Ack(t.Context(), d.Lease))
	_, err = q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
}

func TestDiskFree(t *testing.T) {
	assert.Positive(t, diskFree(t.TempDir()))
	assert.Positive(t, diskFree("/no/such/folder"))
}

// TestSyncPolicy asks a server how it syncs.
func TestSyncPolicy(t *testing.T) {
	for sync, always := range map[time.Duration]bool{0: true, time.Second: false} {
		s, err := server.NewServer(serverOptions(t.TempDir(), sync))
		require.NoError(t, err)
		go s.Start()
		require.True(t, s.ReadyForConnections(20*time.Second))
		config := s.JetStreamConfig()
		assert.Equal(t, always, config.SyncAlways)
		if !always {
			assert.Equal(t, sync, config.SyncInterval)
		}
		s.Shutdown()
		s.WaitForShutdown()
	}
}
