package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// PatchResult says what a patch did to one file.
type PatchResult struct {
	Path  string
	Kind  ChangeKind
	Diff  string   // what was really changed
	Notes []string // hunks that were found elsewhere or with fuzz

	before, after string // content
	mode          fs.FileMode
}

// filePatch is the part of a unified diff that concerns one file.
type filePatch struct {
	oldName, newName string // "" for /dev/null
	hunks            []hunk
}

// hunk is a change with what surrounds it. Lines keep their endings; a last line
// without one has none.
type hunk struct {
	header   string
	oldStart int // from 1; 0 when the diff does not say
	lines    []hunkLine

	counted          bool // the header says how many lines there are
	oldLeft, newLeft int  // how many of them are missing
}

type hunkLine struct {
	mark byte // ' ', '-' or '+'
	text string
}

// maxFuzz is the number of lines of context that may differ at each end of a
// hunk, as in patch(1).
const maxFuzz = 2

// Patch applies a unified diff to the files that it names, all or none: when one
// cannot be written, those before it get their old content back. Line
// numbers may be wrong and up to two lines of context at each end may differ,
// but when a hunk fits in two places equally well it is an error, as is one that
// fits nowhere. Paths may have the prefixes a/ and b/.
func (s *Service) Patch(ctx context.Context, diff string) ([]PatchResult, error) {
	return s.patch(ctx, diff, true)
}

// PreviewPatch returns what Patch would do and changes nothing.
func (s *Service) PreviewPatch(ctx context.Context, diff string) ([]PatchResult, error) {
	return s.patch(ctx, diff, false)
}

func (s *Service) patch(ctx context.Context, diff string, write bool) (results []PatchResult, err error) {
	if began := s.begin(); write {
		defer func() { s.done(ctx, began, "patch", "", int64(len(diff)), err) }()
	}
	files, err := parsePatch(diff)
	if err != nil {
		return nil, err
	}
	s.edits.Lock()
	defer s.edits.Unlock()
	t := s.tree()
	seen := make(map[string]bool)
	for _, f := range files {
		r, err := s.patchFile(ctx, t, f)
		if err != nil {
			return nil, err
		}
		if seen[r.Path] {
			return nil, fmt.Errorf("patch: %s occurs twice; put all its hunks together", r.Path)
		}
		seen[r.Path] = true
		results = append(results, r)
	}
	if !write {
		return results, nil
	}
	// What is removed goes last, when nothing else can fail any more.
	var done []PatchResult
	for _, removes := range []bool{false, true} {
		for _, r := range results {
			if removes != (r.Kind == Deleted) {
				continue
			}
			if err := s.putPatched(ctx, t, r.Path, r.after, removes); err != nil {
				return s.undoPatch(ctx, t, done, err)
			}
			done = append(done, r)
		}
	}
	return results, nil
}

// undoPatch restores the files of a patch that could not be written to its end,
// and returns those that could not be restored.
func (s *Service) undoPatch(ctx context.Context, t *tree, done []PatchResult, cause error) (kept []PatchResult, err error) {
	ctx = context.WithoutCancel(ctx)
	errs := []error{fmt.Errorf("patch: nothing was changed: %w", cause)}
	for _, r := range done {
		err := s.putPatched(ctx, t, r.Path, r.before, r.Kind == Created)
		if w, ok := t.provider.(WritableProvider); ok && err == nil && r.Kind == Deleted {
			err = w.Chmod(ctx, r.Path, r.mode)
		}
		if err != nil {
			kept = append(kept, r)
			errs = append(errs, fmt.Errorf("but %s stays as the patch made it: %w", r.Path, err))
		}
	}
	return kept, errors.Join(errs...)
}

// putPatched gives a file its content, or removes it.
func (s *Service) putPatched(ctx context.Context, t *tree, name, text string, remove bool) error {
	if remove {
		return s.removeLocked(ctx, t, name)
	}
	return s.writeClean(ctx, t, name, []byte(text))
}

func (s *Service) removeLocked(ctx context.Context, t *tree, name string) error {
	w, err := s.writable(t, name)
	if err != nil {
		return err
	}
	if err := w.Remove(ctx, name); err != nil {
		return err
	}
	s.wrote(ctx, name)
	return nil
}

// patchFile computes what a patch makes of one file.
func (s *Service) patchFile(ctx context.Context, t *tree, f filePatch) (PatchResult, error) {
	name := f.newName
	if name == "" {
		name = f.oldName
	}
	clean, err := s.clean(name)
	if err != nil {
		return PatchResult{}, err
	}
	if f.oldName != "" && f.newName != "" && f.oldName != f.newName {
		return PatchResult{}, fmt.Errorf("patch: %s is renamed to %s, which a patch cannot do here; rename it first", f.oldName, f.newName)
	}
	if _, err := s.writable(t, clean); err != nil {
		return PatchResult{}, err
	}
	r := PatchResult{Path: clean, Kind: Modified}
	data, err := s.readClean(ctx, t, clean)
	switch {
	case f.oldName == "" && err == nil && len(data) > 0:
		return r, fmt.Errorf("patch: %s is to be created but exists: %w", clean, fs.ErrExist)
	case f.oldName == "" && errors.Is(err, fs.ErrNotExist):
		r.Kind = Created
	case err != nil:
		return r, fmt.Errorf("patch: %w", err)
	}
	if f.newName == "" {
		r.Kind = Deleted
		info, err := t.provider.Stat(ctx, clean)
		if err != nil {
			return r, fmt.Errorf("patch: %w", err)
		}
		r.mode = info.Mode()
	}
	if strings.IndexByte(string(data), 0) >= 0 || isUTF16(data) {
		return r, fmt.Errorf("patch %s: %w", clean, ErrBinary)
	}
	if seen, same := s.known(clean, data); seen && !same && err == nil {
		return r, fmt.Errorf("patch %s: the file %w; read it again first", clean, ErrStale)
	}
	text, notes, err := applyHunks(string(data), f.hunks)
	if err != nil {
		return r, fmt.Errorf("patch %s: nothing was changed: %w", clean, err)
	}
	if r.Kind == Deleted && text != "" {
		return r, fmt.Errorf("patch: %s is to be deleted but has lines that the patch does not remove", clean)
	}
	r.before, r.after, r.Notes = string(data), text, notes
	before, after := clean, clean
	switch r.Kind {
	case Created:
		before = ""
	case Deleted:
		after = ""
	}
	r.Diff = UnifiedDiff(before, after, r.before, text)
	if r.Kind != Deleted {
		err = s.validate(ctx, clean, data, []byte(text))
	}
	return r, err
}

// applyHunks applies hunks one after the other.
func applyHunks(text string, hunks []hunk) (string, []string, error) {
	bom := ""
	if rest, ok := strings.CutPrefix(text, "\ufeff"); ok {
		bom, text = "\ufeff", rest
	}
	crlf := usesCRLF(text)
	lines := splitLines(text)
	var out []string
	var notes []string
	done, shift := 0, 0 // lines of the file that are in out; how far hunks were off
	for i, h := range hunks {
		at, fuzz, err := place(lines, h, done, shift)
		if err != nil {
			return "", nil, fmt.Errorf("hunk %d (%s): %w", i+1, h.header, err)
		}
		said := h.oldStart - 1
		if h.inserts() {
			said = h.oldStart
		}
		if fuzz > 0 {
			notes = append(notes, fmt.Sprintf("hunk %d applied at line %d although %d lines of its context differ", i+1, at+1, fuzz))
		} else if h.oldStart > 0 && at != said+shift {
			notes = append(notes, fmt.Sprintf("hunk %d applied at line %d instead of %d", i+1, at+1, h.oldStart))
		}
		if h.oldStart > 0 {
			shift = at - said
		}
		out = append(out, lines[done:at]...)
		for _, l := range h.lines {
			switch l.mark {
			case ' ': // the file's own line, also where it differs
				out = append(out, lines[at])
				at++
			case '-':
				at++
			case '+':
				line := l.text
				if crlf && strings.HasSuffix(line, "\n") && !strings.HasSuffix(line, "\r\n") {
					line = line[:len(line)-1] + "\r\n"
				}
				out = append(out, line)
			}
		}
		done = at
	}
	out = append(out, lines[done:]...)
	for i, line := range out[:max(0, len(out)-1)] {
		if !strings.HasSuffix(line, "\n") {
			out[i] = line + "\n" // it was the last line and is not any more
		}
	}
	return bom + strings.Join(out, ""), notes, nil
}

// inserts reports whether the hunk has only new lines. Its header then names the
// line before them.
func (h hunk) inserts() bool {
	for _, l := range h.lines {
		if l.mark != '+' {
			return false
		}
	}
	return true
}

// place finds where a hunk applies at or behind line from. It looks where the
// hunk says, and else for a place that is the only one, with ever more fuzz.
func place(lines []string, h hunk, from, shift int) (at, fuzz int, err error) {
	var old []string
	head, tail := 0, 0 // lines of context at the ends
	changed := false
	for _, l := range h.lines {
		if l.mark == '+' {
			changed, tail = true, 0
			continue
		}
		old = append(old, l.text)
		switch {
		case l.mark == '-':
			changed, tail = true, 0
		case changed:
			tail++
		default:
			head++
		}
	}
	if len(old) == 0 {
		switch {
		case h.oldStart > 0 && h.oldStart+shift >= from && h.oldStart+shift <= len(lines):
			return h.oldStart + shift, 0, nil // "-n,0" inserts behind line n
		case h.oldStart == 0 && len(lines) == 0:
			return 0, 0, nil
		}
		return 0, 0, errors.New("it only adds lines and does not say where; give lines of context around them")
	}
	expected := h.oldStart - 1 + shift
	for fuzz := 0; fuzz <= maxFuzz; fuzz++ {
		skipHead, skipTail := min(fuzz, head), min(fuzz, tail)
		if fuzz > 0 && skipHead+skipTail == min(fuzz-1, head)+min(fuzz-1, tail) || skipHead+skipTail >= len(old) {
			break
		}
		var found []int
		for at := from; at+len(old) <= len(lines); at++ {
			if fits(lines[at+skipHead:at+len(old)-skipTail], old[skipHead:len(old)-skipTail]) {
				found = append(found, at)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], skipHead + skipTail, nil
		case len(found) > 1:
			for _, at := range found {
				if fuzz == 0 && h.oldStart > 0 && at == expected {
					return at, 0, nil
				}
			}
			var where []string
			for _, at := range found[:min(len(found), 10)] {
				where = append(where, strconv.Itoa(at+1))
			}
			return 0, 0, fmt.Errorf("it fits at lines %s and does not say which; give more context or the right line numbers", strings.Join(where, ", "))
		}
	}
	var text strings.Builder
	for _, line := range old {
		text.WriteString(line)
	}
	return 0, 0, errors.New(strings.Replace(notFound(strings.Join(lines, ""), text.String()), "the old text", "what it expects", 1))
}

// fits compares lines without their endings.
func fits(lines, want []string) bool {
	for i := range want {
		if strings.TrimRight(lines[i], "\r\n") != strings.TrimRight(want[i], "\r\n") {
			return false
		}
	}
	return true
}
