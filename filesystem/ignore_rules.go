package filesystem

import (
	"bytes"
	"strings"
)

// ruleList is one compiled ignore file. It is immutable.
type ruleList struct {
	rules []ignoreRule

	// The rules by how they can be found: by the whole basename, by its last
	// dot and what follows, by the first component of the path, and those that
	// must be tried one by one. The lists hold positions in rules, descending,
	// because the last match decides.
	byName   map[string][]int32
	bySuffix map[string][]int32
	byTop    map[string][]int32
	others   []int32
}

type ignoreRule struct {
	negated  bool
	dirOnly  bool
	basename bool // matched against the basename, not against the path
	exact    bool // text is the whole name or path
	suffix   bool // the basename ends in text
	last     byte // what every match ends in; 0 when that is not known
	text     string
	glob     *gitGlob // what must follow text, when neither exact nor suffix
}

// verdict is what rules say about a path.
type verdict int8

const (
	undecided verdict = iota
	ignored
	included // re-included by a negated rule
)

// compileRules compiles the content of an ignore file. Bad lines match nothing,
// as in git. It returns nil when there is no rule.
func compileRules(data []byte, fold bool) *ruleList {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var list ruleList
	for line := range bytes.Lines(data) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if nul := bytes.IndexByte(line, 0); nul >= 0 {
			line = line[:nul]
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if rule, ok := compileRule(trimSpaces(string(line)), fold); ok {
			list.rules = append(list.rules, rule)
		}
	}
	if len(list.rules) == 0 {
		return nil
	}
	list.index(fold)
	return &list
}

// trimSpaces removes trailing spaces, but not a space behind a backslash.
func trimSpaces(line string) string {
	end := len(line)
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			end = min(end, i)
		case '\\':
			i++
			end = len(line)
			if i >= len(line) {
				return line
			}
		default:
			end = len(line)
		}
	}
	return line[:end]
}

// compileRule compiles one line. It reports false for one that cannot match.
func compileRule(line string, fold bool) (ignoreRule, bool) {
	var r ignoreRule
	line, r.negated = strings.CutPrefix(line, "!")
	line, r.dirOnly = strings.CutSuffix(line, "/")
	if line == "" {
		return r, false
	}
	if rest, ok := strings.CutPrefix(line, "**/"); ok && rest != "" && strings.IndexByte(rest, '/') < 0 {
		line = rest // in any directory, which is what a basename says too
	}
	literal := strings.IndexAny(line, `*?[\`)
	if literal < 0 {
		literal = len(line)
	}
	r.basename = strings.IndexByte(line, '/') < 0
	r.text, r.exact = line[:literal], literal == len(line)
	if r.basename {
		if rest := line[1:]; line[0] == '*' && !strings.ContainsAny(rest, `*?[\`) {
			r.suffix, r.text = true, rest
		} else if !r.exact {
			r.glob = compileGlob(line[literal:], false, fold)
		}
	} else {
		// The literal beginning is split off first: that makes "a**/b" the
		// literal "a" and a "**/b" that spans directories, as in git.
		r.text = strings.TrimPrefix(r.text, "/")
		if !r.exact {
			r.glob = compileGlob(line[literal:], true, fold)
		}
	}
	if !r.exact && !r.suffix && r.glob == nil {
		return r, false
	}
	if fold {
		text := []byte(r.text) // which need not be UTF-8
		for i, c := range text {
			text[i] = foldByte(c, true)
		}
		r.text = string(text)
		return r, true
	}
	switch {
	case r.glob != nil:
		r.last = r.glob.last()
	case r.text != "":
		r.last = r.text[len(r.text)-1]
	}
	return r, true
}

// index sorts the rules into those that a lookup finds and the others.
func (l *ruleList) index(fold bool) {
	put := func(m *map[string][]int32, key string, i int) {
		if *m == nil {
			*m = make(map[string][]int32)
		}
		(*m)[key] = append((*m)[key], int32(i))
	}
	for i := len(l.rules) - 1; i >= 0; i-- {
		r := &l.rules[i]
		slash := strings.IndexByte(r.text, '/')
		switch {
		case fold:
			l.others = append(l.others, int32(i))
		case r.basename && r.exact:
			put(&l.byName, r.text, i)
		case r.basename && r.suffix && strings.LastIndexByte(r.text, '.') == 0:
			put(&l.bySuffix, r.text, i)
		case !r.basename && slash > 0:
			put(&l.byTop, r.text[:slash], i)
		case !r.basename && r.exact && slash < 0:
			put(&l.byTop, r.text, i)
		default:
			l.others = append(l.others, int32(i))
		}
	}
}

// match says what the last matching rule decides about a path below the list's
// directory, whose basename begins at base.
func (l *ruleList) match(rel string, base int, isDir, fold bool) verdict {
	name := rel[base:]
	best := int32(-1)
	if l.byName != nil {
		best = l.first(l.byName[name], isDir, best)
	}
	if l.bySuffix != nil {
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			best = l.first(l.bySuffix[name[dot:]], isDir, best)
		}
	}
	if l.byTop != nil {
		top := rel
		if slash := strings.IndexByte(rel, '/'); slash >= 0 {
			top = rel[:slash]
		}
		best = l.try(l.byTop[top], rel, name, isDir, fold, best)
	}
	best = l.try(l.others, rel, name, isDir, fold, best)
	switch {
	case best < 0:
		return undecided
	case l.rules[best].negated:
		return included
	default:
		return ignored
	}
}

// first returns the first rule of positions that applies, when it comes later
// in the file than best.
func (l *ruleList) first(positions []int32, isDir bool, best int32) int32 {
	for _, i := range positions {
		if i <= best {
			break
		}
		if isDir || !l.rules[i].dirOnly {
			return i
		}
	}
	return best
}

// try returns the first rule of positions that matches, when it comes later in
// the file than best.
func (l *ruleList) try(positions []int32, rel, name string, isDir, fold bool, best int32) int32 {
	for _, i := range positions {
		if i <= best {
			break
		}
		r := &l.rules[i]
		if r.dirOnly && !isDir || r.last != 0 && r.last != name[len(name)-1] {
			continue
		}
		if r.basename && r.matchText(name, fold) || !r.basename && r.matchText(rel, fold) {
			return i
		}
	}
	return best
}

func (r *ignoreRule) matchText(s string, fold bool) bool {
	switch {
	case r.exact:
		return len(s) == len(r.text) && hasPrefixFold(s, r.text, fold)
	case r.suffix:
		return len(s) >= len(r.text) && hasPrefixFold(s[len(s)-len(r.text):], r.text, fold)
	default:
		return hasPrefixFold(s, r.text, fold) && r.glob.match(s[len(r.text):])
	}
}

func hasPrefixFold(s, prefix string, fold bool) bool {
	if !fold {
		return strings.HasPrefix(s, prefix)
	}
	return len(s) >= len(prefix) && equalFolded(s[:len(prefix)], prefix)
}
