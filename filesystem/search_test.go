package filesystem

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func searchText(t *testing.T, s *Service, q Query) string {
	t.Helper()
	r, err := s.Search(t.Context(), q)
	require.NoError(t, err)
	return r.String()
}

func TestSearch(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{
		"a.txt":     "one two\nTWO three\n\nfour\n",
		"b/c.go":    "func two() {}\nvar twofold = 2\nx_two two-x\r\n",
		"b/d.py":    "KELVIN \u212a sign\nlong ſhort\n",
		"bin":       "two\x00",
		"late":      strings.Repeat("x\n", 40_000) + "two\n\x00 two\n",
		"utf16.txt": "\xff\xfet\x00w\x00o\x00\n\x00",
		"utf16be":   "\xfe\xff\x00a\x00\n\xd8\x3d\xde\x00\x00b", // with a surrogate pair
		"bom":       "\xef\xbb\xbfmarked\n",
		"bad.txt":   "caf\xe9 two\n",
		"empty":     "",
		"nonl":      "two",
	})
	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"literal", Query{Patterns: []string{"three"}}, "a.txt:2:TWO three\n"},
		{"first line, last line", Query{Patterns: []string{"one", "four"}}, "a.txt:1:one two\na.txt:4:four\n"},
		{"everywhere", Query{Patterns: []string{"two"}}, "a.txt:1:one two\nb/c.go:1:func two() {}\nb/c.go:2:var twofold = 2\nb/c.go:3:x_two two-x\nbad.txt:1:caf\xe9 two\nlate:40001:two\nnonl:1:two\nutf16.txt:1:two\n"},
		{"UTF-16, big endian", Query{Patterns: []string{"\U0001f600b"}}, "utf16be:2:\U0001f600b\n"},
		{"behind a byte order mark", Query{Patterns: []string{"^marked"}, Regexp: true}, "bom:1:marked\n"},
		{"word", Query{Patterns: []string{"two"}, Word: true, Dir: "b"}, "b/c.go:1:func two() {}\nb/c.go:3:x_two two-x\n"},
		{"fold", Query{Patterns: []string{"TwO"}, Case: CaseInsensitive, Dir: "a.txt"}, "a.txt:1:one two\na.txt:2:TWO three\n"},
		{"fold beyond ASCII", Query{Patterns: []string{"k"}, Case: CaseInsensitive, Dir: "b/d.py"}, "b/d.py:1:KELVIN \u212a sign\n"},
		{"fold long s", Query{Patterns: []string{"short"}, Case: CaseInsensitive, Dir: "b/d.py"}, "b/d.py:2:long ſhort\n"},
		{"smart, lower", Query{Patterns: []string{"two"}, Case: CaseSmart, Dir: "a.txt"}, "a.txt:1:one two\na.txt:2:TWO three\n"},
		{"smart, upper", Query{Patterns: []string{"TWO"}, Case: CaseSmart, Dir: "a.txt"}, "a.txt:2:TWO three\n"},
		{"regexp", Query{Patterns: []string{`t\w+e`}, Regexp: true}, "a.txt:2:TWO three\n"},
		{"regexp without literals", Query{Patterns: []string{`^\w{4}$`}, Regexp: true}, "a.txt:4:four\n"},
		{"regexp word", Query{Patterns: []string{`t(w|h)o|x`}, Regexp: true, Word: true, Dir: "b/c.go"}, "b/c.go:1:func two() {}\nb/c.go:3:x_two two-x\n"},
		{"regexp, several", Query{Patterns: []string{`^on`, `ur$`}, Regexp: true}, "a.txt:1:one two\na.txt:4:four\n"},
		{"end of a CRLF line", Query{Patterns: []string{`-x$`}, Regexp: true}, "b/c.go:3:x_two two-x\n"},
		{"glob", Query{Patterns: []string{"two"}, Globs: []string{"*.go"}, Word: true}, "b/c.go:1:func two() {}\nb/c.go:3:x_two two-x\n"},
		{"glob left out", Query{Patterns: []string{"two"}, Globs: []string{"!*.txt", "!late", "!b"}}, "nonl:1:two\n"},
		{"type", Query{Patterns: []string{"long"}, Types: []string{"py"}}, "b/d.py:2:long ſhort\n"},
		{"context", Query{Patterns: []string{"TWO"}, Before: 1, After: 1}, "a.txt-1-one two\na.txt:2:TWO three\na.txt-3-\n"},
		{"context merged", Query{Patterns: []string{"one", "four"}, Before: 1, After: 1, Dir: "a.txt"}, "a.txt:1:one two\na.txt-2-TWO three\na.txt-3-\na.txt:4:four\n"},
		{"context apart", Query{Patterns: []string{"one", "four"}, After: 1, Dir: "a.txt"}, "a.txt:1:one two\na.txt-2-TWO three\n--\na.txt:4:four\n"},
		{"multiline", Query{Patterns: []string{`three\s+four`}, Regexp: true, Multiline: true}, "a.txt:2:TWO three\na.txt:3:\na.txt:4:four\n"},
		{"multiline, word", Query{Patterns: []string{`(?:^three|TWO)`}, Regexp: true, Word: true, Multiline: true}, "a.txt:2:TWO three\n"},
		{"multiline, word at a line's begin", Query{Patterns: []string{`^four$`}, Regexp: true, Word: true, Multiline: true}, "a.txt:4:four\n"},
		{"names", Query{Patterns: []string{"two"}, Detail: DetailNames, Dir: "b"}, "b/c.go (3)\n"},
		{"nothing", Query{Patterns: []string{"nowhere"}}, "nothing found in 11 files"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, searchText(t, s, c.q)) })
	}
	for _, q := range []Query{
		{}, {Patterns: []string{""}}, {Patterns: []string{"a\nb"}}, {Patterns: []string{"("}, Regexp: true},
		{Patterns: []string{"x"}, Types: []string{"cobol"}}, {Patterns: []string{"x"}, Globs: []string{"["}}, {Patterns: []string{"x"}, Globs: []string{"#x"}},
		{Patterns: []string{"x"}, Dir: "missing"}, {Patterns: []string{"x"}, Dir: "../x"},
	} {
		_, err := s.Search(t.Context(), q)
		assert.Error(t, err, "%+v", q)
	}
}

func TestSearchSpans(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"f": "foo foobar foo Foo\n"})
	for _, c := range []struct {
		q    Query
		want []Span
	}{
		{Query{Patterns: []string{"foo"}}, []Span{{0, 3}, {4, 7}, {11, 14}}},
		{Query{Patterns: []string{"foo"}, Word: true}, []Span{{0, 3}, {11, 14}}},
		{Query{Patterns: []string{"foo", "oob"}}, []Span{{0, 3}, {4, 8}, {11, 14}}},
		{Query{Patterns: []string{"FOO"}, Case: CaseInsensitive, Word: true}, []Span{{0, 3}, {11, 14}, {15, 18}}},
		{Query{Patterns: []string{"fo+"}, Regexp: true, Word: true}, []Span{{0, 3}, {11, 14}}},
		{Query{Patterns: []string{"o*r"}, Regexp: true}, []Span{{9, 10}}},
	} {
		c.q.Spans = true
		r, err := s.Search(t.Context(), c.q)
		require.NoError(t, err)
		assert.Equal(t, c.want, r.Files[0].Lines[0].Spans, "%+v", c.q)
	}
}

func TestSearchDegradesAndSaysSo(t *testing.T) {
	files := make(map[string]string)
	for i := range 60 {
		files[fmt.Sprintf("f%02d", i)] = strings.Repeat("match\nother\n", 5)
	}
	s := newTestService(t, Options{}, files)
	in := func(glob string, q Query) *SearchResult {
		q.Patterns, q.Globs, q.After = []string{"match"}, []string{glob}, 1
		r, err := s.Search(t.Context(), q)
		require.NoError(t, err)
		return r
	}
	r := in("f0*", Query{})
	assert.Equal(t, DetailContent, r.Detail)
	assert.Equal(t, 50, r.TotalMatches)
	assert.Empty(t, r.Degraded)
	assert.Len(t, r.Files[9].Lines, 10)

	r = in("f[01]*", Query{})
	assert.Equal(t, DetailMatches, r.Detail)
	assert.Len(t, r.Files[19].Lines, 5)
	assert.Contains(t, r.Degraded, "100 lines match in 20 files")

	r = in("f[0-4]*", Query{})
	assert.Equal(t, DetailNames, r.Detail)
	assert.Len(t, r.Files, 50)
	assert.Equal(t, 250, r.TotalMatches)

	r = in("*", Query{})
	assert.Equal(t, DetailNames, r.Detail)
	assert.Len(t, r.Files, 50)
	assert.Equal(t, "f49", r.Files[49].Path)
	assert.Equal(t, 60, r.TotalFiles)
	assert.Equal(t, 300, r.TotalMatches)
	assert.Contains(t, r.Degraded, "of the first 50 files")

	r = in("*", Query{MaxFiles: -1, MaxMatches: -1, MaxBytes: -1})
	assert.Equal(t, DetailContent, r.Detail)
	assert.Len(t, r.Files, 60)
	assert.Len(t, r.Files[59].Lines, 10)
	assert.Empty(t, r.Degraded)

	r = in("f0*", Query{MaxBytes: 100})
	assert.Equal(t, DetailNames, r.Detail)
}

// What surrounds a match is kept in memory only as far as a result may show it.
func TestSearchKeepsLittleContext(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"big": strings.Repeat(strings.Repeat("y", 99)+"\n", 300_000) + "match\n"})
	search := func(q Query) *SearchResult {
		q.Patterns, q.Before, q.After, q.Workers = []string{"match"}, 1e9, 1e9, 1
		r, err := s.Search(t.Context(), q)
		require.NoError(t, err)
		return r
	}
	search(Query{}) // takes its memory
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := search(Query{})
	runtime.ReadMemStats(&after)
	assert.Equal(t, DetailMatches, r.Detail)
	assert.Equal(t, "match", r.Files[0].Lines[0].Text)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "of a file of 30 MB")
	assert.Len(t, search(Query{MaxBytes: -1}).Files[0].Lines, 300_001)
}

func TestSearchCountsAllLinesOverTheLimit(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"f": strings.Repeat("begin\nend\n", 10), "g": "begin\nend\n"})
	for limit := range 12 {
		r, err := s.Search(t.Context(), Query{Patterns: []string{`begin\nend`}, Regexp: true, Multiline: true, MaxMatches: limit + 1, MaxBytes: 400})
		require.NoError(t, err)
		assert.Equal(t, 22, r.TotalMatches)
		r, err = s.Search(t.Context(), Query{Patterns: []string{"begin"}, Detail: DetailNames, MaxMatches: limit + 1})
		require.NoError(t, err)
		assert.Equal(t, 11, r.TotalMatches)
	}
}

func TestSearchAcrossChunks(t *testing.T) {
	// Matches and their surroundings stay whole where a chunk ends, and so do
	// lines that are longer than a chunk.
	line := strings.Repeat("x", 997)
	var b strings.Builder
	for i := range 5000 {
		if i%700 == 699 {
			b.WriteString("needle ")
		}
		fmt.Fprintf(&b, "%s %d\n", line, i+1)
	}
	b.WriteString(strings.Repeat("y", 3<<20) + "needle\nlast\n")
	s := newTestService(t, Options{}, map[string]string{"big": b.String()})
	for _, before := range []int{0, 1, 3} {
		r, err := s.Search(t.Context(), Query{Patterns: []string{"needle"}, Before: before, After: before, MaxBytes: -1})
		require.NoError(t, err)
		require.Equal(t, 8, r.TotalMatches)
		var matches []int
		next := 0
		for _, l := range r.Files[0].Lines {
			assert.Greater(t, l.Number, next)
			next = l.Number
			if l.Number <= 5000 {
				assert.True(t, strings.HasSuffix(l.Text, fmt.Sprintf(" %d", l.Number)), "line %d", l.Number)
			}
			if !l.Context {
				matches = append(matches, l.Number)
			}
		}
		assert.Equal(t, []int{700, 1400, 2100, 2800, 3500, 4200, 4900, 5001}, matches)
		assert.Len(t, r.Files[0].Lines, 8+2*7*before+before+min(before, 1))
	}
}

func TestSearchStreamAndCancel(t *testing.T) {
	files := make(map[string]string)
	for i := range 300 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = "match\n"
	}
	s := newTestService(t, Options{}, files)
	seen := make(map[string]bool)
	for m, err := range s.SearchStream(t.Context(), Query{Patterns: []string{"match"}}) {
		require.NoError(t, err)
		assert.False(t, seen[m.Path])
		seen[m.Path] = true
	}
	assert.Len(t, seen, 300)
	for range s.SearchStream(t.Context(), Query{Patterns: []string{"match"}}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Search(ctx, Query{Patterns: []string{"match"}})
	assert.ErrorIs(t, err, context.Canceled)
	for _, err := range s.SearchStream(ctx, Query{Patterns: []string{"match"}}) {
		assert.ErrorIs(t, err, context.Canceled)
	}
}
