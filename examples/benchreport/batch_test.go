package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/vikstrous/dataloadgen"

	"github.com/tokenring-ai/tokenring-go/utility/batch"
)

// BenchmarkBatch makes a loader, as a request does, and loads 100 different keys
// with it at the same time. The batch is full before its window ends.
func BenchmarkBatch(b *testing.B) {
	const keys = 100
	loadAll := func(b *testing.B, load func(context.Context, int) (int, error)) {
		var wg sync.WaitGroup
		for key := range keys {
			wg.Go(func() {
				if v, err := load(b.Context(), key); err != nil || v != key {
					b.Error(v, err)
				}
			})
		}
		wg.Wait()
	}
	b.Run("100-callers/tokenring", func(b *testing.B) {
		for b.Loop() {
			loader := batch.New(func(_ context.Context, keys []int) ([]batch.Result[int], error) {
				results := make([]batch.Result[int], len(keys))
				for i, key := range keys {
					results[i].Value = key
				}
				return results, nil
			}, batch.Options{Window: time.Second, MaxSize: keys})
			loadAll(b, loader.Load)
		}
	})
	b.Run("100-callers/dataloadgen", func(b *testing.B) {
		for b.Loop() {
			loader := dataloadgen.NewLoader(func(_ context.Context, keys []int) ([]int, []error) {
				results := make([]int, len(keys))
				copy(results, keys)
				return results, nil
			}, dataloadgen.WithWait(time.Second), dataloadgen.WithBatchCapacity(keys))
			loadAll(b, loader.Load)
		}
	})
}
