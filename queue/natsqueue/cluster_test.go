package natsqueue_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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

// cluster is servers that can be taken down and brought back.
type cluster struct {
	t              testing.TB
	dir            string
	client, routes []int
	nodes          []*server.Server
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

func startCluster(t testing.TB, n int) *cluster {
	ports := freePorts(t, 2*n)
	c := &cluster{t: t, dir: t.TempDir(), client: ports[:n], routes: ports[n:], nodes: make([]*server.Server, n)}
	var starting sync.WaitGroup
	for i := range c.nodes {
		starting.Go(func() { c.up(i) })
	}
	starting.Wait()
	t.Cleanup(func() {
		for i := range c.nodes {
			c.down(i)
		}
	})
	return c
}

func urls(ports []int) string {
	var all []string
	for _, p := range ports {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	return strings.Join(all, ",")
}

func (c *cluster) up(i int) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", JetStream: true, NoLog: true, NoSigs: true,
		ServerName: fmt.Sprint("n", i), Port: c.client[i], StoreDir: filepath.Join(c.dir, fmt.Sprint(i)),
		Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: c.routes[i]},
		Routes:  server.RoutesFromStr(urls(c.routes)),
	})
	require.NoError(c.t, err)
	go s.Start()
	require.True(c.t, s.ReadyForConnections(20*time.Second))
	c.nodes[i] = s
}

func (c *cluster) down(i int) {
	c.nodes[i].Shutdown()
	c.nodes[i].WaitForShutdown()
}

// leader returns the server that leads a stream.
func (c *cluster) leader(stream string) int {
	for i, s := range c.nodes {
		if s.JetStreamIsStreamLeader("$G", stream) {
			return i
		}
	}
	return 0
}

// TestClusterLosesNothing takes the stream's leader down and brings it back while
// two handles enqueue, receive and acknowledge. In the long form five servers hold
// another stream, and two at a time go down.
func TestClusterLosesNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv("TOKENRING_LONG") == "" {
		clusterLosesNothing(t, 3, 1, 1)
		return
	}
	t.Run("3", func(t *testing.T) { clusterLosesNothing(t, 3, 1, 40) })
	t.Run("5", func(t *testing.T) { clusterLosesNothing(t, 5, 2, 20) })
}

func clusterLosesNothing(t *testing.T, servers, failing, rounds int) {
	c := startCluster(t, servers)
	opts := crashOptions
	opts.Replicas, opts.Lease = servers, 30*time.Second
	j := &journal{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var handles []queue.Queue
	for i := range 2 {
		q := connect(t, urls(c.client), opts)
		handles = append(handles, q)
		wg.Go(func() { work(ctx, q, fmt.Sprint("h", i), j.say, func(err error) { assert.NoError(t, err) }) })
	}
	connect(t, urls(c.client), natsqueue.Options{Stream: "SINGLE", Wait: time.Minute})
	assert.Equal(t, map[string]int{streamName: servers, "SINGLE": 1}, c.replicas())
	progress := func() { // a few more acknowledgements
		for i := range 5 {
			_, err := handles[0].Enqueue(t.Context(), queue.Item{ID: fmt.Sprintf("probe.%s/%d", time.Now().Format("150405.000000"), i)})
			require.NoError(t, err)
		}
	}
	for range rounds {
		leader := c.leader(streamName)
		for i := range failing {
			c.down((leader + i) % servers)
		}
		progress()
		for i := range failing {
			c.up((leader + i) % servers)
		}
		progress()
	}
	cancel()
	wg.Wait()
	j.finish(t, handles[1])
}

// replicas asks how many servers hold each stream.
func (c *cluster) replicas() map[string]int {
	nc, err := nats.Connect(urls(c.client))
	require.NoError(c.t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(c.t, err)
	held := map[string]int{}
	for info := range js.ListStreams(c.t.Context()).Info() {
		held[info.Config.Name] = 1
		if info.Cluster != nil {
			held[info.Config.Name] += len(info.Cluster.Replicas)
		}
	}
	return held
}
