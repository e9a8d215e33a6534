package filesystem

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// result brings together what the workers found and applies the limits.
func (r *searchRun) result() *SearchResult {
	out := &SearchResult{Detail: r.q.Detail}
	for i := range r.workers {
		w := &r.workers[i]
		out.Files = append(out.Files, w.matches...)
		out.Searched += w.searched
		out.Bytes += w.bytes
		out.Binary += w.binary
		out.TooLarge += w.tooLarge
		out.ErrorCount += w.errorCount
		out.Errors = append(out.Errors, w.errors...)
	}
	slices.SortFunc(out.Files, func(a, b FileMatch) int { return comparePaths(a.Path, b.Path) })
	slices.SortFunc(out.Errors, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	out.Errors = out.Errors[:min(len(out.Errors), 20)]
	out.TotalFiles = len(out.Files)
	for _, f := range out.Files {
		out.TotalMatches += f.Count
	}
	q := r.q
	over := func(n, limit int) bool { return limit >= 0 && n > limit }
	size := func() (n int) {
		for _, f := range out.Files {
			n += len(f.Path) + lineOverhead
			for _, l := range f.Lines {
				n += len(l.Text) + lineOverhead
			}
		}
		return n
	}
	var why []string
	if out.Detail == DetailContent && (q.Before > 0 || q.After > 0) && (over(out.TotalMatches, q.MaxMatches) || over(size(), q.MaxBytes)) {
		out.Detail = DetailMatches
		for i := range out.Files {
			f := &out.Files[i]
			f.Lines = slices.DeleteFunc(f.Lines, func(l Line) bool { return l.Context })
		}
		why = append(why, "the lines around the matches are left out")
	}
	if out.Detail != DetailNames && (r.noLines.Load() || over(out.TotalFiles, q.MaxFiles) ||
		over(out.TotalMatches, matchesAllowed(q)) || over(size(), q.MaxBytes)) {
		out.Detail = DetailNames
		why = []string{"only the names of files and their numbers of matching lines are given"}
	}
	if out.Detail == DetailNames {
		for i := range out.Files {
			out.Files[i].Lines = nil
		}
		if over(len(out.Files), q.MaxFiles) {
			out.Files = slices.Clip(out.Files[:q.MaxFiles])
			why = append(why, fmt.Sprintf("of the first %d files", q.MaxFiles))
		}
	}
	if len(why) > 0 {
		out.Degraded = fmt.Sprintf("%d lines match in %d files, which is over the limit: %s. Narrow the search by pattern, directory, glob or type to see more.",
			out.TotalMatches, out.TotalFiles, strings.Join(why, ", "))
	}
	return out
}

// lineOverhead is what a line or a name counts for Query.MaxBytes besides its
// text.
const lineOverhead = 8

// matchesAllowed is the number of matching lines that a result may show.
func matchesAllowed(q Query) int {
	if q.MaxMatches < 0 {
		return -1
	}
	return 4 * q.MaxMatches
}
