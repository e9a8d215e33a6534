package testing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// volatile is what differs between two runs of the same failure. Other numbers
// stay: "want 5, got 7" and "want 5, got 9" are different failures.
var volatile = []*regexp.Regexp{
	regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`),                                                           // terminal colours
	regexp.MustCompile(`\b\d{4}[-/]\d{2}[-/]\d{2}([T ]\d{2}:\d{2}:\d{2}([.,]\d+)?(Z|[+-]\d{2}:?\d{2})?)?`), // dates and times
	regexp.MustCompile(`\b\d{1,2}:\d{2}:\d{2}([.,]\d+)?`),
	regexp.MustCompile(`\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b`), // UUIDs
	regexp.MustCompile(`\b0x[0-9a-fA-F]+\b`),                                                              // addresses
	regexp.MustCompile(`\+0x[0-9a-fA-F]+`),
	regexp.MustCompile(`\b\d+(\.\d+)?\s?(ns|us|µs|μs|ms|s|sec|secs|seconds|minutes|min|m)\b`), // durations
	regexp.MustCompile(`\bgoroutine \d+\b`),
	regexp.MustCompile(`(?i)\b(pid|seed|port)[ =:]+\d+`),
	regexp.MustCompile(`\b(127\.0\.0\.1|localhost|\[::1\]):\d+`),
	regexp.MustCompile(`(/private)?(/tmp|/var/folders|/var/tmp)/[^\s"':)]+`), // temporary files
}

func normalize(s string) string {
	for _, re := range volatile {
		s = re.ReplaceAllLiteralString(s, "~")
	}
	return s
}

// Fingerprint identifies a failure: equal for two runs that fail in the same
// way, whatever their times, addresses, temporary files and the order of their
// lines.
func Fingerprint(r Result) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%d %s\n", r.Name, r.Status, r.ExitCode, r.Signal)
	var lines []string
	if len(r.Failures) > 0 {
		for _, c := range r.Failures {
			lines = append(lines, fmt.Sprintf("%s %s: %s", c.ID(), c.Status, strings.Join(sortedLines(c.Output), "\n")))
		}
	} else {
		lines = sortedLines(r.Output)
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(h, l)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// sortedLines are the distinct lines of an output: parallel tests print in any
// order.
func sortedLines(output string) []string {
	var lines []string
	for line := range strings.Lines(normalize(output)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
