package testing

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

// tapReader reads the Test Anything Protocol, versions 12 to 14
// (testanything.org). Test points of subtests are cases of their own, named by
// the subtest; the summary point of a subtest is one too.
type tapReader struct {
	req     Request
	lines   lineSplitter
	points  []Case
	planned int // test points that the plan at the top level announces
	hasPlan bool
	seen    int // test points at the top level
	suites  []string
	comment string // the last "# Subtest: name"
	inYAML  bool
	bailed  string
	hasBail bool
}

var (
	tapPoint = regexp.MustCompile(`^(not )?ok\b(?:\s+(\d+))?(?:\s+-)?\s*(.*)$`)
	tapPlan  = regexp.MustCompile(`^1\.\.(\d+)\s*(?:#.*)?$`)
	tapDir   = regexp.MustCompile(`(?i)(?:^|[^\\])#\s*(skip|todo)\S*\s*(.*)$`)
)

func (t *tapReader) write(data []byte) { t.lines.write(data) }

func (t *tapReader) line(raw []byte) {
	full := string(raw)
	line := strings.TrimLeft(full, " ")
	depth := (len(full) - len(line)) / 4
	if t.inYAML {
		t.attach(full)
		if strings.TrimSpace(full) == "..." {
			t.inYAML = false
		}
		return
	}
	switch {
	case strings.HasPrefix(line, "Bail out!"):
		t.hasBail, t.bailed = true, strings.TrimSpace(strings.TrimPrefix(line, "Bail out!"))
	case line == "---" && len(full) > len(line):
		t.inYAML = true
		t.attach(full)
	case strings.HasPrefix(line, "#"):
		if name, ok := strings.CutPrefix(line, "# Subtest:"); ok {
			t.comment = strings.TrimSpace(name)
		} else {
			t.attach(full)
		}
	default:
		if m := tapPlan.FindStringSubmatch(line); m != nil {
			if depth == 0 {
				t.planned, _ = strconv.Atoi(m[1])
				t.hasPlan = true
			}
			return
		}
		if m := tapPoint.FindStringSubmatch(line); m != nil {
			t.point(m, depth)
		}
	}
}

func (t *tapReader) point(m []string, depth int) {
	for len(t.suites) < depth {
		t.suites = append(t.suites, t.comment)
		t.comment = ""
	}
	t.suites = t.suites[:depth]
	c := Case{Suite: strings.Join(t.suites, "."), Name: m[3], Status: Passed}
	if m[1] != "" {
		c.Status = Failed
	}
	if d := tapDir.FindStringSubmatchIndex(m[3]); d != nil {
		// Both mean that the outcome does not count.
		c.Status = Skipped
		c.Name = strings.TrimSpace(m[3][:strings.LastIndexByte(m[3][:d[2]], '#')])
	}
	if c.Name == "" {
		c.Name = m[2]
	}
	if depth == 0 {
		t.seen++
		if c.Name == "" {
			c.Name = strconv.Itoa(t.seen)
		}
	}
	t.points = append(t.points, c)
	if t.req.Progress != nil {
		t.req.Progress(Event{Resource: t.req.Name, Case: c})
	}
}

// attach adds a diagnostic line to the last point when it failed.
func (t *tapReader) attach(line string) {
	if n := len(t.points); n > 0 && t.points[n-1].Status == Failed && len(t.points[n-1].Output) < caseOutput {
		t.points[n-1].Output += line + "\n"
	}
}

func (t *tapReader) end() {
	t.lines.end()
	switch {
	case t.hasBail:
		t.points = append(t.points, Case{Name: "bail out", Status: Failed, Output: t.bailed})
	case t.hasPlan && t.seen != t.planned:
		t.points = append(t.points, Case{Name: "plan", Status: Failed,
			Output: "planned " + strconv.Itoa(t.planned) + " tests, saw " + strconv.Itoa(t.seen)})
	}
}

func (t *tapReader) cases() []Case { return t.points }

func (t *tapReader) output(r Result, res command.Result) (string, int64) {
	out, dropped := failuresFirst(failing(t.points), res.Combined().String(), t.req.MaxOutput)
	return out, dropped + res.Combined().Dropped()
}
