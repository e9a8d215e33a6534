package peerbench

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"maragu.dev/goqite"

	"github.com/tokenring-ai/tokenring-go/queue"
)

type depth struct {
	name  string
	items int
}

func depths(million bool) []depth {
	all := []depth{{"1k", 1_000}, {"100k", 100_000}}
	if million {
		all = append(all, depth{"1M", 1_000_000})
	}
	return all
}

// fill puts items into a queue, a thousand at a time.
func fill(b *testing.B, q queue.Queue, items int) {
	for range items / 1000 {
		_, err := q.Enqueue(b.Context(), make([]queue.Item, 1000)...)
		require.NoError(b, err)
	}
}

// BenchmarkMemoryDepth is enqueue, receive and ack in a queue that holds so many
// items already.
func BenchmarkMemoryDepth(b *testing.B) {
	for _, d := range depths(true) {
		b.Run(d.name, func(b *testing.B) {
			q := queue.NewMemory(queue.Options{})
			defer q.Close()
			fill(b, q, d.items)
			r := newRing()
			for range d.items {
				r.items.PushBack(queue.Item{})
			}
			b.Run("tokenring", func(b *testing.B) {
				spread(b, 1, func() error { return cycleMemory(b, q, nil) })
			})
			b.Run("deque", func(b *testing.B) {
				spread(b, 1, func() error { r.cycle(nil); return nil })
			})
		})
	}
}

// BenchmarkDurableDepth is the same on disk, from 64 producers.
func BenchmarkDurableDepth(b *testing.B) {
	payload := make([]byte, 100)
	for _, d := range depths(os.Getenv("TOKENRING_LONG") != "") {
		b.Run(d.name, func(b *testing.B) {
			ours := openOurs(b)
			fill(b, ours, d.items)
			b.Run("tokenring", func(b *testing.B) {
				spread(b, 64, func() error { return cycle(b, ours, payload) })
			})
			peer, db := openGoqite(b)
			tx, err := db.BeginTx(b.Context(), nil)
			require.NoError(b, err)
			for range d.items {
				require.NoError(b, peer.SendTx(b.Context(), tx, goqite.Message{Body: payload}))
			}
			require.NoError(b, tx.Commit())
			b.Run("goqite", func(b *testing.B) {
				spread(b, 64, func() error { return cycleGoqite(b.Context(), peer, payload) })
			})
		})
	}
}
