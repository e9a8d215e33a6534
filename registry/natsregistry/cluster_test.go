package natsregistry_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
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

// alone starts one server for the test.
func alone(t testing.TB) *server.Server {
	s := start(t, &server.Options{Port: -1, StoreDir: t.TempDir()})
	t.Cleanup(func() { stop(s) })
	return s
}

func connect(t testing.TB, urls ...string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
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

// leader returns the node that leads the stream of the default bucket.
func (c *cluster) leader(nc *nats.Conn) int {
	js, err := jetstream.New(nc)
	require.NoError(c.t, err)
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	for {
		s, err := js.Stream(ctx, "KV_TOKENRING-REGISTRY")
		if err == nil {
			if info := s.CachedInfo(); info.Cluster != nil {
				for i, n := range c.nodes {
					if n.Name() == info.Cluster.Leader {
						return i
					}
				}
			}
		}
		require.NoError(c.t, ctx.Err(), "no leader")
	}
}

// startAt starts a server whose place and address survive it.
func startAt(t testing.TB, dir string, port int) *server.Server {
	return start(t, &server.Options{Port: port, StoreDir: dir})
}
