package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// cycles enqueues, receives and acknowledges so many items.
func cycles(t *testing.T, q *queue.Memory, n int) {
	for range n {
		_, err := q.Enqueue(t.Context(), queue.Item{})
		require.NoError(t, err)
		d, err := q.TryReceive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.Ack(t.Context(), d.Lease))
	}
}

func enqueuedAt(t *testing.T, q *queue.Memory) time.Time {
	_, err := q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
	d, err := q.TryReceive(t.Context())
	require.NoError(t, err)
	require.NoError(t, q.Ack(t.Context(), d.Lease))
	return d.Item.EnqueuedAt
}

func TestClockAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{Lease: time.Minute})
		defer q.Close()
		for range 3 {
			cycles(t, q, 1000)
			time.Sleep(300 * time.Microsecond)
			assert.WithinDuration(t, time.Now(), enqueuedAt(t, q), time.Millisecond)

			cycles(t, q, 1000)
			time.Sleep(2 * time.Millisecond)
			assert.Zero(t, time.Since(enqueuedAt(t, q)), "the burst is over")
		}

		// What a burst enqueues is delivered, and what it leased runs out, on time.
		_, err := q.Enqueue(t.Context(), queue.Item{Name: "later", NotBefore: time.Now().Add(time.Second)}, queue.Item{Name: "lease"})
		require.NoError(t, err)
		_, err = q.TryReceive(t.Context())
		require.NoError(t, err)
		cycles(t, q, 1000)
		start := time.Now()
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "later", d.Item.Name)
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, q.Ack(t.Context(), d.Lease))
		d, err = q.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "lease", d.Item.Name)
		assert.WithinDuration(t, start.Add(time.Minute), time.Now(), time.Millisecond)
	})
}

// TestClockOfASlowUser: calls that do not come in bursts read the clock each.
func TestClockOfASlowUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		defer q.Close()
		for range 1000 {
			assert.Zero(t, time.Since(enqueuedAt(t, q)))
			time.Sleep(25 * time.Microsecond) // three calls each
		}
		assert.Zero(t, q.Stats().RunTime)
	})
}

// TestClockOfTraces: a trace is told exact times in a burst too.
func TestClockOfTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waited time.Duration
		q := queue.NewMemory(queue.Options{Trace: queue.Trace{Received: func(_ queue.Item, wait time.Duration) { waited = wait }}})
		defer q.Close()
		cycles(t, q, 1000)
		_, err := q.Enqueue(t.Context(), queue.Item{})
		require.NoError(t, err)
		time.Sleep(100 * time.Microsecond)
		_, err = q.TryReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 100*time.Microsecond, waited)
	})
}

// TestBatchOfNamedItems: names are compared with those before them in the batch, too.
func TestBatchOfNamedItems(t *testing.T) {
	q := queue.NewMemory(queue.Options{})
	defer q.Close()
	items := make([]queue.Item, 20_000)
	for i := range items {
		id := time.Duration(i).String()
		items[i] = queue.Item{ID: id, Dedupe: id}
	}
	_, err := q.Enqueue(t.Context(), items...)
	require.NoError(t, err)
	items[0].ID, items[0].Dedupe = "new", ""
	items[19_999].ID, items[19_999].Dedupe = "new", ""
	_, err = q.Enqueue(t.Context(), items...)
	require.ErrorIs(t, err, queue.ErrDuplicateID)
	depth, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 20_000, depth.Ready)
}
