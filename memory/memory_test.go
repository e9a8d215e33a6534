package memory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func texts(s *memory.Store) []string {
	all := []string{}
	for i, it := range s.Items() {
		if i != len(all) {
			panic("positions have gaps")
		}
		all = append(all, it.Text)
	}
	return all
}

func with(t *testing.T, opts memory.Options, all ...string) *memory.Store {
	s := memory.New(opts)
	for _, text := range all {
		_, err := s.Remember(text)
		require.NoError(t, err)
	}
	return s
}

func TestAdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		ids, err := s.Add(
			memory.Item{Text: "  a\n", Source: "user", Tags: []string{"x", "x", " "}, Pinned: true},
			memory.Item{ID: "mine", Text: "b"}, memory.Item{Text: "c"},
		)
		require.NoError(t, err)
		assert.Equal(t, []string{"m1", "mine", "m2"}, ids)
		a, ok := s.Get("m1")
		require.True(t, ok)
		assert.Equal(t, memory.Item{ID: "m1", Text: "a", Source: "user", Tags: []string{"x"}, Pinned: true, Time: time.Now()}, a)
		a.Tags[0] = "changed"
		again, _ := s.Get("m1")
		assert.Equal(t, []string{"x"}, again.Tags, "items are copies")
		for _, bad := range []memory.Item{{Text: " \t"}, {ID: "mine", Text: "z"}} {
			_, err := s.Add(memory.Item{Text: "good"}, bad)
			require.Error(t, err)
		}
		_, err = s.Add(memory.Item{ID: "twin", Text: "1"}, memory.Item{ID: "twin", Text: "2"})
		require.ErrorIs(t, err, memory.ErrExists)
		assert.Equal(t, []string{"a", "b", "c"}, texts(s), "all or none")
		_, err = s.Add(memory.Item{Text: "bad \xff byte"})
		require.NoError(t, err)
		assert.Equal(t, "bad \uFFFD byte", texts(s)[3])
	})
}

func TestDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := with(t, memory.Options{}, "a", "b")
		<-time.After(time.Hour)
		ids, err := s.Add(memory.Item{Text: " a ", Pinned: true, Tags: []string{"t"}}, memory.Item{Text: "c"}, memory.Item{Text: "c", Tags: []string{"u"}})
		require.NoError(t, err)
		assert.Equal(t, []string{"m1", ids[1], ids[1]}, ids)
		assert.Equal(t, []string{"a", "b", "c"}, texts(s))
		a, _ := s.Get("m1")
		assert.True(t, a.Pinned)
		assert.Equal(t, []string{"t"}, a.Tags)
		assert.Equal(t, time.Now(), a.Time)
		c, _ := s.Get(ids[1])
		assert.Equal(t, []string{"u"}, c.Tags)
		assert.Equal(t, memory.Stats{Items: 3, Pinned: 1, Bytes: 3, Tokens: 3, Added: 3, Renewed: 1}, s.Stats())

		free := with(t, memory.Options{AllowDuplicates: true}, "a", "a")
		assert.Equal(t, []string{"a", "a"}, texts(free))
	})
}

func TestSplice(t *testing.T) {
	for _, c := range []struct {
		start, remove int
		add           string
		want, removed string
		err           error
	}{
		{0, 0, "x", "x a b c d", "", nil},
		{4, 0, "x", "a b c d x", "", nil},
		{1, 2, "x y z", "a x y z d", "b c", nil},
		{-1, 1, "", "a b c", "d", nil},
		{-4, -1, "x", "x", "a b c d", nil},
		{2, 99, "", "a b", "c d", nil},
		{1, 1, "b", "a b c d", "b", nil}, // the same text takes its own place
		{0, 2, "d", "c d", "a b", nil},   // d is there already and stays
		{5, 0, "x", "a b c d", "", memory.ErrRange},
		{-5, 0, "x", "a b c d", "", memory.ErrRange},
	} {
		t.Run(fmt.Sprint(c.start, c.remove, c.add), func(t *testing.T) {
			s := with(t, memory.Options{}, "a", "b", "c", "d")
			var items []memory.Item
			for _, text := range strings.Fields(c.add) {
				items = append(items, memory.Item{Text: text})
			}
			removed, err := s.Splice(c.start, c.remove, items...)
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, strings.Fields(c.want), texts(s))
			var gone []string
			for _, it := range removed {
				gone = append(gone, it.Text)
			}
			assert.Equal(t, c.removed, strings.Join(gone, " "))
			assert.Equal(t, len(strings.Fields(c.want)), s.Stats().Bytes)
		})
	}
}

func TestEditAndRemove(t *testing.T) {
	s := with(t, memory.Options{}, "a", "b", "c")
	require.NoError(t, s.Edit("m2", func(it *memory.Item) { it.Text, it.ID, it.Pinned = "B", "other", true }))
	assert.Equal(t, []string{"a", "B", "c"}, texts(s))
	_, ok := s.Get("m2")
	assert.True(t, ok)
	_, err := s.Remember("b") // its text is free again
	require.NoError(t, err)
	require.ErrorIs(t, s.Edit("m1", func(it *memory.Item) { it.Text = "c" }), memory.ErrExists)
	require.ErrorIs(t, s.Edit("m1", func(it *memory.Item) { it.Text = " " }), memory.ErrEmpty)
	require.ErrorIs(t, s.Edit("m9", func(it *memory.Item) {}), memory.ErrNotFound)
	require.ErrorIs(t, s.Remove("m1", "m9"), memory.ErrNotFound)
	require.NoError(t, s.Remove("m1", "m3", "m1"))
	assert.Equal(t, []string{"B", "b"}, texts(s))
	assert.Equal(t, 2, s.Clear())
	assert.Zero(t, s.Len())
}

func TestBudgets(t *testing.T) {
	for name, opts := range map[string]memory.Options{
		"items":  {MaxItems: 3},
		"bytes":  {MaxBytes: 12},
		"tokens": {MaxTokens: 3},
	} {
		t.Run(name, func(t *testing.T) {
			var evicted []string
			opts.Trace.Evicted = func(it memory.Item) { evicted = append(evicted, it.Text) }
			s := with(t, opts, "aaaa", "bbbb", "cccc")
			require.NoError(t, s.Edit("m1", func(it *memory.Item) { it.Pinned = true }))
			_, err := s.Remember("dddd")
			require.NoError(t, err)
			assert.Equal(t, []string{"aaaa", "cccc", "dddd"}, texts(s))
			assert.Equal(t, []string{"bbbb"}, evicted)

			_, err = s.Add(memory.Item{Text: "eeee"}, memory.Item{Text: "ffff"}, memory.Item{Text: "gggg"})
			require.ErrorIs(t, err, memory.ErrBudget)
			var budget *memory.BudgetError
			require.ErrorAs(t, err, &budget)
			assert.Equal(t, name, budget.What)
			assert.Equal(t, []string{"aaaa", "cccc", "dddd"}, texts(s), "nothing was evicted for nothing")
			_, err = s.Splice(1, 1, memory.Item{Text: "hhhh"})
			require.NoError(t, err)
			assert.Equal(t, []string{"aaaa", "hhhh", "dddd"}, texts(s))
		})
	}
	s := with(t, memory.Options{MaxBytes: 10}, "aaaa", "bbbb")
	require.NoError(t, s.Edit("m1", func(it *memory.Item) { it.Text = "long text" }))
	assert.Equal(t, []string{"long text"}, texts(s), "an edit evicts too")
	require.ErrorIs(t, s.Edit("m1", func(it *memory.Item) { it.Text = "much too long text" }), memory.ErrBudget)
	assert.Equal(t, []string{"long text"}, texts(s))
}

func TestContext(t *testing.T) {
	s := memory.New(memory.Options{ContextTokens: 3})
	assert.Empty(t, slices.Collect(s.Context(t.Context())))
	_, err := s.Add(memory.Item{Text: "late", Position: memory.BeforeInput}, memory.Item{Text: "aaaa"})
	require.NoError(t, err)
	assert.Equal(t, []string{"aaaa", "late"}, slices.Collect(s.Context(t.Context())))
	_, err = s.Add(memory.Item{Text: "bbbb"}, memory.Item{Text: "cccc"})
	require.NoError(t, err)
	require.NoError(t, s.Edit("m1", func(it *memory.Item) { it.Pinned = true }))
	assert.Equal(t, []string{"(memories not shown: 1; search for them if needed)", "bbbb", "cccc", "late"},
		slices.Collect(s.Context(t.Context())))
	assert.Equal(t, []string{"late"}, slices.Collect(s.ContextAt(t.Context(), memory.BeforeInput)))
	for range s.Context(t.Context()) {
		_, err := s.Remember("added in the loop") // must not deadlock
		require.NoError(t, err)
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Empty(t, slices.Collect(s.Context(ctx)))
	s = memory.New(memory.Options{})
	_, err = s.Add(memory.Item{Text: "somewhere", Position: "nowhere"})
	require.NoError(t, err)
	assert.Equal(t, []string{"somewhere"}, slices.Collect(s.ContextAt(t.Context(), memory.AfterSystem)), "every item is shown")
}

// TestContextWithoutWhatIsTooLarge has items that no context could hold: they must not
// hide those that it can.
func TestContextWithoutWhatIsTooLarge(t *testing.T) {
	s := with(t, memory.Options{ContextTokens: 3}, "too old", "aaaa", "bbbb", strings.Repeat("x", 100))
	assert.Equal(t, []string{"(memories not shown: 2; search for them if needed)", "aaaa", "bbbb"}, slices.Collect(s.Context(t.Context())))
	_, err := s.Add(memory.Item{Text: strings.Repeat("y", 100), Pinned: true})
	require.NoError(t, err)
	assert.Equal(t, []string{"(memories not shown: 3; search for them if needed)", "aaaa", "bbbb"}, slices.Collect(s.Context(t.Context())))
}

func TestSearch(t *testing.T) {
	s := with(t, memory.Options{}, "The build needs make", "Tests run with go test", "the moon", "Häuser sind groß")
	require.NoError(t, s.Edit("m3", func(it *memory.Item) { it.Tags = []string{"building"} }))
	for query, want := range map[string][]string{
		"build":      {"the moon", "The build needs make"},
		"MAKE build": {"The build needs make", "the moon"},
		"häuser":     {"Häuser sind groß"},
		"nothing":    {},
		"?!":         {},
	} {
		found, err := s.Search(t.Context(), query, 0)
		require.NoError(t, err)
		got := []string{}
		for _, m := range found {
			got = append(got, m.Text)
		}
		assert.Equal(t, want, got, query)
	}
	found, err := s.Search(t.Context(), "the build", 1)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, 1.0, found[0].Score)
}

func TestSearchByMeaning(t *testing.T) {
	asked := 0
	fail := false
	s := with(t, memory.Options{
		Logger: slog.New(slog.DiscardHandler),
		Embed: func(_ context.Context, all []string) ([][]float32, error) {
			if fail {
				return nil, errors.New("offline")
			}
			asked += len(all)
			vectors := make([][]float32, len(all))
			for i, text := range all {
				vectors[i] = []float32{float32(strings.Count(text, "a")), float32(strings.Count(text, "b"))}
			}
			return vectors, nil
		},
	}, "aaa", "abab", "bbb", "none")
	found, err := s.Search(t.Context(), "aaaaa", 0)
	require.NoError(t, err)
	require.Len(t, found, 2)
	assert.Equal(t, "aaa", found[0].Text)
	assert.InDelta(t, 0.707, found[1].Score, 0.01)
	assert.Equal(t, 5, asked)
	_, err = s.Search(t.Context(), "bb", 0)
	require.NoError(t, err)
	assert.Equal(t, 6, asked, "texts are embedded once")
	fail = true
	found, err = s.Search(t.Context(), "none", 0)
	require.NoError(t, err)
	require.Len(t, found, 1, "words serve when the embedding fails")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Search(ctx, "none", 0)
	require.ErrorIs(t, err, context.Canceled)
}

func TestState(t *testing.T) {
	s := with(t, memory.Options{}, "a", "b", "c")
	require.NoError(t, s.Remove("m3"))
	require.NoError(t, s.Edit("m1", func(it *memory.Item) { it.Pinned, it.Tags, it.Position = true, []string{"t"}, memory.BeforeInput }))
	before := s.Generation()
	data, err := json.Marshal(s)
	require.NoError(t, err)
	assert.Equal(t, before, s.Generation())

	restored := with(t, memory.Options{}, "old")
	require.NoError(t, json.Unmarshal(data, restored))
	again, err := json.Marshal(restored)
	require.NoError(t, err)
	assert.JSONEq(t, string(data), string(again))
	id, err := restored.Remember("d")
	require.NoError(t, err)
	assert.Equal(t, "m4", id, "IDs are not used again")

	for _, bad := range []string{`{`, `{"version":9}`, `{"version":1,"items":[{"id":"x"}]}`, `{"version":1,"items":[{"id":"x","text":"1"},{"id":"x","text":"2"}]}`, `[]`} {
		require.Error(t, restored.UnmarshalJSON([]byte(bad)), bad)
	}
	assert.Equal(t, []string{"a", "b", "d"}, texts(restored))

	child := memory.New(memory.Options{})
	require.NoError(t, child.UnmarshalJSON(data))
	require.NoError(t, child.Edit("m1", func(it *memory.Item) { it.Text, it.Tags = "other", append(it.Tags, "u") }))
	a, _ := s.Get("m1")
	assert.Equal(t, "a", a.Text, "a sub-agent's memories are its own")
	assert.Equal(t, []string{"t"}, a.Tags)

	fork := s.Fork()
	require.NoError(t, fork.Remove("m1"))
	_, err = s.Remember("e")
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "e"}, texts(s))
	assert.Equal(t, []string{"b"}, texts(fork))

	generation := s.Generation()
	s.Reset("chat")
	assert.Equal(t, 3, s.Len())
	assert.Equal(t, generation, s.Generation())
	s.Reset("memory")
	assert.Zero(t, s.Len())
	assert.NotEqual(t, generation, s.Generation())
}

// FuzzState reads what was in a file when a process died.
func FuzzState(f *testing.F) {
	s := memory.New(memory.Options{})
	if _, err := s.Add(memory.Item{Text: "a", Tags: []string{"t"}, Pinned: true}, memory.Item{Text: "b", Position: memory.BeforeInput}); err != nil {
		f.Fatal(err)
	}
	data, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"lastId":18446744073709551615,"items":[{"id":"m0","text":" \t","position":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := with(t, memory.Options{MaxItems: 4, ContextTokens: -1}, "old")
		if s.UnmarshalJSON(data) != nil {
			require.Equal(t, []string{"old"}, texts(s), "nothing is lost")
			return
		}
		n := s.Len()
		require.Len(t, slices.Collect(s.ContextAt(t.Context(), memory.AfterSystem)), n-len(slices.Collect(s.ContextAt(t.Context(), memory.BeforeInput))))
		first, err := s.MarshalJSON()
		require.NoError(t, err)
		again := memory.New(memory.Options{})
		require.NoError(t, again.UnmarshalJSON(first))
		second, err := again.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))
		if _, err := s.Remember("new"); err != nil { // all are pinned
			require.ErrorIs(t, err, memory.ErrBudget)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	s := memory.New(memory.Options{MaxItems: 50})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				id, err := s.Remember(fmt.Sprint(g, " ", i))
				assert.NoError(t, err)
				_ = s.Edit(id, func(it *memory.Item) { it.Text += "!" })
				_, _ = s.Search(t.Context(), "1", 3)
				for range s.Context(t.Context()) {
					break
				}
				_, err = s.MarshalJSON()
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 50, s.Len())
}

func TestCommand(t *testing.T) {
	s := memory.New(memory.Options{})
	run := func(line, want string) {
		t.Helper()
		got, err := s.Command(t.Context(), line)
		require.NoError(t, err, line)
		assert.Equal(t, want, got, line)
	}
	run("", "no memories")
	run("add the build needs #make #gnu", "added m1")
	run("add second", "added m2")
	run("list", "0  m1 #make #gnu  the build needs\n1  m2  second")
	run("edit m2 two words", "changed m2")
	run("pin m2", "pinned m2")
	run("search words", "1.00  m2 (pinned)  two words")
	run("search zzz", "no memory matches")
	run("unpin m2", "unpinned m2")
	run("splice 0 1 new first", "removed 1, added 1")
	run("list", "0  m3  new first\n1  m2  two words")
	run("stats", "2 memories, 0 pinned, 18 bytes, about 6 tokens; 3 added, 0 renewed, 0 evicted")
	run("remove m3", "removed 1")
	run("clear", "removed 1")
	run("add\tone\nmore", "added m4")
	run("edit m4\nof two\nlines", "changed m4")
	run("splice  -1  1\ttext", "removed 1, added 1")
	for _, bad := range []string{"nonsense", "add", "edit", "edit m9 x", "remove m9", "splice 1", "splice a b", "splice 7 0 x", "pin m9"} {
		_, err := s.Command(t.Context(), bad)
		require.Error(t, err, bad)
	}
	assert.Contains(t, s.Help(), "splice")
}

func TestTools(t *testing.T) {
	s := memory.New(memory.Options{})
	call := func(name, args string) (string, error) {
		for _, tl := range s.Tools() {
			if tl.Name == name {
				r, err := tl.Call(t.Context(), json.RawMessage(args))
				return r.Text, err
			}
		}
		panic(name)
	}
	for _, c := range []struct{ tool, args, want string }{
		{"remember", `{"text":"tests need docker","tags":["ci"],"pin":true}`, "remembered as m1"},
		{"recall", `{"query":"docker"}`, "1.00  m1 (pinned) #ci  tests need docker"},
		{"edit_memory", `{"id":"m1","text":"tests need podman"}`, "changed m1"},
		{"recall", `{}`, "0  m1 (pinned) #ci  tests need podman"},
		{"forget", `{"ids":["m1"]}`, "forgot 1"},
		{"recall", `{}`, "no memories"},
	} {
		got, err := call(c.tool, c.args)
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
	for tool, args := range map[string]string{"remember": `{"text":""}`, "edit_memory": `{"id":"m9","text":"x"}`, "forget": `{"ids":[]}`} {
		_, err := call(tool, args)
		require.Error(t, err)
	}
}

func many(n int) []memory.Item {
	items := make([]memory.Item, n)
	for i := range items {
		items[i].Text = fmt.Sprint("memory number ", i)
	}
	return items
}

func TestManyItemsAtOnce(t *testing.T) {
	const n = 10_000
	s := memory.New(memory.Options{})
	items := many(n)
	_, err := s.Add(items...)
	require.NoError(t, err)
	_, err = s.Add(items...) // all renewed
	require.NoError(t, err)
	slices.Reverse(items)
	removed, err := s.Splice(0, -1, items...) // all in the places of their like
	require.NoError(t, err)
	assert.Len(t, removed, n)
	assert.Equal(t, n, s.Len())
	assert.EqualValues(t, n, s.Stats().Renewed)
	for i, it := range s.Items() {
		if it.Text != items[i].Text {
			t.Fatalf("item %d is %q, not %q", i, it.Text, items[i].Text)
		}
	}
}

func ExampleStore() {
	notes := memory.New(memory.Options{MaxItems: 100})
	notes.Add(
		memory.Item{Text: "The project uses Go 1.26.", Pinned: true},
		memory.Item{Text: "Run the tests with make test.", Tags: []string{"ci"}},
	)
	for text := range notes.Context(context.Background()) {
		fmt.Println(text)
	}
	found, _ := notes.Search(context.Background(), "how to run tests", 1)
	fmt.Println(found[0].ID)
	// Output:
	// The project uses Go 1.26.
	// Run the tests with make test.
	// m2
}

func BenchmarkSplice(b *testing.B) {
	s := memory.New(memory.Options{})
	if _, err := s.Add(many(100_000)...); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() { // one in, one out: the order is moved each time
		i++
		if _, err := s.Splice(50_000, i%2, memory.Item{Text: fmt.Sprint("x", i)}); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Splice(10, (i+1)%2); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRenew adds all of 100,000 texts again.
func BenchmarkRenew(b *testing.B) {
	s := memory.New(memory.Options{})
	items := many(100_000)
	for b.Loop() {
		if _, err := s.Add(items...); err != nil {
			b.Fatal(err)
		}
	}
}
