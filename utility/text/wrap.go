package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// Wrap breaks the lines of s at white space so that none is wider than width
// columns. Lines that fit stay as they are. A broken line keeps its indentation
// in all its parts, unless that would leave no room, and its inner spacing; the
// white space at a break goes. A word wider than a line begins a line and is
// broken itself, between characters; only one that is wider than width alone
// exceeds it. A width of 0 or less changes nothing.
func Wrap(s string, width int) string {
	if width <= 0 || len(s) <= width && plain(s) == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/16)
	for line := range strings.Lines(s) {
		body := strings.TrimSuffix(line, "\n")
		body = strings.TrimSuffix(body, "\r")
		wrapLine(&b, body, width, line[len(body):])
	}
	return b.String()
}

// wrapLine writes one line. eol is what ended it, which may be nothing.
func wrapLine(b *strings.Builder, line string, width int, eol string) {
	if Width(line) <= width {
		b.WriteString(line)
		b.WriteString(eol)
		return
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	rest := line[len(indent):]
	if Width(indent) >= width || startsInside(rest) {
		indent = ""
	}
	room := width - Width(indent)
	newline := eol
	if newline == "" || rest == "" {
		newline = "\n"
	}
	written := false
	emit := func(part string) {
		if written {
			b.WriteString(newline)
		}
		written = true
		b.WriteString(indent)
		b.WriteString(part)
	}

	// The part being collected is rest[start:]. Up to end it holds whole words;
	// the word after that begins at word, or word < 0 between words.
	start, end, word := 0, 0, -1
	used, wordUsed := 0, 0 // columns from start and from word
	next := 0
	for g := displaywidth.StringGraphemes(rest); g.Next(); {
		n, pos := columns(&g), next
		next += len(g.Value())
		if isBreak(g.Value()) {
			if word >= 0 {
				end, word = pos, -1
			}
			used += n
			continue
		}
		if word < 0 {
			word, wordUsed = pos, 0
			if end == start { // white space at the beginning of a part goes
				start, end, used = word, word, 0
			}
		}
		if used+n > room {
			if end > start {
				emit(rest[start:end])
				start, end, used = word, word, wordUsed
			}
			if used+n > room && used > 0 && pos > start {
				emit(rest[start:pos])
				start, end, word = pos, pos, pos
				used, wordUsed = 0, 0
			}
		}
		used, wordUsed = used+n, wordUsed+n
	}
	if word >= 0 {
		end = len(rest)
	}
	if end > start || !written {
		emit(rest[start:end])
	}
	b.WriteString(eol)
}

// isBreak reports whether a line may end before a grapheme: white space, but
// not the kinds that are made to hold words together.
func isBreak(grapheme string) bool {
	r, n := utf8.DecodeRuneInString(grapheme)
	if n != len(grapheme) {
		return false
	}
	switch r {
	case '\u00a0', '\u2007', '\u202f':
		return false
	}
	return unicode.IsSpace(r)
}

// startsInside reports whether s begins with a mark that would join, and so
// change, the character before it.
func startsInside(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.Is(unicode.M, r) || r == '\u200d' || r == '\u200c' || unicode.Is(unicode.Other_Grapheme_Extend, r)
}
