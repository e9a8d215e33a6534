package filesystem

import (
	"fmt"
	"strings"
)

// String renders a result for a model: path:line:text for lines that match,
// path-line-text for those around them, "--" between parts that are not next to
// each other, and what the limits left out.
func (r *SearchResult) String() string {
	var b strings.Builder
	if r.TotalFiles == 0 {
		fmt.Fprintf(&b, "nothing found in %d files", r.Searched)
	}
	for _, f := range r.Files {
		if r.Detail == DetailNames {
			fmt.Fprintf(&b, "%s (%d)\n", f.Path, f.Count)
			continue
		}
		f.write(&b)
	}
	if r.Degraded != "" {
		fmt.Fprintf(&b, "(%s)\n", r.Degraded)
	}
	if r.TooLarge > 0 {
		fmt.Fprintf(&b, "(%d files were not searched to their end: too large)\n", r.TooLarge)
	}
	if r.ErrorCount > 0 {
		fmt.Fprintf(&b, "(%d files could not be read, such as: %v)\n", r.ErrorCount, r.Errors[0])
	}
	return b.String()
}

func (f FileMatch) write(b *strings.Builder) {
	last := 0
	for _, l := range f.Lines {
		if last > 0 && l.Number > last+1 && f.hasContext() {
			b.WriteString("--\n")
		}
		last = l.Number
		mark := ':'
		if l.Context {
			mark = '-'
		}
		fmt.Fprintf(b, "%s%c%d%c%s", f.Path, mark, l.Number, mark, l.Text)
		if l.Cut > 0 {
			fmt.Fprintf(b, " [… %d bytes cut …]", l.Cut)
		}
		b.WriteByte('\n')
	}
}

func (f FileMatch) hasContext() bool {
	for _, l := range f.Lines {
		if l.Context {
			return true
		}
	}
	return false
}
