package queuetest

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func testLifecycle(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	q.none()
	q.depth(queue.Depth{})
	ids := q.add(queue.Item{Name: "a"})
	q.depth(queue.Depth{Ready: 1})
	peeked, err := q.Peek(t.Context())
	require.NoError(t, err)
	assert.Equal(t, ids[0], peeked.ID)

	d := q.takeNamed("a")
	assert.Equal(t, ids[0], d.Item.ID)
	assert.Equal(t, ids[0], d.Lease.ID)
	assert.Equal(t, queue.DefaultLease, d.LeaseFor)
	q.depth(queue.Depth{Leased: 1})
	q.none()
	_, err = q.Peek(t.Context())
	require.ErrorIs(t, err, queue.ErrEmpty)

	q.ack(d)
	q.depth(queue.Depth{})
	_, err = q.Get(t.Context(), ids[0])
	require.ErrorIs(t, err, queue.ErrNotFound)
	require.ErrorIs(t, q.Ack(t.Context(), d.Lease), queue.ErrLeaseLost, "a second Ack")
	require.ErrorIs(t, q.Nack(t.Context(), d.Lease, queue.Nack{}), queue.ErrLeaseLost)
	require.ErrorIs(t, q.Extend(t.Context(), d.Lease), queue.ErrLeaseLost)
	require.ErrorIs(t, q.Dead(t.Context(), d.Lease, ""), queue.ErrLeaseLost)
	require.ErrorIs(t, q.Ack(t.Context(), queue.Lease{ID: "nobody", Token: 1 << 62}), queue.ErrLeaseLost)
}

func testFields(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	before := time.Now().Add(-time.Second)
	in := queue.Item{
		ID: "the id/with 'odd' \"signs\" ☃", Name: "näme", Key: "a key", Dedupe: "d", Priority: -7,
		NotBefore: time.Now().Add(-time.Hour).Truncate(time.Millisecond),
		Payload:   []byte{0, 1, 2, 255, 254}, Checkpoint: []byte("check\x00point"),
		Headers: map[string]string{"traceparent": "00-1", "empty": "", "ünï": "☃"},
		// What the queue sets is ignored.
		State: queue.Dead, Attempts: 99, LastError: "nonsense", EnqueuedAt: time.Unix(1, 0), FirstReceivedAt: time.Unix(1, 0),
	}
	require.Equal(t, []string{in.ID}, q.add(in))

	check := func(got queue.Item, state queue.State, attempts int) {
		t.Helper()
		assert.Equal(t, in.ID, got.ID)
		assert.Equal(t, in.Name, got.Name)
		assert.Equal(t, in.Key, got.Key)
		assert.Equal(t, in.Dedupe, got.Dedupe)
		assert.Equal(t, in.Priority, got.Priority)
		assert.True(t, in.NotBefore.Equal(got.NotBefore), "%v, %v", in.NotBefore, got.NotBefore)
		assert.Equal(t, in.Payload, got.Payload)
		assert.Equal(t, in.Checkpoint, got.Checkpoint)
		assert.Equal(t, in.Headers, got.Headers)
		assert.Equal(t, state, got.State)
		assert.Equal(t, attempts, got.Attempts)
		assert.Empty(t, got.LastError)
		assert.WithinRange(t, got.EnqueuedAt, before, time.Now().Add(time.Second))
		assert.Equal(t, attempts == 0, got.FirstReceivedAt.IsZero())
	}
	got, err := q.Get(t.Context(), in.ID)
	require.NoError(t, err)
	check(got, queue.Ready, 0)
	d := q.take()
	check(d.Item, queue.Leased, 1)
	first := d.Item.FirstReceivedAt
	q.nack(d, -1, "try again")
	d = q.take()
	assert.Equal(t, 2, d.Item.Attempts)
	assert.Equal(t, "try again", d.Item.LastError)
	assert.True(t, first.Equal(d.Item.FirstReceivedAt))

	q.add(queue.Item{ID: "bare"})
	got, err = q.Get(t.Context(), "bare")
	require.NoError(t, err)
	assert.Empty(t, got.Payload)
	assert.Empty(t, got.Headers)
	assert.True(t, got.NotBefore.IsZero())
}

func testFIFO(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	q.addNamed("a", "b", "c")
	q.add(queue.Item{Name: "d"}, queue.Item{Name: "e"})
	a := q.takeNamed("a")
	b := q.takeNamed("b")
	q.nack(b, -1, "")
	q.nack(a, -1, "")
	for _, name := range []string{"a", "b", "c", "d", "e"} { // returned items keep their place
		q.ack(q.takeNamed(name))
	}
	q.none()
}

func testPriority(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	for _, it := range []queue.Item{
		{Name: "low", Priority: -5}, {Name: "normal1"}, {Name: "high1", Priority: 10},
		{Name: "normal2"}, {Name: "high2", Priority: 10}, {Name: "highest", Priority: 1000},
	} {
		q.add(it)
	}
	first := q.takeNamed("highest")
	q.add(queue.Item{Name: "late", Priority: 500})
	q.takeNamed("late")
	q.nack(first, -1, "")
	for _, name := range []string{"highest", "high1", "high2", "normal1", "normal2", "low"} {
		q.takeNamed(name)
	}
	q.none()
}

func testKeys(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{MaxAttempts: 2})
	q.add(
		queue.Item{Name: "a1", Key: "a"}, queue.Item{Name: "a2", Key: "a", Priority: 9},
		queue.Item{Name: "b1", Key: "b"}, queue.Item{Name: "free"}, queue.Item{Name: "a3", Key: "a"},
	)
	q.depth(queue.Depth{Ready: 3, Blocked: 2})
	a1 := q.takeNamed("a1")
	b1 := q.takeNamed("b1")
	q.takeNamed("free")
	q.none() // a2 waits for a1 whatever its priority
	q.nack(a1, -1, "no")
	a1 = q.takeNamed("a1")
	q.nack(a1, -1, "no") // dead now, which lets the key go on
	q.depth(queue.Depth{Leased: 2, Ready: 1, Blocked: 1, Dead: 1})
	a2 := q.takeNamed("a2")
	q.none()
	q.add(queue.Item{Name: "b2", Key: "b"})
	q.ack(b1)
	q.takeNamed("b2")
	require.NoError(t, q.Dead(t.Context(), a2.Lease, "enough"))
	q.takeNamed("a3")
	q.none()
}

func testKeyOfDelayedItem(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	ids := q.add(
		queue.Item{Name: "later", Key: "k", NotBefore: time.Now().Add(time.Hour)},
		queue.Item{Name: "next", Key: "k"},
	)
	q.none() // order within a key outranks readiness
	q.depth(queue.Depth{Delayed: 1, Blocked: 1})
	require.NoError(t, q.Remove(t.Context(), ids[0]))
	q.takeNamed("next")
}

func testDelay(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	due := time.Now().Add(300 * time.Millisecond)
	q.add(queue.Item{Name: "soon", NotBefore: due}, queue.Item{Name: "far", NotBefore: due.AddDate(900, 0, 0)})
	q.add(queue.Item{Name: "now", NotBefore: due.AddDate(-500, 0, 0)})
	q.depthBefore(due, queue.Depth{Delayed: 2, Ready: 1})
	d := q.take()
	if d.Item.Name == "now" { // else the time has come before, on a slow machine
		q.ack(d)
		d = q.take()
	} else {
		q.ack(q.takeNamed("now"))
	}
	assert.Equal(t, "soon", d.Item.Name)
	assert.False(t, time.Now().Before(due.Add(-5*time.Millisecond)), "delivered before its time")
	start := time.Now()
	q.nack(d, 250*time.Millisecond, "")
	q.depthBefore(start.Add(250*time.Millisecond), queue.Depth{Delayed: 2})
	q.takeNamed("soon")
	assert.GreaterOrEqual(t, time.Since(start), 200*time.Millisecond)
	q.none()
}

func testLeaseExpiry(t *testing.T, e Engine) {
	start := time.Now()
	q := open(t, e, queue.Options{Lease: 300 * time.Millisecond, MaxAttempts: 2})
	q.addNamed("a")
	first := q.takeNamed("a")
	assert.Equal(t, 300*time.Millisecond, first.LeaseFor)
	second := q.takeNamed("a") // blocks until the lease ran out
	assert.Equal(t, 2, second.Item.Attempts)
	assert.Contains(t, second.Item.LastError, "lease")
	require.ErrorIs(t, q.Ack(t.Context(), first.Lease), queue.ErrLeaseLost)
	require.ErrorIs(t, q.Extend(t.Context(), first.Lease), queue.ErrLeaseLost)
	require.NoError(t, q.WaitEmpty(t.Context()), "the second lease runs out too")
	q.depth(queue.Depth{Dead: 1})
	got, err := q.Get(t.Context(), second.Item.ID)
	require.NoError(t, err)
	assert.Contains(t, got.LastError, "lease")
	require.ErrorIs(t, q.Ack(t.Context(), second.Lease), queue.ErrLeaseLost)

	q.addNamed("b")
	late := q.takeNamed("b")
	<-time.After(400 * time.Millisecond)
	require.ErrorIs(t, q.Ack(t.Context(), late.Lease), queue.ErrLeaseLost, "though nobody else looked")
	assert.LessOrEqual(t, q.Stats().RunTime, time.Since(start)-600*time.Millisecond, "it has what receivers ended, and the last attempt of a dead letter")
}

func testExtend(t *testing.T, e Engine) {
	for lease := 1500 * time.Millisecond; !extend(t, e, lease); lease *= 2 {
		require.Less(t, lease, time.Minute, "no lease is long enough for this machine")
	}
}

// extend reports false if the machine was too slow for a lease.
func extend(t *testing.T, e Engine, lease time.Duration) bool {
	q := open(t, e, queue.Options{Lease: lease})
	q.addNamed("a")
	start := time.Now()
	renewed := start
	d := q.takeNamed("a")
	for time.Since(start) < lease*4/3 {
		<-time.After(lease / 6)
		now := time.Now()
		err := q.Extend(t.Context(), d.Lease)
		if time.Since(renewed) >= lease {
			return false
		}
		require.NoError(t, err)
		renewed = now
		_, err = q.TryReceive(t.Context())
		if time.Since(renewed) >= lease {
			return false
		}
		require.ErrorIs(t, err, queue.ErrEmpty)
	}
	err := q.Ack(t.Context(), d.Lease)
	if time.Since(renewed) >= lease {
		return false
	}
	require.NoError(t, err)
	q.none()
	return true
}

func testRetry(t *testing.T, e Engine) {
	var delays []int
	q := open(t, e, queue.Options{MaxAttempts: 3, Backoff: func(attempt int) time.Duration {
		delays = append(delays, attempt)
		return 100 * time.Millisecond
	}})
	q.addNamed("a")
	for attempt := 1; attempt <= 3; attempt++ {
		d := q.takeNamed("a")
		assert.Equal(t, attempt, d.Item.Attempts)
		start := time.Now()
		q.nack(d, 0, "failed")
		if attempt < 3 {
			q.depthBefore(start.Add(100*time.Millisecond), queue.Depth{Delayed: 1})
		}
	}
	q.depth(queue.Depth{Dead: 1})
	assert.Equal(t, []int{1, 2}, delays)
	assert.Equal(t, []string{"a"}, q.names(queue.Filter{States: []queue.State{queue.Dead}}))
	q.none()
}

func testDeadAndRedrive(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	q.addNamed("a", "b", "c")
	for range 3 {
		d := q.take()
		require.NoError(t, q.Dead(t.Context(), d.Lease, "reason of "+d.Item.Name))
	}
	q.depth(queue.Depth{Dead: 3})
	q.none()
	var ids []string
	for item, err := range q.List(t.Context(), queue.Filter{}) {
		require.NoError(t, err)
		assert.Equal(t, "reason of "+item.Name, item.LastError)
		ids = append(ids, item.ID)
	}
	q.addNamed("d")
	_, err := q.Redrive(t.Context(), ids[1], "nobody")
	require.ErrorIs(t, err, queue.ErrNotFound)
	q.depth(queue.Depth{Dead: 3, Ready: 1})
	n, err := q.Redrive(t.Context(), ids[1], ids[1])
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	n, err = q.Redrive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	n, err = q.Redrive(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
	for _, name := range []string{"d", "b", "a", "c"} {
		d := q.takeNamed(name)
		assert.Equal(t, 1, d.Item.Attempts)
	}
}

// testForEver has durations and times that no clock can count to.
func testForEver(t *testing.T, e Engine) {
	const forever = time.Duration(math.MaxInt64)
	q := open(t, e, queue.Options{Lease: forever, DedupeWindow: forever, Backoff: func(int) time.Duration { return forever }})
	first := q.add(queue.Item{Name: "a", Dedupe: "x"})
	assert.Equal(t, first, q.add(queue.Item{Dedupe: "x"}))
	d := q.takeNamed("a")
	q.depth(queue.Depth{Leased: 1})
	require.NoError(t, q.Extend(t.Context(), d.Lease))
	q.depth(queue.Depth{Leased: 1})
	q.nack(d, forever, "")
	q.addNamed("b")
	q.nack(q.takeNamed("b"), 0, "")
	q.depth(queue.Depth{Delayed: 2})
	q.add(queue.Item{NotBefore: time.Unix(1<<60, 0)})
	q.depth(queue.Depth{Delayed: 3})
}
