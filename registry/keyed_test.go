package registry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func keyed(t *testing.T, names ...string) *registry.Keyed[int] {
	t.Helper()
	r := registry.NewKeyed[int]("number")
	for i, name := range names {
		require.NoError(t, r.Register(name, i+1))
	}
	return r
}

func TestKeyedKeepsOrderThroughChanges(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	assert.Equal(t, []string{"a", "b", "c"}, slices.Collect(r.Names()))

	require.NoError(t, r.Replace("a", 10), "keeps its place")
	assert.True(t, r.Unregister("b"))
	assert.False(t, r.Unregister("b"))
	require.NoError(t, r.Register("b", 20), "goes to the end")
	require.NoError(t, r.Replace("d", 4), "registers")

	assert.Equal(t, []string{"a", "c", "b", "d"}, slices.Collect(r.Names()))
	assert.Equal(t, []int{10, 3, 20, 4}, slices.Collect(r.Values()))
	assert.Equal(t, 4, r.Len())
}

func TestKeyedZeroValue(t *testing.T) {
	var r registry.Keyed[string]
	_, ok := r.Get("x")
	assert.False(t, ok)
	assert.Empty(t, slices.Collect(r.Names()))
	assert.Zero(t, r.Len())
	assert.False(t, r.Unregister("x"))
	assert.Zero(t, r.Clone().Len())
	require.NoError(t, r.Register("x", "y"))
	v, ok := r.Get("x")
	assert.True(t, ok)
	assert.Equal(t, "y", v)
}

func TestKeyedRefusesTakenAndEmptyNames(t *testing.T) {
	r := keyed(t, "a")
	err := r.Register("a", 2)
	require.ErrorIs(t, err, registry.ErrExists)
	assert.Equal(t, `registry: number "a": already registered (Replace replaces it)`, err.Error())
	v, _ := r.Get("a")
	assert.Equal(t, 1, v)

	assert.ErrorContains(t, r.Register("", 1), "not empty")
	assert.ErrorContains(t, r.Replace("", 1), "not empty")
	assert.Equal(t, 1, r.Len())
}

func TestKeyedRegisterAllIsAllOrNothing(t *testing.T) {
	r := keyed(t, "a", "b")
	err := r.RegisterAll(maps.All(map[string]int{"a": 1, "c": 3}))
	require.ErrorIs(t, err, registry.ErrExists)
	assert.ErrorContains(t, err, `"a"`)
	assert.Equal(t, 2, r.Len())

	twice := func(yield func(string, int) bool) { _ = yield("x", 1) && yield("y", 2) && yield("x", 3) }
	require.ErrorIs(t, r.RegisterAll(twice), registry.ErrExists)
	assert.ErrorContains(t, r.RegisterAll(maps.All(map[string]int{"": 1})), "not empty")
	assert.Equal(t, 2, r.Len())

	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint("n", i)
	}
	require.NoError(t, r.RegisterAll(func(yield func(string, int) bool) {
		for i, name := range many {
			if !yield(name, i) {
				return
			}
		}
	}))
	assert.Equal(t, append([]string{"a", "b"}, many...), slices.Collect(r.Names()))
	require.ErrorIs(t, r.RegisterAll(r.All()), registry.ErrExists, "a registry's own items are no deadlock")
	other := registry.NewKeyed[int]("")
	require.NoError(t, other.RegisterAll(r.All()))
	assert.Equal(t, r.Len(), other.Len())
}

func TestKeyedRequireNamesWhatIsMissing(t *testing.T) {
	for _, tc := range []struct {
		names []string
		ask   string
		want  string
	}{
		{[]string{"openai", "anthropic"}, "opnai", `registry: number "opnai" not found; did you mean "openai"?`},
		{[]string{"openai:gpt-5", "openai:gpt-5-mini"}, "gpt-5", `registry: number "gpt-5" not found; did you mean "openai:gpt-5" or "openai:gpt-5-mini"?`},
		{[]string{"Read"}, "read", `registry: number "read" not found; did you mean "Read"?`},
		{[]string{"one", "two"}, "zzz", `registry: number "zzz" not found; there is "one", "two"`},
		{nil, "x", `registry: number "x" not found`},
		{[]string{"a"}, "", `registry: number "" not found; there is "a"`},
	} {
		t.Run(tc.ask, func(t *testing.T) {
			_, err := keyed(t, tc.names...).Require(tc.ask)
			require.ErrorIs(t, err, registry.ErrNotFound)
			assert.Equal(t, tc.want, err.Error())
			var missing *registry.NotFoundError
			require.ErrorAs(t, err, &missing)
			assert.Equal(t, tc.ask, missing.Name)
		})
	}
	v, err := keyed(t, "a").Require("a")
	require.NoError(t, err)
	assert.Equal(t, 1, v)

	_, err = keyed(t, strings.Repeat("x", 500), "b").Require(strings.Repeat("x", 499))
	require.ErrorIs(t, err, registry.ErrNotFound)

	// In lower case these are longer than any name that is compared.
	for _, grows := range []string{"\xff", "Ⱥ"} {
		_, err = keyed(t, strings.Repeat(grows, 128/len(grows))).Require(strings.Repeat(grows, 127/len(grows)) + "a")
		require.ErrorIs(t, err, registry.ErrNotFound)
	}
}

func TestKeyedIterationIsOneMoment(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	var seen []string
	for name, v := range r.All() {
		if name == "a" {
			r.Unregister("b")
			require.NoError(t, r.Replace("c", 30))
			require.NoError(t, r.Register("d", 4))
		}
		seen = append(seen, fmt.Sprint(name, v))
	}
	assert.Equal(t, []string{"a1", "b2", "c3"}, seen)
	assert.Equal(t, []string{"a", "c", "d"}, slices.Collect(r.Names()))
	for range r.All() {
		break
	}
	for range r.Names() {
		break
	}
	for range r.Values() {
		break
	}
}

func TestKeyedMatch(t *testing.T) {
	r := keyed(t, "openai/gpt", "openai/o3", "anthropic/opus", "openai", "we*rd")
	for pattern, want := range map[string][]string{
		"openai":       {"openai"},
		"none":         nil,
		"openai*":      {"openai/gpt", "openai/o3", "openai"},
		"*":            {"openai/gpt", "openai/o3", "anthropic/opus", "openai", "we*rd"},
		"*/o*":         {"openai/o3", "anthropic/opus"},
		"openai/?3":    {"openai/o3"},
		"[ao]*/[go]*t": {"openai/gpt"},
		`we\*rd`:       {"we*rd"},
		"":             nil,
	} {
		t.Run(pattern, func(t *testing.T) {
			items, err := r.Match(pattern)
			require.NoError(t, err)
			var got []string
			for name := range items {
				got = append(got, name)
			}
			assert.Equal(t, want, got)
			for range items {
				break
			}
		})
	}
	for _, bad := range []string{"[", "a[b", `\`, "[]a]", "*[", "x[z-a]*["} {
		_, err := r.Match(bad)
		assert.ErrorIs(t, err, path.ErrBadPattern, bad)
	}
}

func TestKeyedClone(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	r.Unregister("b")
	clone := r.Clone()
	require.NoError(t, clone.Register("b", 2))
	require.NoError(t, clone.Replace("a", 9))
	assert.Equal(t, []string{"a", "c"}, slices.Collect(r.Names()))
	assert.Equal(t, []string{"a", "c", "b"}, slices.Collect(clone.Names()))
	v, _ := r.Get("a")
	assert.Equal(t, 1, v)
	_, err := clone.Require("zz")
	assert.ErrorContains(t, err, "number")
}

func TestKeyedShrinks(t *testing.T) {
	r := registry.NewKeyed[int]("")
	for round := range 3 {
		for i := range 5000 {
			require.NoError(t, r.Register(fmt.Sprint(i), i+round))
		}
		for i := range 4999 {
			require.True(t, r.Unregister(fmt.Sprint(i)))
		}
		v, ok := r.Get("4999")
		require.True(t, ok)
		require.Equal(t, 4999+round, v)
		require.Equal(t, []string{"4999"}, slices.Collect(r.Names()))
		require.True(t, r.Unregister("4999"))
	}
	assert.Zero(t, r.Len())
}

func TestReadsDoNotAllocate(t *testing.T) {
	r := keyed(t, "a", "b")
	var typed registry.Typed
	require.NoError(t, registry.Put(&typed, r))
	require.NoError(t, registry.Put[error](&typed, errors.New("x")))
	name := strings.Repeat("b", 1)
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = r.Get(name)
		_, _ = r.Get("missing")
		_, _ = r.Wait(ctx, name)
		if testing.CoverMode() == "" { // counting keeps the iterator from being inlined
			for range r.All() {
			}
		}
		_, _ = registry.Get[*registry.Keyed[int]](&typed)
		_, _ = registry.Get[error](&typed)
	}))
}

func TestWaitReturnsWhatIsThere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := keyed(t, "a").Wait(ctx, "a")
	require.NoError(t, err, "present: no need to look at the context")
	assert.Equal(t, 1, v)
}

func TestWaitWakesAllAndOnlyThoseOfTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.NewKeyed[int]("number")
		got := make(chan int, 100)
		for range 100 {
			go func() {
				v, err := r.Wait(t.Context(), "a")
				assert.NoError(t, err)
				got <- v
			}()
		}
		synctest.Wait()
		require.NoError(t, r.Register("b", 2))
		synctest.Wait()
		assert.Empty(t, got)
		require.NoError(t, r.Register("a", 1))
		r.Unregister("a") // those who waited have their value already
		synctest.Wait()
		assert.Len(t, got, 100)

		later := make(chan int, 1)
		go func() {
			v, _ := r.Wait(t.Context(), "a")
			later <- v
		}()
		synctest.Wait()
		assert.Empty(t, later, "the first registration is gone")
		require.NoError(t, r.Replace("a", 11))
		assert.Equal(t, 11, <-later)
		for range 100 {
			assert.Equal(t, 1, <-got)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.NewKeyed[int]("number")
		why := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := r.Wait(ctx, "a")
			done <- err
		}()
		stays := make(chan int, 1)
		go func() {
			v, _ := r.Wait(t.Context(), "a")
			stays <- v
		}()
		synctest.Wait()
		cancel(why)
		err := <-done
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, why)
		assert.ErrorContains(t, err, `number "a"`)
		assert.Empty(t, stays, "others wait on")
		require.NoError(t, r.Register("a", 1))
		assert.Equal(t, 1, <-stays)
	})
}
