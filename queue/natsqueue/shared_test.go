package natsqueue_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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

// jetStream talks to a server past the queues.
func jetStream(t testing.TB, url string) jetstream.JetStream {
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

// TestTwoHandles stands for two machines: each sees what the other does, and
// no item is delivered twice.
func TestTwoHandles(t *testing.T) {
	t.Parallel()
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
				for range 20 {
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
	assert.Len(t, seen, 160)
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

// TestHandlesShareAll checks that what one handle did binds another one: dedupe
// keys, capacity, leases, dead letters.
func TestHandlesShareAll(t *testing.T) {
	t.Parallel()
	opts := natsqueue.Options{Options: queue.Options{Capacity: 2, Overflow: queue.Block, MaxAttempts: 1}}
	url := startServer(t, server.Options{})
	a, b := connect(t, url, opts), connect(t, url, opts)
	ids, err := a.Enqueue(t.Context(), queue.Item{Dedupe: "d", Key: "k"}, queue.Item{Name: "second", Key: "k"})
	require.NoError(t, err)
	again, err := b.Enqueue(t.Context(), queue.Item{Dedupe: "d"})
	require.NoError(t, err)
	assert.Equal(t, ids[:1], again)

	d, err := b.Receive(t.Context())
	require.NoError(t, err)
	_, err = a.TryReceive(t.Context())
	require.ErrorIs(t, err, queue.ErrEmpty, "the other item of the key must wait for another handle's")

	roomy := make(chan error, 1)
	go func() { _, err := a.Enqueue(t.Context(), queue.Item{Name: "third"}); roomy <- err }()
	require.NoError(t, a.Extend(t.Context(), d.Lease), "a lease is not bound to a handle")
	require.NoError(t, b.Nack(t.Context(), d.Lease, queue.Nack{Reason: "broken"}))
	require.NoError(t, <-roomy, "woken by another handle's dead letter")
	require.ErrorIs(t, a.Ack(t.Context(), d.Lease), queue.ErrLeaseLost)
	var reasons []string
	for it, err := range a.List(t.Context(), queue.Filter{States: []queue.State{queue.Dead}}) {
		require.NoError(t, err)
		reasons = append(reasons, it.LastError)
	}
	assert.Equal(t, []string{"broken"}, reasons)
	_, err = a.Redrive(t.Context())
	require.ErrorIs(t, err, queue.ErrFull)
	for _, want := range []string{"second", "third"} {
		d, err = a.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, d.Item.Name)
		require.NoError(t, b.Ack(t.Context(), d.Lease))
	}
	n, err := b.Redrive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	it, err := a.Peek(t.Context())
	require.NoError(t, err)
	assert.Equal(t, ids[0], it.ID)
}

// TestUnfit opens streams and servers that could not hold what a queue promises.
func TestUnfit(t *testing.T) {
	t.Parallel()
	url := startServer(t, server.Options{})
	js := jetStream(t, url)
	for i, config := range []jetstream.StreamConfig{
		{}, {AllowDirect: true, MaxAge: time.Hour}, {AllowDirect: true, MaxMsgs: 1000}, {AllowDirect: true, MaxBytes: 1 << 20},
		{AllowDirect: true, Retention: jetstream.WorkQueuePolicy}, {AllowDirect: true, MaxMsgsPerSubject: 1}, {AllowDirect: true, DenyPurge: true},
	} {
		config.Name = fmt.Sprint("OTHER", i)
		config.Subjects = []string{config.Name + ".>"}
		_, err := js.CreateStream(t.Context(), config)
		require.NoError(t, err)
		_, err = natsqueue.Connect(t.Context(), url, natsqueue.Options{Stream: config.Name})
		require.ErrorContains(t, err, config.Name+" is not made for a queue", config)
	}
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "BOUND", Subjects: []string{"BOUND.>"}, AllowDirect: true, Discard: jetstream.DiscardNew, MaxBytes: 1 << 20,
	})
	require.NoError(t, err)
	_, err = connect(t, url, natsqueue.Options{Stream: "BOUND"}).Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err, "a bound that refuses loses nothing")

	_, err = natsqueue.Connect(t.Context(), startServer(t, server.Options{MaxPayload: 32 << 10}), natsqueue.Options{})
	require.ErrorContains(t, err, "max_payload")
}

// TestOwnInbox opens a queue on a connection that may hear replies in one place only.
func TestOwnInbox(t *testing.T) {
	t.Parallel()
	user := &server.User{Username: "me", Password: "pw", Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Allow: []string{"_MINE.>", streamName + ".news"}},
	}}
	nc, err := nats.Connect(startServer(t, server.Options{Users: []*server.User{user}}), nats.UserInfo("me", "pw"), nats.CustomInboxPrefix("_MINE"))
	require.NoError(t, err)
	defer nc.Close()
	for want := range 2 { // the second one reads what the first wrote
		q, err := natsqueue.Open(t.Context(), nc, natsqueue.Options{})
		require.NoError(t, err)
		depth, err := q.Depth(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, depth.Ready)
		_, err = q.Enqueue(t.Context(), queue.Item{})
		require.NoError(t, err)
		require.NoError(t, q.Close())
	}
}
