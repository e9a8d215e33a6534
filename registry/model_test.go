package registry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// FuzzKeyedAgainstMap runs a program of operations on a registry and on a map
// with a list beside it.
func FuzzKeyedAgainstMap(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1, 0, 2, 0, 3, 0})
	f.Add([]byte{0, 1, 0, 2, 4, 0, 2, 1, 0, 1, 4, 0, 1, 2, 4, 0})
	f.Add([]byte("2\x009\x00")) // empty before and after a clone
	long := make([]byte, 4000)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(long)
	f.Add(long)
	f.Fuzz(func(t *testing.T, program []byte) {
		r := registry.NewKeyed[int]("")
		model := map[string]int{}
		var order []string
		for i := 0; i+1 < len(program); i += 2 {
			name := fmt.Sprint("n", program[i+1]%64)
			_, present := model[name]
			switch program[i] % 5 {
			case 0:
				err := r.Register(name, i)
				require.Equal(t, present, err != nil)
				if !present {
					model[name] = i
					order = append(order, name)
				}
			case 1:
				require.NoError(t, r.Replace(name, i))
				if !present {
					order = append(order, name)
				}
				model[name] = i
			case 2:
				require.Equal(t, present, r.Unregister(name))
				delete(model, name)
				order = slices.DeleteFunc(order, func(s string) bool { return s == name })
			case 3:
				v, ok := r.Get(name)
				require.Equal(t, present, ok)
				require.Equal(t, model[name], v)
			case 4:
				require.Truef(t, slices.Equal(order, slices.Collect(r.Names())), "want %v, got %v", order, slices.Collect(r.Names()))
				r = r.Clone()
			}
			require.Equal(t, len(model), r.Len())
		}
		require.Truef(t, slices.Equal(order, slices.Collect(r.Names())), "want %v, got %v", order, slices.Collect(r.Names()))
		for name, v := range r.All() {
			require.Equal(t, model[name], v)
		}
	})
}

// TestKeyedAndWatchUnderConcurrency has writers, each with names of its own and a
// plain map beside them, readers of what never changes, and watchers that come and
// go. Each watcher replays the changes on a map and a list, which must be what the
// registry is at the end, and every single change must fit what it knew before.
func TestKeyedAndWatchUnderConcurrency(t *testing.T) {
	const writers, watchers, own = 4, 6, 200
	steps := 4000
	if os.Getenv("TOKENRING_LONG") != "" {
		steps = 400_000
	}
	r := registry.NewKeyed[int]("")
	for i := range 50 {
		require.NoError(t, r.Register(fmt.Sprint("fixed", i), i))
	}
	ctx := t.Context()

	var watching, writing, reading sync.WaitGroup
	replicas := make([]replica, watchers)
	for w := range watchers {
		watching.Go(func() {
			if w%2 == 0 {
				replicas[w].follow(t, ctx, r)
				return
			}
			// Comes and goes a few times before it stays to the end.
			for visits := range 5 {
				visitor := replica{limit: 60 + 100*visits}
				visitor.follow(t, ctx, r)
			}
			replicas[w].follow(t, ctx, r)
		})
	}
	stop := make(chan struct{})
	for range 2 {
		reading.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				v, ok := r.Get(fmt.Sprint("fixed", i%50))
				if !ok || v != i%50 {
					t.Errorf("fixed%d: got %d, %v", i%50, v, ok)
					return
				}
				if i%100 == 0 {
					fixed := 0
					seen := map[string]bool{}
					for name := range r.Names() {
						if seen[name] {
							t.Errorf("%s twice in one snapshot", name)
						}
						seen[name] = true
						if name[0] == 'f' {
							fixed++
						}
					}
					if fixed != 50 {
						t.Errorf("snapshot has %d of 50 fixed items", fixed)
						return
					}
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			model := map[string]int{}
			for step := range steps {
				name := fmt.Sprintf("w%d-%d", w, random.IntN(own))
				_, present := model[name]
				value := w*steps + step
				switch random.IntN(4) {
				case 0, 1:
					if err := r.Register(name, value); (err != nil) != present {
						t.Errorf("register %s: %v, present %v", name, err, present)
					}
					if !present {
						model[name] = value
					}
				case 2:
					if err := r.Replace(name, value); err != nil {
						t.Error(err)
					}
					model[name] = value
				case 3:
					if r.Unregister(name) != present {
						t.Errorf("unregister %s, present %v", name, present)
					}
					delete(model, name)
				}
				want, present := model[name]
				if got, ok := r.Get(name); ok != present || got != want {
					t.Errorf("get %s: %d, %v; want %d, %v", name, got, ok, want, present)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	require.NoError(t, r.Register(lastName, 0))
	watching.Wait()

	var names []string
	values := map[string]int{}
	for name, v := range r.All() {
		names = append(names, name)
		values[name] = v
	}
	for w := range replicas {
		assert.Equal(t, names, replicas[w].order, "watcher %d", w)
		assert.Equal(t, values, replicas[w].values, "watcher %d", w)
	}
}

const lastName = "the end"

type replica struct {
	limit  int
	values map[string]int
	order  []string
}

func (m *replica) follow(t *testing.T, ctx context.Context, r *registry.Keyed[int]) {
	m.values = map[string]int{}
	seen := 0
	for c := range r.Watch(ctx) {
		old, present := m.values[c.Name]
		switch c.Kind {
		case registry.Added:
			if present || c.Old != 0 {
				t.Errorf("added %s, which was there", c.Name)
			}
			m.values[c.Name] = c.New
			m.order = append(m.order, c.Name)
		case registry.Replaced:
			if !present || c.Old != old {
				t.Errorf("replaced %s: %d, but it was %d, %v", c.Name, c.Old, old, present)
			}
			m.values[c.Name] = c.New
		case registry.Removed:
			if !present || c.Old != old || c.New != 0 {
				t.Errorf("removed %s: %d, but it was %d, %v", c.Name, c.Old, old, present)
			}
			delete(m.values, c.Name)
			m.order = slices.DeleteFunc(m.order, func(s string) bool { return s == c.Name })
		default:
			t.Errorf("kind %v", c.Kind)
		}
		if seen++; seen == m.limit || c.Name == lastName {
			return
		}
	}
}
