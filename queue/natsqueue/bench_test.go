package natsqueue_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// BenchmarkJetStream is enqueue, receive and acknowledge beside bare nats.go: a
// work-queue stream, a pull consumer and acknowledged acknowledgements, on the same
// kind of server, which syncs before it answers or every two minutes.
func BenchmarkJetStream(b *testing.B) {
	for _, synced := range []bool{true, false} {
		for _, size := range []int{1 << 10, 64 << 10} {
			for _, producers := range []int{1, 16, 128} {
				name := fmt.Sprintf("sync=%v/%dKiB/%d", synced, size>>10, producers)
				b.Run(name+"/tokenring", func(b *testing.B) { benchCycle(b, synced, size, producers, ourCycle) })
				b.Run(name+"/nats.go", func(b *testing.B) { benchCycle(b, synced, size, producers, bareCycle) })
			}
		}
	}
}

func benchCycle(b *testing.B, synced bool, size, producers int, cycle func(*testing.B, *nats.Conn, []byte) func() error) {
	nc, err := nats.Connect(startServer(b, server.Options{SyncAlways: synced}))
	require.NoError(b, err)
	defer nc.Close()
	call := cycle(b, nc, make([]byte, size))
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range producers {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

func ourCycle(b *testing.B, nc *nats.Conn, payload []byte) func() error {
	q, err := natsqueue.Open(b.Context(), nc, natsqueue.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { _ = q.Close() })
	return func() error {
		if _, err := q.Enqueue(b.Context(), queue.Item{Payload: payload}); err != nil {
			return err
		}
		d, err := q.Receive(b.Context())
		if err != nil {
			return err
		}
		return q.Ack(b.Context(), d.Lease)
	}
}

func bareCycle(b *testing.B, nc *nats.Conn, payload []byte) func() error {
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	stream, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare"}, Retention: jetstream.WorkQueuePolicy})
	require.NoError(b, err)
	consumer, err := stream.CreateConsumer(b.Context(), jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(b, err)
	msgs, err := consumer.Messages()
	require.NoError(b, err)
	b.Cleanup(msgs.Stop)
	return func() error {
		if _, err := js.Publish(b.Context(), "bare", payload); err != nil {
			return err
		}
		msg, err := msgs.Next()
		if err != nil {
			return err
		}
		return msg.DoubleAck(b.Context())
	}
}
