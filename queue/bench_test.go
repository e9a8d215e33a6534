package queue_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// ring is the yardstick: a ring under a mutex with a condition for receivers,
// which knows no leases, keys, priorities or delays.
type ring struct {
	mu      sync.Mutex
	some    sync.Cond
	items   []queue.Item
	head, n int
}

func (r *ring) push(it queue.Item) {
	r.mu.Lock()
	if r.n == len(r.items) {
		grown := make([]queue.Item, max(16, 2*r.n))
		for i := range r.n {
			grown[i] = r.items[(r.head+i)%len(r.items)]
		}
		r.items, r.head = grown, 0
	}
	r.items[(r.head+r.n)&(len(r.items)-1)] = it
	r.n++
	r.mu.Unlock()
	r.some.Signal()
}

func (r *ring) pop() queue.Item {
	r.mu.Lock()
	for r.n == 0 {
		r.some.Wait()
	}
	it := r.items[r.head]
	r.items[r.head] = queue.Item{}
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.n--
	r.mu.Unlock()
	return it
}

// spread runs b.N calls on so many goroutines.
func spread(b *testing.B, goroutines int, call func()) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				call()
			}
		})
	}
	wg.Wait()
}

// BenchmarkCycle is enqueue, receive and ack of an item of 1 KiB.
func BenchmarkCycle(b *testing.B) {
	payload := make([]byte, 1<<10)
	for _, producers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("ring/producers=%d", producers), func(b *testing.B) {
			r := &ring{}
			r.some.L = &r.mu
			b.ReportAllocs()
			spread(b, producers, func() {
				r.push(queue.Item{Payload: payload})
				r.pop()
			})
		})
		b.Run(fmt.Sprintf("channel/producers=%d", producers), func(b *testing.B) {
			c := make(chan queue.Item, 1024)
			b.ReportAllocs()
			spread(b, producers, func() {
				c <- queue.Item{Payload: payload}
				<-c
			})
		})
		b.Run(fmt.Sprintf("memory/producers=%d", producers), func(b *testing.B) {
			q := queue.NewMemory(queue.Options{})
			ctx := b.Context()
			b.ReportAllocs()
			spread(b, producers, func() {
				if _, err := q.Enqueue(ctx, queue.Item{Payload: payload}); err != nil {
					b.Error(err)
				}
				d, err := q.Receive(ctx)
				if err == nil {
					err = q.Ack(ctx, d.Lease)
				}
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkDepth shows that the cost of a cycle does not depend on the depth.
func BenchmarkDepth(b *testing.B) {
	for _, depth := range []int{100, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(depth), func(b *testing.B) {
			q := queue.NewMemory(queue.Options{})
			ctx := b.Context()
			for range depth / 100 {
				_, err := q.Enqueue(ctx, make([]queue.Item, 100)...)
				require.NoError(b, err)
			}
			for b.Loop() {
				_, err := q.Enqueue(ctx, queue.Item{})
				d, failed := q.Receive(ctx)
				if err = errors.Join(err, failed, q.Ack(ctx, d.Lease)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
