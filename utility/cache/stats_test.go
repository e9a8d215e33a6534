package cache_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/cache"
)

type (
	spanKey   struct{}
	callerKey struct{}
)

func TestTraceOfLoads(t *testing.T) {
	var mu sync.Mutex
	var begun []any
	var ended []cache.Load
	trace := cache.Trace{StartLoad: func(ctx context.Context, key any) (context.Context, func(cache.Load)) {
		mu.Lock()
		defer mu.Unlock()
		begun = append(begun, key, ctx.Value(callerKey{}))
		return context.WithValue(ctx, spanKey{}, "span"), func(l cache.Load) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, l)
		}
	}}
	bad := errors.New("bad")
	load := func(ctx context.Context, key string) (string, error) {
		span := ctx.Value(spanKey{}).(string)
		time.Sleep(100 * time.Millisecond)
		switch key {
		case "fails":
			return "", bad
		case "hangs":
			time.Sleep(time.Hour)
		}
		return span, nil
	}
	synctest.Test(t, func(t *testing.T) {
		r := cache.New(load, cache.Options{TTL: 10 * time.Second, RefreshAhead: 4 * time.Second, Trace: trace, Logger: quiet})
		ctx := context.WithValue(t.Context(), callerKey{}, "the caller's")
		for range 3 {
			v, err := r.Get(ctx, "good")
			require.NoError(t, err)
			assert.Equal(t, "span", v, "the load runs in the context of the trace")
		}
		_, err := r.Get(t.Context(), "fails")
		require.ErrorIs(t, err, bad)
		_, err = r.Get(t.Context(), "hangs")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(8 * time.Second)
		_, err = r.Get(t.Context(), "good") // and refreshes it
		require.NoError(t, err)
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()

		assert.Equal(t, []any{"good", "the caller's", "fails", nil, "hangs", nil, "good", nil}, begun)
		require.Len(t, ended, 4)
		assert.Equal(t, cache.Load{Took: 100 * time.Millisecond}, ended[0])
		require.ErrorIs(t, ended[1].Err, bad)
		require.ErrorIs(t, ended[2].Err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, ended[2].Took)
		assert.Equal(t, cache.Load{Took: 100 * time.Millisecond, Background: true}, ended[3])

		stats := r.Stats()
		assert.Equal(t, cache.Stats{
			Hits: 3, Misses: 3, Loads: 4, Errors: 2, Timeouts: 1, LoadTime: 1300 * time.Millisecond, Entries: 1, Loading: 1,
		}, stats)
		assert.InDelta(t, 0.5, stats.HitRate(cache.Stats{}), 0)
		assert.InDelta(t, 0, stats.HitRate(stats), 0)
		assert.InDelta(t, 1, stats.HitRate(cache.Stats{Hits: 1, Misses: 3}), 0)
		text, err := json.Marshal(stats)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"hits":3,"misses":3`)
		require.NoError(t, r.Close(t.Context()), "after the load that overran its timeout")
	})
}

// TestCloseWaitsForTheTrace has Close end a load, so that its outcome comes from
// the end of its context.
func TestCloseWaitsForTheTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended []error
		r := cache.NewValue(func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, cache.Options{Logger: quiet, Trace: cache.Trace{
			StartLoad: func(context.Context, any) (context.Context, func(cache.Load)) {
				return nil, func(l cache.Load) {
					time.Sleep(time.Second)
					ended = append(ended, l.Err)
				}
			},
		}})
		go func() { _, _ = r.Get(t.Context()) }()
		synctest.Wait()
		require.NoError(t, r.Close(t.Context()))
		require.Len(t, ended, 1)
		require.ErrorIs(t, ended[0], cache.ErrClosed)
	})
}
