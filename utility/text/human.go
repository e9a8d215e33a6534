package text

import (
	"strconv"
	"strings"
	"time"
)

// Bytes renders a number of bytes with a binary unit: 512 B, 1.5 KiB, 3 GiB.
func Bytes(n int64) string {
	f, unit := float64(n), 0
	for (f >= 1023.95 || f <= -1023.95) && unit < 6 {
		f /= 1024
		unit++
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}[unit]
}

// Duration renders d with about three digits: 850ms, 1.23s, 2m5s, 3h20m.
func Duration(d time.Duration) string {
	switch a := d.Abs(); {
	case a < time.Millisecond:
		return d.String()
	case a < time.Second:
		return d.Round(time.Millisecond).String()
	case a < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	case a < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// Table renders a Markdown table. Cells are padded to the width of their column;
// line breaks and '|' in them are escaped. Missing cells are empty, and cells
// without a header are left out.
func Table(header []string, rows [][]string) string {
	if len(header) == 0 {
		return ""
	}
	escape := strings.NewReplacer("|", `\|`, "\r\n", "<br>", "\n", "<br>", "\r", "<br>")
	widths := make([]int, len(header))
	all := append([][]string{header}, rows...)
	cells := make([][]string, len(all))
	for i, row := range all {
		cells[i] = make([]string, len(header))
		for j := range min(len(row), len(header)) {
			cells[i][j] = escape.Replace(row[j])
		}
		for j, cell := range cells[i] {
			widths[j] = max(widths[j], Width(cell), 3)
		}
	}
	var b strings.Builder
	for i, row := range cells {
		for j, cell := range row {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[j]-Width(cell)+1))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, w := range widths {
				b.WriteString("| " + strings.Repeat("-", w) + " ")
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
