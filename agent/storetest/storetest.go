// Package storetest proves that a checkpoint store keeps the promises of
// [agent.Store]. A store's own test calls [Run], and [Kill] if it is durable.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// Options describe the store under test.
type Options struct {
	// Open opens the store whose data lives at place, a directory that is empty
	// at first. Opening a place again finds what was stored there if the store
	// is durable. If the store has a Close() error method, it is called.
	Open func(place string) (agent.Store, error)
	// Durable says that the data outlives the store's value.
	Durable bool
	// Shared says that a place may be open twice at a time, as by two processes.
	Shared bool
}

func (o Options) open(t testing.TB, place string) agent.Store {
	t.Helper()
	s, err := o.Open(place)
	require.NoError(t, err)
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s agent.Store) {
	if c, ok := s.(io.Closer); ok {
		assert.NoError(t, c.Close())
	}
}

// Run runs the conformance suite.
func Run(t *testing.T, opts Options) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Options)
	}{
		{"append and read", testAppend},
		{"order is enforced", testOrder},
		{"agents are apart", testAgents},
		{"odd names and sizes", testOdd},
		{"replace", testReplace},
		{"delete", testDelete},
		{"no aliasing", testAliasing},
		{"ended context", testContext},
		{"concurrent writers", testConcurrent},
		{"reopen", testReopen},
		{"two at a time", testShared},
		{"agents come back", testManager},
		{"retention", testRetention},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, opts) })
	}
}

func rec(seq uint64, text string) agent.Record { return agent.Record{Seq: seq, Data: []byte(text)} }

func read(t testing.TB, s agent.Store, id string) []string {
	t.Helper()
	var got []string
	for r, err := range s.Records(context.Background(), id) {
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%d %s", r.Seq, r.Data))
	}
	return got
}

func agents(t testing.TB, s agent.Store) []string {
	t.Helper()
	var got []string
	for id, err := range s.Agents(context.Background()) {
		require.NoError(t, err)
		got = append(got, id)
	}
	slices.Sort(got)
	return got
}

func testAppend(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	assert.Empty(t, read(t, s, "a"))
	var want []string
	for seq := uint64(1); seq <= 30; seq += 1 + seq%3 { // numbers may have holes
		require.NoError(t, s.Append(t.Context(), "a", rec(seq, fmt.Sprint("r", seq))))
		want = append(want, fmt.Sprintf("%d r%d", seq, seq))
	}
	assert.Equal(t, want, read(t, s, "a"))
	for range s.Records(t.Context(), "a") { // stopping early is fine
		break
	}
	assert.Equal(t, want, read(t, s, "a"))
}

func testOrder(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	require.NoError(t, s.Append(t.Context(), "a", rec(5, "five")))
	for _, seq := range []uint64{1, 4, 5} {
		require.ErrorIs(t, s.Append(t.Context(), "a", rec(seq, "late")), agent.ErrConflict)
	}
	assert.Equal(t, []string{"5 five"}, read(t, s, "a"))
	require.NoError(t, s.Append(t.Context(), "a", rec(6, "six")))
}

func testAgents(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	assert.Empty(t, agents(t, s))
	for _, id := range []string{"a", "A", "b"} {
		require.NoError(t, s.Append(t.Context(), id, rec(1, id)))
	}
	require.NoError(t, s.Append(t.Context(), "a", rec(2, "more")))
	assert.Equal(t, []string{"A", "a", "b"}, agents(t, s))
	assert.Equal(t, []string{"1 A"}, read(t, s, "A"))
	for range s.Agents(t.Context()) {
		break
	}
}

func testOdd(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	ids := []string{"..", ".", "a/b", `a\b`, "a b", "ü-Ж-漢", "a.b.*.>", "%41", "con", "it's \"x\"; --", "-", "x%"}
	for i, id := range ids {
		require.NoError(t, s.Append(t.Context(), id, rec(1, fmt.Sprint(i))), id)
	}
	got := agents(t, s)
	want := slices.Clone(ids)
	slices.Sort(want)
	assert.Equal(t, want, got)
	for i, id := range ids {
		assert.Equal(t, []string{fmt.Sprint("1 ", i)}, read(t, s, id), id)
	}
	require.NoError(t, s.Append(t.Context(), "a b", rec(1<<62, "")), "big number, no data")
	big := bytes.Repeat([]byte{0, 0xff, 'x', '\n'}, 3<<20/4)
	require.NoError(t, s.Append(t.Context(), "-", agent.Record{Seq: 2, Data: big}))
	n := 0
	for r, err := range s.Records(t.Context(), "-") {
		require.NoError(t, err)
		if n++; n == 2 {
			assert.True(t, bytes.Equal(big, r.Data))
		}
	}
	assert.Equal(t, 2, n)
}

func testReplace(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	for seq := uint64(1); seq <= 9; seq++ {
		require.NoError(t, s.Append(t.Context(), "a", rec(seq, "old")))
	}
	require.NoError(t, s.Replace(t.Context(), "a", 7, []agent.Record{rec(3, "new"), rec(7, "newer")}))
	want := []string{"3 new", "7 newer", "8 old", "9 old"}
	assert.Equal(t, want, read(t, s, "a"), "what is newer stays")
	require.Error(t, s.Replace(t.Context(), "a", 7, []agent.Record{rec(8, "x")}))
	require.Error(t, s.Replace(t.Context(), "a", 9, []agent.Record{rec(5, "x"), rec(4, "x")}))
	assert.Equal(t, want, read(t, s, "a"))
	require.ErrorIs(t, s.Append(t.Context(), "a", rec(9, "x")), agent.ErrConflict)
	require.NoError(t, s.Append(t.Context(), "a", rec(10, "ten")))
	require.NoError(t, s.Replace(t.Context(), "a", 10, []agent.Record{rec(10, "all")}))
	assert.Equal(t, []string{"10 all"}, read(t, s, "a"))
	require.NoError(t, s.Append(t.Context(), "a", rec(11, "on")))
	assert.Equal(t, []string{"10 all", "11 on"}, read(t, s, "a"))
	for _, id := range []string{"a", "nobody"} { // nothing in the place of all is nothing
		require.NoError(t, s.Replace(t.Context(), id, 11, nil))
		assert.Empty(t, read(t, s, id))
		assert.Empty(t, agents(t, s))
	}
	require.NoError(t, s.Append(t.Context(), "a", rec(1, "again")))
	assert.Equal(t, []string{"1 again"}, read(t, s, "a"))
}

func testDelete(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	require.NoError(t, s.Delete(t.Context(), "nobody"))
	require.NoError(t, s.Append(t.Context(), "a", rec(3, "x")))
	require.NoError(t, s.Append(t.Context(), "b", rec(1, "y")))
	require.NoError(t, s.Delete(t.Context(), "a"))
	assert.Empty(t, read(t, s, "a"))
	assert.Equal(t, []string{"b"}, agents(t, s))
	require.NoError(t, s.Append(t.Context(), "a", rec(1, "again")), "numbers begin anew")
	assert.Equal(t, []string{"1 again"}, read(t, s, "a"))
}

func testAliasing(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	data := []byte("mine")
	require.NoError(t, s.Append(t.Context(), "a", agent.Record{Seq: 1, Data: data}))
	copy(data, "xxxx")
	for r, err := range s.Records(t.Context(), "a") {
		require.NoError(t, err)
		assert.Equal(t, "mine", string(r.Data))
		copy(r.Data, "yyyy")
	}
	assert.Equal(t, []string{"1 mine"}, read(t, s, "a"))
}

func testContext(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	require.NoError(t, s.Append(t.Context(), "a", rec(1, "x")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Append(ctx, "a", rec(2, "x")), context.Canceled)
	require.ErrorIs(t, s.Replace(ctx, "a", 1, nil), context.Canceled)
	for _, err := range s.Records(ctx, "a") {
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.Equal(t, []string{"1 x"}, read(t, s, "a"))
}

func testConcurrent(t *testing.T, opts Options) {
	place := t.TempDir()
	s := opts.open(t, place)
	stores := []agent.Store{s}
	if opts.Shared {
		stores = append(stores, opts.open(t, place))
	}
	const writers, each = 8, 20
	var mu sync.Mutex
	wrote := map[uint64]int{}
	var wg sync.WaitGroup
	for w := range writers {
		s := stores[w%len(stores)]
		wg.Go(func() {
			for seq := uint64(1); seq <= each; seq++ {
				err := s.Append(context.Background(), "shared", rec(seq, fmt.Sprint(w)))
				if err == nil {
					mu.Lock()
					wrote[seq]++
					mu.Unlock()
				} else if !errors.Is(err, agent.ErrConflict) {
					assert.NoError(t, err)
				}
				assert.NoError(t, s.Append(context.Background(), fmt.Sprint("own", w), rec(seq, "x")))
				for _, err := range s.Records(context.Background(), "shared") {
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	for seq, n := range wrote {
		assert.Equal(t, 1, n, "record %d was accepted more than once", seq)
	}
	assert.Len(t, read(t, s, "shared"), len(wrote))
	assert.Len(t, agents(t, s), writers+1)
}

func testReopen(t *testing.T, opts Options) {
	if !opts.Durable {
		return
	}
	place := t.TempDir()
	for seq := uint64(1); seq <= 5; seq++ {
		s, err := opts.Open(place)
		require.NoError(t, err)
		require.NoError(t, s.Append(t.Context(), "a", rec(seq, fmt.Sprint(seq))))
		require.ErrorIs(t, s.Append(t.Context(), "a", rec(seq, "again")), agent.ErrConflict)
		assert.Len(t, read(t, s, "a"), int(seq))
		closeStore(t, s)
	}
}

func testShared(t *testing.T, opts Options) {
	if !opts.Shared {
		return
	}
	place := t.TempDir()
	one, two := opts.open(t, place), opts.open(t, place)
	require.NoError(t, one.Append(t.Context(), "a", rec(1, "one")))
	require.ErrorIs(t, two.Append(t.Context(), "a", rec(1, "two")), agent.ErrConflict)
	require.NoError(t, two.Append(t.Context(), "a", rec(2, "two")))
	require.NoError(t, one.Append(t.Context(), "a", rec(3, "one")))
	require.NoError(t, two.Replace(t.Context(), "a", 3, []agent.Record{rec(3, "all")}))
	require.NoError(t, one.Append(t.Context(), "a", rec(4, "one")))
	want := []string{"3 all", "4 one"}
	assert.Equal(t, want, read(t, one, "a"))
	assert.Equal(t, want, read(t, two, "a"))
	require.NoError(t, two.Delete(t.Context(), "a"))
	assert.Empty(t, agents(t, one))
	require.NoError(t, one.Append(t.Context(), "a", rec(1, "new")))
	assert.Equal(t, []string{"1 new"}, read(t, two, "a"))
}

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))
