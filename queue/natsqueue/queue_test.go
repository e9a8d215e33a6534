package natsqueue_test

import (
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
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = natsqueue.Embedded(ctx, t.TempDir(), natsqueue.Options{})
	assert.ErrorIs(t, err, context.Canceled)
}
