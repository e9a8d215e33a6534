package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenring-ai/tokenring-go/utility/cache"
)

const benchKeys = 1024

func warm(b *testing.B) (*cache.Retriever[string, int], *lru.Cache[string, int], []string) {
	keys := make([]string, benchKeys)
	r := cache.New(func(context.Context, string) (int, error) { return 1, nil }, cache.Options{TTL: time.Hour})
	peer, err := lru.New[string, int](2 * benchKeys)
	if err != nil {
		b.Fatal(err)
	}
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
		if _, err := r.Get(b.Context(), keys[i]); err != nil {
			b.Fatal(err)
		}
		peer.Add(keys[i], 1)
	}
	b.Cleanup(func() { _ = r.Close(context.Background()) })
	b.ReportAllocs()
	return r, peer, keys
}

func BenchmarkHit(b *testing.B) {
	b.Run("Retriever", func(b *testing.B) {
		r, _, keys := warm(b)
		ctx := b.Context()
		i := 0
		for b.Loop() {
			if _, err := r.Get(ctx, keys[i%benchKeys]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	b.Run("golang-lru", func(b *testing.B) {
		_, peer, keys := warm(b)
		i := 0
		for b.Loop() {
			if _, ok := peer.Get(keys[i%benchKeys]); !ok {
				b.Fatal("missing")
			}
			i++
		}
	})
}

func BenchmarkHitParallel(b *testing.B) {
	b.Run("Retriever", func(b *testing.B) {
		r, _, keys := warm(b)
		ctx := b.Context()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				_, _ = r.Get(ctx, keys[i%benchKeys])
			}
		})
	})
	b.Run("golang-lru", func(b *testing.B) {
		_, peer, keys := warm(b)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				_, _ = peer.Get(keys[i%benchKeys])
			}
		})
	})
}

func BenchmarkMiss(b *testing.B) {
	r := cache.New(func(_ context.Context, key int) (int, error) { return key, nil }, cache.Options{MaxEntries: 1000})
	b.Cleanup(func() { _ = r.Close(context.Background()) })
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		_, _ = r.Get(b.Context(), i)
		i++
	}
}
