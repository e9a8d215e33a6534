package testing

import "strings"

const (
	// caseBytes bounds what is kept of the cases of one run that passed, whatever
	// a command prints: about 10,000 cases. badBytes bounds those that failed, and
	// again those that run.
	caseBytes = 2 << 20
	badBytes  = 1 << 20

	// caseOutput is how much is kept of one test's output.
	caseOutput = 16 << 10

	// maxName bounds the names of tests. They are kept several times.
	maxName = 1 << 10

	caseOverhead = 200 // bytes of a Case, and of what leads to it, beside its text
)

// caseList collects the cases of a run within bounds, and counts all.
type caseList struct {
	kept         []Case
	total        int
	failed       int
	passing, bad int // bytes
}

// add counts a case and keeps it, as far as it fits. It reports whether it did.
func (l *caseList) add(c Case) bool {
	l.total++
	c.Suite, c.Name = clipName(c.Suite), clipName(c.Name)
	size := caseOverhead + len(c.Suite) + len(c.Name)
	used, limit := &l.passing, caseBytes
	if c.Status.Bad() {
		l.failed++
		used, limit = &l.bad, badBytes
		const note = 64 // says how much is missing
		if room := limit - *used - size; len(c.Output) > room {
			if c.Output, _ = bound(c.Output, 0, max(room-note, 0)); len(c.Output) > room {
				c.Output = ""
			}
		}
		size += len(c.Output)
	}
	if *used+size > limit {
		return false
	}
	*used += size
	l.kept = append(l.kept, c)
	return true
}

// clipName shortens a name that no test has.
func clipName(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.Clone(strings.ToValidUTF8(name[:maxName], ""))
}
