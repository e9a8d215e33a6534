package natsqueue_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// TestMoreThanOneMessage has a server with small messages and so much to do at the
// same moment that no message holds it: long reasons, large items, many dead
// letters.
func TestMoreThanOneMessage(t *testing.T) {
	t.Parallel()
	q := connect(t, startServer(t, server.Options{MaxPayload: 128 << 10}), natsqueue.Options{Options: queue.Options{MaxAttempts: 2}})
	const n = 60
	reason := strings.Repeat("x", 15<<10) // 900 KiB in all
	all := func(what func(i int) error) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { assert.NoError(t, what(i)) })
		}
		wg.Wait()
	}
	began := time.Now()
	all(func(i int) error {
		_, err := q.Enqueue(t.Context(), queue.Item{ID: fmt.Sprint(i), Payload: make([]byte, i%5*16<<10)})
		return err
	})
	leases := make(chan queue.Lease, n)
	receive := func(int) error {
		d, err := q.Receive(t.Context())
		leases <- d.Lease
		return err
	}
	all(receive)
	all(func(int) error {
		return q.Nack(t.Context(), <-leases, queue.Nack{Reason: reason, Delay: time.Millisecond})
	})
	all(receive)
	all(func(int) error { return q.Nack(t.Context(), <-leases, queue.Nack{Reason: reason}) })
	dead, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Dead: n}, dead)
	redriven, err := q.Redrive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, n, redriven)
	all(receive)
	all(func(int) error { return q.Ack(t.Context(), <-leases) })
	left, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{}, left)
	t.Log(time.Since(began))
}

// TestOneThatIsTooLarge has a call that no message holds beside others: it alone
// fails.
func TestOneThatIsTooLarge(t *testing.T) {
	t.Parallel()
	q := connect(t, startServer(t, server.Options{MaxPayload: 64 << 10}), natsqueue.Options{Options: queue.Options{MaxAttempts: 1}})
	const n = 6
	ids := make([]string, n)
	for i := range ids { // each is dead with a long reason
		got, err := q.Enqueue(t.Context(), queue.Item{})
		require.NoError(t, err)
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.Dead(t.Context(), d.Lease, strings.Repeat("x", 16<<10)))
		ids[i] = got[0]
	}
	_, err := q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
	held, err := q.Receive(t.Context())
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { assert.NoError(t, q.Extend(t.Context(), held.Lease)) })
		wg.Go(func() {
			_, err := q.Enqueue(t.Context(), queue.Item{Payload: make([]byte, 10<<10)})
			assert.NoError(t, err)
		})
		wg.Go(func() {
			_, err := q.Redrive(t.Context(), ids...)
			assert.ErrorIs(t, err, queue.ErrTooLarge)
		})
	}
	wg.Wait()
	redriven, err := q.Redrive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, n, redriven)
	depth, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Ready: 20 + n, Leased: 1}, depth)
}
