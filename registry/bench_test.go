package registry_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tokenring-ai/tokenring-go/registry"
)

var sizes = []int{10, 1000, 100_000}

// names returns n names as hosts have them, with strings of their own for
// lookups, so that no comparison ends at equal pointers.
func names(n int) (register, lookup []string) {
	for i := range n {
		register = append(register, fmt.Sprintf("provider-%d:model-%d", i%7, i))
		lookup = append(lookup, string([]byte(register[i])))
	}
	return register, lookup
}

func BenchmarkKeyedGet(b *testing.B) {
	for _, n := range sizes {
		register, lookup := names(n)
		r := registry.NewKeyed[*int]("")
		var m sync.Map
		boxed := make([]any, n)
		for i, name := range register {
			v := new(int)
			_ = r.Register(name, v)
			m.Store(name, v)
			boxed[i] = lookup[i]
		}
		// The same order of lookups for both: strided, so that 100k items do not
		// simply stream through the cache.
		b.Run(fmt.Sprintf("%d/Keyed", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := r.Get(lookup[i]); !ok {
					b.Fatal("missing")
				}
				if i += 7; i >= n {
					i -= n
				}
			}
		})
		b.Run(fmt.Sprintf("%d/syncMapBoxed", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := m.Load(boxed[i]); !ok {
					b.Fatal("missing")
				}
				if i += 7; i >= n {
					i -= n
				}
			}
		})
		b.Run(fmt.Sprintf("%d/syncMap", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				v, ok := m.Load(lookup[i])
				if !ok || v.(*int) == nil {
					b.Fatal("missing")
				}
				if i += 7; i >= n {
					i -= n
				}
			}
		})
	}
}

func BenchmarkKeyedGetParallel(b *testing.B) {
	const n = 1000
	register, lookup := names(n)
	r := registry.NewKeyed[*int]("")
	var m sync.Map
	for _, name := range register {
		_ = r.Register(name, new(int))
		m.Store(name, new(int))
	}
	b.Run("Keyed", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				_, _ = r.Get(lookup[i%n])
			}
		})
	})
	b.Run("syncMap", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				_, _ = m.Load(lookup[i%n])
			}
		})
	})
}

func BenchmarkKeyedRegister100k(b *testing.B) {
	register, _ := names(100_000)
	b.ReportAllocs()
	for b.Loop() {
		r := registry.NewKeyed[int]("")
		for i, name := range register {
			if err := r.Register(name, i); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkKeyedAll1000(b *testing.B) {
	register, _ := names(1000)
	r := registry.NewKeyed[int]("")
	for i, name := range register {
		_ = r.Register(name, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		sum := 0
		for _, v := range r.All() {
			sum += v
		}
	}
}

type service[T any] struct{ _ T }

func BenchmarkTypedGet(b *testing.B) {
	var t registry.Typed
	_ = registry.Put(&t, &service[int]{})
	_ = registry.Put(&t, &service[string]{})
	_ = registry.Put(&t, &service[bool]{})
	_ = registry.Put[fmt.Stringer](&t, stringer{})
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := registry.Get[*service[string]](&t); !ok {
				b.Fatal("missing")
			}
		}
	})
	b.Run("interface", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := registry.Get[fmt.Stringer](&t); !ok {
				b.Fatal("missing")
			}
		}
	})
}

type stringer struct{}

func (stringer) String() string { return "" }
