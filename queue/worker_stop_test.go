package queue_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func TestWorkerStopAndCancel(t *testing.T) {
	start := func(t *testing.T, ctx context.Context, handler queue.Handler) (*queue.Memory, *queue.Worker, chan error) {
		q := queue.NewMemory(queue.Options{})
		_, err := q.Enqueue(t.Context(), queue.Item{}, queue.Item{})
		require.NoError(t, err)
		w := queue.NewWorker(q, handler, queue.WorkerOptions{Logger: quiet})
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		return q, w, done
	}
	slow := func(ctx context.Context, _ queue.Item) error {
		select {
		case <-time.After(time.Minute):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.Run("stop waits for the running handler", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, w, done := start(t, t.Context(), slow)
			require.NoError(t, w.Stop(t.Context()))
			require.NoError(t, <-done)
			assert.EqualValues(t, 1, q.Stats().Acked)
			d, _ := q.Depth(t.Context())
			assert.Equal(t, queue.Depth{Ready: 1}, d)
		})
	})
	t.Run("an impatient stop interrupts it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, w, done := start(t, t.Context(), slow)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, w.Stop(ctx), context.DeadlineExceeded)
			require.NoError(t, <-done)
			d, _ := q.Depth(t.Context())
			assert.Equal(t, queue.Depth{Ready: 2}, d, "the interrupted item is available at once")
		})
	})
	t.Run("the end of the context interrupts it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			q, _, done := start(t, ctx, slow)
			cancel()
			require.NoError(t, <-done)
			d, _ := q.Depth(t.Context())
			assert.Equal(t, queue.Depth{Ready: 2}, d)
		})
	})
	t.Run("so it does without a heartbeat", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queue.NewMemory(queue.Options{})
			_, err := q.Enqueue(t.Context(), queue.Item{})
			require.NoError(t, err)
			w := queue.NewWorker(q, slow, queue.WorkerOptions{Heartbeat: -1, Logger: quiet})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.NoError(t, w.Run(ctx))
			d, _ := q.Depth(t.Context())
			assert.Equal(t, queue.Depth{Ready: 1}, d)
		})
	})
	t.Run("the end of the queue ends it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, _, done := start(t, t.Context(), slow)
			require.NoError(t, q.Close())
			require.ErrorIs(t, <-done, queue.ErrClosed)
		})
	})
}

// slowContext is a context whose end reaches those who wait for it one after the
// other, the last one first, as it may on a busy machine.
type slowContext struct {
	context.Context
	ended chan struct{}
	hooks []func()
}

func (c *slowContext) Done() <-chan struct{} { return c.ended }

func (c *slowContext) Err() error {
	select {
	case <-c.ended:
		return context.Canceled
	default:
		return nil
	}
}

func (c *slowContext) AfterFunc(f func()) func() bool {
	c.hooks = append(c.hooks, f)
	return func() bool { return true }
}

func (c *slowContext) end() {
	close(c.ended)
	for _, hook := range slices.Backward(c.hooks) {
		hook()
		<-time.After(time.Second)
	}
}

// TestWorkerTakesNothingAfterTheEnd: what is interrupted must not be taken again and
// again until its attempts are used up.
func TestWorkerTakesNothingAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		_, err := q.Enqueue(t.Context(), queue.Item{}, queue.Item{})
		require.NoError(t, err)
		w := queue.NewWorker(q, func(ctx context.Context, _ queue.Item) error {
			<-ctx.Done()
			return ctx.Err()
		}, queue.WorkerOptions{Logger: quiet})
		ctx := &slowContext{Context: context.Background(), ended: make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		ctx.end()
		require.NoError(t, <-done)
		d, err := q.Depth(t.Context())
		require.NoError(t, err)
		assert.Equal(t, queue.Depth{Ready: 2}, d)
		assert.EqualValues(t, 1, q.Stats().Received)
	})
}
