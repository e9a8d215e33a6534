package natsqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// pass lets so many items of a size through a queue, about 40 MB where it is called.
func pass(t *testing.T, q queue.Queue, items, size int) {
	for range items {
		_, err := q.Enqueue(t.Context(), queue.Item{Payload: make([]byte, size)})
		require.NoError(t, err)
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.Ack(t.Context(), d.Lease))
	}
}

// TestLogStaysSmall passes much data by an item that stays: the log keeps no
// more than it needs, and the item and its dedupe key survive being moved.
func TestLogStaysSmall(t *testing.T) {
	t.Parallel()
	url := startServer(t, server.Options{})
	q := connect(t, url, natsqueue.Options{})
	watcher := connect(t, url, natsqueue.Options{}) // reads what it missed, purged parts included
	old := queue.Item{ID: "old", Dedupe: "d", Payload: []byte("kept"), NotBefore: time.Now().Add(time.Hour)}
	_, err := q.Enqueue(t.Context(), old)
	require.NoError(t, err)
	pass(t, q, 160, 256<<10)
	stream, err := jetStream(t, url).Stream(t.Context(), streamName)
	require.NoError(t, err)
	assert.Less(t, stream.CachedInfo().State.Bytes, uint64(30<<20))
	assert.Greater(t, stream.CachedInfo().State.FirstSeq, uint64(1))

	for _, h := range []queue.Queue{watcher, connect(t, url, natsqueue.Options{})} {
		it, err := h.Get(t.Context(), "old")
		require.NoError(t, err)
		assert.Equal(t, "kept", string(it.Payload))
		ids, err := h.Enqueue(t.Context(), queue.Item{Dedupe: "d"})
		require.NoError(t, err)
		assert.Equal(t, []string{"old"}, ids)
		depth, err := h.Depth(t.Context())
		require.NoError(t, err)
		assert.Equal(t, queue.Depth{Delayed: 1}, depth)
	}
}

// TestLogStaysSmallBeside passes much data by items that stay and are many bytes: by
// the reasons of their failures, or by themselves, more than a transaction has to
// spare beside work.
func TestLogStaysSmallBeside(t *testing.T) {
	for name, keep := range map[string]func(q queue.Queue, i int) error{
		"long reasons": func(q queue.Queue, i int) error {
			if _, err := q.Enqueue(t.Context(), queue.Item{Priority: 1}); err != nil {
				return err
			}
			d, err := q.Receive(t.Context())
			if err != nil {
				return err
			}
			return q.Dead(t.Context(), d.Lease, strings.Repeat("x", 16<<10))
		},
		"large items": func(q queue.Queue, i int) error {
			if i > 2 {
				return nil
			}
			_, err := q.Enqueue(t.Context(), queue.Item{NotBefore: time.Now().Add(time.Hour), Payload: make([]byte, 100<<10)})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := startServer(t, server.Options{MaxPayload: 160 << 10})
			q := connect(t, url, natsqueue.Options{Options: queue.Options{MaxAttempts: 1}})
			for i := range 60 {
				require.NoError(t, keep(q, i))
			}
			kept, err := q.Depth(t.Context())
			require.NoError(t, err)
			pass(t, q, 400, 100<<10)
			stream, err := jetStream(t, url).Stream(t.Context(), streamName)
			require.NoError(t, err)
			assert.Less(t, stream.CachedInfo().State.Bytes, uint64(30<<20))
			depth, err := connect(t, url, natsqueue.Options{}).Depth(t.Context())
			require.NoError(t, err)
			assert.Equal(t, kept, depth)
		})
	}
}
