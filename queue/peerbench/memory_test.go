package peerbench

import (
	"sync"
	"testing"

	"github.com/gammazero/deque"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// ring is gammazero's deque under a mutex, with a condition for receivers. It
// knows no leases, keys, priorities or delays.
type ring struct {
	mu    sync.Mutex
	some  sync.Cond
	items deque.Deque[queue.Item]
}

func newRing() *ring {
	r := &ring{}
	r.some.L = &r.mu
	return r
}

func (r *ring) cycle(payload []byte) {
	r.mu.Lock()
	r.items.PushBack(queue.Item{Payload: payload})
	r.mu.Unlock()
	r.some.Signal()

	r.mu.Lock()
	for r.items.Len() == 0 {
		r.some.Wait()
	}
	r.items.PopFront()
	r.mu.Unlock()
}

// cycle is enqueue, receive and ack.
func cycle(b *testing.B, q queue.Queue, payload []byte) error {
	if _, err := q.Enqueue(b.Context(), queue.Item{Payload: payload}); err != nil {
		return err
	}
	d, err := q.Receive(b.Context())
	if err != nil {
		return err
	}
	return q.Ack(b.Context(), d.Lease)
}

// cycleMemory is cycle without the interface, as the peers have none either.
func cycleMemory(b *testing.B, q *queue.Memory, payload []byte) error {
	if _, err := q.Enqueue(b.Context(), queue.Item{Payload: payload}); err != nil {
		return err
	}
	d, err := q.Receive(b.Context())
	if err != nil {
		return err
	}
	return q.Ack(b.Context(), d.Lease)
}

// BenchmarkMemory is enqueue, receive and, for ours, ack.
func BenchmarkMemory(b *testing.B) {
	for _, size := range sizes {
		payload := make([]byte, size)
		for _, producers := range []int{1, 16, 128} {
			name := caseName(size, producers)
			b.Run(name+"/tokenring", func(b *testing.B) {
				q := queue.NewMemory(queue.Options{})
				defer q.Close()
				spread(b, producers, func() error { return cycleMemory(b, q, payload) })
			})
			b.Run(name+"/deque", func(b *testing.B) {
				r := newRing()
				spread(b, producers, func() error { r.cycle(payload); return nil })
			})
			b.Run(name+"/channel", func(b *testing.B) {
				c := make(chan queue.Item, 1024)
				spread(b, producers, func() error {
					c <- queue.Item{Payload: payload}
					<-c
					return nil
				})
			})
		}
	}
}
