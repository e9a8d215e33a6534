package text

import (
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// tabColumns is what a tab counts as: the most that it can take.
const tabColumns = 8

const ellipsis = "…"

// Width returns the number of terminal columns that a line of text takes, or
// the most that it can take: a tab counts as 8 columns, and an escape sequence
// as the characters that it is made of. An emoji or a letter with combining
// marks is one character; East Asian ones are 2 columns wide; other control
// characters take none.
func Width(s string) int {
	if i := plain(s); i == len(s) {
		return i
	}
	n := 0
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		n += columns(&g)
	}
	return n
}

// plain returns how many bytes at the beginning of s are printable ASCII, which
// take one column each. The last one may belong to a combining mark.
func plain(s string) int {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f {
		i++
	}
	return i
}

// columns returns the width of the current grapheme.
func columns(g *displaywidth.Graphemes[string]) int {
	if g.Value() == "\t" {
		return tabColumns
	}
	return g.Width()
}

// Truncate cuts a line to width columns, the ellipsis at its end included. It
// never splits what a reader sees as one character. A width of 0 or less leaves
// nothing. It bounds columns, not bytes: characters without a width are free.
func Truncate(s string, width int) string {
	if width <= 0 {
		return ""
	}
	end, pos, used := 0, 0, 0 // end: of the part that leaves room for the ellipsis
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		n := columns(&g)
		if used+n > width {
			return s[:joined(s, end)] + ellipsis
		}
		pos += len(g.Value())
		if used += n; used < width {
			end = pos
		}
	}
	return s
}

// joined moves the end of a part of s that the ellipsis will follow. Some rare
// characters swallow the one after them, which would hide the ellipsis.
func joined(s string, end int) int {
	for end > 0 {
		_, n := utf8.DecodeLastRuneInString(s[:end])
		last := s[end-n : end]
		if Width(last+ellipsis) == Width(last)+1 {
			break
		}
		end -= n
	}
	return end
}

// TruncateMiddle is [Truncate] that keeps both ends, as suits paths and names
// whose end tells them apart.
func TruncateMiddle(s string, width int) string {
	if width <= 0 {
		return ""
	}
	head := (width - 1) / 2
	tail := width - 1 - head

	// One pass: the head ends where it is full, and the queue holds the longest
	// end that fits so far. Both are at most as wide as asked.
	type grapheme struct{ start, end, width int }
	var queue []grapheme
	end, used, full := 0, 0, false
	pos, total, queued := 0, 0, 0
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		n := columns(&g)
		total += n
		start := pos
		pos += len(g.Value())
		if full = full || used+n > head; !full {
			end, used = pos, used+n
		}
		queue = append(queue, grapheme{start, pos, n})
		queued += n
		for room := width - 1 - used; queued > max(room, tail); {
			queued -= queue[0].width
			queue = queue[1:]
		}
	}
	if total <= width {
		return s
	}
	for len(queue) > 0 && (queued > width-1-used || queue[0].start < end) {
		queued -= queue[0].width
		queue = queue[1:]
	}
	// A character without a base of its own must not change the ellipsis.
	for len(queue) > 0 && Width(ellipsis+s[queue[0].start:queue[0].end]) != 1+queue[0].width {
		queued -= queue[0].width
		queue = queue[1:]
	}
	start := len(s)
	if len(queue) > 0 {
		start = queue[0].start
	}
	return s[:joined(s, end)] + ellipsis + s[start:]
}
