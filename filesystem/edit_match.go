package filesystem

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// loosePlace is a place in a text that matches ignoring some whitespace.
type loosePlace struct {
	start, end int    // in bytes
	line       int    // from 0
	add, cut   string // what the text is indented more, or less, than the pattern
}

// looseMatches finds the places that equal old except for trailing whitespace
// or, when there are none, except that all lines are indented by the same more
// or less. Only whole lines are compared.
func looseMatches(text, old string) (places []loosePlace, how string) {
	want := strings.Split(strings.ReplaceAll(strings.TrimSuffix(old, "\n"), "\r\n", "\n"), "\n")
	blank := true
	for i := range want {
		want[i] = strings.TrimRight(want[i], " \t\r")
		blank = blank && want[i] == ""
	}
	if blank {
		return nil, ""
	}
	lines := splitLines(text)
	trimmed := make([]string, len(lines))
	starts := make([]int, len(lines)+1)
	for i, line := range lines {
		trimmed[i] = strings.TrimRight(line, " \t\r\n")
		starts[i+1] = starts[i] + len(line)
	}
	place := func(i int) loosePlace {
		p := loosePlace{start: starts[i], end: starts[i+len(want)], line: i}
		if !strings.HasSuffix(old, "\n") { // the last line's ending stays
			last := lines[i+len(want)-1]
			p.end -= len(last) - len(strings.TrimRight(last, "\r\n"))
		}
		return p
	}
	for i := 0; i+len(want) <= len(lines); i++ {
		if slices.Equal(trimmed[i:i+len(want)], want) {
			places = append(places, place(i))
			i += len(want) - 1
		}
	}
	if len(places) > 0 {
		return places, "trailing whitespace"
	}
	for i := 0; i+len(want) <= len(lines); i++ {
		if add, cut, ok := sameIndent(trimmed[i:i+len(want)], want); ok {
			p := place(i)
			p.add, p.cut = add, cut
			places = append(places, p)
			i += len(want) - 1
		}
	}
	return places, "indentation"
}

// sameIndent reports whether lines equal want once add is put before, or cut is
// taken from, each line of want that is not blank.
func sameIndent(lines, want []string) (add, cut string, ok bool) {
	first := true
	for i, line := range lines {
		if want[i] == "" || line == "" {
			if want[i] != line {
				return "", "", false
			}
			continue
		}
		var a, c string
		switch {
		case strings.HasSuffix(line, want[i]):
			a = line[:len(line)-len(want[i])]
		case strings.HasSuffix(want[i], line):
			c = want[i][:len(want[i])-len(line)]
		default:
			return "", "", false
		}
		if strings.Trim(a+c, " \t") != "" || !first && (a != add || c != cut) {
			return "", "", false
		}
		add, cut, first = a, c, false
	}
	return add, cut, true
}

// reindent gives a replacement the indentation of the place.
func (p loosePlace) reindent(old, replacement string) string {
	if p.add == "" && p.cut == "" {
		return replacement
	}
	lines := splitLines(replacement)
	for i, line := range lines {
		switch {
		case strings.TrimSpace(line) == "":
		case p.add != "":
			lines[i] = p.add + line
		default:
			lines[i] = strings.TrimPrefix(line, p.cut)
		}
	}
	return strings.Join(lines, "")
}

// What is compared to find the places that resemble a text is bounded, because
// whoever asks waits for it: lines of the text and of the file, and bytes of each.
const (
	maxComparedLines = 20
	maxComparedText  = 20_000
	maxComparedLine  = 200
)

// notFound explains that old does not occur and shows what comes nearest.
func notFound(text, old string) string {
	const shown = 3
	near := nearest(text, old, shown)
	if len(near) == 0 {
		return "the old text does not occur in the file, nor anything like it; read the file again"
	}
	var b strings.Builder
	b.WriteString("the old text does not occur in the file. Nearest:")
	lines := splitLines(text)
	count := min(strings.Count(strings.TrimSuffix(old, "\n"), "\n")+1, 12)
	for _, at := range near {
		b.WriteString("\n")
		for i := at; i < min(at+count, len(lines)); i++ {
			line := strings.TrimRight(lines[i], "\r\n")
			if len(line) > maxComparedLine {
				line = line[:maxComparedLine] + "…"
			}
			fmt.Fprintf(&b, "%6d\t%s\n", i+1, line)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// nearest returns the lines where the text resembles old most, best first.
func nearest(text, old string, limit int) []int {
	compared := func(list []string, limit int) []string {
		list = slices.Clone(list[:min(len(list), limit)])
		for i, line := range list {
			line = strings.TrimSpace(line)
			list[i] = line[:min(len(line), maxComparedLine)]
		}
		return list
	}
	want := compared(strings.Split(strings.TrimSuffix(old, "\n"), "\n"), maxComparedLines)
	lines := compared(splitLines(text), maxComparedText)
	grams := make([]lineGrams, len(want))
	known := make(map[string]bool)
	for i, line := range want {
		grams[i].add(line)
		if line != "" {
			known[line] = true
		}
	}
	type candidate struct {
		line  int
		score float64
	}
	var found []candidate
	// A place is judged by how its lines resemble the lines of old.
	for at := range lines {
		score := grams[0].resemblance(lines[at])
		if score < 0.5 && (want[0] != "" || !known[lines[at]]) {
			continue
		}
		for i := 1; i < len(want) && at+i < len(lines); i++ {
			score += grams[i].resemblance(lines[at+i])
		}
		if score /= float64(len(want)); score >= 0.4 {
			found = append(found, candidate{at, score})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	var out []int
	for _, c := range found {
		apart := !slices.ContainsFunc(out, func(l int) bool { return max(l, c.line)-min(l, c.line) < len(want) })
		if apart {
			if out = append(out, c.line); len(out) == limit {
				break
			}
		}
	}
	return out
}

// lineGrams is the set of pairs of neighbouring bytes in a line.
type lineGrams struct {
	bits  [1 << 16 / 64]uint64
	count int
}

func (g *lineGrams) has(line string, i int) bool {
	pair := uint(line[i])<<8 | uint(line[i+1])
	return g.bits[pair>>6]&(1<<(pair&63)) != 0
}

func (g *lineGrams) add(line string) {
	for i := range max(len(line)-1, 0) {
		if !g.has(line, i) {
			pair := uint(line[i])<<8 | uint(line[i+1])
			g.bits[pair>>6] |= 1 << (pair & 63)
			g.count++
		}
	}
}

// resemblance compares a line with the pairs of another, from 0 to 1.
func (g *lineGrams) resemblance(line string) float64 {
	if g.count == 0 {
		if len(line) < 2 {
			return 1
		}
		return 0
	}
	pairs := len(line) - 1
	if pairs <= 0 || pairs > 4*g.count+40 {
		return 0
	}
	common := 0
	for i := range pairs {
		if g.has(line, i) {
			common++
		}
	}
	return 2 * float64(common) / float64(pairs+max(g.count, common))
}
