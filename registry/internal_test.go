package registry

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCancelledWaitersLeaveNothingBehind(t *testing.T) {
	r := NewKeyed[int]("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		_, err := r.Wait(ctx, "a")
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.Empty(t, r.store.waiters)
}

func TestEndedWatchesLeaveNothingBehind(t *testing.T) {
	r := NewKeyed[int]("")
	require.NoError(t, r.Register("a", 1))
	for range r.Watch(t.Context()) {
		require.NoError(t, r.Replace("a", 2))
		break
	}
	assert.Empty(t, r.store.watchers)
}

// TestSlowWatchIsBounded has a loop stand still while one name is replaced, and
// others come and go, as often as it takes to see memory grow.
func TestSlowWatchIsBounded(t *testing.T) {
	r := NewKeyed[int]("")
	require.NoError(t, r.Register("stays", 0))
	require.NoError(t, r.Register("goes", 0))
	var first, got []Change[int]
	for c := range r.Watch(t.Context()) {
		if first = append(first, c); len(first) < 2 {
			continue
		}
		if len(first) == 2 {
			r.Unregister("goes")
			for i := range 100_000 {
				require.NoError(t, r.Replace("stays", i))
				require.NoError(t, r.Register("passes", i))
				require.True(t, r.Unregister("passes"))
			}
			require.NoError(t, r.Register("goes", 7))
			for w := range r.store.watchers {
				assert.LessOrEqual(t, cap(w.waiting), 4*minWaiting)
				got := merge(w.waiting)
				assert.Len(t, got, 3)
			}
			require.NoError(t, r.Register("end", 0))
			continue
		}
		if got = append(got, c); c.Name == "end" {
			break
		}
	}
	assert.Less(t, len(got), 2*minWaiting)
}

// FuzzMerge applies changes of a registry one by one and merged.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{0, 8, 16, 1, 9, 0, 0, 17, 1, 0, 8, 0, 0, 2, 2})
	f.Add([]byte{0, 1, 2, 3, 0, 1, 2, 3, 3, 2, 1, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		r := NewKeyed[int]("")
		for name := range 4 {
			require.NoError(t, r.Register(string(rune('a'+name)), -1-name))
		}
		apply := func(order []string, values map[string]int, changes []change[string, int]) []string {
			for _, c := range changes {
				old, present := values[c.key]
				require.Equal(t, c.kind != Added, present, "%v %s", c.kind, c.key)
				require.Equal(t, old, c.old)
				switch values[c.key] = c.new; c.kind {
				case Added:
					order = append(order, c.key)
				case Removed:
					delete(values, c.key)
					order = slices.DeleteFunc(order, func(name string) bool { return name == c.key })
				}
			}
			return order
		}
		order, values := slices.Collect(r.Names()), maps.Collect(r.All())
		_, w := r.store.watch()
		for i, b := range program {
			switch name := string(rune('a' + b>>1&7)); {
			case b&1 == 0:
				require.NoError(t, r.Replace(name, i))
			default:
				r.Unregister(name)
			}
		}
		merged := merge(slices.Clone(w.waiting))
		seen := map[string]int{}
		for _, c := range merged {
			seen[c.key]++
			require.LessOrEqual(t, seen[c.key], 2)
		}
		require.Equal(t, merged, merge(slices.Clone(merged)))
		order = apply(order, values, merged)
		require.True(t, slices.Equal(slices.Collect(r.Names()), order), order)
		require.Equal(t, maps.Collect(r.All()), values)
	})
}

func TestOrderDoesNotGrowWithoutBound(t *testing.T) {
	r := NewKeyed[int]("")
	require.NoError(t, r.Register("stays", 0))
	for i := range 10_000 {
		require.NoError(t, r.Register("churn", i))
		require.True(t, r.Unregister("churn"))
	}
	assert.Less(t, len(r.store.order), 100)
}

func TestSelectorsListenOnlyWhileObserved(t *testing.T) {
	r := NewKeyed[int]("")
	single, multi := NewSingleSelector(r), NewMultiSelector(r)
	assert.Empty(t, r.store.listeners)
	stops := []func(){single.OnChange(func() {}), single.OnChange(func() {}), multi.OnChange(func() {})}
	assert.Len(t, r.store.listeners, 2)
	for _, stop := range stops {
		stop()
		stop()
	}
	assert.Empty(t, r.store.listeners)
}

// TestSelectorsTellOfAnItemThatAnotherChangeSawGone has the word of one item's end
// come after that of another item's change, as it does when two goroutines make them.
func TestSelectorsTellOfAnItemThatAnotherChangeSawGone(t *testing.T) {
	r := NewKeyed[int]("")
	require.NoError(t, r.Register("a", 1))
	require.NoError(t, r.Register("b", 2))
	single, multi := NewSingleSelector(r), NewMultiSelector(r)
	require.NoError(t, single.Select("a"))
	require.NoError(t, multi.Enable("a"))
	told := map[string]int{}
	unheard := func() func() { return func() {} }
	single.observe(func() { told["single"]++ }, unheard)
	multi.observe(func() { told["multi"]++ }, unheard)
	require.True(t, r.Unregister("a"))
	for _, name := range []string{"b", "a"} {
		single.registered(name)
		multi.registered(name)
	}
	assert.Equal(t, map[string]int{"single": 1, "multi": 1}, told)
}

func TestBalancerForgetsFormerMembers(t *testing.T) {
	r := NewKeyed[int]("")
	b := NewBalancer(r.All, BalancerOptions[int]{})
	for i := range 1000 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		require.NoError(t, r.Register(name, i))
		b.MarkUnhealthy(name, 1)
		p, err := b.Pick()
		if err == nil {
			p.Done(nil)
		}
		r.Unregister(name)
	}
	assert.Less(t, len(b.states), 20)
}
