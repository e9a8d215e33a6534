package memory

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTraceOfItems(t *testing.T) {
	var events []string
	note := func(what string) func(Item) {
		return func(it Item) { events = append(events, what+" "+it.Text) }
	}
	var s *Store
	s = New(Options{MaxItems: 2, Trace: Trace{
		Added:  func(it Item) { _ = s.Len(); note("added")(it) }, // no lock is held
		Edited: note("edited"), Removed: note("removed"), Evicted: note("evicted"), Renewed: note("renewed"),
	}})
	_, err := s.Add(Item{Text: "a"}, Item{Text: "b"})
	require.NoError(t, err)
	_, err = s.Add(Item{Text: "b"}, Item{Text: "c"})
	require.NoError(t, err)
	require.NoError(t, s.Edit("m2", func(it *Item) { it.Text = "B" }))
	require.Error(t, s.Edit("m2", func(it *Item) { it.Text = "c" }))
	_, err = s.Splice(0, 1, Item{Text: "d"})
	require.NoError(t, err)
	require.NoError(t, s.Remove("m3"))
	require.Equal(t, 1, s.Clear())
	assert.Equal(t, []string{
		"added a", "added b", "renewed b", "added c", "evicted a", "edited B", "removed B", "added d", "removed c", "removed d",
	}, events)
	assert.Equal(t, Stats{Added: 4, Edited: 1, Renewed: 1, Removed: 3, Evicted: 1}, s.Stats())
}

type spanKey struct{}

func TestTraceOfSearches(t *testing.T) {
	broken := errors.New("offline")
	var embed error
	var ends []SearchEnd
	s := New(Options{
		Logger: slog.New(slog.DiscardHandler),
		Embed: func(ctx context.Context, texts []string) ([][]float32, error) {
			require.NotNil(t, ctx.Value(spanKey{}), "it runs within the search")
			return [][]float32{{1}, {1}}[:len(texts)], embed
		},
		Trace: Trace{StartSearch: func(ctx context.Context, query string) (context.Context, func(SearchEnd)) {
			if query == "untraced" {
				return nil, nil // either may be nil
			}
			return context.WithValue(ctx, spanKey{}, query), func(end SearchEnd) {
				require.GreaterOrEqual(t, end.Took, time.Duration(0))
				end.Took = 0
				ends = append(ends, end)
			}
		}},
	})
	_, err := s.Search(t.Context(), "untraced", 0)
	require.NoError(t, err)
	_, err = s.Remember("a b")
	require.NoError(t, err)
	_, err = s.Search(t.Context(), "z", 0)
	require.NoError(t, err)
	embed = broken
	_, err = s.Search(t.Context(), "a", 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Search(ctx, "a", 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []SearchEnd{{Found: 1, ByMeaning: true}, {Found: 1}, {Err: context.Canceled}}, ends)
	st := s.Stats()
	require.Positive(t, st.SearchTime)
	require.Equal(t, int64(4), st.Searches)
	require.Equal(t, int64(1), st.EmbedFailed)
}

// BenchmarkNilTrace is what a trace that observes nothing costs: a look at a pointer
// for each item or search.
func BenchmarkNilTrace(b *testing.B) {
	var t Trace
	ctx := context.Background()
	for range b.N { // Loop itself takes longer than the call
		if t.StartSearch != nil {
			_, _ = t.startSearch(ctx, "")
		}
	}
}
