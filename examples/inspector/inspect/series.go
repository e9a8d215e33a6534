package inspect

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/utility/stats"
)

// Series is a line of a chart. Its functions are called about once a second, one
// at a time, and should be quick.
type Series struct {
	// Chart is the chart's title; series with the same one are drawn together
	// and should have the same Unit.
	Chart string
	// Name tells the series of a chart apart.
	Name string
	// Unit is written behind the numbers: "/s", "ms".
	Unit string
	// Read returns the value.
	Read func() float64
	// Counter says that Read only ever counts up: its growth per second is
	// shown.
	Counter bool
	// Per counts what Read sums up, such as calls beside a total of time: the
	// mean of what came since the last reading is shown, or a gap when nothing
	// came.
	Per func() float64
}

// Milliseconds makes a function for [Series.Read] of one that returns a total of
// time.
func Milliseconds(total func() time.Duration) func() float64 {
	return func() float64 { return float64(total()) / float64(time.Millisecond) }
}

// ownSeries are what every host has to show.
func ownSeries(m *agent.Manager) []Series {
	return []Series{
		{Chart: "Agents", Name: "living", Read: func() float64 { return float64(m.Len()) }},
		{Chart: "Inputs", Name: "finished", Unit: "/s", Counter: true, Read: func() float64 { return float64(m.Stats().Inputs) }},
		{Chart: "Checkpoints", Name: "time", Unit: "ms",
			Read: Milliseconds(func() time.Duration { return m.Stats().CheckpointTime }),
			Per:  func() float64 { return float64(m.Stats().Checkpoints) }},
		{Chart: "Hooks", Name: "time", Unit: "ms",
			Read: Milliseconds(func() time.Duration { return m.Stats().HookTime }),
			Per:  func() float64 { return float64(m.Stats().HookRuns) }},
		{Chart: "Goroutines", Name: "goroutines", Read: func() float64 { return float64(stats.ReadProcess().Goroutines) }},
		{Chart: "Memory", Name: "heap", Unit: "MiB", Read: func() float64 { return float64(stats.ReadProcess().HeapBytes) / (1 << 20) }},
	}
}

// points is how many readings are kept: five minutes at the default interval.
const points = 300

// history keeps the last readings of all series.
type history struct {
	series []Series

	mu       sync.Mutex
	times    []time.Time
	values   [][]*float64 // by series, as long as times; nil is a gap
	last     []reading
	lastTime time.Time
	changed  chan struct{} // closed at the next reading
}

type reading struct{ value, per float64 }

func newHistory(series []Series) *history {
	return &history{series: series, values: make([][]*float64, len(series)), last: make([]reading, len(series)), changed: make(chan struct{})}
}

// follow reads at every interval until ctx ends.
func (h *history) follow(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		h.read(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// read takes one reading.
func (h *history) read(now time.Time) {
	readings := make([]reading, len(h.series))
	for i, s := range h.series {
		readings[i].value = s.Read()
		if s.Per != nil {
			readings[i].per = s.Per()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	elapsed := now.Sub(h.lastTime).Seconds()
	first := h.lastTime.IsZero()
	h.times = keep(append(h.times, now))
	for i, s := range h.series {
		h.values[i] = keep(append(h.values[i], point(s, h.last[i], readings[i], elapsed, first)))
	}
	h.last, h.lastTime = readings, now
	close(h.changed)
	h.changed = make(chan struct{})
}

// point makes what is drawn of two successive readings.
func point(s Series, before, now reading, elapsed float64, first bool) *float64 {
	value := now.value
	switch {
	case s.Per != nil:
		if first || now.per <= before.per {
			return nil
		}
		value = (now.value - before.value) / (now.per - before.per)
	case s.Counter:
		if first || elapsed <= 0 {
			return nil
		}
		value = max(0, now.value-before.value) / elapsed
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil // which JSON cannot say
	}
	return &value
}

func keep[T any](list []T) []T {
	if len(list) > points {
		return slices.Delete(list, 0, len(list)-points)
	}
	return list
}

// next returns a channel that is closed at the next reading.
func (h *history) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// seriesView is a series with its readings.
type seriesView struct {
	Chart  string     `json:"chart"`
	Name   string     `json:"name"`
	Unit   string     `json:"unit,omitempty"`
	Values []*float64 `json:"values"`
}

// view returns all readings.
func (h *history) view() (times []int64, series []seriesView) {
	h.mu.Lock()
	defer h.mu.Unlock()
	times = make([]int64, len(h.times))
	for i, t := range h.times {
		times[i] = t.UnixMilli()
	}
	series = make([]seriesView, len(h.series))
	for i, s := range h.series {
		series[i] = seriesView{Chart: s.Chart, Name: s.Name, Unit: s.Unit, Values: slices.Clone(h.values[i])}
	}
	return times, series
}
