package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const output = `goos: linux
cpu: Some CPU
BenchmarkGet/10/syncMap-2         	12344382	        30.0 ns/op	       0 B/op	       0 allocs/op
BenchmarkGet/10/go-map-2          	12344382	        12.0 ns/op	       0 B/op	       0 allocs/op
BenchmarkGet/10/tokenring-2       	12344382	        10.0 ns/op	       8 B/op	       1 allocs/op
BenchmarkPlain-2                  	       7	  32431097 ns/op
BenchmarkGet/10/tokenring-2       	12344382	        20.0 ns/op	       8 B/op	       1 allocs/op
BenchmarkGet/10/tokenring-2       	12344382	        90.0 ns/op	       8 B/op	       1 allocs/op
BenchmarkAlone/a/b/peer           	       7	  32431097 ns/op
BenchmarkTurns/files=5-2          	       7	         0 ns/op	  20000000 git-ns	         0.5000 ratio	  10000000 tokenring-ns	     496 B/op	      12 allocs/op
PASS
`

func TestReport(t *testing.T) {
	runs, cpu, err := parse(strings.NewReader(output))
	require.NoError(t, err)
	assert.Equal(t, "Some CPU", cpu)
	var b strings.Builder
	table(&b, summarise(runs))
	assert.Equal(t, `| benchmark | case | peer | time/op | runs from … to | B/op | allocs/op | time by ours |
|---|---|---|--:|--:|--:|--:|--:|
| Get | 10 | **tokenring** | 20.0 ns | 10.0 ns … 90.0 ns | 8 | 1 | 1.00 |
| Get | 10 | go-map | 12.0 ns | 12.0 ns … 12.0 ns | 0 | 0 | 0.60 |
| Get | 10 | syncMap | 30.0 ns | 30.0 ns … 30.0 ns | 0 | 0 | 1.50 |
| Alone | a/b | peer | 32.4 ms | 32.4 ms … 32.4 ms | 0 | 0 | – |
| Turns | files=5 | **tokenring** | 10.0 ms | 10.0 ms … 10.0 ms | – | – | 1.00 |
| Turns | files=5 | git | 20.0 ms | 20.0 ms … 20.0 ms | – | – | 2.00 |
`, b.String())

	_, _, err = parse(strings.NewReader("BenchmarkX/a/b 1 much ns/op\n"))
	assert.ErrorContains(t, err, "much")
	assert.InDelta(t, 1.5, median([]float64{1, 2}), 1e-9)
}

func TestNoMatchingBenchmarkIsAnError(t *testing.T) {
	var out, progress strings.Builder
	err := report(t.Context(), &out, &progress, settings{bench: "NoSuch", benchtime: "1x", packages: ".", rounds: 1})
	assert.ErrorContains(t, err, "NoSuch")
	assert.ErrorContains(t, report(t.Context(), &out, &progress, settings{packages: "."}), "-rounds 0")
	err = report(t.Context(), &out, &progress, settings{bench: "KeyedGet$/^10$", benchtime: "1x", packages: ".", rounds: 2})
	require.NoError(t, err)
	assert.Contains(t, out.String(), "| KeyedGet | 10 | **tokenring** |")
	assert.Contains(t, out.String(), "github.com/samber/do/v2")
}

func TestDocumentIsSavedAndCompared(t *testing.T) {
	runs, _, err := parse(strings.NewReader(output + "BenchmarkSlow/<a>/tokenring 1 10 ns/op\nBenchmarkSlow/<a>/peer 1 1000 ns/op\n"))
	require.NoError(t, err)
	d := &document{Machine: "m", Versions: []string{"v"}, Command: "c", Rows: summarise(runs)}
	dir := t.TempDir()
	require.NoError(t, d.save(dir))
	text, err := os.ReadFile(filepath.Join(dir, "report.md"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "![Slow](slow.svg)")
	for name, scale := range map[string]string{"get.svg": "linear scale", "slow.svg": "logarithmic scale"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Contains(t, string(data), scale)
		require.NoError(t, xml.Unmarshal(data, new(struct{})), "well-formed, whatever the names hold")
	}

	file := filepath.Join(dir, "report.json")
	require.NoError(t, d.compare(file, 0.25), "equal to itself")
	for i, r := range d.Rows {
		if r.Peer == "syncMap" {
			d.Rows[i].Ratio *= 0.5 // as if ours had become twice as slow
		}
	}
	assert.ErrorContains(t, d.compare(file, 0.25), "Get/10: syncMap took 1.50 times as long as ours, now 0.75 times")
	require.NoError(t, d.compare(file, 0.6))
	assert.ErrorContains(t, (&document{}).compare(file, 0.25), "nothing in common")
	assert.ErrorContains(t, d.compare(filepath.Join(dir, "none"), 0.25), "baseline")
	assert.ErrorContains(t, d.compare(filepath.Join(dir, "get.svg"), 0.25), "baseline")
}
