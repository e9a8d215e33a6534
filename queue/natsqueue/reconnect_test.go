package natsqueue_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// TestReconnect stops the server under handles and brings it back: calls wait for
// it, those that wait for work go on to wait, and one that waits too long says so.
func TestReconnect(t *testing.T) {
	t.Parallel()
	p := startPlace(t, server.Options{})
	patient := connect(t, p.s.ClientURL(), natsqueue.Options{Wait: time.Minute})
	var hasty *natsqueue.Queue
	for hasty == nil { // a busy machine may be too slow for it
		var err error
		if hasty, err = natsqueue.Connect(t.Context(), p.s.ClientURL(), natsqueue.Options{Wait: 100 * time.Millisecond}); err != nil {
			require.ErrorIs(t, err, natsqueue.ErrUnavailable)
		}
	}
	defer func() { assert.NoError(t, hasty.Close()) }()
	_, err := patient.Enqueue(t.Context(), queue.Item{Name: "before"})
	require.NoError(t, err)
	before, err := patient.Receive(t.Context())
	require.NoError(t, err)
	got := make(chan queue.Delivery, 1)
	go func() {
		d, err := patient.Receive(t.Context())
		assert.NoError(t, err)
		got <- d
	}()

	p.stop()
	_, err = hasty.Enqueue(t.Context(), queue.Item{NotBefore: time.Now().Add(time.Hour)}) // which may be taken yet
	require.ErrorIs(t, err, natsqueue.ErrUnavailable)
	acked := make(chan error, 1)
	go func() { acked <- patient.Ack(t.Context(), before.Lease) }()
	p.start()
	require.NoError(t, <-acked)
	_, err = patient.Enqueue(t.Context(), queue.Item{Name: "after"})
	require.NoError(t, err)
	d := <-got
	assert.Equal(t, "after", d.Item.Name)
	require.NoError(t, patient.Ack(t.Context(), d.Lease))
	for err = natsqueue.ErrUnavailable; err != nil; { // until its connection is back, too
		_, err = hasty.Depth(t.Context())
		if err != nil {
			require.ErrorIs(t, err, natsqueue.ErrUnavailable)
		}
	}
}

// TestContextEndsWithoutAnswer has calls on their way when the server goes: they
// end soon after their context, and what was delivered to nobody is given back.
func TestContextEndsWithoutAnswer(t *testing.T) {
	t.Parallel()
	p := startPlace(t, server.Options{})
	q := connect(t, p.s.ClientURL(), natsqueue.Options{Options: queue.Options{MaxAttempts: 1, Lease: time.Hour}, Wait: time.Hour})
	_, err := q.Enqueue(t.Context(), queue.Item{ID: "a", Key: "k"}, queue.Item{ID: "b", Key: "k"})
	require.NoError(t, err)
	p.stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	_, err = q.Receive(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, natsqueue.ErrUnavailable)
	_, err = q.Enqueue(ctx, queue.Item{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(began), 30*time.Second)
	p.start()
	for _, want := range []string{"a", "b"} {
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, d.Item.ID)
		assert.Equal(t, 1, d.Item.Attempts)
		require.NoError(t, q.Ack(t.Context(), d.Lease))
	}
	d, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{}, d)
}

// TestDrainWithoutServer drains while there is no server: it ends with its context,
// and the refusal holds, also for who has waited.
func TestDrainWithoutServer(t *testing.T) {
	t.Parallel()
	p := startPlace(t, server.Options{})
	q := connect(t, p.s.ClientURL(), natsqueue.Options{Options: queue.Options{Capacity: 1, Overflow: queue.Block}, Wait: time.Hour})
	_, err := q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
	waited := make(chan error, 1)
	go func() { _, err := q.Enqueue(t.Context(), queue.Item{}); waited <- err }()
	p.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, q.Drain(ctx), context.DeadlineExceeded)
	p.start()
	require.ErrorIs(t, <-waited, queue.ErrDraining)
	_, err = q.Enqueue(t.Context(), queue.Item{})
	require.ErrorIs(t, err, queue.ErrDraining)
	require.NoError(t, q.Resume(t.Context()))
	d, err := q.Receive(t.Context())
	require.NoError(t, err)
	require.NoError(t, q.Ack(t.Context(), d.Lease))
	_, err = q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
}

// TestRefusedForAWhile has the server come back with another password first.
func TestRefusedForAWhile(t *testing.T) {
	t.Parallel()
	p := startPlace(t, server.Options{Username: "me", Password: "right"})
	q := connect(t, "nats://me:right@"+p.s.Addr().String(), natsqueue.Options{
		Options: queue.Options{Logger: slog.New(slog.DiscardHandler)}, Wait: time.Second,
	})
	p.stop()
	p.opts.Password = "other"
	p.start()
	_, err := q.Depth(t.Context()) // meanwhile several attempts to connect fail
	require.ErrorIs(t, err, natsqueue.ErrUnavailable)
	p.stop()
	p.opts.Password = "right"
	p.start()
	for err != nil {
		if _, err = q.Depth(t.Context()); err != nil {
			require.ErrorIs(t, err, natsqueue.ErrUnavailable)
		}
	}
}
