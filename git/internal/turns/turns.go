// Package turns times two ways to do the same beside each other.
package turns

import (
	"slices"
	"testing"
	"time"
)

// Compare runs ours and the peer's in turn, so that whatever else the machine does
// falls on both, as often as the benchmark wants and at least so many times. Before
// each it calls prepare with a number that grows, which is not timed. It reports the
// median of each and their ratio.
func Compare(b *testing.B, least int, prepare func(round int), ours func(), peer string, theirs func()) {
	var mine, others []time.Duration
	timed := func(into *[]time.Duration, f func()) {
		began := time.Now()
		f()
		*into = append(*into, time.Since(began))
	}
	round := 0
	pair := func() {
		first, second := func() { timed(&mine, ours) }, func() { timed(&others, theirs) }
		if round%2 == 1 {
			first, second = second, first
		}
		for _, f := range []func(){first, second} {
			round++
			prepare(round)
			f()
		}
		round++
	}
	for b.Loop() {
		pair()
	}
	for len(mine) < least {
		pair()
	}
	slices.Sort(mine)
	slices.Sort(others)
	m, t := mine[len(mine)/2], others[len(others)/2]
	b.ReportMetric(float64(m), "tokenring-ns")
	b.ReportMetric(float64(t), peer+"-ns")
	b.ReportMetric(float64(m)/float64(t), "ratio")
	b.ReportMetric(0, "ns/op")
}
