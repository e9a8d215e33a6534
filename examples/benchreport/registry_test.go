package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/samber/do/v2"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// names returns n names to register and equal ones to look up, which do not share
// memory with them, as in a program that reads names from somewhere.
func names(n int) (register, lookup []string) {
	for i := range n {
		register = append(register, fmt.Sprintf("provider-%d:model-%d", i%7, i))
		lookup = append(lookup, string([]byte(register[i])))
	}
	return register, lookup
}

// getters returns, by peer, a lookup in a filled registry.
func getters(register []string) map[string]func(string) (*int, bool) {
	keyed := registry.NewKeyed[*int]("")
	plain := make(map[string]*int)
	var syncMap sync.Map
	for _, name := range register {
		v := new(int)
		_ = keyed.Register(name, v)
		plain[name] = v
		syncMap.Store(name, v)
	}
	var mu sync.RWMutex
	return map[string]func(string) (*int, bool){
		"tokenring": keyed.Get,
		"map": func(name string) (*int, bool) {
			v, ok := plain[name]
			return v, ok
		},
		"RWMutex": func(name string) (*int, bool) {
			mu.RLock()
			defer mu.RUnlock()
			v, ok := plain[name]
			return v, ok
		},
		"syncMap": func(name string) (*int, bool) {
			v, ok := syncMap.Load(name)
			if !ok {
				return nil, false
			}
			return v.(*int), true
		},
	}
}

func BenchmarkKeyedGet(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		register, lookup := names(n)
		for peer, get := range getters(register) {
			b.Run(fmt.Sprintf("%d/%s", n, peer), func(b *testing.B) {
				i := 0
				for b.Loop() {
					if _, ok := get(lookup[i]); !ok {
						b.Fatal("missing")
					}
					if i += 7; i >= n {
						i -= n
					}
				}
			})
		}
	}
}

func BenchmarkKeyedGetParallel(b *testing.B) {
	const n = 1000
	register, lookup := names(n)
	for peer, get := range getters(register) {
		if peer == "map" {
			continue // not safe beside a writer
		}
		b.Run(fmt.Sprintf("%d/%s", n, peer), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, ok := get(lookup[i%n]); !ok {
						b.Error("missing")
					}
				}
			})
		})
	}
}

func BenchmarkRegister(b *testing.B) {
	const n = 100_000
	register, _ := names(n)
	b.Run("100k/tokenring", func(b *testing.B) {
		for b.Loop() {
			r := registry.NewKeyed[int]("")
			for i, name := range register {
				_ = r.Register(name, i)
			}
		}
	})
	b.Run("100k/map", func(b *testing.B) {
		for b.Loop() {
			m := make(map[string]int)
			for i, name := range register {
				m[name] = i
			}
		}
	})
	b.Run("100k/RWMutex", func(b *testing.B) {
		for b.Loop() {
			var mu sync.RWMutex
			m := make(map[string]int)
			for i, name := range register {
				mu.Lock()
				m[name] = i
				mu.Unlock()
			}
		}
	})
	b.Run("100k/syncMap", func(b *testing.B) {
		for b.Loop() {
			var m sync.Map
			for i, name := range register {
				m.LoadOrStore(name, i)
			}
		}
	})
}

type service[T any] struct{ _ T }

func BenchmarkTypedGet(b *testing.B) {
	var typed registry.Typed
	_ = registry.Put(&typed, &service[int]{})
	_ = registry.Put(&typed, &service[string]{})
	_ = registry.Put(&typed, &service[bool]{})
	injector := do.New()
	do.ProvideValue(injector, &service[int]{})
	do.ProvideValue(injector, &service[string]{})
	do.ProvideValue(injector, &service[bool]{})
	keyed := registry.NewKeyed[any]("")
	for _, name := range []string{"int", "string", "bool"} {
		_ = keyed.Register(name, &service[string]{})
	}

	b.Run("service/tokenring", func(b *testing.B) {
		for b.Loop() {
			if _, ok := registry.Get[*service[string]](&typed); !ok {
				b.Fatal("missing")
			}
		}
	})
	b.Run("service/tokenring-Keyed", func(b *testing.B) {
		for b.Loop() {
			if _, ok := keyed.Get("string"); !ok {
				b.Fatal("missing")
			}
		}
	})
	b.Run("service/samber-do", func(b *testing.B) {
		for b.Loop() {
			if _, err := do.Invoke[*service[string]](injector); err != nil {
				b.Fatal(err)
			}
		}
	})
}
