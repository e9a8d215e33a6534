package sqlqueue_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// spread runs b.N calls on so many goroutines.
func spread(b *testing.B, goroutines int, call func() error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
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
}

func BenchmarkEnqueue(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		for _, producers := range []int{1, 16, 64, 128} {
			b.Run(fmt.Sprintf("size=%d/producers=%d", size, producers), func(b *testing.B) {
				q := open(b, filepath.Join(b.TempDir(), "q.db"), sqlqueue.Options{})
				payload := make([]byte, size)
				b.SetBytes(int64(size))
				b.ResetTimer()
				spread(b, producers, func() error {
					_, err := q.Enqueue(b.Context(), queue.Item{Payload: payload})
					return err
				})
			})
		}
	}
}

// BenchmarkCycle is enqueue, receive and ack.
func BenchmarkCycle(b *testing.B) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			q := open(b, filepath.Join(b.TempDir(), "q.db"), sqlqueue.Options{})
			payload := make([]byte, 1<<10)
			b.ResetTimer()
			spread(b, workers, func() error {
				if _, err := q.Enqueue(b.Context(), queue.Item{Payload: payload}); err != nil {
					return err
				}
				d, err := q.Receive(b.Context())
				if err != nil {
					return err
				}
				return q.Ack(b.Context(), d.Lease)
			})
		})
	}
}

// BenchmarkDepth shows that the cost of a cycle does not depend on the depth.
func BenchmarkDepth(b *testing.B) {
	depths := []int{100, 10_000}
	if os.Getenv("TOKENRING_LONG") != "" {
		depths = append(depths, 1_000_000)
	}
	for _, depth := range depths {
		b.Run(fmt.Sprint(depth), func(b *testing.B) {
			q := open(b, filepath.Join(b.TempDir(), "q.db"), sqlqueue.Options{})
			for filled := 0; filled < depth; filled += 10_000 {
				_, err := q.Enqueue(b.Context(), make([]queue.Item, min(depth, 10_000))...)
				require.NoError(b, err)
			}
			b.ResetTimer()
			spread(b, 64, func() error {
				if _, err := q.Enqueue(b.Context(), queue.Item{}); err != nil {
					return err
				}
				d, err := q.Receive(b.Context())
				if err != nil {
					return err
				}
				return q.Ack(b.Context(), d.Lease)
			})
		})
	}
}

// BenchmarkAppendFile is the yardstick: an append-only file with group commit
// and fsync, which keeps nothing but the bytes.
func BenchmarkAppendFile(b *testing.B) {
	for _, producers := range []int{1, 64} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			require.NoError(b, err)
			defer f.Close()
			payload := make([]byte, 1<<10)
			calls := make(chan chan error, 1024)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for first := range calls {
					batch := []chan error{first}
				more:
					for {
						select {
						case c, ok := <-calls:
							if !ok {
								break more
							}
							batch = append(batch, c)
						default:
							break more
						}
					}
					var err error
					for range batch {
						if _, e := f.Write(payload); e != nil {
							err = e
						}
					}
					if e := f.Sync(); e != nil {
						err = e
					}
					for _, c := range batch {
						c <- err
					}
				}
			}()
			b.ResetTimer()
			spread(b, producers, func() error {
				c := make(chan error, 1)
				calls <- c
				return <-c
			})
			close(calls)
			<-ended
		})
	}
}
