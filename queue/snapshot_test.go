package queue_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func names(t testing.TB, q queue.Queue) []string {
	all := []string{}
	for it, err := range q.List(t.Context(), queue.Filter{}) {
		require.NoError(t, err)
		all = append(all, it.Name)
	}
	return all
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		_, err := q.Enqueue(t.Context(),
			queue.Item{Name: "leased", Key: "k", Headers: map[string]string{"a": "b"}}, queue.Item{Name: "blocked", Key: "k"},
			queue.Item{Name: "later", NotBefore: time.Now().Add(time.Hour), Dedupe: "x"}, queue.Item{Name: "urgent", Priority: 3})
		require.NoError(t, err)
		urgent, err := q.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.Dead(t.Context(), urgent.Lease, "why"))
		lease, err := q.Receive(t.Context())
		require.NoError(t, err)
		generation := q.Generation()
		data, err := json.Marshal(q)
		require.NoError(t, err)
		assert.Equal(t, generation, q.Generation(), "a snapshot changes nothing")
		require.NoError(t, q.Ack(t.Context(), lease.Lease), "nor does it end leases")

		<-time.After(time.Minute)
		r := queue.NewMemory(queue.Options{})
		_, err = r.Enqueue(t.Context(), queue.Item{Name: "old"})
		require.NoError(t, err)
		old, err := r.Receive(t.Context())
		require.NoError(t, err)
		waiting := make(chan queue.Delivery, 1)
		go func() {
			d, err := r.Receive(t.Context())
			assert.NoError(t, err)
			waiting <- d
		}()
		synctest.Wait()
		require.NoError(t, json.Unmarshal(data, r))
		d := <-waiting
		assert.Equal(t, "leased", d.Item.Name, "what was being handled is available again")
		assert.Equal(t, 2, d.Item.Attempts)
		require.ErrorIs(t, r.Ack(t.Context(), old.Lease), queue.ErrLeaseLost)
		depth, err := r.Depth(t.Context())
		require.NoError(t, err)
		assert.Equal(t, queue.Depth{Leased: 1, Blocked: 1, Delayed: 1, Dead: 1}, depth)
		ids, err := r.Enqueue(t.Context(), queue.Item{Dedupe: "x"})
		require.NoError(t, err)
		first, err := r.Get(t.Context(), ids[0])
		require.NoError(t, err)
		assert.Equal(t, "later", first.Name, "dedupe keys are remembered")

		for _, bad := range []string{
			``, `[]`, `{"version":2}`, `{"version":1,"items":[{"id":"","state":"ready"}]}`, `{"version":1,"items":[{"id":"a","state":"odd"}]}`,
			`{"version":1,"items":[{"id":"a","state":"ready"},{"id":"a","state":"dead"}]}`, `{"version":1,"items":[{"id":"a","state":"ready","payload":"%"}]}`,
		} {
			require.Error(t, r.UnmarshalJSON([]byte(bad)), bad)
		}
		assert.Equal(t, []string{"leased", "blocked", "later", "urgent"}, names(t, r), "a bad snapshot changes nothing")
		r.Reset("chat")
		assert.Len(t, names(t, r), 4)
		r.Reset("all")
		assert.Empty(t, names(t, r))
		require.NoError(t, r.Close())
		_, err = json.Marshal(r)
		require.NoError(t, err)
		require.ErrorIs(t, r.UnmarshalJSON(data), queue.ErrClosed)
	})
}

// TestSnapshotOfAnotherWindow restores what was taken with a longer dedupe window:
// from then on the shorter one holds.
func TestSnapshotOfAnotherWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := queue.NewMemory(queue.Options{DedupeWindow: time.Hour})
		first, err := long.Enqueue(t.Context(), queue.Item{Dedupe: "old"})
		require.NoError(t, err)
		data, err := long.MarshalJSON()
		require.NoError(t, err)
		q := queue.NewMemory(queue.Options{DedupeWindow: time.Minute})
		require.NoError(t, q.UnmarshalJSON(data))
		<-time.After(time.Second)
		_, err = q.Enqueue(t.Context(), queue.Item{Dedupe: "new"})
		require.NoError(t, err)
		ids, err := q.Enqueue(t.Context(), queue.Item{Dedupe: "old"})
		require.NoError(t, err)
		assert.Equal(t, first, ids)
		<-time.After(time.Minute)
		for i, key := range []string{"new", "old"} {
			_, err = q.Enqueue(t.Context(), queue.Item{Dedupe: key})
			require.NoError(t, err)
			d, err := q.Depth(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 3+i, d.Ready, key)
		}
	})
}

// TestSnapshotOfOddTimes has a time in an item that JSON cannot hold.
func TestSnapshotOfOddTimes(t *testing.T) {
	q := queue.NewMemory(queue.Options{})
	_, err := q.Enqueue(t.Context(),
		queue.Item{Name: "far", NotBefore: time.Unix(1<<60, 0)}, queue.Item{Name: "zone", NotBefore: time.Now().In(time.FixedZone("odd", 48*3600))})
	require.NoError(t, err)
	data, err := q.MarshalJSON()
	require.NoError(t, err)
	require.NoError(t, q.UnmarshalJSON(data))
	d, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Ready: 1, Delayed: 1}, d)
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"version":1,"items":[{"id":"a","state":"leased","key":"k","notBefore":"2026-01-01T00:00:00Z"}],"dedupe":[{"key":"x","id":"a","expires":1}]}`))
	f.Add([]byte(`{"version":1,"paused":true}`))
	f.Add([]byte(`{"version":1,"dedupe":[{"key":"x","id":"a","expires":9000000000000000000},{"key":"x","id":"b","expires":8000000000000000000}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		q := queue.NewMemory(queue.Options{})
		if q.UnmarshalJSON(data) != nil {
			return
		}
		d, err := q.Depth(t.Context())
		require.NoError(t, err)
		require.Len(t, names(t, q), d.Len()+d.Dead)
		_, err = q.MarshalJSON()
		require.NoError(t, err)
	})
}

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		write := func(words ...any) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, strings.TrimSpace(fmt.Sprintln(words...)))
		}
		note := func(what string) func(queue.Item) {
			return func(it queue.Item) { write(what, it.Name) }
		}
		timed := func(what string) func(queue.Item, time.Duration) {
			return func(it queue.Item, d time.Duration) { write(what, it.Name, d) }
		}
		q := queue.NewMemory(queue.Options{MaxAttempts: 2, Lease: time.Minute, Trace: queue.Trace{
			Enqueued: note("enqueued"), Deduplicated: note("deduplicated"), Received: timed("received"), Acked: timed("acked"),
			Retried: timed("retried"), Expired: note("expired"), DeadLettered: note("dead"),
		}})
		_, err := q.Enqueue(t.Context(), queue.Item{Name: "a", Dedupe: "x"}, queue.Item{Name: "b", Dedupe: "x"})
		require.NoError(t, err)
		<-time.After(time.Second)
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.Nack(t.Context(), d.Lease, queue.Nack{Delay: time.Hour}))
		_, err = q.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.WaitEmpty(t.Context()))
		synctest.Wait() // the timer reports what it ended
		_, err = q.Enqueue(t.Context(), queue.Item{Name: "c"})
		require.NoError(t, err)
		d, err = q.Receive(t.Context())
		require.NoError(t, err)
		<-time.After(3 * time.Second)
		require.NoError(t, q.Ack(t.Context(), d.Lease))
		assert.Equal(t, []string{
			"enqueued a", "deduplicated b", "received a 1s", "retried a 1h0m0s", "received a 0s", "expired a", "dead a",
			"enqueued c", "received c 0s", "acked c 3s",
		}, log)
		s := q.Stats()
		assert.Equal(t, time.Second/3, s.MeanWait())
	})
}
