package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Edit is one change of a text file.
type Edit struct {
	// Old is the text to replace. It must occur exactly once, unless All is
	// set. When it does not occur, a place that differs from it only in
	// trailing whitespace or, as a whole, in indentation is taken if there is
	// just one. Line endings need not be the file's.
	Old string

	// New is what replaces Old. It gets the line endings of the file.
	New string

	// All replaces every occurrence of Old.
	All bool

	// Line, with an empty Old, inserts New before this line, counted from 1.
	// One more than the number of lines appends.
	Line int
}

// EditResult says what an edit did.
type EditResult struct {
	Path         string
	Diff         string   // unified; "" when nothing changed
	Created      bool     // the file was not there before
	Replacements int      // places that were changed
	Notes        []string // how a place was found that did not match exactly
}

// EditError reports an edit that does not apply. Nothing was written. Its text
// is made for a model: it names the places that come nearest.
type EditError struct {
	Path  string
	Index int // of the edit that failed, from 0
	Count int // of edits in the call
	Why   string
}

func (e *EditError) Error() string {
	if e.Count > 1 {
		return fmt.Sprintf("edit %d of %d of %s does not apply, nothing was changed: %s", e.Index+1, e.Count, e.Path, e.Why)
	}
	return fmt.Sprintf("edit of %s does not apply, nothing was changed: %s", e.Path, e.Why)
}

// Edit applies edits to a file, one after the other, all or none. With one edit
// whose Old is empty and Line is 0, it creates a file that must not exist.
// Byte order mark, line endings and a missing newline at the end stay as they
// are. An edit that does not apply is an [*EditError].
func (s *Service) Edit(ctx context.Context, name string, edits ...Edit) (EditResult, error) {
	return s.edit(ctx, name, edits, true)
}

// PreviewEdit returns what Edit would do and changes nothing.
func (s *Service) PreviewEdit(ctx context.Context, name string, edits ...Edit) (EditResult, error) {
	return s.edit(ctx, name, edits, false)
}

func (s *Service) edit(ctx context.Context, name string, edits []Edit, write bool) (r EditResult, err error) {
	if began := s.begin(); write {
		defer func() { s.done(ctx, began, "edit", name, int64(len(r.Diff)), err) }()
	}
	clean, err := s.clean(name)
	if err != nil {
		return EditResult{}, err
	}
	if len(edits) == 0 {
		return EditResult{}, fmt.Errorf("edit %s: no edits", clean)
	}
	s.edits.Lock()
	defer s.edits.Unlock()
	t := s.tree() // the one to write to, whatever is selected by then
	if _, err := s.writable(t, clean); err != nil {
		return EditResult{}, err
	}
	data, err := s.readClean(ctx, t, clean)
	exists := err == nil
	creates := len(edits) == 1 && edits[0].Old == "" && edits[0].Line == 0
	switch {
	case errors.Is(err, fs.ErrNotExist) && creates:
		data = nil
	case errors.Is(err, fs.ErrNotExist):
		return EditResult{}, fmt.Errorf("edit %s: there is no such file; to create it, give one edit with an empty old text: %w", clean, err)
	case err != nil:
		return EditResult{}, err
	case creates && len(data) > 0:
		return EditResult{}, &EditError{Path: clean, Count: 1, Why: "the old text is empty but the file exists and is not empty; give the text to replace, or a line to insert at"}
	}
	if isUTF16(data) || bytes.IndexByte(data, 0) >= 0 {
		return EditResult{}, fmt.Errorf("edit %s: %w: edits need UTF-8 text", clean, ErrBinary)
	}
	if seen, same := s.known(clean, data); exists && seen && !same {
		return EditResult{}, fmt.Errorf("edit %s: the file %w; read it again first", clean, ErrStale)
	}
	result := EditResult{Path: clean, Created: !exists}
	text := string(data)
	for i, e := range edits {
		next, why := applyEdit(text, e, &result)
		if why != "" {
			return EditResult{}, &EditError{Path: clean, Index: i, Count: len(edits), Why: why}
		}
		text = next
	}
	before := clean
	if !exists {
		before = ""
	}
	result.Diff = UnifiedDiff(before, clean, string(data), text)
	if exists && result.Diff == "" {
		return result, nil
	}
	if err := s.validate(ctx, clean, data, []byte(text)); err != nil {
		return EditResult{}, err
	}
	if write {
		if err := s.writeClean(ctx, t, clean, []byte(text)); err != nil {
			return EditResult{}, err
		}
	}
	return result, nil
}

// applyEdit returns the text after one edit, or why it does not apply.
func applyEdit(text string, e Edit, result *EditResult) (next, why string) {
	crlf := usesCRLF(text)
	if e.Old == "" {
		return insertLines(text, e, crlf, result)
	}
	if e.Old == e.New {
		return "", "the old and the new text are the same"
	}
	// The model writes "\n"; the file decides what that is.
	old, replacement := e.Old, e.New
	count := strings.Count(text, old)
	if crlf {
		replacement = toCRLF(replacement)
		if count == 0 {
			old = toCRLF(old)
			count = strings.Count(text, old)
		}
	}
	switch {
	case count == 1:
		result.Replacements++
		return strings.Replace(text, old, replacement, 1), ""
	case count > 1 && e.All:
		result.Replacements += count
		return strings.ReplaceAll(text, old, replacement), ""
	case count > 1:
		return "", fmt.Sprintf("the old text occurs %d times, %s; give more of the surrounding lines, or ask for all to be replaced", count, occurrences(text, old))
	}
	places, how := looseMatches(text, e.Old)
	if len(places) == 0 {
		return "", notFound(text, e.Old)
	}
	if len(places) > 1 && !e.All {
		lines := make([]string, len(places))
		for i, p := range places {
			lines[i] = fmt.Sprint(p.line + 1)
		}
		return "", fmt.Sprintf("the old text does not occur exactly, and ignoring %s it occurs %d times, on lines %s; give the exact text", how, len(places), strings.Join(lines, ", "))
	}
	for i := len(places) - 1; i >= 0; i-- {
		p := places[i]
		with := p.reindent(e.Old, e.New)
		if strings.HasSuffix(e.Old, "\n") && !strings.HasSuffix(text[p.start:p.end], "\n") {
			with = strings.TrimSuffix(with, "\n") // the file goes on not ending in one
		}
		if crlf {
			with = toCRLF(with)
		}
		text = text[:p.start] + with + text[p.end:]
	}
	result.Replacements += len(places)
	result.Notes = append(result.Notes, fmt.Sprintf("line %d matched after ignoring %s", places[0].line+1, how))
	return text, ""
}

// insertLines inserts e.New before a line, or makes the content of a new file.
func insertLines(text string, e Edit, crlf bool, result *EditResult) (next, why string) {
	result.Replacements++
	if e.Line == 0 {
		if text != "" {
			return "", "the old text is empty; give the text to replace, or a line to insert at"
		}
		return e.New, ""
	}
	lines := splitLines(text)
	if e.Line < 1 || e.Line > len(lines)+1 {
		return "", fmt.Sprintf("line %d is not in the file, which has %d lines; use 1 to %d", e.Line, len(lines), len(lines)+1)
	}
	insert := e.New
	if insert == "" {
		return "", "there is nothing to insert"
	}
	if crlf {
		insert = toCRLF(insert)
	}
	ending := "\n"
	if crlf {
		ending = "\r\n"
	}
	at := e.Line - 1
	head, tail := strings.Join(lines[:at], ""), strings.Join(lines[at:], "")
	if at == 0 {
		if rest, ok := strings.CutPrefix(tail, "\ufeff"); ok {
			head, tail = "\ufeff", rest
		}
	}
	if at == len(lines) && len(lines) > 0 && !strings.HasSuffix(head, "\n") {
		// The file goes on not ending in a newline.
		return head + ending + strings.TrimSuffix(insert, ending), ""
	}
	if !strings.HasSuffix(insert, "\n") {
		insert += ending
	}
	return head + insert + tail, ""
}

// usesCRLF reports whether the lines of a text end in "\r\n".
func usesCRLF(text string) bool {
	n := strings.Count(text, "\r\n")
	return n > 0 && n >= strings.Count(text, "\n")-n
}

func toCRLF(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

// occurrences names the lines where old occurs, at most ten.
func occurrences(text, old string) string {
	var lines []string
	line, at := 1, 0
	for {
		i := strings.Index(text[at:], old)
		if i < 0 {
			break
		}
		line += strings.Count(text[at:at+i], "\n")
		if len(lines) == 10 {
			lines = append(lines, "…")
			break
		}
		lines = append(lines, fmt.Sprint(line))
		line += strings.Count(old, "\n")
		at += i + len(old)
	}
	return "on lines " + strings.Join(lines, ", ")
}

// validate runs the validator for the file's kind on new content. Content that
// was already invalid may stay so: an edit may be one step of a repair.
func (s *Service) validate(ctx context.Context, name string, before, after []byte) error {
	validators := s.opts.Validators
	if validators == nil {
		validators = DefaultValidators
	}
	v := validators[strings.ToLower(path.Ext(name))]
	if v == nil {
		return nil
	}
	err := v(ctx, name, after)
	if err == nil || len(before) > 0 && v(ctx, name, before) != nil {
		return nil
	}
	return fmt.Errorf("edit %s: nothing was changed, because the result would not be valid: %w", name, err)
}
