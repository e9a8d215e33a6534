package sqlqueue_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// TestEnqueueRuns enqueues runs of every length, some of which an item breaks
// that is stored in another way, and finds every item as it was, in its place.
func TestEnqueueRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q, err := sqlqueue.Open(path, sqlqueue.Options{})
	require.NoError(t, err)
	odd := []func(*queue.Item){
		func(*queue.Item) {}, // none: the run is whole
		func(it *queue.Item) { it.ID = "named-" + it.Name },
		func(it *queue.Item) { it.Key = "key-" + it.Name },
		func(it *queue.Item) { it.Dedupe = "dedupe-" + it.Name },
		func(it *queue.Item) { it.NotBefore = time.Now().Add(time.Hour).Truncate(0).UTC() },
		func(it *queue.Item) { it.Checkpoint = []byte("checkpoint of " + it.Name) },
		func(it *queue.Item) { it.Payload = make([]byte, 5000) },
	}
	var want []queue.Item
	for length := 1; length <= 42; length++ {
		items := make([]queue.Item, length)
		for i := range items {
			name := fmt.Sprintf("%d-%d", length, i)
			items[i] = queue.Item{Name: name, Priority: i % 3, Payload: []byte("payload of " + name)}
			if i%2 == 0 {
				items[i].Headers = map[string]string{"header": name}
			}
		}
		odd[length%len(odd)](&items[length/2])
		ids, err := q.Enqueue(t.Context(), items...)
		require.NoError(t, err)
		require.Len(t, ids, length)
		for i := range items {
			items[i].ID = ids[i]
		}
		want = append(want, items...)
	}
	require.NoError(t, q.Close())

	q = open(t, path, sqlqueue.Options{})
	var found []queue.Item
	for it, err := range q.List(t.Context(), queue.Filter{}) {
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now(), it.EnqueuedAt, time.Minute)
		state := queue.Ready
		if !it.NotBefore.IsZero() {
			state, it.NotBefore = queue.Delayed, it.NotBefore.UTC()
		}
		assert.Equal(t, state, it.State, it.Name)
		it.State, it.EnqueuedAt = "", time.Time{}
		found = append(found, it)
	}
	assert.Equal(t, want, found)
	depth, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, len(want), depth.Len())
	for _, it := range want { // by the ID that the call returned, though it was written later
		got, err := q.Get(t.Context(), it.ID)
		require.NoError(t, err)
		assert.Equal(t, it.Name, got.Name)
	}
}

// TestFillWithSmallItems fills the file from many goroutines whose items share
// statements: those that were accepted are there, and no others.
func TestFillWithSmallItems(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "q.db"), sqlqueue.Options{MaxBytes: 400 << 10})
	var mu sync.Mutex
	accepted := map[string]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for {
				ids, err := q.Enqueue(t.Context(), queue.Item{Payload: make([]byte, 1000)})
				if err != nil {
					assert.ErrorIs(t, err, sqlqueue.ErrDiskFull)
					return
				}
				mu.Lock()
				accepted[ids[0]] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.NotEmpty(t, accepted)
	found := map[string]bool{}
	for it, err := range q.List(t.Context(), queue.Filter{}) {
		require.NoError(t, err)
		found[it.ID] = true
	}
	assert.Equal(t, accepted, found)
	assert.EqualValues(t, len(accepted), q.Stats().Enqueued)
}
