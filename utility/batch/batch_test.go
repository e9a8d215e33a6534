package batch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/batch"
)

// upstream notes its batches as "keys@milliseconds" and answers with key*10. Odd
// keys from 101 on fail by themselves.
type upstream struct {
	mu    sync.Mutex
	start time.Time
	loads []string
	takes time.Duration
}

var errOdd = errors.New("odd")

func (u *upstream) load(ctx context.Context, keys []int) ([]batch.Result[int], error) {
	u.mu.Lock()
	sorted := slices.Sorted(slices.Values(keys))
	u.loads = append(u.loads, fmt.Sprintf("%v@%d", sorted, time.Since(u.start)/time.Millisecond))
	u.mu.Unlock()
	if u.takes > 0 {
		select {
		case <-time.After(u.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	results := make([]batch.Result[int], len(keys))
	for i, key := range keys {
		results[i].Value = key * 10
		if key > 100 && key%2 == 1 {
			results[i] = batch.Result[int]{Err: errOdd}
		}
	}
	return results, nil
}

func (u *upstream) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.loads, " ")
}

func batcher(t *testing.T, u *upstream, opts batch.Options, body func(t *testing.T, b *batch.Batcher[int, int])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		u.start = time.Now()
		b := batch.New(u.load, opts)
		body(t, b)
		require.NoError(t, b.Close(context.Background()))
	})
}

func TestWindowAndSize(t *testing.T) {
	u := &upstream{}
	batcher(t, u, batch.Options{Window: 10 * time.Millisecond, MaxSize: 3}, func(t *testing.T, b *batch.Batcher[int, int]) {
		var wg sync.WaitGroup
		for key := range 8 {
			wg.Go(func() {
				v, err := b.Load(t.Context(), key)
				assert.NoError(t, err)
				assert.Equal(t, key*10, v)
			})
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		// Two full batches when their third key comes; the rest when its window ends.
		assert.Equal(t, "[0 1 2]@2 [3 4 5]@5 [6 7]@16", u.String())
	})
}

func TestWithoutWindow(t *testing.T) {
	u := &upstream{}
	batcher(t, u, batch.Options{Window: -1}, func(t *testing.T, b *batch.Batcher[int, int]) {
		for key := range 3 {
			_, err := b.Load(t.Context(), key)
			require.NoError(t, err)
		}
		assert.Equal(t, "[0]@0 [1]@0 [2]@0", u.String())
	})
}

func TestKeysInFlightAreNotLoadedTwice(t *testing.T) {
	u := &upstream{takes: 100 * time.Millisecond}
	batcher(t, u, batch.Options{}, func(t *testing.T, b *batch.Batcher[int, int]) {
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if i >= 500 { // while the load runs
					time.Sleep(50 * time.Millisecond)
				}
				v, err := b.Load(t.Context(), 7)
				assert.NoError(t, err)
				assert.Equal(t, 70, v)
			})
		}
		wg.Wait()
		assert.Equal(t, "[7]@1", u.String())
		_, err := b.Load(t.Context(), 7)
		require.NoError(t, err)
		assert.Equal(t, "[7]@1 [7]@102", u.String(), "but nothing is remembered")
	})
}

func TestErrorsPerKey(t *testing.T) {
	batcher(t, &upstream{}, batch.Options{}, func(t *testing.T, b *batch.Batcher[int, int]) {
		results := b.LoadAll(t.Context(), []int{1, 101, 2, 1})
		assert.Equal(t, 10, results[0].Value)
		require.ErrorIs(t, results[1].Err, errOdd)
		assert.ErrorContains(t, results[1].Err, "batch: load 101: odd")
		assert.Equal(t, batch.Result[int]{Value: 20}, results[2])
		assert.Equal(t, results[0], results[3])
		assert.Empty(t, b.LoadAll(t.Context(), nil))
	})
}

func TestLoadAllOfMoreThanOneBatch(t *testing.T) {
	u := &upstream{}
	batcher(t, u, batch.Options{MaxSize: 10}, func(t *testing.T, b *batch.Batcher[int, int]) {
		keys := make([]int, 95)
		for i := range keys {
			keys[i] = i
		}
		for i, r := range b.LoadAll(t.Context(), keys) {
			require.NoError(t, r.Err)
			require.Equal(t, i*10, r.Value)
		}
		assert.Len(t, u.loads, 10)
	})
}

func TestErrorsOfTheWholeBatch(t *testing.T) {
	down := errors.New("down")
	for name, tc := range map[string]struct {
		load batch.LoadFunc[int, int]
		want string
	}{
		"error":  {func(context.Context, []int) ([]batch.Result[int], error) { return nil, down }, "batch: load 1: down"},
		"panic":  {func(context.Context, []int) ([]batch.Result[int], error) { panic(down) }, "load function panicked: down"},
		"goexit": {func(context.Context, []int) ([]batch.Result[int], error) { runtime.Goexit(); return nil, nil }, "ended its goroutine"},
		"count":  {func(context.Context, []int) ([]batch.Result[int], error) { return make([]batch.Result[int], 3), nil }, "3 results for 2 keys"},
	} {
		t.Run(name, func(t *testing.T) {
			b := batch.New(tc.load, batch.Options{})
			results := b.LoadAll(t.Context(), []int{1, 2})
			assert.ErrorContains(t, results[0].Err, tc.want)
			assert.Error(t, results[1].Err)
			var panicked *batch.PanicError
			assert.Equal(t, name == "panic", errors.As(results[0].Err, &panicked))
			assert.Equal(t, name == "panic" || name == "error", errors.Is(results[0].Err, down))
			require.NoError(t, b.Close(t.Context()))
		})
	}
}

func TestByKey(t *testing.T) {
	down := errors.New("down")
	b := batch.New(batch.ByKey(func(_ context.Context, keys []string) (map[string]int, error) {
		if slices.Contains(keys, "bad") {
			return nil, down
		}
		return map[string]int{"a": 1, "zero": 0}, nil
	}), batch.Options{})
	results := b.LoadAll(t.Context(), []string{"zero", "b", "a"})
	assert.Equal(t, batch.Result[int]{}, results[0])
	require.ErrorIs(t, results[1].Err, batch.ErrNotFound)
	assert.Equal(t, 1, results[2].Value)
	_, err := b.Load(t.Context(), "bad")
	require.ErrorIs(t, err, down)
	require.NoError(t, b.Close(t.Context()))
}

func TestContextPerCaller(t *testing.T) {
	u := &upstream{takes: 100 * time.Millisecond}
	batcher(t, u, batch.Options{}, func(t *testing.T, b *batch.Batcher[int, int]) {
		impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		errs := make(chan error, 1)
		go func() {
			_, err := b.Load(impatient, 1)
			errs <- err
		}()
		synctest.Wait()
		v, err := b.Load(t.Context(), 2)
		require.NoError(t, err)
		assert.Equal(t, 20, v)
		err = <-errs
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "waiting for 1")
		assert.Equal(t, "[1 2]@1", u.String())
		_, err = b.Load(impatient, 3)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, b.LoadAll(impatient, []int{4})[0].Err, context.DeadlineExceeded)
		assert.Equal(t, "[1 2]@1", u.String())
	})
}

func TestBatchWithoutCallersIsGivenUp(t *testing.T) {
	for name, patience := range map[string]time.Duration{"collecting": time.Millisecond / 2, "loading": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			u := &upstream{takes: time.Second}
			batcher(t, u, batch.Options{}, func(t *testing.T, b *batch.Batcher[int, int]) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				results := b.LoadAll(ctx, []int{1, 2})
				require.ErrorIs(t, results[0].Err, context.DeadlineExceeded)
				require.ErrorIs(t, results[1].Err, context.DeadlineExceeded)
				// Whoever comes now does not join what has been given up.
				v, err := b.Load(t.Context(), 1)
				require.NoError(t, err)
				assert.Equal(t, 10, v)
				if name == "collecting" {
					assert.Equal(t, "[1]@1", u.String())
				} else {
					assert.Equal(t, "[1 2]@1 [1]@21", u.String())
				}
			})
		})
	}
}

func TestTimeout(t *testing.T) {
	batcher(t, &upstream{takes: time.Hour}, batch.Options{}, func(t *testing.T, b *batch.Batcher[int, int]) {
		start := time.Now()
		_, err := b.Load(t.Context(), 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "longer than its timeout of 30s")
		assert.Equal(t, batch.DefaultTimeout+batch.DefaultWindow, time.Since(start))
	})
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := batch.New(func(_ context.Context, keys []int) ([]batch.Result[int], error) {
			<-release
			return make([]batch.Result[int], len(keys)), nil
		}, batch.Options{Timeout: time.Second})
		_, err := b.Load(t.Context(), 1)
		require.ErrorIs(t, err, context.DeadlineExceeded, "a load that does not heed its context")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = b.Close(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "1 loads ignore")
		close(release)
		require.NoError(t, b.Close(t.Context()))
	})
	batcher(t, &upstream{takes: time.Hour}, batch.Options{Timeout: -1}, func(t *testing.T, b *batch.Batcher[int, int]) {
		_, err := b.Load(t.Context(), 1)
		require.NoError(t, err)
	})
}

func TestLoadContextHasTheValuesOfTheCaller(t *testing.T) {
	type key struct{}
	b := batch.New(func(ctx context.Context, keys []int) ([]batch.Result[any], error) {
		return []batch.Result[any]{{Value: ctx.Value(key{})}}, nil
	}, batch.Options{})
	v, err := b.Load(context.WithValue(t.Context(), key{}, "trace"), 1)
	require.NoError(t, err)
	assert.Equal(t, "trace", v)
	require.NoError(t, b.Close(t.Context()))
}

func TestClose(t *testing.T) {
	u := &upstream{takes: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(u.load, batch.Options{Timeout: -1})
		errs := make(chan error, 2)
		load := func(key int) {
			_, err := b.Load(t.Context(), key)
			errs <- err
		}
		go load(1)
		time.Sleep(time.Minute) // it is being loaded
		go load(2)
		synctest.Wait() // it is collected
		require.NoError(t, b.Close(t.Context()))
		require.ErrorIs(t, <-errs, batch.ErrClosed)
		require.ErrorIs(t, <-errs, batch.ErrClosed)
		_, err := b.Load(t.Context(), 3)
		require.ErrorIs(t, err, batch.ErrClosed)
		require.ErrorIs(t, b.LoadAll(t.Context(), []int{4})[0].Err, batch.ErrClosed)
		require.NoError(t, b.Close(t.Context()))
	})
}

func TestConcurrentUse(t *testing.T) {
	var loaded atomic.Int64
	b := batch.New(func(ctx context.Context, keys []int) ([]batch.Result[int], error) {
		loaded.Add(int64(len(keys)))
		seen := make(map[int]bool)
		results := make([]batch.Result[int], len(keys))
		for i, key := range keys {
			if seen[key] {
				return nil, errors.New("a key twice in one batch")
			}
			seen[key] = true
			results[i].Value = key
		}
		return results, nil
	}, batch.Options{Window: 50 * time.Microsecond, MaxSize: 8, Timeout: time.Minute})
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 500 {
				key := (g + i) % 40
				ctx, cancel := context.WithCancel(t.Context())
				if i%10 == 0 {
					go cancel()
				}
				v, err := b.Load(ctx, key)
				if err == nil {
					assert.Equal(t, key, v)
				} else {
					assert.ErrorIs(t, err, context.Canceled)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.NoError(t, b.Close(t.Context()))
	assert.Positive(t, loaded.Load())
}

func BenchmarkLoad100(b *testing.B) {
	loader := batch.New(func(_ context.Context, keys []int) ([]batch.Result[int], error) {
		return make([]batch.Result[int], len(keys)), nil
	}, batch.Options{Window: time.Hour})
	b.ReportAllocs()
	for b.Loop() {
		var wg sync.WaitGroup
		for key := range 100 {
			wg.Go(func() { _, _ = loader.Load(b.Context(), key) })
		}
		wg.Wait()
	}
	_ = loader.Close(context.Background())
}

func BenchmarkLoadAll100(b *testing.B) {
	loader := batch.New(func(_ context.Context, keys []int) ([]batch.Result[int], error) {
		return make([]batch.Result[int], len(keys)), nil
	}, batch.Options{Window: time.Hour})
	keys := make([]int, 100)
	for i := range keys {
		keys[i] = i
	}
	b.ReportAllocs()
	for b.Loop() {
		loader.LoadAll(b.Context(), keys)
	}
	_ = loader.Close(context.Background())
}

func ExampleBatcher() {
	embeddings := batch.New(func(_ context.Context, texts []string) ([]batch.Result[int], error) {
		fmt.Println("one request for", len(texts), "texts")
		results := make([]batch.Result[int], len(texts))
		for i, text := range texts {
			results[i].Value = len(text)
		}
		return results, nil
	}, batch.Options{Window: 10 * time.Millisecond})
	defer embeddings.Close(context.Background())

	for _, r := range embeddings.LoadAll(context.Background(), []string{"a", "bc", "a"}) {
		fmt.Println(r.Value, r.Err)
	}
	// Output:
	// one request for 2 texts
	// 1 <nil>
	// 2 <nil>
	// 1 <nil>
}
