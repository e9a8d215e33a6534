package filesystem

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var hunkHeader = regexp.MustCompile(`^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@`)

// parsePatch parses a unified diff as models write it: counts in hunk headers
// may be wrong or missing, an empty line may stand for an empty line of context,
// and what comes before the first file is passed over.
func parsePatch(diff string) ([]filePatch, error) {
	lines := splitLines(strings.ReplaceAll(diff, "\r\n", "\n"))
	var files []filePatch
	var current *hunk
	add := func(mark byte, text string) {
		current.lines = append(current.lines, hunkLine{mark, text})
		if mark != '+' {
			current.oldLeft--
		}
		if mark != '-' {
			current.newLeft--
		}
	}
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSuffix(lines[i], "\n")
		switch {
		case strings.HasPrefix(line, "--- ") && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "+++ ") && !current.goesOn(lines[i+2:]):
			f := filePatch{oldName: patchName(line[4:]), newName: patchName(strings.TrimSuffix(lines[i+1][4:], "\n"))}
			stripPrefixes(&f)
			if f.oldName == "" && f.newName == "" {
				return nil, fmt.Errorf("patch, line %d: neither the old nor the new file has a name", i+1)
			}
			files = append(files, f)
			current = nil
			i++
		case strings.HasPrefix(line, "diff --git "), strings.HasPrefix(line, "index ") && current == nil:
			current = nil
		case strings.HasPrefix(line, "rename from "), strings.HasPrefix(line, "GIT binary patch"), strings.HasPrefix(line, "Binary files "):
			return nil, fmt.Errorf("patch, line %d: renames and binary changes are not supported", i+1)
		case strings.HasPrefix(line, "@@"):
			if len(files) == 0 {
				return nil, fmt.Errorf("patch, line %d: a hunk comes before the first file; begin with --- and +++ lines", i+1)
			}
			h := hunk{header: line}
			if m := hunkHeader.FindStringSubmatch(line); m != nil {
				n, err := strconv.Atoi(m[1])
				if err != nil {
					return nil, fmt.Errorf("patch, line %d: %w", i+1, err)
				}
				h.oldStart, h.counted, h.oldLeft, h.newLeft = n, true, hunkCount(m[2]), hunkCount(m[4])
			}
			f := &files[len(files)-1]
			f.hunks = append(f.hunks, h)
			current = &f.hunks[len(f.hunks)-1]
		case current == nil:
			// Prose, or headers such as "index" and "new file mode".
		case line == "":
			add(' ', "\n")
		case line[0] == ' ' || line[0] == '-' || line[0] == '+':
			add(line[0], line[1:]+"\n")
		case strings.HasPrefix(line, `\`):
			if n := len(current.lines); n > 0 {
				l := &current.lines[n-1]
				l.text = strings.TrimSuffix(l.text, "\n")
			}
		default:
			return nil, fmt.Errorf("patch, line %d: %.60q begins with neither ' ', '-' nor '+'", i+1, line)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("patch: there is no file in it; begin with --- and +++ lines")
	}
	for i := range files {
		if err := files[i].check(); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// check drops empty lines at the end of hunks, which belong to the text around
// the diff, and refuses hunks that change nothing.
func (f *filePatch) check() error {
	name := f.newName
	if name == "" {
		name = f.oldName
	}
	if len(f.hunks) == 0 && f.oldName != "" && f.newName != "" {
		return fmt.Errorf("patch: %s has no hunks", name)
	}
	for i := range f.hunks {
		h := &f.hunks[i]
		changes := false
		for _, l := range h.lines {
			changes = changes || l.mark != ' '
		}
		if !changes {
			return fmt.Errorf("patch: hunk %d of %s changes nothing", i+1, name)
		}
		for n := len(h.lines); n > 0 && h.lines[n-1] == (hunkLine{' ', "\n"}) && !(h.counted && h.oldLeft == 0); n-- {
			h.lines = h.lines[:n-1]
			h.oldLeft++
		}
	}
	return nil
}

// hunkCount reads the number of lines from a hunk's header.
func hunkCount(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil { // left out, or absurd
		return 1
	}
	return n
}

// goesOn tells a removed line that begins with "-- " before an added one that
// begins with "++ " from the header of the next file: the hunk lacks such lines,
// and after them no other one begins.
func (h *hunk) goesOn(after []string) bool {
	return h != nil && h.oldLeft > 0 && h.newLeft > 0 && (len(after) == 0 || !strings.HasPrefix(after[0], "@@"))
}

// patchName reads a name as it stands behind "--- ".
func patchName(s string) string {
	s, _, _ = strings.Cut(s, "\t")
	s = strings.TrimRight(s, " ")
	if strings.HasPrefix(s, `"`) {
		if name, err := strconv.Unquote(s); err == nil {
			s = name
		}
	}
	if s == "/dev/null" {
		return ""
	}
	return s
}

// stripPrefixes removes git's a/ and b/, when both sides have them.
func stripPrefixes(f *filePatch) {
	a, aOK := strings.CutPrefix(f.oldName, "a/")
	b, bOK := strings.CutPrefix(f.newName, "b/")
	if (aOK || f.oldName == "") && (bOK || f.newName == "") {
		f.oldName, f.newName = a, b
	}
}
