package natsqueue_test

import (
	"errors"
	"log/slog"
	"net"
	"os"
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

// place is a server that is stopped and started again at its address.
type place struct {
	t    *testing.T
	opts server.Options
	s    *server.Server
}

// startPlace runs one until the test ends.
func startPlace(t *testing.T, opts server.Options) *place {
	opts.Host, opts.Port, opts.JetStream, opts.NoLog, opts.NoSigs, opts.StoreDir = "127.0.0.1", -1, true, true, true, t.TempDir()
	p := &place{t: t, opts: opts}
	p.start()
	p.opts.Port = p.s.Addr().(*net.TCPAddr).Port
	t.Cleanup(p.stop)
	return p
}

func (p *place) start() {
	s, err := server.NewServer(&p.opts)
	require.NoError(p.t, err)
	go s.Start()
	require.True(p.t, s.ReadyForConnections(20*time.Second))
	p.s = s
}

func (p *place) stop() {
	p.s.Shutdown()
	p.s.WaitForShutdown()
}

// TestServerLostItsData takes from under a queue what it had been promised: calls
// fail once with the typed error, those that wait too, and the queue goes on with
// what there is.
func TestServerLostItsData(t *testing.T) {
	for name, lose := range map[string]func(*place, jetstream.JetStream, queue.Queue){
		"deleted": func(p *place, js jetstream.JetStream, _ queue.Queue) {
			require.NoError(p.t, js.DeleteStream(p.t.Context(), streamName))
		},
		"made anew": func(p *place, js jetstream.JetStream, _ queue.Queue) { // and as long as the old one
			require.NoError(p.t, js.DeleteStream(p.t.Context(), streamName))
			other := connect(p.t, p.s.ClientURL(), natsqueue.Options{})
			for range 9 {
				_, err := other.Enqueue(p.t.Context(), queue.Item{Name: "other", NotBefore: time.Now().Add(time.Hour)})
				require.NoError(p.t, err)
			}
		},
		"purged": func(p *place, js jetstream.JetStream, _ queue.Queue) {
			stream, err := js.Stream(p.t.Context(), streamName)
			require.NoError(p.t, err)
			require.NoError(p.t, stream.Purge(p.t.Context()))
		},
		"empty disk": func(p *place, _ jetstream.JetStream, _ queue.Queue) {
			p.stop()
			require.NoError(p.t, os.RemoveAll(p.opts.StoreDir))
			p.start()
		},
		"older disk": func(p *place, _ jetstream.JetStream, a queue.Queue) {
			p.stop()
			older := p.t.TempDir()
			require.NoError(p.t, os.CopyFS(older, os.DirFS(p.opts.StoreDir)))
			p.start()
			_, err := a.Enqueue(p.t.Context(), queue.Item{Name: "not in the copy", NotBefore: time.Now().Add(time.Hour)})
			require.NoError(p.t, err)
			p.stop()
			p.opts.StoreDir = older
			p.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPlace(t, server.Options{})
			nc, err := nats.Connect(p.s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
			require.NoError(t, err)
			defer nc.Close()
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			opts := natsqueue.Options{Options: queue.Options{Lease: time.Hour, Logger: slog.New(slog.DiscardHandler)}}
			a, b := connect(t, p.s.ClientURL(), opts), connect(t, p.s.ClientURL(), opts)
			_, err = a.Enqueue(t.Context(), queue.Item{ID: "a"}, queue.Item{ID: "b"})
			require.NoError(t, err)
			d, err := b.Receive(t.Context())
			require.NoError(t, err)
			_, err = a.Receive(t.Context())
			require.NoError(t, err)
			waiting := make(chan error, 1)
			go func() { _, err := a.Receive(t.Context()); waiting <- err }()

			lose(p, js, a)
			require.ErrorIs(t, <-waiting, natsqueue.ErrLost)
			if err = b.Ack(t.Context(), d.Lease); err != nil { // else the log took it: it names no more than its predecessor
				require.ErrorIs(t, err, natsqueue.ErrLost)
			}
			for _, q := range []queue.Queue{a, b} {
				ids, err := q.Enqueue(t.Context(), queue.Item{Name: "new", Priority: 1})
				if errors.Is(err, natsqueue.ErrLost) { // met only now
					ids, err = q.Enqueue(t.Context(), queue.Item{Name: "new", Priority: 1})
				}
				require.NoError(t, err)
				fresh, err := q.Receive(t.Context())
				require.NoError(t, err)
				require.Equal(t, ids[0], fresh.Item.ID)
				require.NoError(t, q.Ack(t.Context(), fresh.Lease))
			}
			want, err := connect(t, p.s.ClientURL(), opts).Depth(t.Context())
			require.NoError(t, err)
			for _, q := range []queue.Queue{a, b} {
				depth, err := q.Depth(t.Context())
				require.NoError(t, err)
				assert.Equal(t, want, depth)
			}
		})
	}
}

// TestNoSpace fills the server's storage: calls fail with the typed error, what was
// acknowledged can still be had, and all goes on once there is room.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	p := startPlace(t, server.Options{JetStreamMaxStore: 2 << 20})
	q := connect(t, p.s.ClientURL(), natsqueue.Options{Options: queue.Options{Lease: time.Hour}})
	item := queue.Item{Payload: make([]byte, 64<<10)}
	for range 12 { // leave much that is not needed
		_, err := q.Enqueue(t.Context(), item)
		require.NoError(t, err)
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.Ack(t.Context(), d.Lease))
	}
	_, err := q.Enqueue(t.Context(), item)
	require.NoError(t, err)
	d, err := q.Receive(t.Context())
	require.NoError(t, err)
	acked := 1
	for err == nil {
		if _, err = q.Enqueue(t.Context(), item); err == nil {
			acked++
		}
	}
	require.ErrorIs(t, err, natsqueue.ErrNoSpace)
	assert.Greater(t, acked, 24, "what is not needed makes room")
	require.ErrorIs(t, q.Ack(t.Context(), d.Lease), natsqueue.ErrNoSpace)
	_, err = q.Receive(t.Context())
	require.ErrorIs(t, err, natsqueue.ErrNoSpace)
	depth, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Ready: acked - 1, Leased: 1}, depth)

	p.stop()
	p.opts.JetStreamMaxStore = 64 << 20
	p.start()
	require.NoError(t, q.Ack(t.Context(), d.Lease))
	_, err = q.Enqueue(t.Context(), item)
	require.NoError(t, err)
	depth, err = q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Ready: acked}, depth)
}

// TestNoSpaceForSome has a stream that has room for small transactions only: large
// items are refused, and neither renewals of leases at the same moment nor a
// receiver that waits.
func TestNoSpaceForSome(t *testing.T) {
	t.Parallel()
	url := startServer(t, server.Options{})
	_, err := jetStream(t, url).CreateStream(t.Context(), jetstream.StreamConfig{
		Name: streamName, Subjects: []string{streamName + ".log"}, AllowDirect: true, Discard: jetstream.DiscardNew, MaxBytes: 1 << 20,
	})
	require.NoError(t, err)
	q := connect(t, url, natsqueue.Options{Options: queue.Options{Lease: time.Hour}})
	_, err = q.Enqueue(t.Context(), queue.Item{Name: "held"})
	require.NoError(t, err)
	held, err := q.Receive(t.Context())
	require.NoError(t, err)
	got := make(chan string, 1)
	go func() {
		d, err := q.Receive(t.Context())
		assert.NoError(t, err)
		got <- d.Item.Name
	}()
	large := queue.Item{Payload: make([]byte, 100<<10), NotBefore: time.Now().Add(time.Hour)}
	for err == nil {
		_, err = q.Enqueue(t.Context(), large)
	}
	require.ErrorIs(t, err, natsqueue.ErrNoSpace)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := q.Enqueue(t.Context(), large)
			assert.ErrorIs(t, err, natsqueue.ErrNoSpace)
		})
		wg.Go(func() { assert.NoError(t, q.Extend(t.Context(), held.Lease)) })
	}
	wg.Wait()
	_, err = q.Enqueue(t.Context(), queue.Item{Name: "small"})
	require.NoError(t, err)
	assert.Equal(t, "small", <-got)
}
