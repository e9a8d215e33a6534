package peerbench

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// connect starts a server of one node that syncs before it acknowledges.
func connect(b *testing.B) *nats.Conn {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: b.TempDir(), SyncAlways: true, NoLog: true, NoSigs: true,
	})
	require.NoError(b, err)
	go s.Start()
	b.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(b, s.ReadyForConnections(20*time.Second))
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(b, err)
	b.Cleanup(nc.Close)
	return nc
}

// BenchmarkJetStream is enqueue, receive and ack. Bare nats.go has a work-queue
// stream and a pull consumer, and waits until the server has acknowledged its
// acknowledgement, because Ack promises that.
func BenchmarkJetStream(b *testing.B) {
	for _, size := range sizes {
		payload := make([]byte, size)
		for _, producers := range []int{1, 16, 128} {
			name := caseName(size, producers)
			b.Run(name+"/tokenring", func(b *testing.B) {
				q, err := natsqueue.Open(b.Context(), connect(b), natsqueue.Options{})
				require.NoError(b, err)
				spread(b, producers, func() error { return cycle(b, q, payload) })
				require.NoError(b, q.Close())
			})
			b.Run(name+"/nats.go", func(b *testing.B) {
				js, err := jetstream.New(connect(b))
				require.NoError(b, err)
				stream, err := js.CreateStream(b.Context(), jetstream.StreamConfig{
					Name: "BARE", Subjects: []string{"bare"}, Retention: jetstream.WorkQueuePolicy,
				})
				require.NoError(b, err)
				consumer, err := stream.CreateConsumer(b.Context(), jetstream.ConsumerConfig{
					Durable: "bench", AckPolicy: jetstream.AckExplicitPolicy,
				})
				require.NoError(b, err)
				messages, err := consumer.Messages()
				require.NoError(b, err)
				defer messages.Stop()
				spread(b, producers, func() error {
					if _, err := js.Publish(b.Context(), "bare", payload); err != nil {
						return err
					}
					m, err := messages.Next()
					if err != nil {
						return err
					}
					return m.DoubleAck(b.Context())
				})
			})
		}
	}
}
