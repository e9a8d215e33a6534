package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

var quiet = slog.New(slog.DiscardHandler)

func TestWorkerKeepsALeaseBeyondItsLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{Lease: time.Minute})
		_, err := q.Enqueue(t.Context(), queue.Item{})
		require.NoError(t, err)
		runs := 0
		w := queue.NewWorker(q, func(ctx context.Context, it queue.Item) error {
			runs++
			select {
			case <-time.After(10 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, queue.WorkerOptions{Logger: quiet})
		require.NoError(t, w.RunUntilEmpty(t.Context()))
		assert.Equal(t, 1, runs)
		assert.EqualValues(t, 1, q.Stats().Acked)
	})
}

func TestWorkerWithoutHeartbeatLosesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{Lease: time.Second, MaxAttempts: 2})
		_, err := q.Enqueue(t.Context(), queue.Item{})
		require.NoError(t, err)
		var results []error
		w := queue.NewWorker(q, func(ctx context.Context, it queue.Item) error {
			<-time.After(time.Minute)
			return nil
		}, queue.WorkerOptions{Heartbeat: -1, Logger: quiet,
			Result: func(_ context.Context, _ queue.Item, err error, _ time.Duration) { results = append(results, err) }})
		require.NoError(t, w.RunUntilEmpty(t.Context()))
		d, err := q.Depth(t.Context())
		require.NoError(t, err)
		assert.Equal(t, queue.Depth{Dead: 1}, d)
		require.NotEmpty(t, results)
		assert.ErrorIs(t, results[0], queue.ErrLeaseLost)
	})
}

func TestWorkerRetryPolicy(t *testing.T) {
	transient := errors.New("transient")
	for name, c := range map[string]struct {
		fail     func(attempt int) error
		attempts int
		depth    queue.Depth
		took     time.Duration
	}{
		"permanent":   {func(int) error { return fmt.Errorf("x: %w", queue.Permanent(transient)) }, 1, queue.Depth{Dead: 1}, 0},
		"retry after": {func(n int) error { return ifBelow(n, 3, queue.RetryAfter(transient, 7*time.Second)) }, 3, queue.Depth{}, 14 * time.Second},
		"at once":     {func(n int) error { return ifBelow(n, 3, queue.RetryAfter(transient, 0)) }, 3, queue.Depth{}, 0},
		"backoff":     {func(n int) error { return ifBelow(n, 3, transient) }, 3, queue.Depth{}, 3 * time.Second},
		"exhausted":   {func(int) error { return transient }, 5, queue.Depth{Dead: 1}, 15 * time.Second},
		"panic":       {func(n int) error { panicIf(n < 2, transient); return nil }, 2, queue.Depth{}, time.Second},
		"mute error":  {func(n int) error { return ifBelow(n, 2, (*mute)(nil)) }, 2, queue.Depth{}, time.Second},
		"goexit": {func(n int) error {
			if n < 2 {
				runtime.Goexit()
			}
			return nil
		}, 2, queue.Depth{}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queue.NewMemory(queue.Options{Backoff: func(n int) time.Duration { return time.Second << (n - 1) }})
				_, err := q.Enqueue(t.Context(), queue.Item{})
				require.NoError(t, err)
				attempts, start := 0, time.Now()
				w := queue.NewWorker(q, func(_ context.Context, it queue.Item) error {
					attempts++
					assert.Equal(t, attempts, it.Attempts)
					return c.fail(it.Attempts)
				}, queue.WorkerOptions{Logger: quiet})
				require.NoError(t, w.RunUntilEmpty(t.Context()))
				assert.Equal(t, c.attempts, attempts)
				assert.Equal(t, c.took, time.Since(start))
				d, err := q.Depth(t.Context())
				require.NoError(t, err)
				assert.Equal(t, c.depth, d)
			})
		})
	}
}

// mute is an error that panics when it is nil and asked what it says.
type mute struct{ text string }

func (m *mute) Error() string { return m.text }

func ifBelow(n, limit int, err error) error {
	if n < limit {
		return err
	}
	return nil
}

func panicIf(cond bool, v any) {
	if cond {
		panic(v)
	}
}

func TestWorkerRunUntilEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		require.NoError(t, q.Pause(t.Context()))
		var names []string
		w := queue.NewWorker(q, func(ctx context.Context, it queue.Item) error {
			names = append(names, it.Name)
			if it.Name == "first" { // follow-up work counts
				_, err := q.Enqueue(ctx, queue.Item{Name: "follow-up", NotBefore: time.Now().Add(time.Hour)})
				return err
			}
			return nil
		}, queue.WorkerOptions{})
		require.ErrorIs(t, w.RunUntilEmpty(t.Context()), queue.ErrPaused)
		require.NoError(t, q.Resume(t.Context()))
		require.NoError(t, w.RunUntilEmpty(t.Context()), "an empty queue")
		_, err := q.Enqueue(t.Context(), queue.Item{Name: "first"}, queue.Item{Name: "second"})
		require.NoError(t, err)
		require.NoError(t, w.RunUntilEmpty(t.Context()))
		assert.Equal(t, []string{"first", "second", "follow-up"}, names)

		_, err = q.Enqueue(t.Context(), queue.Item{NotBefore: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, w.RunUntilEmpty(ctx), context.DeadlineExceeded)
		require.NoError(t, q.Close())
		require.ErrorIs(t, w.RunUntilEmpty(t.Context()), queue.ErrClosed)
	})
}

func TestWorkerMiddlewareRestoreRateTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{MaxAttempts: 1})
		items := make([]queue.Item, 5)
		items[2].Checkpoint = []byte("cp")
		items[3].Checkpoint = []byte("bad")
		items[4].Name = "slow"
		_, err := q.Enqueue(t.Context(), items...)
		require.NoError(t, err)
		type key struct{}
		var log []string
		layer := func(name string) func(queue.Handler) queue.Handler {
			return func(next queue.Handler) queue.Handler {
				return func(ctx context.Context, it queue.Item) error {
					log = append(log, name)
					return next(ctx, it)
				}
			}
		}
		var restored atomic.Value
		start := time.Now()
		var failed []error
		w := queue.NewWorker(q, func(ctx context.Context, it queue.Item) error {
			if v := ctx.Value(key{}); v != nil {
				restored.Store(v)
			}
			if it.Name == "slow" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, queue.WorkerOptions{
			Rate:       2,
			Timeout:    time.Minute,
			Middleware: []func(queue.Handler) queue.Handler{layer("outer"), layer("inner")},
			Restore: func(ctx context.Context, it queue.Item) (context.Context, error) {
				if string(it.Checkpoint) == "bad" {
					return nil, errors.New("no such checkpoint")
				}
				return context.WithValue(ctx, key{}, string(it.Checkpoint)), nil
			},
			Result: func(_ context.Context, _ queue.Item, err error, _ time.Duration) {
				if err != nil {
					failed = append(failed, err)
				}
			},
			Logger: quiet,
		})
		require.NoError(t, w.RunUntilEmpty(t.Context()))
		assert.Equal(t, slices.Repeat([]string{"outer", "inner"}, 4), log, "the bad checkpoint never reached the handler")
		assert.Equal(t, "cp", restored.Load())
		require.Len(t, failed, 2)
		assert.EqualError(t, failed[0], "no such checkpoint")
		assert.ErrorIs(t, failed[1], context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second+time.Minute, time.Since(start))
	})
}

// TestWorkerConcurrency handles items of three keys with more hands than keys: all
// keys at once, and each key's items one after the other.
func TestWorkerConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		for i := range 12 {
			_, err := q.Enqueue(t.Context(), queue.Item{Name: fmt.Sprint(i), Key: fmt.Sprint("key", i%3)})
			require.NoError(t, err)
		}
		var mu sync.Mutex
		busy, most, order := map[string]bool{}, 0, map[string][]string{}
		w := queue.NewWorker(q, func(_ context.Context, it queue.Item) error {
			mu.Lock()
			assert.False(t, busy[it.Key])
			busy[it.Key] = true
			most = max(most, len(busy))
			order[it.Key] = append(order[it.Key], it.Name)
			mu.Unlock()
			<-time.After(time.Minute)
			mu.Lock()
			delete(busy, it.Key)
			mu.Unlock()
			return nil
		}, queue.WorkerOptions{Concurrency: 8})
		start := time.Now()
		require.NoError(t, w.RunUntilEmpty(t.Context()))
		assert.Equal(t, 4*time.Minute, time.Since(start))
		assert.Equal(t, 3, most)
		assert.Equal(t, map[string][]string{
			"key0": {"0", "3", "6", "9"}, "key1": {"1", "4", "7", "10"}, "key2": {"2", "5", "8", "11"},
		}, order)
	})
}

// TestWorkerRate has many hands wait for work that comes all at once.
func TestWorkerRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		starts := make(chan time.Duration, 5)
		start := time.Now()
		w := queue.NewWorker(q, func(context.Context, queue.Item) error {
			starts <- time.Since(start)
			return nil
		}, queue.WorkerOptions{Concurrency: 8, Rate: 2})
		done := make(chan error, 1)
		go func() { done <- w.Run(t.Context()) }()
		<-time.After(time.Hour)
		_, err := q.Enqueue(t.Context(), make([]queue.Item, 5)...)
		require.NoError(t, err)
		for i := range 5 {
			assert.Equal(t, time.Hour+time.Duration(i)*time.Second/2, <-starts)
		}
		require.NoError(t, w.Stop(t.Context()))
		require.NoError(t, <-done)
	})
}

// TestWorkerRateOfAlmostNever has a rate whose pause no duration holds.
func TestWorkerRateOfAlmostNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		_, err := q.Enqueue(t.Context(), make([]queue.Item, 5)...)
		require.NoError(t, err)
		w := queue.NewWorker(q, func(context.Context, queue.Item) error { return nil }, queue.WorkerOptions{Rate: 1e-12})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, w.Run(ctx))
		assert.EqualValues(t, 1, q.Stats().Acked)
	})
}
