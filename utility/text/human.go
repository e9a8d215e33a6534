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
	if a := d.Abs(); a < time.Minute {
		unit := time.Duration(1)
		for a >= 1000*unit {
			unit *= 10
		}
		d = d.Round(unit)
	} else if a < time.Hour {
		d = d.Round(time.Second)
	}
	if d.Abs() < time.Hour {
		return d.String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// Table renders a Markdown table. Cells are padded to the width of their column;
// line breaks and '|' in them are escaped, and a tab becomes a space. Missing
// cells are empty, and cells without a header are left out.
func Table(header []string, rows [][]string) string {
	if len(header) == 0 {
		return ""
	}
	widths := make([]int, len(header))
	all := append([][]string{header}, rows...)
	cells := make([][]string, len(all))
	for i, row := range all {
		cells[i] = make([]string, len(header))
		for j := range min(len(row), len(header)) {
			cells[i][j] = escapeCell(row[j])
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

var cellEscaper = strings.NewReplacer("|", `\|`, "\r\n", "<br>", "\n", "<br>", "\r", "<br>", "\t", " ")

// escapeCell also doubles the backslashes before a '|', which would otherwise
// take away the meaning of the one that is added.
func escapeCell(s string) string {
	if strings.Contains(s, `\|`) {
		var b strings.Builder
		for before, after, found := strings.Cut(s, "|"); ; before, after, found = strings.Cut(after, "|") {
			b.WriteString(before)
			if !found {
				break
			}
			b.WriteString(before[len(strings.TrimRight(before, `\`)):])
			b.WriteByte('|')
		}
		s = b.String()
	}
	return cellEscaper.Replace(s)
}
