package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of a chart, in pixels.
const (
	chartWidth  = 760
	labelWidth  = 230
	valueWidth  = 90
	barHeight   = 14
	rowHeight   = 19
	titleHeight = 46
)

// logarithmic is the spread of times from which bars are drawn on a logarithmic
// scale.
const logarithmic = 20

// chart draws the times of one benchmark as horizontal bars, grouped by case.
func chart(topic string, rows []row) string {
	low, high := math.Inf(1), 0.0
	cases := 0
	for i, r := range rows {
		low, high = min(low, r.NS), max(high, r.NS)
		if i == 0 || rows[i-1].Case != r.Case {
			cases++
		}
	}
	length := func(ns float64) float64 { return ns / high }
	scale := "linear scale"
	if low > 0 && high/low > logarithmic {
		// A bar of the shortest time must still be seen.
		from := math.Log10(low) - 0.2
		length = func(ns float64) float64 { return (math.Log10(ns) - from) / (math.Log10(high) - from) }
		scale = "logarithmic scale"
	}
	height := titleHeight + len(rows)*rowHeight + cases*rowHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="12">`+"\n",
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text x="8" y="18" font-size="14" font-weight="600">%s</text>`+"\n", html.EscapeString(topic))
	fmt.Fprintf(&b, `<text x="8" y="34" fill="#666">time per operation, shorter is better, %s</text>`+"\n", scale)
	y := titleHeight
	for i, r := range rows {
		if i == 0 || rows[i-1].Case != r.Case {
			fmt.Fprintf(&b, `<text x="8" y="%d" font-weight="600">%s</text>`+"\n", y+barHeight, html.EscapeString(r.Case))
			y += rowHeight
		}
		colour := "#9aa5b1"
		if r.Peer == ours {
			colour = "#2f6fde"
		}
		bar := max(1, length(r.NS)*(chartWidth-labelWidth-valueWidth))
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, y+barHeight-2, html.EscapeString(r.Peer))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, y, bar, barHeight, colour)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#333">%s</text>`+"\n", labelWidth+bar+6, y+barHeight-2, duration(r.NS))
		y += rowHeight
	}
	b.WriteString("</svg>\n")
	return b.String()
}
