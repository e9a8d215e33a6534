package task_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/utility/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failures collects what a group reports.
type failures struct {
	mu  sync.Mutex
	all map[string]error
}

func (f *failures) add(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]error{}
	}
	f.all[name] = err
}

func closeGroup(t *testing.T, g *task.Group) {
	t.Helper()
	require.NoError(t, g.Close(context.Background()))
}

// untimed returns the statistics without what differs from run to run.
func untimed(g *task.Group) task.Stats {
	s := g.Stats()
	s.TaskTime = 0
	return s
}

func TestErrorsAndPanicsAreReported(t *testing.T) {
	var f failures
	g := task.NewGroup(task.Options{OnError: f.add})
	for name, fn := range map[string]func(context.Context) error{
		"good":  func(context.Context) error { return nil },
		"error": func(context.Context) error { return io.EOF },
		"panic": func(context.Context) error { panic(io.ErrClosedPipe) },
		"nil":   func(context.Context) error { panic("text") },
		"exit":  func(context.Context) error { runtime.Goexit(); return nil },
	} {
		require.NoError(t, g.Detach(t.Context(), name, fn))
	}
	require.NoError(t, g.Wait(t.Context()))
	closeGroup(t, g)

	require.Len(t, f.all, 4)
	require.Equal(t, io.EOF, f.all["error"])
	require.ErrorIs(t, f.all["panic"], io.ErrClosedPipe)
	var p *task.PanicError
	require.ErrorAs(t, f.all["nil"], &p)
	assert.Contains(t, string(p.Stack), "task_test.go")
	assert.ErrorContains(t, f.all["exit"], "without returning")
	assert.Equal(t, task.Stats{Started: 5, Failed: 4, Panicked: 2}, untimed(g))
}

func TestFailuresAreLoggedWithTheirName(t *testing.T) {
	var log bytes.Buffer
	g := task.NewGroup(task.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, g.Go(t.Context(), "index docs", func(context.Context) error { panic("bad page") }))
	closeGroup(t, g)
	assert.Contains(t, log.String(), `msg="task failed" task="index docs" error="panic: bad page" stack=`)
}

type key struct{}

func TestTasksOutliveTheirCallersContext(t *testing.T) {
	var f failures
	g := task.NewGroup(task.Options{OnError: f.add})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	started := make(chan struct{})
	require.NoError(t, g.Detach(ctx, "long", func(ctx context.Context) error {
		assert.Equal(t, "value", ctx.Value(key{}))
		close(started)
		<-ctx.Done()
		assert.ErrorIs(t, context.Cause(ctx), task.ErrClosed)
		return fmt.Errorf("ended: %w", ctx.Err())
	}))
	cancel()
	<-started
	assert.Equal(t, []string{"long"}, g.Names())
	assert.Equal(t, 1, g.Stats().Running)
	closeGroup(t, g)
	closeGroup(t, g)
	assert.Empty(t, f.all, "ending when told is no failure")
	assert.Empty(t, g.Names())

	never := func(context.Context) error { t.Error("ran"); return nil }
	require.ErrorIs(t, g.Detach(t.Context(), "late", never), task.ErrClosed)
	require.ErrorIs(t, g.Go(t.Context(), "late", never), task.ErrClosed)
	_, err := task.Abandon(t.Context(), g, "late", func(context.Context) (int, error) { return 0, never(nil) }, nil)
	require.ErrorIs(t, err, task.ErrClosed)
}

func TestTheLimitHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := task.NewGroup(task.Options{Limit: 2})
		var mu sync.Mutex
		running, most := 0, 0
		work := func(context.Context) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}
		began := time.Now()
		for i := range 6 {
			require.NoError(t, g.Go(t.Context(), fmt.Sprint("work ", i), work))
		}
		err := g.Detach(t.Context(), "one more", work)
		require.ErrorIs(t, err, task.ErrFull)
		assert.EqualError(t, err, "task one more: task group is full: 2 are running")

		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, g.Go(ctx, "impatient", work), context.DeadlineExceeded)
		require.ErrorIs(t, g.Go(ctx, "impatient", work), context.DeadlineExceeded)

		require.NoError(t, g.Wait(t.Context()))
		assert.Equal(t, 3*time.Second, time.Since(began))
		assert.Equal(t, 2, most)
		assert.Equal(t, task.Stats{Started: 6, Refused: 1, TaskTime: 6 * time.Second}, g.Stats())

		// A closed group wakes those that wait for a slot.
		for range 2 {
			require.NoError(t, g.Detach(t.Context(), "w", work))
		}
		waiting := make(chan error, 1)
		go func() { waiting <- g.Go(t.Context(), "waits", work) }()
		synctest.Wait()
		closeGroup(t, g)
		require.ErrorIs(t, <-waiting, task.ErrClosed)
	})
}

func TestCloseNamesWhatStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := task.NewGroup(task.Options{Limit: -1})
		release := make(chan struct{})
		for _, name := range []string{"b", "a"} {
			require.NoError(t, g.Detach(t.Context(), name, func(context.Context) error { <-release; return nil }))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g.Close(ctx)
		var still *task.RunningError
		require.ErrorAs(t, err, &still)
		assert.Equal(t, []string{"a", "b"}, still.Names)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(release)
		closeGroup(t, g)
	})
}

func TestAbandon(t *testing.T) {
	t.Run("in time", func(t *testing.T) {
		g := task.NewGroup(task.Options{})
		never := func(int, error) { t.Error("late was called") }
		n, err := task.Abandon(t.Context(), g, "sum", func(context.Context) (int, error) { return 42, io.EOF }, never)
		assert.Equal(t, 42, n)
		require.Equal(t, io.EOF, err)
		_, err = task.Abandon(t.Context(), g, "panic", func(context.Context) (int, error) { panic("x") }, never)
		var p *task.PanicError
		require.ErrorAs(t, err, &p)
		_, err = task.Abandon(t.Context(), g, "exit", func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, never)
		require.ErrorContains(t, err, "without returning")
		closeGroup(t, g)
		assert.Equal(t, task.Stats{Started: 3}, untimed(g))
	})
	t.Run("too late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := task.NewGroup(task.Options{})
			cause := errors.New("escape")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			got := make(chan int, 1)
			began := time.Now()
			_, err := task.Abandon(ctx, g, "stubborn", func(context.Context) (int, error) {
				<-time.After(time.Hour)
				return 42, nil
			}, func(n int, err error) {
				assert.NoError(t, err)
				got <- n
			})
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, cause)
			assert.EqualError(t, err, "task stubborn: abandoned: context canceled: escape")
			assert.Equal(t, time.Second, time.Since(began))
			assert.Equal(t, task.Stats{Running: 1, Started: 1, Abandoned: 1}, g.Stats())
			assert.Equal(t, 42, <-got)
			closeGroup(t, g)
			assert.Equal(t, task.Stats{Started: 1, Abandoned: 1, Late: 1, TaskTime: time.Hour}, g.Stats())
		})
	})
	t.Run("late panics", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			g := task.NewGroup(task.Options{OnError: f.add})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := task.Abandon(ctx, g, "bomb", func(context.Context) (int, error) {
				<-time.After(time.Hour)
				panic("late")
			}, func(int, error) { panic("in cleanup") })
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NoError(t, g.Wait(t.Context()))
			closeGroup(t, g)
			assert.EqualError(t, f.all["bomb"], "panic: late")
			assert.EqualError(t, f.all["bomb (cleanup)"], "panic: in cleanup")
		})
	})
	t.Run("every result has one owner", func(t *testing.T) {
		g := task.NewGroup(task.Options{})
		var mu sync.Mutex
		late, inTime := 0, 0
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				_, err := task.Abandon(ctx, g, "race", func(context.Context) (int, error) { return 1, nil }, func(int, error) {
					mu.Lock()
					late++
					mu.Unlock()
				})
				if err == nil {
					mu.Lock()
					inTime++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		closeGroup(t, g)
		s := g.Stats()
		assert.EqualValues(t, late, s.Late)
		assert.EqualValues(t, late, s.Abandoned)
		assert.EqualValues(t, s.Started, late+inTime)
	})
}

func TestAPanicIsNoObedience(t *testing.T) {
	var f failures
	g := task.NewGroup(task.Options{OnError: f.add})
	require.NoError(t, g.Detach(t.Context(), "panics when closed", func(ctx context.Context) error {
		<-ctx.Done()
		panic(ctx.Err())
	}))
	closeGroup(t, g)
	var p *task.PanicError
	require.ErrorAs(t, f.all["panics when closed"], &p)
}

func TestABrokenOnErrorLosesNothing(t *testing.T) {
	var log bytes.Buffer
	g := task.NewGroup(task.Options{
		OnError: func(string, error) { panic("no connection") },
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, g.Detach(t.Context(), "index", func(context.Context) error { return io.EOF }))
	closeGroup(t, g)
	assert.Contains(t, log.String(), `task=index error="EOF; Options.OnError could not be told: panic: no connection" stack=`)
}

func TestErrorsAreTheContextsAndItsCause(t *testing.T) {
	g := task.NewGroup(task.Options{Limit: 1})
	release := make(chan struct{})
	require.NoError(t, g.Detach(t.Context(), "holds the slot", func(context.Context) error { <-release; return nil }))
	cause := errors.New("escape")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, err := range []error{g.Go(ctx, "x", nil), g.Wait(ctx), g.Close(ctx)} {
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
	}
	close(release)
	closeGroup(t, g)
}

func TestTheSlotIsFreeWhenAbandonReturns(t *testing.T) {
	g := task.NewGroup(task.Options{Limit: 1})
	for range 2000 {
		_, err := task.Abandon(t.Context(), g, "a", func(context.Context) (int, error) { return 1, nil }, nil)
		require.NoError(t, err)
		require.Zero(t, g.Stats().Running)
		require.NoError(t, g.Detach(t.Context(), "b", func(context.Context) error { return nil }))
		require.NoError(t, g.Wait(t.Context()))
	}
	closeGroup(t, g)
}

func TestDefaultGroup(t *testing.T) {
	done := make(chan struct{})
	require.NoError(t, task.Detach(t.Context(), "one", func(context.Context) error { close(done); return nil }))
	<-done
	n, err := task.Abandon(t.Context(), nil, "two", func(context.Context) (int, error) { return 2, nil }, nil)
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	require.NoError(t, task.Default().Wait(t.Context()))
}

func ExampleGroup() {
	tasks := task.NewGroup(task.Options{OnError: func(name string, err error) { fmt.Println(name, "failed:", err) }})
	_ = tasks.Detach(context.Background(), "warm the cache", func(context.Context) error {
		panic("no such table")
	})
	_ = tasks.Wait(context.Background())
	fmt.Println(tasks.Close(context.Background()))
	// Output:
	// warm the cache failed: panic: no such table
	// <nil>
}

func ExampleAbandon() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	cleaned := make(chan struct{})
	release := make(chan struct{})
	_, err := task.Abandon(ctx, nil, "open", func(context.Context) (io.Closer, error) {
		<-release // ignores its context
		return io.NopCloser(nil), nil
	}, func(c io.Closer, err error) {
		_ = c.Close()
		close(cleaned)
	})
	fmt.Println(err)
	close(release)
	<-cleaned
	// Output: task open: abandoned: context deadline exceeded
}

func BenchmarkDetach(b *testing.B) {
	g := task.NewGroup(task.Options{Limit: -1})
	fn := func(context.Context) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		_ = g.Detach(b.Context(), "x", fn)
	}
	_ = g.Close(context.Background())
}
