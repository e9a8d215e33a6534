package filesystem

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// matcher finds lines that match a query. It is immutable and shared by all
// workers of a search; what changes is in a matchState.
//
// Most of a file is passed over by looking for literals that every match
// contains; only lines with such a literal are looked at closer.
type matcher struct {
	finders   []finder       // one of these occurs in each match; none: no such literals
	exact     bool           // an occurrence of a finder is a match
	word      bool           // whole words only; re has one group then, around the word
	re        *regexp.Regexp // decides about a line; nil when exact
	prog      *byteProg      // finds lines that re is likely to match; may be nil
	multiline bool
}

// matchState remembers where each finder found its next occurrence.
type matchState struct {
	next [maxFinders]int
	dfa  *lineDFA
}

// maxFinders bounds the literals that are looked for one by one.
const maxFinders = 8

func newMatcher(q Query) (*matcher, error) {
	if len(q.Patterns) == 0 {
		return nil, errors.New("search: no pattern")
	}
	fold := q.Case == CaseInsensitive
	if q.Case == CaseSmart {
		fold = !hasUpper(q.Patterns, q.Regexp)
	}
	for _, p := range q.Patterns {
		if p == "" && !q.Regexp {
			return nil, errors.New("search: empty pattern")
		}
		if !q.Multiline && !q.Regexp && strings.Contains(p, "\n") {
			return nil, fmt.Errorf("search %q: the pattern contains a line end; search for one of its lines, or set Multiline", p)
		}
	}
	m := &matcher{multiline: q.Multiline, word: q.Word}
	if !q.Regexp && !q.Multiline && len(q.Patterns) <= maxFinders && (!fold || allSimpleFold(q.Patterns)) {
		for _, p := range q.Patterns {
			m.finders = append(m.finders, newFinder(p, fold))
		}
		m.exact = true
		return m, nil
	}
	re, err := compileQuery(q, fold)
	if err != nil {
		return nil, err
	}
	m.re = re
	if q.Multiline {
		return m, nil
	}
	m.finders = requiredFinders(q, fold)
	flags := syntax.Perl &^ syntax.OneLine
	if fold {
		flags |= syntax.FoldCase
	}
	if !q.Regexp {
		flags |= syntax.Literal
	}
	m.prog = compileBytes(q.Patterns, flags)
	if m.prog != nil && slices.ContainsFunc(m.finders, func(f finder) bool { return len(f.text) < 2 }) {
		m.finders = nil // a single byte occurs too often
	}
	return m, nil
}

// compileQuery makes one regular expression of all patterns.
func compileQuery(q Query, fold bool) (*regexp.Regexp, error) {
	parts := make([]string, len(q.Patterns))
	for i, p := range q.Patterns {
		if !q.Regexp {
			p = regexp.QuoteMeta(p)
		} else if _, err := regexp.Compile(p); err != nil {
			return nil, fmt.Errorf("search %q: %w", p, err)
		}
		parts[i] = "(?:" + p + ")"
		if q.Word {
			// The only group left is the one around the word.
			parts[i] = "(?:" + noGroups(p) + ")"
		}
	}
	expr := strings.Join(parts, "|")
	if q.Word {
		expr = `(?:^|[^\pL\pM\p{Nd}_])(` + expr + `)(?:$|[^\pL\pM\p{Nd}_])`
	}
	flags := "m"
	if fold {
		flags += "i"
	}
	re, err := regexp.Compile("(?" + flags + ":" + expr + ")")
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return re, nil
}

// noGroups makes the groups of a valid expression non-capturing.
func noGroups(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl&^syntax.OneLine) // '^' and '$' are about lines
	if err != nil {
		return expr
	}
	var strip func(*syntax.Regexp) *syntax.Regexp
	strip = func(re *syntax.Regexp) *syntax.Regexp {
		for re.Op == syntax.OpCapture {
			re = re.Sub[0]
		}
		for i, sub := range re.Sub {
			re.Sub[i] = strip(sub)
		}
		return re
	}
	return strip(re).String()
}

// hasUpper reports whether a pattern contains an upper-case letter that stands
// for itself.
func hasUpper(patterns []string, isRegexp bool) bool {
	for _, p := range patterns {
		escaped := false
		for _, r := range p {
			if isRegexp && !escaped && r == '\\' {
				escaped = true
				continue
			}
			if unicode.IsUpper(r) && !escaped {
				return true
			}
			escaped = false
		}
	}
	return false
}

// allSimpleFold reports whether folding the patterns never leaves ASCII: 'k' and
// 's' have a sign beyond it that folds to them.
func allSimpleFold(patterns []string) bool {
	for _, p := range patterns {
		for i := range len(p) {
			if p[i] >= utf8.RuneSelf || strings.IndexByte("kKsS", p[i]) >= 0 {
				return false
			}
		}
	}
	return true
}

// newState returns what a worker needs.
func (m *matcher) newState() *matchState {
	s := &matchState{}
	if m.prog != nil {
		s.dfa = newLineDFA(m.prog)
	}
	return s
}

// reset prepares for another buffer.
func (s *matchState) reset() {
	for i := range s.next {
		s.next[i] = -1
	}
	if s.dfa != nil && !s.dfa.usable() {
		s.dfa = nil
	}
}

// nextLine finds the next line of buf, from pos on, that matches. pos must be
// the beginning of a line. With Multiline it finds the lines of a match.
func (m *matcher) nextLine(s *matchState, buf []byte, pos int) (start, end int, ok bool) {
	if m.multiline {
		return m.nextMatch(buf, pos)
	}
	for pos < len(buf) {
		if len(m.finders) == 0 {
			if start = pos; s.dfa != nil {
				at := s.dfa.find(buf, pos)
				if at < 0 {
					return 0, 0, false
				}
				start = pos + bytes.LastIndexByte(buf[pos:at], '\n') + 1
				end = lineEnd(buf, at)
				if line := buf[start:end]; !m.word && plainASCII(line) || m.verify(line) {
					return start, end, true
				}
				pos = end + 1
				continue
			}
		} else {
			at := m.candidate(s, buf, pos)
			if at < 0 {
				return 0, 0, false
			}
			start = pos + bytes.LastIndexByte(buf[pos:at], '\n') + 1
			if m.exact && !m.word {
				return start, lineEnd(buf, at), true
			}
		}
		end = lineEnd(buf, start)
		if m.matches(s, buf[start:end]) {
			return start, end, true
		}
		pos = end + 1
	}
	return 0, 0, false
}

func lineEnd(buf []byte, at int) int {
	if i := bytes.IndexByte(buf[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(buf)
}

// candidate returns where the next literal occurs, or -1.
func (m *matcher) candidate(s *matchState, buf []byte, pos int) int {
	if len(m.finders) == 1 {
		return m.finders[0].index(buf, pos)
	}
	best := -1
	for i := range m.finders {
		at := s.next[i]
		if at == len(buf) {
			continue // does not occur any more
		}
		if at < pos {
			if at = m.finders[i].index(buf, pos); at < 0 {
				s.next[i] = len(buf)
				continue
			}
			s.next[i] = at
		}
		if best < 0 || at < best {
			best = at
		}
	}
	return best
}

// matches decides about one line, without its ending.
func (m *matcher) matches(s *matchState, line []byte) bool {
	if !m.exact {
		if s.dfa != nil {
			if s.dfa.find(line, 0) < 0 {
				return false
			}
			if !m.word && plainASCII(line) {
				return true
			}
		}
		return m.verify(line)
	}
	for i := range m.finders {
		f := &m.finders[i]
		for at := f.index(line, 0); at >= 0; at = f.index(line, at+1) {
			if isWordAt(line, at, at+len(f.text)) {
				return true
			}
		}
	}
	return false
}

// verify asks package regexp about a line.
func (m *matcher) verify(line []byte) bool {
	return m.re.Match(bytes.TrimSuffix(line, []byte{'\r'}))
}

// nextMatch finds the next match that may span lines and returns where its
// lines begin and end.
func (m *matcher) nextMatch(buf []byte, pos int) (start, end int, ok bool) {
	at := m.re.FindSubmatchIndex(buf[pos:])
	if at == nil {
		return 0, 0, false
	}
	if m.word {
		at = at[2:] // without what stands beside the word
	}
	from, to := pos+at[0], pos+at[1]
	if to > from && buf[to-1] == '\n' {
		to--
	}
	if from == len(buf) && from > 0 && buf[from-1] == '\n' {
		return 0, 0, false // an empty match behind the last line
	}
	return bytes.LastIndexByte(buf[:from], '\n') + 1, lineEnd(buf, to), true
}

// spans returns what matches in a line. Empty matches are left out.
func (m *matcher) spans(line []byte) []Span {
	var out []Span
	if m.exact {
		for i := range m.finders {
			f := &m.finders[i]
			for at := f.index(line, 0); at >= 0; {
				end := at + len(f.text)
				if m.word && !isWordAt(line, at, end) {
					at = f.index(line, at+1)
					continue
				}
				out = append(out, Span{at, end})
				at = f.index(line, end)
			}
		}
		return mergeSpans(out)
	}
	if m.word {
		// What ends one word may begin the next.
		for from := 0; from <= len(line); {
			at := m.re.FindSubmatchIndex(line[from:])
			if at == nil {
				break
			}
			if at[3] > at[2] {
				out = append(out, Span{from + at[2], from + at[3]})
			}
			from += max(at[3], at[2]+1, 1)
		}
		return out
	}
	for _, at := range m.re.FindAllIndex(line, -1) {
		if at[1] > at[0] {
			out = append(out, Span{at[0], at[1]})
		}
	}
	return out
}

// mergeSpans orders spans of several patterns and joins those that overlap.
func mergeSpans(spans []Span) []Span {
	if len(spans) < 2 {
		return spans
	}
	sortSpans(spans)
	out := spans[:1]
	for _, s := range spans[1:] {
		if last := &out[len(out)-1]; s.Start <= last.End {
			last.End = max(last.End, s.End)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// isWordAt reports whether no word character stands beside line[start:end].
func isWordAt(line []byte, start, end int) bool {
	if start > 0 {
		if r, _ := utf8.DecodeLastRune(line[:start]); isWordRune(r) {
			return false
		}
	}
	if end < len(line) {
		if r, _ := utf8.DecodeRune(line[end:]); isWordRune(r) {
			return false
		}
	}
	return true
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || isAlpha(byte(r)) || isDigit(byte(r))
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.Nd, r)
}
