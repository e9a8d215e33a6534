package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/cache"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// source is an upstream that counts: its answer is the number of the load.
type source struct {
	loads atomic.Int64
	takes time.Duration
	err   atomic.Pointer[error]
}

func (s *source) load(ctx context.Context, _ string) (int, error) {
	n := int(s.loads.Add(1))
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if err := s.err.Load(); err != nil {
		return 0, *err
	}
	return n, nil
}

func (s *source) fail(err error) {
	if err == nil {
		s.err.Store(nil)
	} else {
		s.err.Store(&err)
	}
}

// retriever runs body in a bubble of fake time with a Retriever on s.
func retriever(t *testing.T, s *source, opts cache.Options, body func(t *testing.T, r *cache.Retriever[string, int])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts.Logger = quiet
		r := cache.New(s.load, opts)
		body(t, r)
		require.NoError(t, r.Close(context.Background()))
	})
}

func get(t *testing.T, r *cache.Retriever[string, int], want int) {
	t.Helper()
	v, err := r.Get(t.Context(), "k")
	require.NoError(t, err)
	assert.Equal(t, want, v)
}

func TestTTLIsExact(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Millisecond, 300 * time.Millisecond, 2 * time.Second, time.Hour} {
		t.Run(ttl.String(), func(t *testing.T) {
			retriever(t, &source{}, cache.Options{TTL: ttl}, func(t *testing.T, r *cache.Retriever[string, int]) {
				if ttl == 0 {
					ttl = cache.DefaultTTL
				}
				get(t, r, 1)
				time.Sleep(ttl / 2)
				get(t, r, 1)
				get(t, r, 1)
				time.Sleep(ttl - ttl/2 - 1)
				get(t, r, 1)
				time.Sleep(time.Nanosecond)
				get(t, r, 2)
				stats := r.Stats()
				assert.Equal(t, uint64(4), stats.Hits+1)
				assert.Equal(t, uint64(2), stats.Misses)
				assert.Equal(t, uint64(2), stats.Loads)
				assert.Equal(t, 1, stats.Entries)
			})
		})
	}
}

func TestForEverIsLong(t *testing.T) {
	const forEver = math.MaxInt64
	retriever(t, &source{}, cache.Options{TTL: forEver, RefreshAhead: time.Hour, NegativeTTL: forEver}, func(t *testing.T, r *cache.Retriever[string, int]) {
		time.Sleep(time.Second)
		get(t, r, 1)
		time.Sleep(50 * 365 * 24 * time.Hour)
		get(t, r, 1)
		entry, _ := r.Peek("k")
		assert.True(t, entry.Fresh)
	})
	s := &source{}
	s.fail(errors.New("down"))
	retriever(t, s, cache.Options{NegativeTTL: forEver}, func(t *testing.T, r *cache.Retriever[string, int]) {
		for range 2 {
			time.Sleep(time.Second)
			_, err := r.Get(t.Context(), "k")
			require.ErrorContains(t, err, "down")
		}
		assert.EqualValues(t, 1, s.loads.Load())
	})
}

// TestBusyClock asks all the time, so that hits go by the coarse clock.
func TestBusyClock(t *testing.T) {
	retriever(t, &source{}, cache.Options{TTL: 3 * time.Second}, func(t *testing.T, r *cache.Retriever[string, int]) {
		start := time.Now()
		for time.Since(start) < 10*time.Second {
			get(t, r, 1+int(time.Since(start)/(3*time.Second)))
			time.Sleep(6 * time.Millisecond)
		}
	})
}

func TestTenThousandMissesAreOneLoad(t *testing.T) {
	const callers = 10_000
	s := &source{takes: 10 * time.Millisecond}
	retriever(t, s, cache.Options{}, func(t *testing.T, r *cache.Retriever[string, int]) {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				v, err := r.Get(t.Context(), "k")
				assert.NoError(t, err)
				assert.Equal(t, 1, v)
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, s.loads.Load())
		stats := r.Stats()
		assert.EqualValues(t, callers, stats.Misses)
		assert.EqualValues(t, callers-1, stats.Coalesced)
		assert.EqualValues(t, 10*time.Millisecond, stats.LoadTime)
	})
}

// TestTenThousandMissesInRealTime is the same without the order that a bubble
// brings: callers come while the load ends.
func TestTenThousandMissesInRealTime(t *testing.T) {
	s := &source{}
	r := cache.New(s.load, cache.Options{TTL: time.Hour, Timeout: time.Minute})
	var wg sync.WaitGroup
	for range 10_000 {
		wg.Go(func() {
			v, err := r.Get(t.Context(), "k")
			assert.NoError(t, err)
			assert.Equal(t, 1, v)
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, s.loads.Load())
	stats := r.Stats()
	assert.EqualValues(t, 10_000, stats.Hits+stats.Misses)
	require.NoError(t, r.Close(t.Context()))
}

func TestOneCallersCancellationFailsNobodyElse(t *testing.T) {
	s := &source{takes: 100 * time.Millisecond}
	retriever(t, s, cache.Options{}, func(t *testing.T, r *cache.Retriever[string, int]) {
		first, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 1)
		go func() {
			_, err := r.Get(first, "k")
			errs <- err
		}()
		synctest.Wait()
		others := make(chan int, 5)
		for range 5 {
			go func() {
				v, err := r.Get(t.Context(), "k")
				assert.NoError(t, err)
				others <- v
			}()
		}
		synctest.Wait()
		cancel()
		err := <-errs
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, `waiting for "k"`)
		for range 5 {
			assert.Equal(t, 1, <-others)
		}
		assert.EqualValues(t, 1, s.loads.Load())
	})
}

func TestLoadOutlivesAllItsCallers(t *testing.T) {
	s := &source{takes: 100 * time.Millisecond}
	retriever(t, s, cache.Options{}, func(t *testing.T, r *cache.Retriever[string, int]) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := r.Get(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Second)
		get(t, r, 1)
		assert.EqualValues(t, 1, s.loads.Load())
	})
}

func TestLoadContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type keyType struct{}
		r := cache.New(func(ctx context.Context, _ string) (string, error) {
			deadline, ok := ctx.Deadline()
			return fmt.Sprint(ctx.Value(keyType{}), ok, time.Until(deadline)), nil
		}, cache.Options{Timeout: 3 * time.Second})
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), keyType{}, "trace"), time.Second)
		defer cancel()
		v, err := r.Get(ctx, "k")
		require.NoError(t, err)
		assert.Equal(t, "tracetrue 3s", v)
		require.NoError(t, r.Close(t.Context()))
	})
}

func TestTimeout(t *testing.T) {
	t.Run("of a load that heeds it", func(t *testing.T) {
		retriever(t, &source{takes: time.Minute}, cache.Options{}, func(t *testing.T, r *cache.Retriever[string, int]) {
			start := time.Now()
			_, err := r.Get(t.Context(), "k")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, `cache: load "k": the load took longer than its timeout of 1s`)
			assert.Equal(t, cache.DefaultTimeout, time.Since(start))
		})
	})
	t.Run("of a load that does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			r := cache.New(func(context.Context, string) (int, error) { <-release; return 1, nil }, cache.Options{Timeout: time.Second, Logger: quiet})
			start := time.Now()
			_, err := r.Get(t.Context(), "k")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
			assert.Equal(t, 1, r.Stats().Loading)

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err = r.Close(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "1 loads ignore")
			close(release)
			require.NoError(t, r.Close(t.Context()))
			_, ok := r.Peek("k")
			assert.False(t, ok, "what comes too late is not remembered")
		})
	})
	t.Run("none", func(t *testing.T) {
		retriever(t, &source{takes: time.Hour}, cache.Options{Timeout: -1, TTL: 2 * time.Hour}, func(t *testing.T, r *cache.Retriever[string, int]) {
			get(t, r, 1)
		})
	})
}

func TestErrorsDoNotReplaceGoodData(t *testing.T) {
	s, down := &source{}, errors.New("down")
	retriever(t, s, cache.Options{TTL: time.Second}, func(t *testing.T, r *cache.Retriever[string, int]) {
		s.fail(down)
		_, err := r.Get(t.Context(), "k")
		require.ErrorIs(t, err, down)
		_, ok := r.Peek("k")
		assert.False(t, ok)
		s.fail(nil)
		get(t, r, 2)
		entry, ok := r.Peek("k")
		require.True(t, ok)
		assert.True(t, entry.Fresh && entry.HasValue && entry.Err == nil)
		assert.Equal(t, time.Second, entry.Expires.Sub(entry.Loaded))

		s.fail(down)
		_, err = r.Refresh(t.Context(), "k")
		require.ErrorIs(t, err, down, "Refresh does not hide the failure")
		get(t, r, 2)
		time.Sleep(24 * time.Hour)
		get(t, r, 2)
		entry, _ = r.Peek("k")
		assert.Equal(t, 2, entry.Value)
		assert.False(t, entry.Fresh)
		require.ErrorIs(t, entry.Err, down, "the error is there for those who look")
		assert.EqualValues(t, 1, r.Stats().Stale)

		s.fail(nil)
		get(t, r, 5)
		entry, _ = r.Peek("k")
		assert.NoError(t, entry.Err)
	})
}

func TestStaleForBoundsStaleness(t *testing.T) {
	down := errors.New("down")
	for stale, want := range map[time.Duration]time.Duration{-1: 0, time.Minute: time.Minute} {
		s := &source{}
		retriever(t, s, cache.Options{TTL: time.Second, StaleFor: stale}, func(t *testing.T, r *cache.Retriever[string, int]) {
			get(t, r, 1)
			s.fail(down)
			time.Sleep(time.Second + want - 1)
			get(t, r, 1)
			time.Sleep(time.Nanosecond)
			_, err := r.Get(t.Context(), "k")
			require.ErrorIs(t, err, down)
		})
	}
}

func TestNegativeTTL(t *testing.T) {
	s, down := &source{}, errors.New("down")
	retriever(t, s, cache.Options{TTL: time.Second, NegativeTTL: 10 * time.Second}, func(t *testing.T, r *cache.Retriever[string, int]) {
		s.fail(down)
		for range 5 {
			_, err := r.Get(t.Context(), "k")
			require.ErrorIs(t, err, down)
			time.Sleep(time.Second)
		}
		assert.EqualValues(t, 1, s.loads.Load())
		assert.EqualValues(t, 4, r.Stats().Negative)
		entry, ok := r.Peek("k")
		assert.True(t, ok && !entry.HasValue)
		time.Sleep(5 * time.Second)
		s.fail(nil)
		get(t, r, 2)

		s.fail(down)
		time.Sleep(time.Second)
		for range 5 {
			get(t, r, 2) // stale
		}
		assert.EqualValues(t, 3, s.loads.Load(), "the stale value comes without asking again")
		assert.EqualValues(t, 5, r.Stats().Stale)
	})
}

func TestRefreshAheadHasNobodyWait(t *testing.T) {
	s := &source{takes: 100 * time.Millisecond}
	retriever(t, s, cache.Options{TTL: 10 * time.Second, RefreshAhead: 4 * time.Second}, func(t *testing.T, r *cache.Retriever[string, int]) {
		get(t, r, 1)
		time.Sleep(5900 * time.Millisecond)
		get(t, r, 1)
		synctest.Wait()
		assert.EqualValues(t, 1, s.loads.Load(), "not before 6 s")
		time.Sleep(2100 * time.Millisecond) // 8 s: the latest time that jitter allows
		start := time.Now()
		for range 10 {
			get(t, r, 1)
		}
		assert.Zero(t, time.Since(start))
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		get(t, r, 2)
		assert.EqualValues(t, 2, s.loads.Load(), "one refresh for all")
		assert.EqualValues(t, 1, r.Stats().Misses)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.EqualValues(t, 2, s.loads.Load(), "what nobody asks for is not refreshed")
	})
}

func TestRefreshAheadFailure(t *testing.T) {
	s, down := &source{}, errors.New("down")
	retriever(t, s, cache.Options{TTL: 10 * time.Second, RefreshAhead: 4 * time.Second}, func(t *testing.T, r *cache.Retriever[string, int]) {
		get(t, r, 1)
		s.fail(down)
		time.Sleep(8 * time.Second)
		for range 100 {
			get(t, r, 1)
			synctest.Wait()
		}
		assert.EqualValues(t, 2, s.loads.Load(), "a refresh that fails is not repeated by each hit")
		entry, _ := r.Peek("k")
		assert.True(t, entry.Fresh)
		require.ErrorIs(t, entry.Err, down)
		s.fail(nil)
		time.Sleep(time.Second)
		get(t, r, 1)
		synctest.Wait()
		get(t, r, 3)
	})
}

func TestRefreshAheadIsJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := make(map[int]time.Duration)
		var mu sync.Mutex
		start := time.Now()
		r := cache.New(func(_ context.Context, key int) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			if since := time.Since(start); since > 0 {
				loads[key] = since
			}
			return 0, nil
		}, cache.Options{TTL: 100 * time.Second, RefreshAhead: 40 * time.Second})
		for since := time.Duration(0); since < 90*time.Second; since += time.Second {
			for key := range 50 {
				_, _ = r.Get(t.Context(), key)
			}
			time.Sleep(time.Second)
		}
		distinct := make(map[time.Duration]bool)
		for _, at := range loads {
			assert.GreaterOrEqual(t, at, 60*time.Second)
			assert.LessOrEqual(t, at, 81*time.Second)
			distinct[at] = true
		}
		assert.Len(t, loads, 50)
		assert.Greater(t, len(distinct), 5)
		require.NoError(t, r.Close(t.Context()))
	})
}

func TestPanicBecomesAnErrorForAllAndTheNextCallWorks(t *testing.T) {
	cause := errors.New("nil map")
	for name, behave := range map[string]func(){
		"panic":       func() { panic("boom") },
		"panic error": func() { panic(cause) },
		"goexit":      runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				r := cache.New(func(ctx context.Context, _ string) (int, error) {
					if calls++; calls == 1 {
						time.Sleep(time.Millisecond)
						behave()
					}
					return 7, nil
				}, cache.Options{NegativeTTL: time.Hour, Logger: quiet})
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						_, err := r.Get(t.Context(), "k")
						assert.Error(t, err)
						var panicked *cache.PanicError
						assert.Equal(t, name != "goexit", errors.As(err, &panicked))
						assert.Equal(t, name == "panic error", errors.Is(err, cause))
					})
				}
				wg.Wait()
				if name == "goexit" {
					r.Invalidate("k") // counts as a failure and is remembered like one
				}
				v, err := r.Get(t.Context(), "k")
				require.NoError(t, err)
				assert.Equal(t, 7, v)
				require.NoError(t, r.Close(t.Context()))
			})
		})
	}
}

func TestRetry(t *testing.T) {
	s := &source{}
	s.fail(errors.New("flaky"))
	retriever(t, s, cache.Options{Retry: func(ctx context.Context, load func(context.Context) error) error {
		for {
			err := load(ctx)
			if err == nil || ctx.Err() != nil {
				return err
			}
			if s.loads.Load() == 3 {
				s.fail(nil)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}}, func(t *testing.T, r *cache.Retriever[string, int]) {
		get(t, r, 4)
		assert.EqualValues(t, 1, r.Stats().Loads)
	})
}

func TestRetryThatPanics(t *testing.T) {
	retriever(t, &source{}, cache.Options{Retry: func(context.Context, func(context.Context) error) error { panic("no policy") }},
		func(t *testing.T, r *cache.Retriever[string, int]) {
			_, err := r.Get(t.Context(), "k")
			var panicked *cache.PanicError
			require.ErrorAs(t, err, &panicked)
		})
}

func TestInvalidate(t *testing.T) {
	s := &source{takes: time.Millisecond}
	retriever(t, s, cache.Options{}, func(t *testing.T, r *cache.Retriever[string, int]) {
		get(t, r, 1)
		r.Invalidate("k")
		r.Invalidate("unknown")
		get(t, r, 2)
		r.InvalidateAll()
		_, ok := r.Peek("k")
		assert.False(t, ok)

		// A load that began before the invalidation answers those who wait for it, but
		// not those who come after.
		got := make(chan int, 1)
		go func() {
			v, _ := r.Get(t.Context(), "k")
			got <- v
		}()
		synctest.Wait()
		r.Invalidate("k")
		get(t, r, 4)
		assert.Equal(t, 3, <-got)
		get(t, r, 4)
		assert.EqualValues(t, 4, s.loads.Load())
	})
}

func TestEvictionIsLeastRecentlyUsed(t *testing.T) {
	s := &source{}
	retriever(t, s, cache.Options{MaxEntries: 3}, func(t *testing.T, r *cache.Retriever[string, int]) {
		ask := func(keys ...string) {
			for _, key := range keys {
				_, err := r.Get(t.Context(), key)
				require.NoError(t, err)
			}
		}
		known := func() (keys string) {
			for _, key := range []string{"a", "b", "c", "d", "e"} {
				if _, ok := r.Peek(key); ok {
					keys += key
				}
			}
			return keys
		}
		ask("a", "b", "c")
		ask("a")
		ask("d")
		assert.Equal(t, "acd", known(), "b was not used since it came")
		ask("e")
		assert.Equal(t, "ade", known())
		ask("a", "d", "e", "b")
		assert.Len(t, known(), 3, "when all were used the bound still holds")
		assert.Contains(t, known(), "b")
		stats := r.Stats()
		assert.Equal(t, 3, stats.Entries)
		assert.EqualValues(t, 3, stats.Evictions)
		assert.EqualValues(t, 4, stats.Hits, "hits of what was evicted still count")
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Minute}
		r := cache.New(s.load, cache.Options{Timeout: time.Hour, Logger: quiet})
		errs := make(chan error, 1)
		go func() {
			_, err := r.Get(t.Context(), "k")
			errs <- err
		}()
		synctest.Wait()
		require.NoError(t, r.Close(t.Context()))
		require.ErrorIs(t, <-errs, cache.ErrClosed)
		_, err := r.Get(t.Context(), "k")
		require.ErrorIs(t, err, cache.ErrClosed)
		_, err = r.Refresh(t.Context(), "k")
		require.ErrorIs(t, err, cache.ErrClosed)
		require.NoError(t, r.Close(t.Context()))
	})
}

// TestAnIdleRetrieverNeedsNoClosing leaves a used one behind; goleak and the end of
// the bubble, which waits for all goroutines, are the proof.
func TestAnIdleRetrieverNeedsNoClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := cache.New((&source{}).load, cache.Options{RefreshAhead: time.Second})
		get(t, r, 1)
		get(t, r, 1)
	})
}

func TestHitsDoNotAllocate(t *testing.T) {
	r := cache.New(func(context.Context, string) (int, error) { return 1, nil }, cache.Options{TTL: time.Hour, Timeout: time.Minute})
	key, ctx := fmt.Sprint("k", 1), t.Context()
	_, err := r.Get(ctx, key)
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = r.Get(ctx, key) }))
	require.NoError(t, r.Close(ctx))
}

func TestConcurrentUse(t *testing.T) {
	r := cache.New(func(_ context.Context, key int) (int, error) {
		if key%7 == 0 {
			return 0, errors.New("seven")
		}
		return key, nil
	}, cache.Options{MaxEntries: 20, TTL: time.Millisecond, NegativeTTL: time.Millisecond, RefreshAhead: 500 * time.Microsecond, Timeout: time.Minute, Logger: quiet})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 3000 {
				key := (i*7 + g*i) % 50
				v, err := r.Get(t.Context(), key)
				if key%7 == 0 {
					assert.Error(t, err)
				} else if assert.NoError(t, err) {
					assert.Equal(t, key, v)
				}
				switch i % 50 {
				case 0:
					r.Invalidate(key)
				case 1:
					_, _ = r.Refresh(t.Context(), key)
				case 2:
					_, _ = r.Peek(key)
				case 3:
					assert.LessOrEqual(t, r.Stats().Entries, 20)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, r.Close(t.Context()))
	assert.Zero(t, r.Stats().Loading)
}
