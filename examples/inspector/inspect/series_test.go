package inspect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestReadingsBecomeRatesAndMeans(t *testing.T) {
	var count, total, gauge float64
	h := newHistory([]Series{
		{Name: "gauge", Read: func() float64 { return gauge }},
		{Name: "rate", Counter: true, Read: func() float64 { return count }},
		{Name: "mean", Read: func() float64 { return total }, Per: func() float64 { return count }},
	})
	now := time.Unix(0, 0)
	for _, step := range []struct{ count, total, gauge float64 }{{1, 5, 1}, {5, 25, 2}, {5, 25, 0}} {
		count, total, gauge = step.count, step.total, step.gauge
		h.read(now)
		now = now.Add(2 * time.Second)
	}
	_, series := h.view()
	number := func(v float64) *float64 { return &v }
	assert.Equal(t, []*float64{number(1), number(2), number(0)}, series[0].Values)
	assert.Equal(t, []*float64{nil, number(2), number(0)}, series[1].Values)
	assert.Equal(t, []*float64{nil, number(5), nil}, series[2].Values, "nothing came: a gap")

	for range 2 * points {
		h.read(now)
		now = now.Add(time.Second)
	}
	times, series := h.view()
	assert.Len(t, times, points)
	assert.Len(t, series[0].Values, points)
}
