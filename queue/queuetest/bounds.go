package queuetest

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func testDedupe(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	ids := q.add(
		queue.Item{Name: "a", Dedupe: "x"}, queue.Item{Name: "b", Dedupe: "x"}, queue.Item{Name: "c"},
	)
	assert.Equal(t, ids[0], ids[1])
	assert.NotEqual(t, ids[0], ids[2])
	again := q.add(queue.Item{Name: "d", Dedupe: "x"}, queue.Item{Name: "e", Dedupe: "y"})
	assert.Equal(t, ids[0], again[0])
	assert.Equal(t, []string{"a", "c", "e"}, q.names(queue.Filter{}))
	q.ack(q.takeNamed("a"))
	assert.Equal(t, ids[0], q.add(queue.Item{Name: "f", Dedupe: "x"})[0], "finished, yet within the window")
	q.depth(queue.Depth{Ready: 2})
	assert.EqualValues(t, 3, q.Stats().Deduplicated)
}

func testDedupeWindow(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{DedupeWindow: 300 * time.Millisecond, Lease: 400 * time.Millisecond})
	first := q.add(queue.Item{Name: "a", Dedupe: "x"})[0]
	q.take()
	q.takeNamed("a") // after the lease ran out the window is over
	assert.NotEqual(t, first, q.add(queue.Item{Name: "b", Dedupe: "x"})[0])
}

func testDuplicateID(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	q.add(queue.Item{ID: "one"})
	_, err := q.Enqueue(t.Context(), queue.Item{ID: "two"}, queue.Item{ID: "one"})
	require.ErrorIs(t, err, queue.ErrDuplicateID)
	_, err = q.Enqueue(t.Context(), queue.Item{ID: "three"}, queue.Item{ID: "three"})
	require.ErrorIs(t, err, queue.ErrDuplicateID)
	q.depth(queue.Depth{Ready: 1})
	q.ack(q.take())
	q.add(queue.Item{ID: "one"}) // free again
	q.add(queue.Item{ID: "four", Dedupe: "x"})
	q.add(queue.Item{ID: "five", Dedupe: "x"}, queue.Item{ID: "five"}) // the first is not added
	q.depth(queue.Depth{Ready: 3})
}

func testTooLarge(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{MaxItemSize: 1000})
	q.add(queue.Item{Payload: make([]byte, 900)})
	_, err := q.Enqueue(t.Context(), queue.Item{Payload: make([]byte, 500), Checkpoint: make([]byte, 501)})
	require.ErrorIs(t, err, queue.ErrTooLarge)
	var size *queue.SizeError
	require.ErrorAs(t, err, &size)
	assert.Equal(t, 1001, size.Size)
	assert.Equal(t, 1000, size.Limit)
	_, err = q.Enqueue(t.Context(), queue.Item{Headers: map[string]string{"h": strings.Repeat("x", 1000)}})
	require.ErrorIs(t, err, queue.ErrTooLarge)
	q.depth(queue.Depth{Ready: 1})
}

func testBadText(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	for _, it := range []queue.Item{
		{ID: "\xff"}, {Name: "\xff"}, {Key: "a\xffb"}, {Dedupe: "\xc0"}, {ID: strings.Repeat("i", 257)},
	} {
		_, err := q.Enqueue(t.Context(), it)
		var bad *queue.ItemError
		require.ErrorAs(t, err, &bad)
	}
	q.depth(queue.Depth{})
}

func testReject(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{Capacity: 3})
	q.addNamed("a", "b")
	_, err := q.Enqueue(t.Context(), queue.Item{}, queue.Item{})
	require.ErrorIs(t, err, queue.ErrFull)
	var full *queue.FullError
	require.ErrorAs(t, err, &full)
	assert.Equal(t, queue.FullError{Items: 2, Len: 2, Capacity: 3}, *full)
	q.addNamed("c")
	d := q.takeNamed("a")
	_, err = q.Enqueue(t.Context(), queue.Item{})
	require.ErrorIs(t, err, queue.ErrFull, "leased items count")
	require.NoError(t, q.Dead(t.Context(), d.Lease, ""))
	q.addNamed("d") // dead ones do not
	_, err = q.Redrive(t.Context())
	require.ErrorIs(t, err, queue.ErrFull)
	q.depth(queue.Depth{Ready: 3, Dead: 1})
}

func testBlock(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{Capacity: 2, Overflow: queue.Block})
	_, err := q.Enqueue(t.Context(), make([]queue.Item, 3)...)
	require.ErrorIs(t, err, queue.ErrFull, "can never fit")
	q.addNamed("a", "b")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = q.Enqueue(ctx, queue.Item{Name: "late"})
	require.ErrorIs(t, err, context.DeadlineExceeded)

	done := make(chan error, 1)
	enqueue := func(name string) {
		_, err := q.Enqueue(t.Context(), queue.Item{Name: name})
		done <- err
	}
	go enqueue("c")
	q.ack(q.takeNamed("a"))
	require.NoError(t, <-done)
	q.ack(q.takeNamed("b"))
	q.ack(q.takeNamed("c"))
	q.none()

	ids := q.add(queue.Item{Name: "d", Dedupe: "x"}, queue.Item{Name: "e"})
	assert.Equal(t, ids[:1], q.add(queue.Item{Dedupe: "x"}), "a duplicate needs no room")
	go enqueue("never")
	draining, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, q.Drain(draining), context.DeadlineExceeded)
	require.ErrorIs(t, <-done, queue.ErrDraining, "whether it waited already or came later")
}

func testDropOldest(t *testing.T, e Engine) {
	dropped := make(chan string, 10)
	var log lockedBuffer
	q := open(t, e, queue.Options{Capacity: 3, Overflow: queue.DropOldest, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Trace: queue.Trace{Dropped: func(it queue.Item) { dropped <- it.Name }}})
	q.addNamed("a", "b", "c")
	a := q.takeNamed("a")
	q.add(queue.Item{Name: "d"}, queue.Item{Name: "e"})
	assert.Equal(t, "b", <-dropped, "a is being handled")
	assert.Equal(t, "c", <-dropped)
	assert.EqualValues(t, 2, q.Stats().Dropped)
	assert.Contains(t, log.String(), "name=b")
	assert.Contains(t, log.String(), "name=c")
	q.nack(a, -1, "")
	q.addNamed("f")
	assert.Equal(t, "a", <-dropped)
	_, err := q.Enqueue(t.Context(), make([]queue.Item, 4)...)
	require.ErrorIs(t, err, queue.ErrFull)
	q.takeNamed("d")
	q.takeNamed("e")
	_, err = q.Enqueue(t.Context(), make([]queue.Item, 2)...)
	require.ErrorIs(t, err, queue.ErrFull, "what is being handled is not dropped")
	q.takeNamed("f")
}

// lockedBuffer is a log that engines may write from a goroutine of theirs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// testOverfull: what adds nothing needs no room, though there are more items than
// the queue may have by now.
func testOverfull(t *testing.T, e Engine) {
	if e.Reopen == nil {
		return // an engine that keeps nothing never has more
	}
	for _, overflow := range []queue.Overflow{queue.Reject, queue.DropOldest} {
		old := e.New(t, queue.Options{})
		first := harness{old, t}.add(queue.Item{Name: "a", Dedupe: "x"}, queue.Item{Name: "b"}, queue.Item{Name: "c"})[0]
		require.NoError(t, old.Close())
		q := harness{e.Reopen(t, old, queue.Options{Capacity: 2, Overflow: overflow}), t}
		assert.Equal(t, []string{first, first}, q.add(queue.Item{Dedupe: "x"}, queue.Item{Dedupe: "x"}))
		assert.Equal(t, []string{"a", "b", "c"}, q.names(queue.Filter{}))
		require.NoError(t, q.Close())
	}
}

func testBatchIsAtomic(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{MaxItemSize: 100})
	_, err := q.Enqueue(t.Context(), queue.Item{Name: "a"}, queue.Item{Payload: make([]byte, 200)}, queue.Item{Name: "b"})
	require.Error(t, err)
	q.depth(queue.Depth{})
	ids := q.add()
	assert.Empty(t, ids)
	items := make([]queue.Item, 500)
	ids = q.add(items...)
	seen := map[string]bool{}
	for _, id := range ids {
		assert.NotEmpty(t, id)
		seen[id] = true
	}
	assert.Len(t, seen, 500)
	q.depth(queue.Depth{Ready: 500})
	for i := range 500 {
		assert.Equal(t, ids[i], q.take().Item.ID)
	}
}

func testRemove(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	ids := q.add(queue.Item{Name: "a"}, queue.Item{Name: "b"}, queue.Item{Name: "c"}, queue.Item{Name: "d", NotBefore: time.Now().Add(time.Hour)})
	d := q.takeNamed("a")
	require.ErrorIs(t, q.Remove(t.Context(), ids[1], ids[0]), queue.ErrLeased)
	require.ErrorIs(t, q.Remove(t.Context(), ids[1], "nobody"), queue.ErrNotFound)
	q.depth(queue.Depth{Leased: 1, Ready: 2, Delayed: 1})
	require.NoError(t, q.Remove(t.Context(), ids[1], ids[3], ids[1]))
	q.takeNamed("c")
	q.none()
	require.NoError(t, q.Dead(t.Context(), d.Lease, ""))
	require.NoError(t, q.Remove(t.Context(), ids[0]))
	q.depth(queue.Depth{Leased: 1})
}

func testList(t *testing.T, e Engine) {
	q := open(t, e, queue.Options{})
	q.add(
		queue.Item{Name: "x", Key: "k"}, queue.Item{Name: "y", Key: "k", Priority: 5}, queue.Item{Name: "x"},
		queue.Item{Name: "z", NotBefore: time.Now().Add(time.Hour)},
	)
	assert.Equal(t, []string{"x", "y", "x", "z"}, q.names(queue.Filter{}))
	assert.Equal(t, []string{"x", "y"}, q.names(queue.Filter{Limit: 2}))
	assert.Equal(t, []string{"x", "x"}, q.names(queue.Filter{Name: "x"}))
	assert.Equal(t, []string{"x", "y"}, q.names(queue.Filter{Key: "k"}))
	assert.Equal(t, []string{"y", "z"}, q.names(queue.Filter{States: []queue.State{queue.Blocked, queue.Delayed}}))
	assert.Equal(t, []string{}, q.names(queue.Filter{Name: "nobody"}))
	for range q.List(t.Context(), queue.Filter{}) {
		break // an early end leaves nothing locked
	}
	q.takeNamed("x")

	seen := []string{} // one moment, whatever happens meanwhile
	for item, err := range q.List(t.Context(), queue.Filter{States: []queue.State{queue.Ready, queue.Delayed}}) {
		require.NoError(t, err)
		seen = append(seen, item.Name)
		require.NoError(t, q.Remove(t.Context(), item.ID))
		q.add(queue.Item{Name: "new"})
	}
	assert.Equal(t, []string{"x", "z"}, seen)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range q.List(ctx, queue.Filter{}) {
		if err != nil { // an engine that holds its items may not notice
			require.ErrorIs(t, err, context.Canceled)
			break
		}
	}
}

func testClose(t *testing.T, e Engine) {
	q := e.New(t, queue.Options{})
	_, err := q.Enqueue(t.Context(), queue.Item{NotBefore: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	errs := make(chan error, 2)
	go func() {
		_, err := q.Receive(t.Context())
		errs <- err
	}()
	go func() { errs <- q.WaitEmpty(t.Context()) }()
	require.NoError(t, q.Close())
	require.NoError(t, q.Close(), "twice")
	require.ErrorIs(t, <-errs, queue.ErrClosed)
	require.ErrorIs(t, <-errs, queue.ErrClosed)
	ctx := t.Context()
	lease := queue.Lease{ID: "x", Token: 1}
	_, enqueue := q.Enqueue(ctx, queue.Item{})
	_, receive := q.Receive(ctx)
	_, try := q.TryReceive(ctx)
	_, peek := q.Peek(ctx)
	_, get := q.Get(ctx, "x")
	_, depth := q.Depth(ctx)
	_, redrive := q.Redrive(ctx)
	_, paused := q.Paused(ctx)
	for i, err := range []error{
		enqueue, receive, try, peek, get, depth, redrive, paused, q.Ack(ctx, lease), q.Nack(ctx, lease, queue.Nack{}),
		q.Extend(ctx, lease), q.Dead(ctx, lease, ""), q.Remove(ctx, "x"), q.Pause(ctx), q.Resume(ctx), q.WaitEmpty(ctx), q.Drain(ctx),
	} {
		assert.True(t, errors.Is(err, queue.ErrClosed), "call %d: %v", i, err)
	}
	for _, err := range q.List(ctx, queue.Filter{}) {
		require.ErrorIs(t, err, queue.ErrClosed)
	}
}
