package filesystem

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// old gives all files of a tree a modification time that the index trusts.
func makeOld(t testing.TB, dir string) {
	t.Helper()
	past := time.Now().Add(-time.Hour)
	require.NoError(t, filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = os.Chtimes(name, past, past)
		}
		return err
	}))
}

// untilIndexed searches until the index trusts what it saw: what was changed a
// moment ago could change again unseen.
func untilIndexed(t testing.TB, s *Service) {
	t.Helper()
	before := s.Stats().IndexSkipped
	require.Eventually(t, func() bool {
		_, err := s.Search(t.Context(), Query{Patterns: []string{"no such text"}})
		return err == nil && s.Stats().IndexSkipped > before
	}, 20*time.Second, 10*time.Millisecond)
}

// The index must never change a result, whatever happens to the files.
func TestIndexedSearchEqualsUnindexed(t *testing.T) {
	t.Run("scan", func(t *testing.T) { testIndexedSearch(t, Options{Index: true}) })
	t.Run("watch", func(t *testing.T) { testIndexedSearch(t, Options{Index: true, IndexWatch: true}) })
	t.Run("little memory", func(t *testing.T) { testIndexedSearch(t, Options{Index: true, IndexBytes: 5000}) })
}

func testIndexedSearch(t *testing.T, opts Options) {
	r := rand.New(rand.NewPCG(5, 6))
	words := []string{"alpha", "beta", "Gamma", "DELTA", "\u212aelvin", "é", "x", "longword", "\x00", "alphabet"}
	text := func() string {
		var b strings.Builder
		for range r.IntN(20) {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteByte(" \n"[r.IntN(2)])
		}
		return b.String()
	}
	files := make(map[string]string)
	for i := range 80 {
		files[fmt.Sprintf("d%d/f%d", i%5, i)] = text()
	}
	s := newTestService(t, opts, files)
	root := rootOf(s)
	makeOld(t, root)
	untilIndexed(t, s)
	compare := func(q Query) {
		t.Helper()
		q.NoHidden, q.NoIgnore = r.IntN(4) == 0, r.IntN(4) == 0
		q.MaxFiles, q.MaxMatches, q.MaxBytes = -1, -1, -1
		got, err := s.Search(t.Context(), q)
		require.NoError(t, err)
		q.NoIndex = true
		want, err := s.Search(t.Context(), q)
		require.NoError(t, err)
		got.Bytes, want.Bytes = 0, 0
		assert.Equal(t, want, got, "%+v", q)
	}
	for round := range 30 {
		for _, p := range words[:8] {
			compare(Query{Patterns: []string{p}})
			compare(Query{Patterns: []string{p}, Case: CaseInsensitive})
		}
		compare(Query{Patterns: []string{"alpha", "DELTA"}, Word: true})
		compare(Query{Patterns: []string{`gamma\s+\w+`}, Regexp: true, Case: CaseInsensitive})
		compare(Query{Patterns: []string{`^\w{5}$`}, Regexp: true})
		compare(Query{Patterns: []string{"alpha\nbeta"}, Multiline: true})
		for range 3 {
			if r.IntN(6) == 0 { // other rules
				rule := []string{"f1*\n", "d2/\n", "!f1*\n", ".f*\n"}[r.IntN(4)]
				require.NoError(t, os.WriteFile(filepath.Join(root, ".gitignore"), []byte(rule), 0o644))
				continue
			}
			name := filepath.Join(root, fmt.Sprintf("d%d/f%d", r.IntN(6), r.IntN(80)))
			switch r.IntN(6) {
			case 0, 1:
				_ = os.Remove(name)
			case 2: // another directory under an old name
				a, b := filepath.Join(root, fmt.Sprint("d", r.IntN(6))), filepath.Join(root, fmt.Sprint("d", r.IntN(6)))
				_ = os.Rename(a, root+"-away")
				_ = os.Rename(b, a)
				_ = os.Rename(root+"-away", b)
			case 3: // the same size and time as before
				info, err := os.Stat(name)
				if err != nil {
					continue
				}
				data := []byte(strings.Repeat("alphabet ", 1+int(info.Size())/9))[:info.Size()]
				require.NoError(t, os.WriteFile(name, data, 0o644))
				require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
			default:
				require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
				require.NoError(t, os.WriteFile(name, []byte(text()), 0o644))
			}
		}
		if round%10 == 0 {
			makeOld(t, root)
			untilIndexed(t, s)
		}
	}
	st := s.Stats()
	assert.LessOrEqual(t, st.IndexBytes, s.tree().index.limit)
	assert.Positive(t, st.IndexSkipped)
	assert.Positive(t, st.IndexFiles)
	assert.Positive(t, st.IndexBytes)
	x := s.tree().index
	assert.NotEmpty(t, x.dirs)
	if opts.IndexWatch && x.watch != nil {
		assert.Positive(t, st.IndexWatches)
	}
}

func TestIndexForgetsDeletedFilesAndStaysInBounds(t *testing.T) {
	files := make(map[string]string)
	for i := range 50 {
		files[fmt.Sprint("f", i)] = strings.Repeat(fmt.Sprint("word", i, " "), 20)
	}
	s := newTestService(t, Options{Index: true, IndexBytes: 6000}, files)
	makeOld(t, rootOf(s))
	untilIndexed(t, s)
	search := func() { searchText(t, s, Query{Patterns: []string{"word"}}) }
	search()
	st := s.Stats()
	assert.LessOrEqual(t, st.IndexBytes, int64(6000))
	assert.Less(t, st.IndexFiles, 50)
	for i := range 50 {
		require.NoError(t, os.Remove(filepath.Join(rootOf(s), fmt.Sprint("f", i))))
	}
	search()
	assert.Zero(t, s.Stats().IndexFiles)
	assert.Equal(t, int64(len(".")+dirOverhead), s.Stats().IndexBytes, "of the root")
}

// Directories that went away, moved or became files take their files with them.
func TestIndexForgetsDirectories(t *testing.T) {
	s := newTestService(t, Options{Index: true, IndexWatch: true}, map[string]string{"a/b/c/f": "text here", "a/bc": "text here", "ab/f": "text here"})
	root := rootOf(s)
	makeOld(t, root)
	untilIndexed(t, s)
	dirs := func() []string {
		assert.Equal(t, s.Stats().IndexFiles, searchOf(t, s).Searched)
		return slices.Sorted(maps.Keys(s.tree().index.dirs))
	}
	assert.Equal(t, []string{".", "a", "a/b", "a/b/c", "ab"}, dirs())
	require.NoError(t, os.Rename(filepath.Join(root, "a/b"), filepath.Join(t.TempDir(), "b")))
	searchOf(t, s)
	assert.Equal(t, []string{".", "a", "ab"}, dirs())
	require.NoError(t, os.RemoveAll(filepath.Join(root, "ab")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "ab"), nil, 0o644))
	searchOf(t, s)
	assert.Equal(t, []string{".", "a"}, slices.Sorted(maps.Keys(s.tree().index.dirs)))
	if s.tree().index.watch != nil {
		assert.Equal(t, 2, s.Stats().IndexWatches)
	}
}

func searchOf(t *testing.T, s *Service) *SearchResult {
	t.Helper()
	r, err := s.Search(t.Context(), Query{Patterns: []string{"text"}})
	require.NoError(t, err)
	return r
}

// Searches of one service at once share the index.
func TestIndexServesManySearchesAtOnce(t *testing.T) {
	files := make(map[string]string)
	for i := range 200 {
		files[fmt.Sprintf("d%d/f%d", i%9, i)] = fmt.Sprintf("text of file %d", i)
	}
	s := newTestService(t, Options{Index: true, IndexWatch: true}, files)
	root := rootOf(s)
	makeOld(t, root)
	untilIndexed(t, s)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 50 {
				r, err := s.Search(t.Context(), Query{Patterns: []string{fmt.Sprint("file ", i)}, Word: true})
				assert.NoError(t, err)
				assert.Equal(t, 1, r.TotalFiles, i)
			}
		})
	}
	for i := range 100 { // files that come and go beside those that are looked for
		name := filepath.Join(root, fmt.Sprintf("d%d/new%d", i%9, i))
		require.NoError(t, os.WriteFile(name, []byte("other"), 0o644))
		require.NoError(t, os.Remove(name))
	}
	group.Wait()
	x := s.tree().index
	known, bytes := 0, int64(0)
	for _, d := range x.dirs {
		bytes += d.cost
		for _, e := range d.entries {
			if e.record != nil && e.record.content.Load() != nil {
				known++
				bytes += e.record.content.Load().cost()
			}
		}
	}
	assert.Equal(t, known, x.files)
	assert.Equal(t, bytes, x.bytes)
}

func TestIndexIsSmall(t *testing.T) {
	dir := filepath.Join(goroot(t), "src", "encoding")
	if long() {
		dir = filepath.Join(goroot(t), "src")
	}
	counted, heap := indexMemory(t, dir)
	assert.Less(t, counted, 0.25)
	assert.Less(t, heap, 0.25)
	assert.InDelta(t, counted, heap, 0.05, "the index knows what it takes")
	t.Logf("the index takes %.3f of the text, %.3f on the heap", counted, heap)
}

// What a file contains, its filter says it may contain.
func FuzzIndexFilter(f *testing.F) {
	f.Add("some text\nof two lines", 3, 6, false)
	f.Add("ABCD", 0, 4, true)
	f.Add("\u212aelvin and \u017fir", 0, 9, true)
	f.Add("abc", 0, 3, false)
	grams := new(gramSet)
	f.Fuzz(func(t *testing.T, text string, start, length int, fold bool) {
		if start < 0 || length < 1 || start > len(text) || length > len(text)-start || !utf8.ValidString(text[start:start+length]) {
			return
		}
		q := Query{Patterns: []string{text[start : start+length]}}
		if fold {
			q.Case = CaseInsensitive
			text = strings.ToUpper(text)
		}
		m, err := newMatcher(q)
		if err != nil {
			return
		}
		found := false
		for line := range strings.SplitSeq(text, "\n") {
			re, err := compileQuery(q, fold)
			require.NoError(t, err)
			found = found || re.MatchString(line)
		}
		grams.add([]byte(text))
		c := &fileContent{filter: grams.filter()}
		if required := m.required(); found && required != nil {
			assert.True(t, c.contains(required), "%q in %q", q.Patterns[0], text)
		}
	})
}
