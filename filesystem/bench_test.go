package filesystem

import (
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchCorpora returns the trees that benchmarks run over: Go's own source and,
// when it was downloaded, that of Kubernetes
// (go mod download k8s.io/kubernetes@latest).
func benchCorpora(b *testing.B) map[string]string {
	b.Helper()
	dirs := map[string]string{"go": filepath.Join(goroot(b), "src")}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	require.NoError(b, err)
	found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(cache)), "k8s.io", "kubernetes@*"))
	require.NoError(b, err)
	if len(found) > 0 {
		dirs["kubernetes"] = slices.Max(found)
	}
	return dirs
}

// overCorpora runs a benchmark over each corpus.
func overCorpora(b *testing.B, run func(b *testing.B, dir string)) {
	dirs := benchCorpora(b)
	for _, name := range []string{"go", "kubernetes"} {
		b.Run(name, func(b *testing.B) {
			if dirs[name] == "" {
				b.Skipf("%s is not in the module cache", name)
			}
			run(b, dirs[name])
		})
	}
}

// race runs ours and theirs in turn, so that both meet the same machine. It
// reports the median of each, how much of their time ours takes, and the same
// of the best rounds, which says more while others use the machine.
func race(b *testing.B, ours, theirs func()) {
	ours()
	theirs()
	var a, c []time.Duration
	for b.Loop() {
		t := time.Now()
		ours()
		a, t = append(a, time.Since(t)), time.Now()
		theirs()
		c = append(c, time.Since(t))
	}
	slices.Sort(a)
	slices.Sort(c)
	mine, other := a[len(a)/2], c[len(c)/2]
	b.ReportMetric(float64(mine), "tokenring-ns")
	b.ReportMetric(float64(other), "ripgrep-ns")
	b.ReportMetric(float64(mine)/float64(other), "ratio")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(a[0])/float64(c[0]), "best-of-rg")
}

func BenchmarkAgainstRipgrep(b *testing.B) {
	rg := needRipgrep(b)
	unbounded := func(q Query) Query {
		q.MaxFiles, q.MaxMatches, q.MaxBytes, q.NoHidden = -1, -1, -1, true
		return q
	}
	overCorpora(b, func(b *testing.B, dir string) {
		for _, c := range ripgrepCases {
			b.Run("search/"+c.name, func(b *testing.B) {
				s := newTestService(b, Options{Root: dir}, nil)
				race(b, func() {
					_, err := s.Search(b.Context(), unbounded(c.q))
					require.NoError(b, err)
				}, func() { rg(dir, append([]string{"-n"}, c.args...)...) })
			})
		}
		b.Run("list", func(b *testing.B) {
			s := newTestService(b, Options{Root: dir}, nil)
			race(b, func() { s.List(b.Context(), ListOptions{NoHidden: true}) }, func() { rg(dir, "--files") })
		})
		for _, watch := range []bool{false, true} {
			s := newTestService(b, Options{Root: dir, Index: true, IndexWatch: watch}, nil)
			for _, text := range []string{"ErrUnexpectedEOF", "NewReaderSize", "no such text at all"} {
				b.Run(fmt.Sprintf("indexed/watch=%v/%s", watch, text), func(b *testing.B) {
					race(b, func() {
						_, err := s.Search(b.Context(), unbounded(Query{Patterns: []string{text}}))
						require.NoError(b, err)
					}, func() { rg(dir, "-n", "-F", text) })
				})
			}
		}
	})
}

// BenchmarkIndexBuild reports how much memory the index takes, by its own count
// and by the heap's, as a part of the text that it covers.
func BenchmarkIndexBuild(b *testing.B) {
	overCorpora(b, func(b *testing.B, dir string) {
		for b.Loop() {
			counted, heap := indexMemory(b, dir)
			b.ReportMetric(counted, "index/text")
			b.ReportMetric(heap, "heap/text")
		}
	})
}

// indexMemory builds the index of a tree and returns its size as a part of the
// text that was read, by its own count and by what the heap grew.
func indexMemory(t testing.TB, dir string) (counted, heap float64) {
	t.Helper()
	used := func() int64 {
		for range 3 { // pools let go of their memory in two steps
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := used()
	s, err := New(Options{Root: dir, Index: true})
	require.NoError(t, err)
	defer s.Close()
	r, err := s.Search(t.Context(), Query{Patterns: []string{"ErrUnexpectedEOF"}})
	require.NoError(t, err)
	require.Positive(t, s.Stats().IndexFiles)
	text, size := float64(r.Bytes), float64(s.Stats().IndexBytes)
	r = nil
	grown := float64(used() - before)
	runtime.KeepAlive(s)
	return size / text, grown / text
}

// BenchmarkWalk reports allocations per entry.
func BenchmarkWalk(b *testing.B) {
	overCorpora(b, func(b *testing.B, dir string) {
		for _, unordered := range []bool{false, true} {
			b.Run(fmt.Sprintf("unordered=%v", unordered), func(b *testing.B) {
				s := newTestService(b, Options{Root: dir}, nil)
				files := 0
				allocs := testing.AllocsPerRun(2, func() { files = countFiles(b, s, unordered) })
				for b.Loop() {
					countFiles(b, s, unordered)
				}
				b.ReportMetric(allocs/float64(files), "allocs/file")
			})
		}
	})
}

func countFiles(t testing.TB, s *Service, unordered bool) (files int) {
	t.Helper()
	for e, err := range s.Walk(t.Context(), WalkOptions{Unordered: unordered}) {
		require.NoError(t, err)
		if e.IsRegular() {
			files++
		}
	}
	return files
}

// BenchmarkIgnore reports the time that it takes to judge one path by the rules
// of its tree, and by a long list of rules.
func BenchmarkIgnore(b *testing.B) {
	overCorpora(b, func(b *testing.B, dir string) {
		type judged struct {
			chain *ruleChain
			entry Entry
		}
		t := newTestService(b, Options{Root: dir}, nil).tree()
		var all []judged
		w := walker{tree: t, ctx: b.Context(), opts: WalkOptions{NoIgnore: true}}
		chains := make(map[string]*ruleChain)
		w.yield = func(e Entry, err error) bool {
			require.NoError(b, err)
			parent := path.Dir(e.Path)
			if _, ok := chains[parent]; !ok {
				chains[parent], _, err = t.chainTo(b.Context(), parent, true)
				require.NoError(b, err)
			}
			all = append(all, judged{chains[parent], e})
			return true
		}
		w.start(".")
		b.ReportAllocs()
		for b.Loop() {
			for _, j := range all {
				t.ignore.ignored(j.chain, j.entry.Path, int(j.entry.base), j.entry.IsDir())
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/path")
	})
	b.Run("300 rules", func(b *testing.B) {
		var rules strings.Builder
		for i := range 100 {
			fmt.Fprintf(&rules, "name%d\n*.ext%d\n/dir%d/*.tmp\n", i, i, i%10)
		}
		chain := &ruleChain{git: compileRules([]byte(rules.String()), false)}
		ig := newIgnorer(IgnoreOptions{})
		b.ReportAllocs()
		for b.Loop() {
			ig.ignored(chain, "some/directory/further/down/file.go", 28, false)
		}
	})
}
