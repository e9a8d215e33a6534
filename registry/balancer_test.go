package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func picks(t *testing.T, b *registry.Balancer[int], n int) string {
	t.Helper()
	var s strings.Builder
	for range n {
		p, err := b.Pick()
		require.NoError(t, err)
		s.WriteString(p.Name)
		p.Done(nil)
	}
	return s.String()
}

func TestBalancerRoundRobin(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	b := registry.NewBalancer(r.All, registry.BalancerOptions[int]{})
	assert.Equal(t, "abcabc", picks(t, b, 6))
	r.Unregister("b")
	assert.Equal(t, "acac", picks(t, b, 4))
	require.NoError(t, r.Register("d", 4))
	got := picks(t, b, 9)
	for _, name := range []string{"a", "c", "d"} {
		assert.Equal(t, 3, strings.Count(got, name), got)
	}
}

func TestBalancerWeighted(t *testing.T) {
	b := registry.NewBalancer(keyed(t, "a", "b", "c", "d").All, registry.BalancerOptions[int]{
		Strategy: registry.Weighted,
		Weight:   func(name string, _ int) int { return map[string]int{"a": 5, "b": 1, "c": 1}[name] },
	})
	assert.Equal(t, "aabacaa", picks(t, b, 7), "mixed, not in bursts; without weight never")
	assert.Equal(t, 500, strings.Count(picks(t, b, 700), "a"))
}

func TestBalancerLeastInFlight(t *testing.T) {
	b := registry.NewBalancer(keyed(t, "a", "b", "c").All, registry.BalancerOptions[int]{Strategy: registry.LeastInFlight})
	assert.Equal(t, "abca", picks(t, b, 4), "equals take turns")
	var held []registry.Picked[int]
	for range 6 {
		p, err := b.Pick()
		require.NoError(t, err)
		held = append(held, p)
	}
	for _, name := range []string{"a", "b", "c"} {
		assert.Equal(t, 2, b.InFlight(name))
	}
	for _, p := range held {
		if p.Name == "b" {
			p.Done(nil)
			p.Done(nil) // counts once
		}
	}
	assert.Zero(t, b.InFlight("b"))
	assert.Zero(t, b.InFlight("unknown"))
	p, err := b.Pick()
	require.NoError(t, err)
	assert.Equal(t, "b", p.Name)
	registry.Picked[int]{}.Done(nil)
}

func TestBalancerHealthMarksExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("overloaded")
		b := registry.NewBalancer(keyed(t, "a", "b").All, registry.BalancerOptions[int]{
			Unhealthy: func(err error) time.Duration {
				if errors.Is(err, bad) {
					return 10 * time.Second
				}
				return 0
			},
		})
		fail := func(err error) func(context.Context, string, int) error {
			return func(context.Context, string, int) error { return err }
		}
		err := b.Do(t.Context(), fail(bad))
		require.ErrorIs(t, err, bad)
		assert.Equal(t, "a: overloaded", err.Error())
		assert.Equal(t, "bbbb", picks(t, b, 4))
		require.Error(t, b.Do(t.Context(), fail(errors.New("other"))))
		assert.Equal(t, "bb", picks(t, b, 2), "another error marks nobody")

		time.Sleep(4 * time.Second)
		b.MarkUnhealthy("b", time.Second)
		b.MarkUnhealthy("b", -time.Second)
		_, err = b.Pick()
		var unavailable *registry.UnavailableError
		require.ErrorAs(t, err, &unavailable)
		require.ErrorIs(t, err, registry.ErrUnavailable)
		assert.Equal(t, 2, unavailable.Members)
		assert.Equal(t, time.Second, time.Until(unavailable.Until), "the first mark to expire")
		require.ErrorIs(t, b.Do(t.Context(), fail(nil)), registry.ErrUnavailable)
		healthy := func() (names []string) {
			for name := range b.Healthy() {
				names = append(names, name)
			}
			return names
		}
		assert.Empty(t, healthy())

		time.Sleep(time.Second)
		assert.Equal(t, []string{"b"}, healthy())
		assert.Equal(t, "bb", picks(t, b, 2))
		b.MarkUnhealthy("a", time.Second) // ends sooner than the mark that is there
		time.Sleep(5*time.Second - 1)
		assert.Equal(t, "bb", picks(t, b, 2))
		time.Sleep(time.Nanosecond)
		assert.Contains(t, picks(t, b, 2), "a")
		b.MarkUnhealthy("a", time.Hour)
		b.MarkHealthy("a")
		b.MarkHealthy("a")
		assert.Equal(t, []string{"a", "b"}, healthy())
		for range b.Healthy() {
			break
		}
	})
}

func TestBalancerWithoutMembers(t *testing.T) {
	b := registry.NewBalancer(new(registry.Keyed[int]).All, registry.BalancerOptions[int]{})
	_, err := b.Pick()
	require.ErrorIs(t, err, registry.ErrUnavailable)
	assert.Equal(t, "registry: no member available: there are none", err.Error())
}

func TestBalancerSurvivesPanicAndConcurrency(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	b := registry.NewBalancer(r.All, registry.BalancerOptions[int]{Strategy: registry.LeastInFlight})
	assert.Panics(t, func() {
		_ = b.Do(t.Context(), func(context.Context, string, int) error { panic("x") })
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				if i == 0 {
					name := fmt.Sprint("x", j)
					_ = r.Register(name, j)
					b.MarkUnhealthy(name, time.Nanosecond)
					defer r.Unregister(name)
				}
				_ = b.Do(t.Context(), func(context.Context, string, int) error { return nil })
				for range b.Healthy() {
				}
			}
		})
	}
	wg.Wait()
	for name := range r.Names() {
		assert.Zero(t, b.InFlight(name), name)
	}
}

func TestFallback(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	errA, errB := errors.New("no route"), errors.New("teapot")
	var tried []string
	run := func(decide func(string, int, error) registry.Decision, results map[string]error) error {
		tried = nil
		f := registry.NewFallback(r.All, registry.FallbackOptions{Decide: decide})
		return f.Do(t.Context(), func(_ context.Context, name string, v int) error {
			tried = append(tried, name)
			return results[name]
		})
	}
	require.NoError(t, run(nil, map[string]error{"a": errA}))
	assert.Equal(t, []string{"a", "b"}, tried)

	err := run(nil, map[string]error{"a": errA, "b": errB, "c": errB})
	require.ErrorIs(t, err, errA)
	require.ErrorIs(t, err, errB)
	assert.Equal(t, "registry: every try failed: a: no route; b: teapot; c: teapot", err.Error())
	var failed *registry.FallbackError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "b", failed.Failures[1].Name)

	err = run(func(name string, attempt int, err error) registry.Decision {
		switch {
		case errors.Is(err, errB):
			return registry.GiveUp
		case attempt < 3:
			return registry.SameMember
		}
		return registry.NextMember
	}, map[string]error{"a": errA, "b": errB})
	require.ErrorIs(t, err, errB)
	assert.Equal(t, []string{"a", "a", "a", "b"}, tried)
}

func TestFallbackStopsWithItsContext(t *testing.T) {
	r := keyed(t, "a", "b")
	f := registry.NewFallback(r.All, registry.FallbackOptions{
		Decide: func(string, int, error) registry.Decision { return registry.SameMember },
	})
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := f.Do(ctx, func(context.Context, string, int) error {
		if n++; n == 3 {
			cancel()
		}
		return errors.New("down")
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 3, n)
	assert.ErrorContains(t, err, "a: down; stopped: context canceled")
	require.ErrorIs(t, f.Do(ctx, nil), context.Canceled)
	none := registry.NewFallback(new(registry.Keyed[int]).All, registry.FallbackOptions{})
	require.ErrorIs(t, none.Do(t.Context(), nil), registry.ErrUnavailable)
}

func TestPanicWhileDoneLeavesNothingInFlight(t *testing.T) {
	b := registry.NewBalancer(keyed(t, "a").All, registry.BalancerOptions[int]{
		Unhealthy: func(error) time.Duration { panic("boom") },
	})
	p, err := b.Pick()
	require.NoError(t, err)
	assert.Panics(t, func() { p.Done(errors.New("failed")) })
	assert.Zero(t, b.InFlight("a"))
}
