package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// flaky is a queue some of whose calls fail.
type flaky struct {
	*queue.Memory
	mu          sync.Mutex
	extend, ack []error // of the next calls
}

func (f *flaky) next(errs *[]error) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(*errs) > 0 {
		err, *errs = (*errs)[0], (*errs)[1:]
	}
	return err
}

func (f *flaky) Extend(ctx context.Context, lease queue.Lease) error {
	if err := f.next(&f.extend); err == errHung {
		<-ctx.Done()
		return ctx.Err()
	} else if err != nil {
		return err
	}
	return f.Memory.Extend(ctx, lease)
}

func (f *flaky) Ack(ctx context.Context, lease queue.Lease) error {
	if err := f.next(&f.ack); err != nil {
		return err
	}
	return f.Memory.Ack(ctx, lease)
}

var (
	errBroken = errors.New("connection reset")
	errHung   = errors.New("no answer")
)

// attempts handles one item, for ten minutes at a time, and returns what came of
// each attempt.
func attempts(t *testing.T, q *flaky) (outcomes []error) {
	_, err := q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
	w := queue.NewWorker(q, func(ctx context.Context, _ queue.Item) error {
		select {
		case <-time.After(10 * time.Minute):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}, queue.WorkerOptions{
		Logger: quiet,
		Result: func(ctx context.Context, _ queue.Item, err error, _ time.Duration) {
			outcomes = append(outcomes, err)
			assert.NoError(t, ctx.Err(), "a result can be written down whatever became of it")
			panic("a result hook that panics ends nothing")
		},
	})
	require.NoError(t, w.RunUntilEmpty(t.Context()))
	return outcomes
}

func TestWorkerOnAQueueThatFails(t *testing.T) {
	newQueue := func() *flaky { return &flaky{Memory: queue.NewMemory(queue.Options{Lease: time.Minute})} }
	t.Run("a lost lease cancels the handler", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			q.extend = []error{nil, queue.ErrLeaseLost}
			got := attempts(t, q)
			require.Len(t, got, 2)
			assert.ErrorIs(t, got[0], queue.ErrLeaseLost)
			assert.NoError(t, got[1])
			assert.EqualValues(t, 1, q.Stats().Expired)
		})
	})
	t.Run("the heartbeat outlasts a failure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			q.extend = []error{errBroken, nil, errBroken}
			assert.Equal(t, []error{nil}, attempts(t, q))
		})
	})
	t.Run("the heartbeat outlasts a call without an answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			q.extend = []error{errHung, errBroken, nil, nil, errBroken, errHung}
			assert.Equal(t, []error{nil}, attempts(t, q))
		})
	})
	t.Run("a lease that cannot be renewed cancels the handler when it is over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			q.extend = []error{nil}
			for range 20 {
				q.extend = append(q.extend, errHung)
			}
			start := time.Now()
			var lost time.Duration
			_, err := q.Enqueue(t.Context(), queue.Item{})
			require.NoError(t, err)
			w := queue.NewWorker(q, func(ctx context.Context, it queue.Item) error {
				if it.Attempts > 1 {
					return nil
				}
				<-ctx.Done()
				lost = time.Since(start)
				return context.Cause(ctx)
			}, queue.WorkerOptions{Logger: quiet})
			require.NoError(t, w.RunUntilEmpty(t.Context()))
			assert.Equal(t, 80*time.Second, lost, "a minute after the only renewal")
		})
	})
	t.Run("an acknowledgement that fails is repeated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			q.ack = []error{errBroken, errBroken, errBroken}
			assert.Equal(t, []error{nil}, attempts(t, q))
			assert.EqualValues(t, 1, q.Stats().Acked)
		})
	})
	t.Run("what cannot be acknowledged comes again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			for range 8 { // 50 ms, doubled each time, is more than ten seconds
				q.ack = append(q.ack, errBroken)
			}
			got := attempts(t, q)
			require.Len(t, got, 2)
			assert.ErrorIs(t, got[0], errBroken)
			assert.NoError(t, got[1])
		})
	})
}

func TestWorkerRetriesByTypeOfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{Backoff: func(int) time.Duration { return time.Hour }})
		errs := map[string]error{
			"path":  &fs.PathError{Op: "open", Path: "x", Err: errBroken},
			"limit": fmt.Errorf("model: %w", errBroken),
			"odd":   errors.New("odd"),
		}
		for name := range errs {
			_, err := q.Enqueue(t.Context(), queue.Item{Name: name})
			require.NoError(t, err)
		}
		start, done := time.Now(), map[string]time.Duration{}
		w := queue.NewWorker(q, func(_ context.Context, it queue.Item) error {
			if it.Attempts == 1 {
				return errs[it.Name]
			}
			done[it.Name] = time.Since(start)
			return nil
		}, queue.WorkerOptions{Logger: quiet, Retry: func(_ queue.Item, err error) queue.Decision {
			var path *fs.PathError
			switch {
			case errors.As(err, &path):
				return queue.Decision{Dead: true}
			case errors.Is(err, errBroken):
				return queue.Decision{Delay: time.Minute}
			default:
				panic("a policy that panics means the queue's backoff")
			}
		}})
		require.NoError(t, w.RunUntilEmpty(t.Context()))
		assert.Equal(t, map[string]time.Duration{"limit": time.Minute, "odd": time.Hour}, done)
		for it := range q.List(t.Context(), queue.Filter{}) {
			assert.Equal(t, "path", it.Name)
			assert.Equal(t, "open x: connection reset", it.LastError)
		}
		assert.Equal(t, []string{"path"}, names(t, q))
	})
}

// TestWorkerKeepsReasonsShort has a handler that fails with a whole log.
func TestWorkerKeepsReasonsShort(t *testing.T) {
	q := queue.NewMemory(queue.Options{})
	_, err := q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
	w := queue.NewWorker(q, func(context.Context, queue.Item) error {
		return queue.Permanent(fmt.Errorf("tests failed: %s: no such file", strings.Repeat("ok\n", 1<<20)))
	}, queue.WorkerOptions{Logger: quiet})
	require.NoError(t, w.RunUntilEmpty(t.Context()))
	for it, err := range q.List(t.Context(), queue.Filter{}) {
		require.NoError(t, err)
		assert.Less(t, len(it.LastError), 16<<10)
		assert.True(t, strings.HasPrefix(it.LastError, "tests failed: ok"))
		assert.True(t, strings.HasSuffix(it.LastError, ": no such file"))
	}
}
