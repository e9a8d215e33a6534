package natsstore_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/agent/natsstore"
	"github.com/tokenring-ai/tokenring-go/agent/storetest"
)

func TestMain(m *testing.M) {
	// Servers in the test process leave these behind when they shut down.
	const nats = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(nats+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction(nats+"/ats.Register.func1"))
}

// start runs a server until it is shut down.
func start(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	opts.Host, opts.JetStream, opts.NoLog, opts.NoSigs = "127.0.0.1", true, true, true
	s, err := server.NewServer(opts)
	require.NoError(t, err)
	go s.Start()
	require.True(t, s.ReadyForConnections(20*time.Second))
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(t testing.TB, urls ...string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func TestJetStream(t *testing.T) {
	s := start(t, &server.Options{Port: -1, StoreDir: t.TempDir()})
	t.Cleanup(func() { stop(s) })
	nc := connect(t, s.ClientURL())
	storetest.Run(t, storetest.Options{
		Open: func(place string) (agent.Store, error) {
			h := fnv.New64()
			fmt.Fprint(h, place)
			return natsstore.Open(context.Background(), nc, natsstore.Options{Stream: fmt.Sprintf("S%x", h.Sum64())})
		},
		Durable: true,
		Shared:  true,
	})
}

// urlVar tells a child process where the server is.
const urlVar = "TOKENRING_NATSSTORE_URL"

// connected is a store with a connection of its own.
type connected struct {
	*natsstore.Store
	nc *nats.Conn
}

func (c connected) Close() error {
	c.nc.Close()
	return nil
}

// TestJetStreamKilled kills the process that writes; the server lives on.
func TestJetStreamKilled(t *testing.T) {
	if os.Getenv(urlVar) == "" {
		s := start(t, &server.Options{Port: -1, StoreDir: t.TempDir()})
		t.Cleanup(func() { stop(s) })
		t.Setenv(urlVar, s.ClientURL())
	}
	storetest.Kill(t, storetest.Options{
		Open: func(string) (agent.Store, error) {
			nc, err := nats.Connect(os.Getenv(urlVar))
			if err != nil {
				return nil, err
			}
			s, err := natsstore.Open(context.Background(), nc, natsstore.Options{})
			if err != nil {
				nc.Close()
				return nil, err
			}
			return connected{s, nc}, nil
		},
		Durable: true,
		Shared:  true,
	})
}

func TestOpenFailures(t *testing.T) {
	s := start(t, &server.Options{Port: -1, StoreDir: t.TempDir()})
	t.Cleanup(func() { stop(s) })
	nc := connect(t, s.ClientURL())
	_, err := natsstore.Open(t.Context(), nc, natsstore.Options{Stream: "a.b"})
	require.ErrorContains(t, err, "stream name")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = natsstore.Open(ctx, nc, natsstore.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// freePorts returns ports that nobody listens on.
func freePorts(t testing.TB, n int) []int {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// cluster is three servers that can be taken down and brought back.
type cluster struct {
	t      testing.TB
	dir    string
	client []int
	routes []int
	nodes  []*server.Server
}

func startCluster(t testing.TB) *cluster {
	c := &cluster{t: t, dir: t.TempDir(), client: freePorts(t, 3), routes: freePorts(t, 3), nodes: make([]*server.Server, 3)}
	var wg sync.WaitGroup
	for i := range c.nodes {
		wg.Go(func() { c.up(i) })
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, n := range c.nodes {
			stop(n)
		}
	})
	return c
}

func (c *cluster) up(i int) {
	var routes []string
	for _, p := range c.routes {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	c.nodes[i] = start(c.t, &server.Options{
		ServerName: fmt.Sprint("n", i), Port: c.client[i], StoreDir: filepath.Join(c.dir, fmt.Sprint(i)),
		Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: c.routes[i]},
		Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
	})
}

func (c *cluster) urls() []string {
	var urls []string
	for _, p := range c.client {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	return urls
}

// TestClusterConflicts lets writers race for the same records of a replicated
// stream, which refuses a message while another of its subject is under way.
func TestClusterConflicts(t *testing.T) {
	c := startCluster(t)
	const writers, records = 4, 20
	var stores []*natsstore.Store
	for range writers {
		store, err := natsstore.Open(t.Context(), connect(t, c.urls()...), natsstore.Options{Replicas: 3, Wait: time.Minute})
		require.NoError(t, err)
		stores = append(stores, store)
	}
	won := make([][]int, records+1)
	for seq := 1; seq <= records; seq++ {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for w, store := range stores {
			wg.Go(func() {
				err := store.Append(context.Background(), "a", agent.Record{Seq: uint64(seq), Data: []byte(fmt.Sprint(w))})
				if err != nil {
					assert.ErrorIs(t, err, agent.ErrConflict)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				won[seq] = append(won[seq], w)
			})
		}
		wg.Wait()
		require.Len(t, won[seq], 1, "record %d", seq)
	}
	seq := 0
	for rec, err := range stores[0].Records(t.Context(), "a") {
		require.NoError(t, err)
		seq++
		require.Equal(t, uint64(seq), rec.Seq)
		require.Equal(t, fmt.Sprint(won[seq][0]), string(rec.Data))
	}
	require.Equal(t, records, seq)
}

// TestClusterLosesNothing takes nodes down and brings them back while records
// are appended and replaced.
func TestClusterLosesNothing(t *testing.T) {
	c := startCluster(t)
	nc := connect(t, c.urls()...)
	store, err := natsstore.Open(t.Context(), nc, natsstore.Options{Replicas: 3, Wait: time.Minute})
	require.NoError(t, err)

	rounds := 2
	if os.Getenv("TOKENRING_LONG") == "1" {
		rounds = 60
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	var acked uint64
	wg.Go(func() {
		for seq := uint64(1); ; seq++ {
			select {
			case <-done:
				return
			default:
			}
			rec := agent.Record{Seq: seq, Data: []byte(strings.Repeat(fmt.Sprint(seq, " "), 200))}
			if !assert.NoError(t, store.Append(context.Background(), "a", rec)) {
				return
			}
			acked = seq
			if seq%50 == 0 {
				if !assert.NoError(t, store.Replace(context.Background(), "a", seq, []agent.Record{rec})) {
					return
				}
			}
		}
	})
	for i := range rounds {
		n := i % 3
		stop(c.nodes[n])
		c.progress(store)
		c.up(n)
		c.progress(store)
	}
	close(done)
	wg.Wait()
	var last, prev uint64
	for rec, err := range store.Records(t.Context(), "a") {
		require.NoError(t, err)
		require.Equal(t, strings.Repeat(fmt.Sprint(rec.Seq, " "), 200), string(rec.Data))
		if prev != 0 {
			require.Equal(t, prev+1, rec.Seq, "no acknowledged record is missing")
		}
		prev, last = rec.Seq, rec.Seq
	}
	require.Equal(t, acked, last)
	t.Logf("%d nodes taken down, %d records acknowledged", rounds, acked)
}

// progress waits until the cluster accepts writes again.
func (c *cluster) progress(store *natsstore.Store) {
	for i := range uint64(5) {
		id := fmt.Sprint("probe", i)
		require.NoError(c.t, store.Delete(context.Background(), id))
		require.NoError(c.t, store.Append(context.Background(), id, agent.Record{Seq: 1}))
	}
}

// slowLink passes on what a client sends to a server after a while, piece by
// piece.
func slowLink(t *testing.T, to string, delay time.Duration) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", strings.TrimPrefix(to, "nats://"))
			if err != nil {
				client.Close()
				return
			}
			wg.Go(func() {
				defer client.Close()
				_, _ = io.Copy(client, server)
			})
			wg.Go(func() {
				defer server.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := client.Read(buf)
					if err != nil {
						return
					}
					<-time.After(delay)
					if _, err := server.Write(buf[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return "nats://" + l.Addr().String()
}

// A record of many messages takes its time on a slow link, for as long as its
// messages come through; whoever does not want to wait any more need not.
func TestBigRecordsOnASlowLink(t *testing.T) {
	s := start(t, &server.Options{Port: -1, StoreDir: t.TempDir(), MaxPayload: 8 << 10})
	t.Cleanup(func() { stop(s) })
	nc := connect(t, slowLink(t, s.ClientURL(), 20*time.Millisecond))
	store, err := natsstore.Open(t.Context(), nc, natsstore.Options{Wait: time.Second})
	require.NoError(t, err)
	big := []byte(strings.Repeat("0123456789abcdef", 180<<8)) // 180 messages
	require.NoError(t, store.Append(t.Context(), "a", agent.Record{Seq: 1, Data: big}))

	why := errors.New("the window was closed")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, why)
	defer cancel()
	began := time.Now()
	for _, err := range store.Records(ctx, "a") {
		require.ErrorIs(t, err, why)
	}
	assert.Less(t, time.Since(began), 2*time.Second)
	for rec, err := range store.Records(t.Context(), "a") {
		require.NoError(t, err)
		assert.Equal(t, big, rec.Data)
	}
}
