package testing

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// maxJUnit bounds a report file.
const maxJUnit = 64 << 20

// readJUnit reads the reports that match the patterns and are not older than
// the run.
func readJUnit(dir string, patterns []string, began time.Time) (*caseList, error) {
	list := &caseList{}
	var errs []error
	found := 0
	for _, pattern := range patterns {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(literal(dir), pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			errs = append(errs, fmt.Errorf("JUnit reports %q: %w", pattern, err))
		}
		for _, file := range files {
			info, err := os.Stat(file)
			// File systems may keep whole seconds only, of a clock that is a few
			// milliseconds behind.
			if err == nil && info.ModTime().Before(began.Add(-50*time.Millisecond).Truncate(time.Second)) {
				continue
			}
			found++
			if err := readJUnitFile(file, list); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if found == 0 {
		errs = append(errs, fmt.Errorf("the command wrote no JUnit report: %s", strings.Join(patterns, ", ")))
	}
	return list, errors.Join(errs...)
}

// literal makes a directory a pattern that matches it alone. Windows knows no
// backslash in names.
func literal(dir string) string {
	if filepath.Separator == '/' {
		dir = strings.ReplaceAll(dir, `\`, `\\`)
	}
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(dir)
}

func readJUnitFile(file string, into *caseList) error {
	// To open a named pipe could take for ever.
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("JUnit report %s: it is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("JUnit report: %w", err)
	}
	defer f.Close()
	if err := into.readJUnit(io.LimitReader(f, maxJUnit)); err != nil {
		return fmt.Errorf("JUnit report %s: %w", file, err)
	}
	return nil
}

type junitCase struct {
	Name      string         `xml:"name,attr"`
	ClassName string         `xml:"classname,attr"`
	Time      string         `xml:"time,attr"`
	Failures  []junitProblem `xml:"failure"`
	Errors    []junitProblem `xml:"error"`
	Skipped   *struct{}      `xml:"skipped"`
	Out       string         `xml:"system-out"`
	Err       string         `xml:"system-err"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// ReadJUnit reads the test cases of a JUnit XML report, whatever suites they are
// nested in. Of a report that breaks off it returns the cases before the break,
// with an error; of millions of cases the first, and the first that failed,
// within 3 MiB.
func ReadJUnit(r io.Reader) ([]Case, error) {
	var list caseList
	err := list.readJUnit(r)
	return list.kept, err
}

func (l *caseList) readJUnit(r io.Reader) error {
	dec := xml.NewDecoder(r)
	dec.Strict = false // reports hold raw terminal output
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var suites []string
	any := false
	for {
		token, err := dec.Token()
		if err == io.EOF {
			if !any {
				return errors.New("no <testsuite> or <testcase> in it")
			}
			if len(suites) > 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch el := token.(type) {
		case xml.StartElement:
			switch el.Name.Local {
			case "testsuite", "testsuites":
				any = true
				name := ""
				for _, a := range el.Attr {
					if a.Name.Local == "name" {
						name = a.Value
					}
				}
				suites = append(suites, name)
			case "testcase":
				any = true
				var c junitCase
				if err := dec.DecodeElement(&c, &el); err != nil {
					return err
				}
				suite := ""
				if len(suites) > 0 {
					suite = suites[len(suites)-1]
				}
				l.add(c.toCase(suite))
			}
		case xml.EndElement:
			if (el.Name.Local == "testsuite" || el.Name.Local == "testsuites") && len(suites) > 0 {
				suites = suites[:len(suites)-1]
			}
		}
	}
}

func (c junitCase) toCase(suite string) Case {
	out := Case{Suite: c.ClassName, Name: c.Name, Status: Passed}
	if out.Suite == "" {
		out.Suite = suite
	}
	// Some writers group thousands with commas.
	if s, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(c.Time), ",", ""), 64); err == nil && s >= 0 && s < math.MaxInt64/float64(time.Second) {
		out.Duration = time.Duration(s * float64(time.Second))
	}
	problems := append(c.Failures, c.Errors...)
	switch {
	case len(problems) > 0:
		out.Status = Failed
		var b strings.Builder
		for _, p := range problems {
			line := p.Message
			if p.Type != "" {
				line = strings.TrimSuffix(p.Type+": "+line, ": ")
			}
			if line != "" && !strings.Contains(p.Text, p.Message) || p.Text == "" {
				b.WriteString(line + "\n")
			}
			if t := strings.TrimSpace(p.Text); t != "" {
				b.WriteString(t + "\n")
			}
		}
		for _, t := range []string{c.Out, c.Err} {
			if t = strings.TrimSpace(t); t != "" {
				b.WriteString(t + "\n")
			}
		}
		out.Output, _ = bound(b.String(), 0, caseOutput)
	case c.Skipped != nil:
		out.Status = Skipped
	}
	return out
}
