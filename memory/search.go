package memory

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Match is an item that a search found, with a score up to 1.
type Match struct {
	Item
	Score float64
}

// Search returns at most limit items that match the query, the best first; a
// limit of 0 means 10. With Options.Embed it goes by meaning: by the cosine of
// the vectors, which are computed once for each text. Without it, or when it
// fails, it goes by words: the share of the query's words that an item contains,
// regardless of case. Words match at their beginning, and tags count. Equally
// good ones come newest first. The only errors are those of ctx.
func (s *Store) Search(ctx context.Context, query string, limit int) ([]Match, error) {
	var ended func(SearchEnd)
	if s.opts.Trace.StartSearch != nil {
		ctx, ended = s.opts.Trace.startSearch(ctx, query)
	}
	start := time.Now()
	found, byMeaning, err := s.search(ctx, query, limit)
	took := time.Since(start)
	s.mu.Lock()
	s.stats.Searches++
	s.stats.SearchTime += took
	s.mu.Unlock()
	if ended != nil {
		ended(SearchEnd{Took: took, Found: len(found), ByMeaning: byMeaning, Err: err})
	}
	return found, err
}

// search does the work of Search.
func (s *Store) search(ctx context.Context, query string, limit int) (found []Match, byMeaning bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if limit <= 0 {
		limit = 10
	}
	words := split(query)
	if len(words) == 0 {
		return nil, false, nil
	}
	items := s.snapshot()
	score := func(e *entry) float64 { return wordScore(words, e) }
	if s.opts.Embed != nil && len(items) > 0 {
		meaning, err := s.meaning(ctx, query, items)
		switch {
		case err == nil:
			score, byMeaning = meaning, true
		case ctx.Err() != nil:
			return nil, false, ctx.Err()
		default:
			s.mu.Lock()
			s.stats.EmbedFailed++
			s.mu.Unlock()
			s.opts.Logger.WarnContext(ctx, "searching memories by words, because the embedding failed", "error", err)
		}
	}
	for _, e := range slices.Backward(items) {
		if v := score(e); v > 0 {
			found = append(found, Match{e.copy(), v})
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(b.Score, a.Score) })
	return found[:min(limit, len(found))], byMeaning, nil
}

// split returns the distinct words of a text in lower case.
func split(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
	slices.Sort(words)
	return slices.Compact(words)
}

func wordScore(query []string, e *entry) float64 {
	have := split(e.Text + " " + strings.Join(e.Tags, " "))
	hits := 0
	for _, w := range query {
		i, _ := slices.BinarySearch(have, w)
		if i < len(have) && strings.HasPrefix(have[i], w) {
			hits++
		}
	}
	return float64(hits) / float64(len(query))
}

// meaning returns the score function of a query by vectors.
func (s *Store) meaning(ctx context.Context, query string, items []*entry) (func(*entry) float64, error) {
	vectors := make(map[*entry][]float32, len(items))
	var missing []*entry
	texts := []string{query}
	s.mu.Lock()
	for _, e := range items {
		if e.vector != nil {
			vectors[e] = e.vector
			continue
		}
		missing = append(missing, e)
		texts = append(texts, e.Text)
	}
	s.mu.Unlock()
	got, err := s.opts.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	if len(got) != len(texts) {
		return nil, fmt.Errorf("embed returned %d vectors for %d texts", len(got), len(texts))
	}
	s.mu.Lock()
	for i, e := range missing {
		e.vector = got[i+1]
		vectors[e] = e.vector
	}
	s.mu.Unlock()
	return func(e *entry) float64 { return cosine(got[0], vectors[e]) }, nil
}

// cosine of two vectors; 0 when they cannot be compared.
func cosine(a, b []float32) float64 {
	if len(a) != len(b) {
		return 0
	}
	var dot, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	if v := dot / math.Sqrt(aa*bb); !math.IsNaN(v) {
		return v
	}
	return 0
}
