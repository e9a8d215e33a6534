package task_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/task"
)

func TestTraceOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		tell := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf(format, args...))
		}
		g := task.NewGroup(task.Options{
			OnError: func(string, error) {},
			Trace: task.Trace{
				StartTask: func(ctx context.Context, name string) (context.Context, func(task.Outcome)) {
					if name == "unseen" {
						return nil, nil
					}
					return context.WithValue(ctx, key{}, "span of "+name), func(o task.Outcome) {
						tell("%s ended: %v %v %v", name, o.Took, o.Err, o.Late)
					}
				},
				Abandoned: func(ctx context.Context, name string, after time.Duration) {
					tell("%s abandoned after %v: %v", name, after, ctx.Err())
				},
			},
		})
		work := func(ctx context.Context) (string, error) {
			<-time.After(time.Second) // whatever becomes of ctx
			return fmt.Sprint(ctx.Value(key{})), nil
		}

		require.NoError(t, g.Go(t.Context(), "fails", func(context.Context) error { return io.EOF }))
		require.NoError(t, g.Wait(t.Context()))
		require.NoError(t, g.Go(t.Context(), "exits", func(context.Context) error { runtime.Goexit(); return nil }))
		require.NoError(t, g.Wait(t.Context()))

		v, err := task.Abandon(t.Context(), g, "in time", work, nil)
		require.NoError(t, err)
		assert.Equal(t, "span of in time", v, "the task runs in the context of the trace")
		v, err = task.Abandon(t.Context(), g, "unseen", work, nil)
		require.NoError(t, err)
		assert.Equal(t, "<nil>", v)

		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		_, err = task.Abandon(ctx, g, "late", work, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		closeGroup(t, g)

		assert.Equal(t, []string{
			"fails ended: 0s EOF false",
			"exits ended: 0s the task ended its goroutine without returning false",
			"in time ended: 1s <nil> false",
			"late abandoned after 400ms: context deadline exceeded",
			"late ended: 1s <nil> true",
		}, told)
		assert.Equal(t, task.Stats{Started: 5, Failed: 2, Abandoned: 1, Late: 1, TaskTime: 3 * time.Second}, g.Stats())
	})
}
