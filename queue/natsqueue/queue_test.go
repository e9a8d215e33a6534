package natsqueue_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
	"github.com/tokenring-ai/tokenring-go/queue/queuetest"
)

func TestMain(m *testing.M) {
	if os.Getenv("NATSQUEUE_CHILD") != "" {
		os.Exit(child(os.Args[1:]))
	}
	// Servers in the test process leave these behind when they shut down.
	const nats = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(nats+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction(nats+"/ats.Register.func1"))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	var dirs sync.Map
	const unsynced = time.Minute // TestKill has the other way
	queuetest.Run(t, queuetest.Engine{
		New: func(t testing.TB, opts queue.Options) queue.Queue {
			dir := t.TempDir()
			q, err := natsqueue.Embedded(t.Context(), dir, natsqueue.Options{Options: opts, SyncInterval: unsynced})
			require.NoError(t, err)
			dirs.Store(q, dir)
			return q
		},
		Reopen: func(t testing.TB, q queue.Queue, opts queue.Options) queue.Queue {
			dir, _ := dirs.Load(q)
			again, err := natsqueue.Embedded(t.Context(), dir.(string), natsqueue.Options{Options: opts, SyncInterval: unsynced})
			require.NoError(t, err)
			return again
		},
		Steps: 300,
	})
}

func TestFolderFailures(t *testing.T) {
	dir := t.TempDir()
	q, err := natsqueue.Embedded(t.Context(), dir, natsqueue.Options{})
	require.NoError(t, err)
	_, err = natsqueue.Embedded(t.Context(), dir, natsqueue.Options{})
	require.ErrorIs(t, err, natsqueue.ErrLocked)
	require.NoError(t, q.Close())
	q, err = natsqueue.Embedded(t.Context(), dir, natsqueue.Options{})
	require.NoError(t, err, "free again")
	require.NoError(t, q.Close())

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o400))
	_, err = natsqueue.Embedded(t.Context(), filepath.Join(file, "q"), natsqueue.Options{})
	require.ErrorIs(t, err, natsqueue.ErrReadOnly)
	_, err = natsqueue.Embedded(t.Context(), t.TempDir(), natsqueue.Options{Stream: "a.b"})
	require.ErrorContains(t, err, "stream name")
	_, err = natsqueue.Embedded(t.Context(), t.TempDir(), natsqueue.Options{Replicas: 2})
	require.ErrorContains(t, err, "replicas")
	broken := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(broken, "jetstream"), nil, 0o600))
	_, err = natsqueue.Embedded(t.Context(), broken, natsqueue.Options{})
	require.ErrorIs(t, err, natsqueue.ErrUnavailable)
	require.ErrorContains(t, err, "storage directory")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = natsqueue.Embedded(ctx, t.TempDir(), natsqueue.Options{})
	assert.ErrorIs(t, err, context.Canceled)
}

// TestDamagedFile flips a bit of the second of three items: the queue does not open
// without it.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q, err := natsqueue.Embedded(t.Context(), dir, natsqueue.Options{})
	require.NoError(t, err)
	for _, name := range []string{"first", "second", "third"} {
		_, err = q.Enqueue(t.Context(), queue.Item{Payload: []byte(name)})
		require.NoError(t, err)
	}
	require.NoError(t, q.Close())
	file := filepath.Join(dir, "jetstream", "$G", "streams", streamName, "msgs", "1.blk")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	data[bytes.Index(data, []byte("second"))] ^= 1
	require.NoError(t, os.WriteFile(file, data, 0o600))
	_, err = natsqueue.Embedded(t.Context(), dir, natsqueue.Options{Wait: 3 * time.Second})
	require.ErrorIs(t, err, natsqueue.ErrCorrupt)
	require.ErrorContains(t, err, "message 2")
}

// TestErrorsTellNoSecrets connects to servers that are not there.
func TestErrorsTellNoSecrets(t *testing.T) {
	for _, urls := range []string{
		"nats://me:secret@127.0.0.1:1,nats://secret@127.0.0.1:2", "me:secret@127.0.0.1:1", "nats://me:secr%zzet@127.0.0.1:1",
	} {
		_, err := natsqueue.Connect(t.Context(), urls, natsqueue.Options{})
		require.ErrorContains(t, err, "127.0.0.1:1")
		assert.NotContains(t, err.Error(), "secr")
	}
}
