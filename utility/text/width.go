package text

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Width returns the number of terminal columns that s takes.
func Width(s string) int { return displaywidth.String(s) }

// Truncate cuts s to width columns, the ellipsis at its end included. It never
// splits what a reader sees as one character.
func Truncate(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return displaywidth.TruncateString(s, width, "…")
}

// TruncateMiddle is Truncate that keeps both ends, as suits paths.
func TruncateMiddle(s string, width int) string {
	if width <= 0 {
		return ""
	}
	if Width(s) <= width {
		return s
	}
	var parts []string
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		parts = append(parts, g.Value())
	}
	left, right := 0, len(parts)
	head, tail := (width-1)/2, width-1-(width-1)/2
	for left < right && Width(parts[left]) <= head {
		head -= Width(parts[left])
		left++
	}
	for right > left && Width(parts[right-1]) <= tail {
		right--
		tail -= Width(parts[right])
	}
	return strings.Join(parts[:left], "") + "…" + strings.Join(parts[right:], "")
}

// Wrap breaks the lines of s at spaces so that none is wider than width columns.
// A longer word gets a line of its own and is broken. A width of 0 or less
// changes nothing.
func Wrap(s string, width int) string {
	if width <= 0 {
		return s
	}
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		if Width(line) <= width {
			lines = append(lines, line)
			continue
		}
		current, used := "", 0
		flush := func() {
			lines = append(lines, current)
			current, used = "", 0
		}
		for word := range strings.FieldsSeq(line) {
			w := Width(word)
			if used > 0 && used+1+w > width {
				flush()
			}
			if used > 0 {
				current += " "
				used++
			}
			if w <= width {
				current, used = current+word, used+w
				continue
			}
			for g := displaywidth.StringGraphemes(word); g.Next(); {
				n := Width(g.Value())
				if used > 0 && used+n > width {
					flush()
				}
				current, used = current+g.Value(), used+n
			}
		}
		flush()
	}
	return strings.Join(lines, "\n")
}
