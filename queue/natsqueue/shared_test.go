package natsqueue_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// newServer runs a server with a port until the test ends.
func newServer(t testing.TB, opts server.Options) *server.Server {
	opts.Host, opts.Port, opts.JetStream, opts.NoLog, opts.NoSigs, opts.StoreDir = "127.0.0.1", -1, true, true, true, t.TempDir()
	s, err := server.NewServer(&opts)
	require.NoError(t, err)
	go s.Start()
	require.True(t, s.ReadyForConnections(20*time.Second))
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// startServer returns the address of one.
func startServer(t testing.TB, opts server.Options) string { return newServer(t, opts).ClientURL() }

func connect(t testing.TB, url string, opts natsqueue.Options) *natsqueue.Queue {
	q, err := natsqueue.Connect(t.Context(), url, opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// TestTwoHandles stands for two machines: each sees what the other does, and
// no item is delivered twice.
func TestTwoHandles(t *testing.T) {
	url := startServer(t, server.Options{})
	a, b := connect(t, url, natsqueue.Options{}), connect(t, url, natsqueue.Options{})
	got := make(chan string, 1)
	go func() {
		d, err := b.Receive(t.Context())
		if err == nil {
			err = b.Ack(t.Context(), d.Lease)
		}
		got <- fmt.Sprint(d.Item.Name, err)
	}()
	_, err := a.Enqueue(t.Context(), queue.Item{Name: "x"})
	require.NoError(t, err)
	assert.Equal(t, "x<nil>", <-got)
	require.NoError(t, a.WaitEmpty(t.Context()))
	require.NoError(t, a.Pause(t.Context()))
	paused, err := b.Paused(t.Context())
	require.NoError(t, err)
	assert.True(t, paused)
	require.NoError(t, b.Resume(t.Context()))

	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for _, q := range []*natsqueue.Queue{a, b} {
		for range 4 {
			wg.Go(func() {
				for range 50 {
					_, err := q.Enqueue(t.Context(), queue.Item{})
					assert.NoError(t, err)
					d, err := q.Receive(t.Context())
					if assert.NoError(t, err) {
						assert.NoError(t, q.Ack(t.Context(), d.Lease))
						mu.Lock()
						seen[d.Item.ID]++
						mu.Unlock()
					}
				}
			})
		}
	}
	wg.Wait()
	assert.Len(t, seen, 400)
	for id, n := range seen {
		assert.Equal(t, 1, n, id)
	}
}

func TestTooLargeForAMessage(t *testing.T) {
	q := connect(t, startServer(t, server.Options{}), natsqueue.Options{Options: queue.Options{MaxItemSize: -1}})
	_, err := q.Enqueue(t.Context(), queue.Item{Payload: make([]byte, 2<<20)})
	require.ErrorIs(t, err, queue.ErrTooLarge)
	_, err = q.Enqueue(t.Context(), queue.Item{Payload: make([]byte, 512<<10)})
	require.NoError(t, err)
}
