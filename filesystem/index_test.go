package filesystem

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// The index must never change a result, whatever happens to the files.
func TestIndexedSearchEqualsUnindexed(t *testing.T) {
	t.Run("scan", func(t *testing.T) { testIndexedSearch(t, Options{Index: true}) })
	t.Run("watch", func(t *testing.T) { testIndexedSearch(t, Options{Index: true, IndexWatch: true}) })
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
	compare := func(q Query) {
		t.Helper()
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
		if round%3 == 0 {
			makeOld(t, root)
		}
	}
	st := s.Stats()
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
	s := newTestService(t, Options{Index: true, IndexBytes: 3000}, files)
	makeOld(t, rootOf(s))
	search := func() { searchText(t, s, Query{Patterns: []string{"word"}}) }
	search()
	st := s.Stats()
	assert.LessOrEqual(t, st.IndexBytes, int64(3000))
	assert.Less(t, st.IndexFiles, 50)
	for i := range 50 {
		require.NoError(t, os.Remove(filepath.Join(rootOf(s), fmt.Sprint("f", i))))
	}
	search()
	assert.Zero(t, s.Stats().IndexFiles)
	assert.Zero(t, s.Stats().IndexBytes)
}

func TestIndexIsSmall(t *testing.T) {
	dir := filepath.Join(goroot(t), "src", "encoding")
	if long() {
		dir = filepath.Join(goroot(t), "src")
	}
	s := newTestService(t, Options{Root: dir, Index: true}, nil)
	r, err := s.Search(t.Context(), Query{Patterns: []string{"ErrUnexpectedEOF"}})
	require.NoError(t, err)
	assert.Less(t, float64(s.Stats().IndexBytes), 0.25*float64(r.Bytes), "the index takes %d bytes for %d", s.Stats().IndexBytes, r.Bytes)
	t.Logf("the index takes %.3f of the corpus", float64(s.Stats().IndexBytes)/float64(r.Bytes))
}

func BenchmarkIndexed(b *testing.B) {
	for _, watch := range []bool{false, true} {
		s := newTestService(b, Options{Root: filepath.Join(goroot(b), "src"), Index: true, IndexWatch: watch}, nil)
		for _, p := range []string{"ErrUnexpectedEOF", "NewReaderSize", "return"} {
			b.Run(fmt.Sprintf("watch=%v/%s", watch, p), func(b *testing.B) {
				q := Query{Patterns: []string{p}, NoHidden: true}
				for range 2 {
					_, err := s.Search(b.Context(), q)
					require.NoError(b, err)
				}
				for b.Loop() {
					_, err := s.Search(b.Context(), q)
					require.NoError(b, err)
				}
			})
		}
	}
}
