package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ours is the peer that the others are measured by, in the names of benchmarks:
// Benchmark<Topic>/<case>/<peer>.
const ours = "tokenring"

// pairedUnit ends the units in which a benchmark Benchmark<Topic>/<case> that runs
// the peers by turns reports the time of each.
const pairedUnit = "-ns"

// run is what `go test -bench` says of one peer.
type run struct {
	topic, name, peer string
	ns, bytes, allocs float64
	timeOnly          bool // bytes and allocs are not known
}

// parse reads the output of `go test -bench -benchmem`. Lines that are no
// benchmark of the naming convention are skipped; cpu is what the output says of
// the processor.
func parse(r io.Reader) (runs []run, cpu string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if after, ok := strings.CutPrefix(lines.Text(), "cpu: "); ok {
			cpu = after
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		parts := strings.Split(withoutProcs(strings.TrimPrefix(fields[0], "Benchmark")), "/")
		if len(parts) < 2 {
			continue
		}
		topic, path := parts[0], parts[1:]
		last := len(path) - 1
		one := run{topic: topic, name: strings.Join(path[:last], "/"), peer: path[last]}
		paired := false
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, "", fmt.Errorf("benchmark line %q: %w", lines.Text(), err)
			}
			switch unit := fields[i+1]; unit {
			case "ns/op":
				one.ns = value
			case "B/op":
				one.bytes = value
			case "allocs/op":
				one.allocs = value
			default:
				if peer, ok := strings.CutSuffix(unit, pairedUnit); ok {
					paired = true
					runs = append(runs, run{topic: topic, name: strings.Join(path, "/"), peer: peer, ns: value, timeOnly: true})
				}
			}
		}
		if !paired && last > 0 {
			runs = append(runs, one)
		}
	}
	return runs, cpu, lines.Err()
}

// withoutProcs cuts GOMAXPROCS off the name of a benchmark.
func withoutProcs(name string) string {
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			return name[:i]
		}
	}
	return name
}

// row is one peer in one case, with the medians over all runs.
type row struct {
	Topic  string  `json:"topic"`
	Case   string  `json:"case"`
	Peer   string  `json:"peer"`
	NS     float64 `json:"ns"`
	Low    float64 `json:"low"` // fastest and slowest run in ns
	High   float64 `json:"high"`
	Bytes  float64 `json:"bytes"` // of memory; -1 when it is not known, as for a process
	Allocs float64 `json:"allocs"`
	Ratio  float64 `json:"ratio,omitempty"` // ns by ours; 0 when ours is not there
}

// summarise groups runs by topic and case in the order of their appearance, ours
// first and then the others from fast to slow.
func summarise(runs []run) []row {
	type key struct{ topic, name, peer string }
	type group struct{ topic, name string }
	samples := make(map[key][]run)
	members := make(map[group][]string)
	var groups []group
	for _, r := range runs {
		g, k := group{r.topic, r.name}, key{r.topic, r.name, r.peer}
		if members[g] == nil {
			groups = append(groups, g)
		}
		if samples[k] == nil {
			members[g] = append(members[g], r.peer)
		}
		samples[k] = append(samples[k], r)
	}
	var rows []row
	for _, g := range groups {
		var of []row
		base := 0.0
		for _, peer := range members[g] {
			s := samples[key{g.topic, g.name, peer}]
			ns := collect(s, func(r run) float64 { return r.ns })
			one := row{
				Topic: g.topic, Case: g.name, Peer: peer,
				NS: median(ns), Low: ns[0], High: ns[len(ns)-1],
				Bytes:  median(collect(s, func(r run) float64 { return r.bytes })),
				Allocs: median(collect(s, func(r run) float64 { return r.allocs })),
			}
			if s[0].timeOnly {
				one.Bytes, one.Allocs = -1, -1
			}
			if peer == ours {
				base = one.NS
			}
			of = append(of, one)
		}
		slices.SortStableFunc(of, func(a, b row) int {
			switch {
			case a.Peer == ours:
				return -1
			case b.Peer == ours:
				return 1
			case a.NS < b.NS:
				return -1
			}
			return 1
		})
		for i := range of {
			if base > 0 {
				of[i].Ratio = of[i].NS / base
			}
		}
		rows = append(rows, of...)
	}
	return rows
}

// collect returns one figure of each run, sorted.
func collect(runs []run, figure func(run) float64) []float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = figure(r)
	}
	slices.Sort(values)
	return values
}

func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// table writes rows as a Markdown table.
func table(w io.Writer, rows []row) {
	fmt.Fprintln(w, "| benchmark | case | peer | time/op | runs from … to | B/op | allocs/op | time by ours |")
	fmt.Fprintln(w, "|---|---|---|--:|--:|--:|--:|--:|")
	for _, r := range rows {
		ratio := "–"
		if r.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		peer := r.Peer
		if peer == ours {
			peer = "**" + peer + "**"
		}
		memory := "– | –"
		if r.Bytes >= 0 {
			memory = fmt.Sprintf("%.0f | %.0f", r.Bytes, r.Allocs)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s … %s | %s | %s |\n", r.Topic, r.Case, peer,
			duration(r.NS), duration(r.Low), duration(r.High), memory, ratio)
	}
}

func duration(ns float64) string {
	switch {
	case ns >= 1e6:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	case ns >= 1e4:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	case ns >= 100:
		return fmt.Sprintf("%.0f ns", ns)
	}
	return fmt.Sprintf("%.1f ns", ns)
}
