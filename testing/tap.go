package testing

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

// tapReader reads the Test Anything Protocol, versions 12 to 14
// (testanything.org). Test points of subtests are cases of their own, named by
// the subtest; the summary point of a subtest is one too.
type tapReader struct {
	req     Request
	lines   lineSplitter
	points  caseList
	last    *Case // the point that diagnostics belong to; not in points yet
	planned int   // test points that the plan at the top level announces
	hasPlan bool
	seen    int // test points at the top level
	suites  []string
	comment string // the last "# Subtest: name"
	inYAML  bool
	bailed  string
	hasBail bool
}

var (
	tapPlan = regexp.MustCompile(`^1\.\.(\d+)\s*(?:#.*)?$`)
	tapDir  = regexp.MustCompile(`(?i)(?:^|[^\\])#\s*(skip|todo)\S*\s*(.*)$`)
)

// maxDepth bounds how deep subtests nest.
const maxDepth = 32

// ReadTAP reads the test points of output in the Test Anything Protocol, versions
// 12 to 14. A plan that is not kept and a bail out are failing cases. Of millions
// of points it returns the first, and the first that failed, within 3 MiB.
func ReadTAP(r io.Reader) ([]Case, error) {
	t := newReader(FormatTAP, Request{}).(*tapReader)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		t.write(buf[:n])
		if err == nil {
			continue
		}
		t.end()
		switch {
		case err != io.EOF:
			return t.points.kept, err
		case t.points.total == 0 && !t.hasPlan:
			return nil, errors.New("no test point or plan in it")
		}
		return t.points.kept, nil
	}
}

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
			t.comment = clipName(strings.TrimSpace(name)) // it is part of many names
		} else {
			t.attach(full)
		}
	default:
		if failed, number, name, ok := parsePoint(line); ok {
			t.point(failed, number, name, depth)
		} else if depth == 0 && strings.HasPrefix(line, "1..") {
			if m := tapPlan.FindStringSubmatch(line); m != nil {
				t.planned, _ = strconv.Atoi(m[1])
				t.hasPlan = true
			}
		}
	}
}

// parsePoint reads "ok 1 - name" or "not ok 1 - name"; all but the first words may
// be missing.
func parsePoint(line string) (failed bool, number, name string, ok bool) {
	rest, failed := strings.CutPrefix(line, "not ")
	rest, ok = strings.CutPrefix(rest, "ok")
	if !ok || rest != "" && (rest[0] == '_' || unicode.IsLetter(rune(rest[0])) || unicode.IsDigit(rune(rest[0]))) {
		return false, "", "", false
	}
	rest = strings.TrimSpace(rest)
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	number, rest = rest[:digits], strings.TrimSpace(rest[digits:])
	return failed, number, strings.TrimSpace(strings.TrimPrefix(rest, "-")), true
}

func (t *tapReader) point(failed bool, number, name string, depth int) {
	t.flush()
	for depth = min(depth, maxDepth); len(t.suites) < depth; {
		t.suites = append(t.suites, t.comment)
		t.comment = ""
	}
	t.suites = t.suites[:depth]
	c := Case{Suite: strings.Join(t.suites, "."), Name: name, Status: Passed}
	if failed {
		c.Status = Failed
	}
	if strings.Contains(name, "#") {
		if d := tapDir.FindStringSubmatchIndex(name); d != nil {
			// Both mean that the outcome does not count.
			c.Status = Skipped
			c.Name = strings.TrimSpace(name[:strings.LastIndexByte(name[:d[2]], '#')])
		}
	}
	if c.Name == "" {
		c.Name = number
	}
	if depth == 0 {
		t.seen++
		if c.Name == "" {
			c.Name = strconv.Itoa(t.seen)
		}
	}
	t.last = &c
	if t.req.Progress != nil {
		t.req.Progress(Event{Resource: t.req.Name, Case: c})
	}
}

// flush ends the point that diagnostics could be added to.
func (t *tapReader) flush() {
	if t.last != nil {
		t.points.add(*t.last)
		t.last = nil
	}
}

// attach adds a diagnostic line to the last point when it failed.
func (t *tapReader) attach(line string) {
	if t.last != nil && t.last.Status == Failed && len(t.last.Output) < caseOutput {
		t.last.Output += line[:min(len(line), caseOutput)] + "\n"
	}
}

func (t *tapReader) end() {
	t.lines.end()
	t.flush()
	switch {
	case t.hasBail:
		t.points.add(Case{Name: "bail out", Status: Failed, Output: t.bailed})
	case t.hasPlan && t.seen != t.planned:
		t.points.add(Case{Name: "plan", Status: Failed,
			Output: "planned " + strconv.Itoa(t.planned) + " tests, saw " + strconv.Itoa(t.seen)})
	}
}

func (t *tapReader) cases() *caseList { return &t.points }

func (t *tapReader) packages() []Case { return nil }

func (t *tapReader) output(r Result, res command.Result) (string, int64) {
	out, dropped := failuresFirst(failing(t.points.kept), res.Combined().String(), t.req.MaxOutput)
	return out, dropped + res.Combined().Dropped()
}
