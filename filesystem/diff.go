package filesystem

import (
	"fmt"
	"strings"
)

// diffContext is the number of unchanged lines around a change in a diff.
const diffContext = 3

// UnifiedDiff returns the difference between two texts in the format of
// `diff -u`, with paths a/name and b/name as git writes them. Equal texts give
// "". An empty oldName or newName stands for a file that is not there.
func UnifiedDiff(oldName, newName string, oldText, newText string) string {
	if oldText == newText {
		return ""
	}
	a, b := splitLines(oldText), splitLines(newText)
	ops := diffLines(a, b)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", diffName("a/", oldName), diffName("b/", newName))
	for i := 0; i < len(ops); {
		// A hunk is a run of changes with less than twice the context between
		// them.
		last := i
		for last+1 < len(ops) && ops[last+1].a-ops[last].aEnd <= 2*diffContext {
			last++
		}
		writeHunk(&out, a, b, ops[i:last+1])
		i = last + 1
	}
	return out.String()
}

func diffName(prefix, name string) string {
	if name == "" {
		return "/dev/null"
	}
	return prefix + name
}

// splitLines splits a text into lines that keep their ending.
func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// lineChange says that lines a to aEnd of the old text became lines b to bEnd
// of the new one.
type lineChange struct{ a, aEnd, b, bEnd int }

func writeHunk(out *strings.Builder, a, b []string, changes []lineChange) {
	first, last := changes[0], changes[len(changes)-1]
	start := max(0, first.a-diffContext)
	end := min(len(a), last.aEnd+diffContext)
	bStart := first.b - (first.a - start)
	bEnd := last.bEnd + (end - last.aEnd)
	fmt.Fprintf(out, "@@ -%s +%s @@\n", hunkRange(start, end), hunkRange(bStart, bEnd))
	at := start
	for _, c := range changes {
		writeLines(out, ' ', a[at:c.a])
		writeLines(out, '-', a[c.a:c.aEnd])
		writeLines(out, '+', b[c.b:c.bEnd])
		at = c.aEnd
	}
	writeLines(out, ' ', a[at:end])
}

func hunkRange(start, end int) string {
	switch n := end - start; n {
	case 0:
		return fmt.Sprintf("%d,0", start)
	case 1:
		return fmt.Sprint(start + 1)
	default:
		return fmt.Sprintf("%d,%d", start+1, n)
	}
}

func writeLines(out *strings.Builder, mark byte, lines []string) {
	for _, line := range lines {
		out.WriteByte(mark)
		out.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// diffLines compares two lists of lines with Myers' greedy algorithm ("An O(ND)
// Difference Algorithm and Its Variations", 1986).
func diffLines(a, b []string) []lineChange {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	n, m := len(a)-head-tail, len(b)-head-tail
	if n == 0 || m == 0 {
		if n+m == 0 {
			return nil
		}
		return []lineChange{{head, head + n, head, head + m}}
	}
	changes := myers(a[head:head+n], b[head:head+m])
	for i := range changes {
		c := &changes[i]
		c.a, c.aEnd, c.b, c.bEnd = c.a+head, c.aEnd+head, c.b+head, c.bEnd+head
	}
	return changes
}

// maxDiff bounds the edit distance that is searched for: time and memory grow
// with its square. Texts that differ more are shown as one change.
const maxDiff = 1000

func myers(a, b []string) []lineChange {
	n, m := len(a), len(b)
	limit := min(n+m, maxDiff)
	offset := limit + 1
	furthest := make([]int, 2*limit+3)
	var trace [][]int
	for d := 0; d <= limit; d++ {
		trace = append(trace, append([]int(nil), furthest[offset-d:offset+d+1]...))
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || k != d && furthest[offset+k-1] < furthest[offset+k+1] {
				x = furthest[offset+k+1]
			} else {
				x = furthest[offset+k-1] + 1
			}
			y := x - k
			for x < n && y < m && a[x] == b[y] {
				x, y = x+1, y+1
			}
			furthest[offset+k] = x
			if x >= n && y >= m {
				return backtrack(trace, n, m, d)
			}
		}
	}
	return []lineChange{{0, n, 0, m}}
}

// backtrack follows the recorded rounds from the end to the beginning.
func backtrack(trace [][]int, x, y, d int) []lineChange {
	var reversed []lineChange
	for ; d > 0; d-- {
		before := trace[d] // indexed by k+d, values of round d-1
		at := func(k int) int {
			if k < -d || k > d {
				return -1
			}
			return before[k+d]
		}
		k := x - y
		var prev int
		if k == -d || k != d && at(k-1) < at(k+1) {
			prev = k + 1
		} else {
			prev = k - 1
		}
		px := at(prev)
		py := px - prev
		// One line was inserted or deleted at (px, py); what follows is equal.
		change := lineChange{px, px, py, py + 1}
		if prev == k-1 {
			change = lineChange{px, px + 1, py, py}
		}
		if n := len(reversed); n > 0 && reversed[n-1].a == change.aEnd && reversed[n-1].b == change.bEnd {
			reversed[n-1].a, reversed[n-1].b = change.a, change.b
		} else {
			reversed = append(reversed, change)
		}
		x, y = px, py
	}
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return reversed
}
