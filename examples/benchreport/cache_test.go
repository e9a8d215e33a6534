package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jellydator/ttlcache/v3"
	"github.com/maypok86/otter/v2"
	"github.com/viccon/sturdyc"

	"github.com/tokenring-ai/tokenring-go/utility/cache"
)

const (
	cacheKeys = 1024
	cacheSize = 2 * cacheKeys
	cacheTTL  = time.Hour
)

// caches returns, by peer, "the value of this key, loaded if need be" on a cache of
// its own. golang-lru cannot load or expire; it is the bar for the bare lookup.
func caches(b *testing.B) map[string]func(ctx context.Context, key string) (int, error) {
	load := func(context.Context, string) (int, error) { return 1, nil }
	ours := cache.New(load, cache.Options{TTL: cacheTTL, MaxEntries: cacheSize})
	b.Cleanup(func() { _ = ours.Close(context.Background()) })

	bare, err := lru.New[string, int](cacheSize)
	if err != nil {
		b.Fatal(err)
	}
	otterCache := otter.Must(&otter.Options[string, int]{
		MaximumSize:      cacheSize,
		ExpiryCalculator: otter.ExpiryWriting[string, int](cacheTTL),
	})
	otterLoader := otter.LoaderFunc[string, int](load)
	sturdy := sturdyc.New[int](cacheSize, 10, cacheTTL, 10)
	ttl := ttlcache.New(
		ttlcache.WithTTL[string, int](cacheTTL),
		ttlcache.WithCapacity[string, int](cacheSize),
		ttlcache.WithDisableTouchOnHit[string, int](),
		ttlcache.WithLoader(ttlcache.NewSuppressedLoader(ttlcache.LoaderFunc[string, int](
			func(c *ttlcache.Cache[string, int], key string) *ttlcache.Item[string, int] {
				return c.Set(key, 1, ttlcache.DefaultTTL)
			}), nil)),
	)
	return map[string]func(context.Context, string) (int, error){
		"tokenring": ours.Get,
		"golang-lru": func(_ context.Context, key string) (int, error) {
			v, ok := bare.Get(key)
			if !ok {
				v = 1
				bare.Add(key, v)
			}
			return v, nil
		},
		"otter": func(ctx context.Context, key string) (int, error) {
			return otterCache.Get(ctx, key, otterLoader)
		},
		"sturdyc": func(ctx context.Context, key string) (int, error) {
			return sturdy.GetOrFetch(ctx, key, func(ctx context.Context) (int, error) { return load(ctx, key) })
		},
		"ttlcache": func(_ context.Context, key string) (int, error) {
			return ttl.Get(key).Value(), nil
		},
	}
}

func cacheKeyList() []string {
	keys := make([]string, cacheKeys)
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
	}
	return keys
}

func warm(b *testing.B, get func(context.Context, string) (int, error), keys []string) {
	for _, key := range keys {
		if v, err := get(b.Context(), key); err != nil || v != 1 {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkCacheHit(b *testing.B) {
	keys := cacheKeyList()
	for peer, get := range caches(b) {
		warm(b, get, keys)
		b.Run("1024-keys/"+peer, func(b *testing.B) {
			ctx := context.Background()
			i := 0
			for b.Loop() {
				if _, err := get(ctx, keys[i%cacheKeys]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkCacheHitParallel(b *testing.B) {
	keys := cacheKeyList()
	for peer, get := range caches(b) {
		warm(b, get, keys)
		b.Run("1024-keys/"+peer, func(b *testing.B) {
			ctx := context.Background()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := get(ctx, keys[i%cacheKeys]); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkCacheHitParallelOneKey(b *testing.B) {
	for peer, get := range caches(b) {
		warm(b, get, []string{"key"})
		b.Run("1-key/"+peer, func(b *testing.B) {
			ctx := context.Background()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := get(ctx, "key"); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
