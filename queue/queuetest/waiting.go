package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func testReceiveWaits(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	got := make(chan string)
	go func() {
		d, err := q.Receive(t.Context())
		if err != nil {
			got <- err.Error()
			return
		}
		got <- d.Item.Name
	}()
	q.addNamed("a")
	assert.Equal(t, "a", <-got)
}

// testFairReceivers adds one item at a time until each of many receivers that are
// not content with one has got one: who waits longest is next.
func testFairReceivers(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	const receivers = 8
	var mu sync.Mutex
	got := map[int]int{}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range receivers {
		wg.Go(func() {
			for {
				d, err := q.Receive(ctx)
				if err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					return
				}
				mu.Lock()
				got[i]++
				mu.Unlock()
				assert.NoError(t, q.Ack(t.Context(), d.Lease))
			}
		})
	}
	served := 0
	for n := 0; n < 1000 && served < receivers; n++ {
		q.add(queue.Item{})
		require.NoError(t, q.WaitEmpty(t.Context()))
		mu.Lock()
		served = len(got)
		mu.Unlock()
	}
	cancel()
	wg.Wait()
	assert.Equal(t, receivers, served, "%v", got)
	q.depth(queue.Depth{})
}

func testReceiveCanceled(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := q.Receive(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = q.Receive(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	q.addNamed("a")
	_, err = q.Receive(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = q.Enqueue(ctx, queue.Item{Name: "b"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	q.takeNamed("a")
	q.none()

	// Receivers that give up while items come must not lose one.
	const n = 100
	var got atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for got.Load() < n {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*3*time.Millisecond)
				d, err := q.Receive(ctx)
				cancel()
				if err == nil {
					got.Add(1)
					assert.NoError(t, q.Ack(t.Context(), d.Lease))
				} else if !errors.Is(err, context.DeadlineExceeded) {
					assert.NoError(t, err)
					return
				}
			}
		})
	}
	for range n {
		q.add(queue.Item{})
	}
	wg.Wait()
	q.depth(queue.Depth{Leased: 1})
}

func testPause(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	q.addNamed("a", "b")
	a := q.takeNamed("a")
	require.NoError(t, q.Pause(t.Context()))
	paused, err := q.Paused(t.Context())
	require.NoError(t, err)
	assert.True(t, paused)
	q.none()
	q.addNamed("c")
	q.ack(a) // settling goes on
	peeked, err := q.Peek(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "b", peeked.Name)
	got := make(chan string, 1)
	go func() {
		d, err := q.Receive(t.Context())
		if err != nil {
			got <- err.Error()
			return
		}
		got <- d.Item.Name
	}()
	require.NoError(t, q.Resume(t.Context()))
	assert.Equal(t, "b", <-got)
	paused, err = q.Paused(t.Context())
	require.NoError(t, err)
	assert.False(t, paused)
}

func testDrain(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	q.addNamed("a")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, q.Drain(ctx), context.DeadlineExceeded)
	_, err := q.Enqueue(t.Context(), queue.Item{})
	require.ErrorIs(t, err, queue.ErrDraining)
	done := make(chan error, 1)
	go func() { done <- q.Drain(t.Context()) }()
	q.ack(q.takeNamed("a"))
	require.NoError(t, <-done)
	require.NoError(t, q.WaitEmpty(t.Context()))
	require.NoError(t, q.Resume(t.Context()))
	q.addNamed("b")
}

func testStats(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{MaxAttempts: 2})
	q.addNamed("a", "b")
	q.nack(q.takeNamed("a"), -1, "x")
	q.ack(q.takeNamed("a"))
	b := q.takeNamed("b")
	require.NoError(t, q.Dead(t.Context(), b.Lease, "x"))
	s := q.Stats()
	assert.EqualValues(t, 2, s.Enqueued)
	assert.EqualValues(t, 3, s.Received)
	assert.EqualValues(t, 1, s.Redelivered)
	assert.EqualValues(t, 1, s.Acked)
	assert.EqualValues(t, 1, s.Retried)
	assert.EqualValues(t, 1, s.DeadLettered)
	assert.False(t, s.Since.IsZero())
	in, _, _ := s.Rate(queue.Stats{})
	assert.Positive(t, in)
}

// testConcurrent has producers and consumers at once: every item is handled,
// none twice, and the items of a key in order and one at a time.
func testConcurrent(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	const producers, perProducer = 4, 100
	var mu sync.Mutex
	order := map[string][]int{}
	busy := map[string]bool{}
	handled := map[string]int{}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 6 {
		wg.Go(func() {
			for {
				d, err := q.Receive(ctx)
				if err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					return
				}
				mu.Lock()
				assert.False(t, busy[d.Item.Key], "two of key %s at once", d.Item.Key)
				busy[d.Item.Key] = true
				mu.Unlock()
				var n int
				_, err = fmt.Sscan(string(d.Item.Payload), &n)
				assert.NoError(t, err)
				mu.Lock()
				busy[d.Item.Key] = false
				order[d.Item.Key] = append(order[d.Item.Key], n)
				handled[d.Item.ID]++
				mu.Unlock()
				assert.NoError(t, q.Ack(t.Context(), d.Lease))
			}
		})
	}
	var producing sync.WaitGroup
	for p := range producers {
		producing.Go(func() {
			for i := range perProducer {
				q.add(queue.Item{Key: fmt.Sprint(p), Payload: fmt.Append(nil, i)})
			}
		})
	}
	producing.Wait()
	require.NoError(t, q.WaitEmpty(t.Context()))
	cancel()
	wg.Wait()
	assert.Len(t, handled, producers*perProducer)
	for key, got := range order {
		assert.True(t, slices.IsSorted(got), "key %s: %v", key, got)
	}
}

func testWorker(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{Backoff: func(int) time.Duration { return 10 * time.Millisecond }})
	for i := range 40 {
		q.add(queue.Item{Name: fmt.Sprint(i), Key: fmt.Sprint(i % 5)})
	}
	var failures, done atomic.Int64
	w := queue.NewWorker(q, func(ctx context.Context, it queue.Item) error {
		switch {
		case it.Name == "7":
			return queue.Permanent(errors.New("never"))
		case it.Attempts == 1 && it.Name == "3":
			failures.Add(1)
			panic("once")
		}
		done.Add(1)
		return nil
	}, queue.WorkerOptions{Concurrency: 4})
	require.NoError(t, w.RunUntilEmpty(t.Context()))
	assert.EqualValues(t, 39, done.Load())
	assert.EqualValues(t, 1, failures.Load())
	q.depth(queue.Depth{Dead: 1})
}

func testReopen(t *testing.T, e Engine) {
	if e.Reopen == nil {
		return // nothing to prove: the engine keeps nothing
	}
	opts := queue.Options{Lease: 1500 * time.Millisecond}
	q := e.New(t, opts)
	h := harness{q, t}
	h.add(queue.Item{Name: "a", Key: "k", Payload: []byte("p")}, queue.Item{Name: "b", Key: "k"},
		queue.Item{Name: "c", Priority: 3}, queue.Item{Name: "d", NotBefore: time.Now().Add(time.Hour)}, queue.Item{Name: "e", Dedupe: "x"})
	c := h.takeNamed("c")
	require.NoError(t, q.Dead(t.Context(), c.Lease, "why"))
	h.takeNamed("a")
	require.NoError(t, q.Pause(t.Context()))
	require.NoError(t, q.Close())

	q = e.Reopen(t, q, opts)
	h = harness{q, t}
	defer func() { assert.NoError(t, q.Close()) }()
	h.none() // still paused
	require.NoError(t, q.Resume(t.Context()))
	h.add(queue.Item{Name: "dup", Dedupe: "x"})
	assert.Equal(t, []string{"a", "b", "c", "d", "e"}, h.names(queue.Filter{}))
	assert.Equal(t, []string{"c"}, h.names(queue.Filter{States: []queue.State{queue.Dead}}))
	var order []string
	for range 3 { // a is there again at once or when its old lease is over, for which e must not wait
		d := h.take()
		h.ack(d)
		order = append(order, d.Item.Name)
		if d.Item.Name == "a" {
			assert.Equal(t, 2, d.Item.Attempts)
			assert.Equal(t, []byte("p"), d.Item.Payload)
		}
	}
	assert.ElementsMatch(t, []string{"a", "b", "e"}, order)
	assert.Less(t, slices.Index(order, "a"), slices.Index(order, "b"))
	h.depth(queue.Depth{Delayed: 1, Dead: 1})
}
