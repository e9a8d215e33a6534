package registry_test

import (
	"encoding/json"
	"fmt"
	"path"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func active(s *registry.SingleSelector[int]) string {
	name, v, ok := s.Active()
	return fmt.Sprintf("%s%d%v", name, v, ok)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func TestSingleSelector(t *testing.T) {
	r := keyed(t, "a", "b")
	s, other := registry.NewSingleSelector(r), registry.NewSingleSelector(r)
	assert.Equal(t, "0false", active(s))
	_, err := s.Require()
	require.ErrorIs(t, err, registry.ErrNoSelection)
	require.ErrorIs(t, err, registry.ErrNotFound)
	assert.Equal(t, `registry: number: nothing selected: not found; select one of "a", "b" first`, err.Error())

	_, err = registry.NewSingleSelector(registry.NewKeyed[int]("number")).Require()
	assert.EqualError(t, err, "registry: number: nothing selected: not found; register one first")

	require.NoError(t, s.Select("a"))
	assert.Equal(t, "a1true", active(s))
	assert.Equal(t, "0false", active(other), "selectors do not know of each other")
	require.ErrorIs(t, s.Select("x"), registry.ErrNotFound)
	assert.Equal(t, "a1true", active(s), "an error changes nothing")

	require.NoError(t, r.Replace("a", 10))
	v, err := s.Require()
	require.NoError(t, err)
	assert.Equal(t, 10, v, "a replaced item stays selected")

	r.Unregister("a")
	require.NoError(t, r.Register("a", 11))
	assert.Equal(t, "0false", active(s), "an item that was removed is not selected again by its name")
	require.NoError(t, s.Select("b"))
	s.Clear()
	assert.Equal(t, "0false", active(s))
}

func TestSingleSelectorIsAStateSlice(t *testing.T) {
	r := keyed(t, "a", "b")
	s := registry.NewSingleSelector(r)
	assert.Equal(t, "null", jsonOf(t, s))
	require.NoError(t, s.Select("b"))
	s.MarkInitial()
	assert.Equal(t, `"b"`, jsonOf(t, s))
	before := s.Generation()
	require.NoError(t, s.Select("b"))
	assert.Equal(t, before, s.Generation(), "no change")
	require.NoError(t, s.Select("a"))
	assert.NotEqual(t, before, s.Generation())
	s.Reset("chat")
	assert.Equal(t, "a1true", active(s))
	s.Reset("all")
	assert.Equal(t, "b2true", active(s))
	before = s.Generation()
	r.Unregister("b")
	assert.NotEqual(t, before, s.Generation(), "leaving is a change")
	assert.Equal(t, "null", jsonOf(t, s))

	require.NoError(t, json.Unmarshal([]byte(`"later"`), s))
	assert.Equal(t, "0false", active(s))
	assert.Equal(t, `"later"`, jsonOf(t, s), "nothing is lost")
	require.NoError(t, r.Register("later", 3))
	assert.Equal(t, "later3true", active(s))
	require.Error(t, json.Unmarshal([]byte(`["x"]`), s))
	assert.Equal(t, "later3true", active(s))
	require.NoError(t, json.Unmarshal([]byte(`null`), s))
	require.NoError(t, s.UnmarshalJSON([]byte(`null`)))
	assert.Equal(t, "0false", active(s))
	require.Error(t, new(registry.SingleSelector[int]).UnmarshalJSON([]byte(`"a"`)))
}

func TestSingleSelectorOnChange(t *testing.T) {
	r := keyed(t, "a", "b")
	s := registry.NewSingleSelector(r)
	var log []string
	stop := s.OnChange(func() { log = append(log, active(s)) })
	require.NoError(t, s.Select("a"))
	require.NoError(t, s.Select("a"))
	require.NoError(t, r.Replace("a", 5))
	require.NoError(t, r.Replace("b", 6))
	r.Unregister("b")
	r.Unregister("a")
	require.NoError(t, s.UnmarshalJSON([]byte(`"c"`)))
	require.NoError(t, r.Register("c", 7))
	assert.Equal(t, []string{"a1true", "a5true", "0false", "0false", "c7true"}, log)
	stop()
	s.Clear()
	assert.Len(t, log, 5)
}

func TestMultiSelector(t *testing.T) {
	r := keyed(t, "fs/read", "fs/write", "git/commit", "git/log", "web")
	s := registry.NewMultiSelector(r)
	assert.Empty(t, s.ActiveNames())

	require.NoError(t, s.Enable("git/log", "fs*"))
	assert.Equal(t, []string{"fs/read", "fs/write", "git/log"}, s.ActiveNames(), "in order of registration")
	require.NoError(t, s.Disable("*/write"))
	assert.Equal(t, []string{"fs/read", "git/log"}, s.ActiveNames())
	require.NoError(t, s.Disable("web"), "was not selected, but exists")
	require.NoError(t, s.Set("web", "git/*"))
	assert.Equal(t, []string{"git/commit", "git/log", "web"}, s.ActiveNames())

	for _, change := range []func(...string) error{s.Enable, s.Disable, s.Set} {
		err := change("fs*", "nothing*")
		require.ErrorIs(t, err, registry.ErrNotFound)
		assert.ErrorContains(t, err, `"nothing*"`)
		require.ErrorIs(t, change("web", "typo"), registry.ErrNotFound)
		require.ErrorIs(t, change("["), path.ErrBadPattern)
		assert.Equal(t, []string{"git/commit", "git/log", "web"}, s.ActiveNames(), "an error changes nothing")
	}
	assert.True(t, s.IsActive("web"))
	assert.False(t, s.IsActive("fs/read"))

	r.Unregister("web")
	require.NoError(t, r.Register("web", 50))
	require.NoError(t, r.Replace("git/log", 40))
	assert.False(t, s.IsActive("web"))
	var got []string
	for name, v := range s.Active() {
		got = append(got, fmt.Sprint(name, v))
	}
	assert.Equal(t, []string{"git/commit3", "git/log40"}, got)
	for range s.Active() {
		break
	}
	require.NoError(t, s.Set())
	assert.Empty(t, s.ActiveNames())
	require.NoError(t, s.Enable())
}

func TestDisableOneOfThree(t *testing.T) {
	s := registry.NewMultiSelector(keyed(t, "a", "b", "c"))
	require.NoError(t, s.Enable("*"))
	require.NoError(t, s.Disable("b"))
	assert.Equal(t, []string{"a", "c"}, s.ActiveNames())
}

func TestMultiSelectorIsAStateSlice(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	s := registry.NewMultiSelector(r)
	assert.Equal(t, "[]", jsonOf(t, s))
	require.NoError(t, s.Enable("c", "a"))
	s.MarkInitial()
	assert.Equal(t, `["a","c"]`, jsonOf(t, s))
	before := s.Generation()
	require.NoError(t, s.Enable("a"))
	assert.Equal(t, before, s.Generation())

	restored := registry.NewMultiSelector(keyed(t, "c"))
	require.NoError(t, json.Unmarshal([]byte(`["z","a","c",""]`), restored))
	assert.Equal(t, []string{"c"}, restored.ActiveNames())
	assert.Equal(t, `["c","a","z"]`, jsonOf(t, restored), "nothing is lost")
	require.NoError(t, restored.Disable("z"), "a name that is awaited can be disabled")
	assert.Equal(t, `["c","a"]`, jsonOf(t, restored))
	require.Error(t, json.Unmarshal([]byte(`{"a":1}`), restored))
	require.Error(t, json.Unmarshal([]byte(`[1]`), restored))
	assert.Equal(t, `["c","a"]`, jsonOf(t, restored))
	require.Error(t, new(registry.MultiSelector[int]).UnmarshalJSON([]byte(`["a"]`)))

	require.NoError(t, s.Set("b"))
	s.Reset("history")
	assert.Equal(t, []string{"b"}, s.ActiveNames())
	s.Reset("settings")
	assert.Equal(t, []string{"a", "c"}, s.ActiveNames())
	before = s.Generation()
	r.Unregister("a")
	assert.NotEqual(t, before, s.Generation())
}

func TestMultiSelectorOnChange(t *testing.T) {
	r := keyed(t, "a", "b", "c")
	s := registry.NewMultiSelector(r)
	var log []string
	stop := s.OnChange(func() { log = append(log, fmt.Sprint(s.ActiveNames())) })
	require.NoError(t, s.Enable("a", "b"))
	require.NoError(t, s.Enable("b"))
	require.Error(t, s.Set("x"))
	r.Unregister("c")
	r.Unregister("a")
	require.NoError(t, s.UnmarshalJSON([]byte(`["b","d"]`)))
	require.NoError(t, r.Register("d", 4))
	assert.Equal(t, []string{"[a b]", "[b]", "[b]", "[b d]"}, log)
	stop()
	require.NoError(t, s.Set())
	assert.Len(t, log, 4)
}

// TestObserversMissNoRemoval has a reader that finds out about removals before the
// observers are told: the observers are told all the same.
func TestObserversMissNoRemoval(t *testing.T) {
	for range 200 {
		r := keyed(t, "a")
		s, m := registry.NewSingleSelector(r), registry.NewMultiSelector(r)
		require.NoError(t, s.Select("a"))
		require.NoError(t, m.Enable("a"))
		var single, multi sync.WaitGroup
		single.Add(1)
		multi.Add(1)
		stopS, stopM := s.OnChange(single.Done), m.OnChange(multi.Done)
		var racing sync.WaitGroup
		racing.Go(func() { r.Unregister("a") })
		racing.Go(func() { _, _, _ = s.Active(); _ = m.ActiveNames() })
		racing.Wait()
		single.Wait()
		multi.Wait()
		stopS()
		stopM()
	}
}
