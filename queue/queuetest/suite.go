// Package queuetest is the conformance suite of queues: every implementation of
// [queue.Queue], ours and others, must pass [Run].
//
// It uses real time, so that it serves engines outside the process, and waits by
// blocking in the queue where it can. A machine that is slow does not fail it.
package queuetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// Engine is an implementation under test.
type Engine struct {
	// New opens an empty queue, which the test closes.
	New func(t testing.TB, opts queue.Options) queue.Queue

	// Reopen opens the same queue again after it was closed, for engines that
	// keep their items. Nil skips the tests of that.
	Reopen func(t testing.TB, q queue.Queue, opts queue.Options) queue.Queue

	// Steps is the number of random operations of the model test. 0 means 2000.
	Steps int
}

// Run runs the whole suite.
func Run(t *testing.T, e Engine) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Engine)
	}{
		{"Lifecycle", testLifecycle},
		{"Fields", testFields},
		{"FIFO", testFIFO},
		{"Priority", testPriority},
		{"Keys", testKeys},
		{"KeyOfDelayedItem", testKeyOfDelayedItem},
		{"Delay", testDelay},
		{"ForEver", testForEver},
		{"LeaseExpiry", testLeaseExpiry},
		{"Extend", testExtend},
		{"Retry", testRetry},
		{"DeadAndRedrive", testDeadAndRedrive},
		{"Dedupe", testDedupe},
		{"DedupeWindow", testDedupeWindow},
		{"DuplicateID", testDuplicateID},
		{"TooLarge", testTooLarge},
		{"BadText", testBadText},
		{"Reject", testReject},
		{"Block", testBlock},
		{"DropOldest", testDropOldest},
		{"Overfull", testOverfull},
		{"BatchIsAtomic", testBatchIsAtomic},
		{"ReceiveWaits", testReceiveWaits},
		{"FairReceivers", testFairReceivers},
		{"ReceiveCanceled", testReceiveCanceled},
		{"Remove", testRemove},
		{"List", testList},
		{"Pause", testPause},
		{"Drain", testDrain},
		{"Close", testClose},
		{"Stats", testStats},
		{"Model", testModel},
		{"Concurrent", testConcurrent},
		{"Worker", testWorker},
		{"Reopen", testReopen},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, e) })
	}
}

// harness wraps a queue with operations that must succeed.
type harness struct {
	queue.Queue
	t testing.TB
}

func open(t *testing.T, e Engine, opts queue.Options) harness {
	t.Helper()
	q := e.New(t, opts)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return harness{q, t}
}

func (h harness) add(items ...queue.Item) []string {
	h.t.Helper()
	ids, err := h.Enqueue(h.t.Context(), items...)
	require.NoError(h.t, err)
	require.Len(h.t, ids, len(items))
	return ids
}

func (h harness) addNamed(names ...string) {
	h.t.Helper()
	for _, name := range names {
		h.add(queue.Item{Name: name})
	}
}

// take receives an item that must be there, or come soon.
func (h harness) take() queue.Delivery {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
	defer cancel()
	d, err := h.Receive(ctx)
	require.NoError(h.t, err)
	return d
}

func (h harness) takeNamed(name string) queue.Delivery {
	h.t.Helper()
	d := h.take()
	require.Equal(h.t, name, d.Item.Name)
	return d
}

// none asserts that nothing can be delivered now.
func (h harness) none() {
	h.t.Helper()
	d, err := h.TryReceive(h.t.Context())
	require.ErrorIs(h.t, err, queue.ErrEmpty, "got %q", d.Item.Name)
}

func (h harness) ack(d queue.Delivery) {
	h.t.Helper()
	require.NoError(h.t, h.Ack(h.t.Context(), d.Lease))
}

func (h harness) nack(d queue.Delivery, delay time.Duration, reason string) {
	h.t.Helper()
	require.NoError(h.t, h.Nack(h.t.Context(), d.Lease, queue.Nack{Delay: delay, Reason: reason}))
}

func (h harness) depth(want queue.Depth) {
	h.t.Helper()
	got, err := h.Depth(h.t.Context())
	require.NoError(h.t, err)
	require.Equal(h.t, want, got)
}

// depthBefore is depth of what changes at a time, which a slow machine may miss.
func (h harness) depthBefore(end time.Time, want queue.Depth) {
	h.t.Helper()
	got, err := h.Depth(h.t.Context())
	require.NoError(h.t, err)
	if time.Now().Before(end) {
		require.Equal(h.t, want, got)
	}
}

func (h harness) names(f queue.Filter) []string {
	h.t.Helper()
	names := []string{}
	for item, err := range h.List(h.t.Context(), f) {
		require.NoError(h.t, err)
		names = append(names, item.Name)
	}
	return names
}
