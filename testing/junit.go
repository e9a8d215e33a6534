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
func readJUnit(dir string, patterns []string, began time.Time) ([]Case, error) {
	var cases []Case
	var errs []error
	found := 0
	for _, pattern := range patterns {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			errs = append(errs, fmt.Errorf("JUnit reports %q: %w", pattern, err))
		}
		for _, file := range files {
			info, err := os.Stat(file)
			// File systems may keep whole seconds only.
			if err == nil && info.ModTime().Before(began.Truncate(time.Second)) {
				continue
			}
			found++
			some, err := readJUnitFile(file)
			if err != nil {
				errs = append(errs, err)
			}
			cases = append(cases, some...)
		}
	}
	if found == 0 {
		errs = append(errs, fmt.Errorf("the command wrote no JUnit report: %s", strings.Join(patterns, ", ")))
	}
	return cases, errors.Join(errs...)
}

func readJUnitFile(file string) ([]Case, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("JUnit report: %w", err)
	}
	defer f.Close()
	cases, err := ReadJUnit(io.LimitReader(f, maxJUnit))
	if err != nil {
		return cases, fmt.Errorf("JUnit report %s: %w", file, err)
	}
	return cases, nil
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
// with an error.
func ReadJUnit(r io.Reader) ([]Case, error) {
	dec := xml.NewDecoder(r)
	dec.Strict = false // reports hold raw terminal output
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var cases []Case
	var suites []string
	any := false
	for {
		token, err := dec.Token()
		if err == io.EOF {
			if !any {
				return nil, errors.New("no <testsuite> or <testcase> in it")
			}
			if len(suites) > 0 {
				return cases, io.ErrUnexpectedEOF
			}
			return cases, nil
		}
		if err != nil {
			return cases, err
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
					return cases, err
				}
				suite := ""
				if len(suites) > 0 {
					suite = suites[len(suites)-1]
				}
				cases = append(cases, c.toCase(suite))
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
