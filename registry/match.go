package registry

import (
	"fmt"
	"path"
	"strings"
)

// Match reports whether name matches pattern, which is one of
//
//   - a name, which matches itself;
//   - a prefix followed by '*', which matches every name that begins with it, '/'
//     included, so that "*" matches all names;
//   - any other pattern of [path.Match], where '*' does not match '/', '?' matches
//     one character, [a-z] one of a set, and '\' takes the next one as it is.
//
// A malformed pattern is an error that wraps [path.ErrBadPattern], whatever the
// name.
func Match(pattern, name string) (bool, error) {
	p, err := compile(pattern)
	if err != nil {
		return false, err
	}
	return p.matches(name), nil
}

// pattern is a checked pattern.
type pattern struct {
	text string
	kind patternKind
}

type patternKind int

const (
	literalPattern patternKind = iota
	prefixPattern
	globPattern
)

func compile(text string) (pattern, error) {
	switch i := strings.IndexAny(text, `*?[\`); {
	case i < 0:
		return pattern{text, literalPattern}, nil
	case i == len(text)-1 && text[i] == '*':
		return pattern{text[:i], prefixPattern}, nil
	}
	// path.Match reports every malformed pattern, even where the name has failed
	// to match before the fault.
	if _, err := path.Match(text, ""); err != nil {
		return pattern{}, fmt.Errorf("registry: pattern %q: %w (write \\ before a *, ?, [ or \\ that stands for itself)", text, err)
	}
	return pattern{text, globPattern}, nil
}

// literal returns the only name that p can match, if there is such.
func (p pattern) literal() (string, bool) { return p.text, p.kind == literalPattern }

func (p pattern) matches(name string) bool {
	switch p.kind {
	case literalPattern:
		return name == p.text
	case prefixPattern:
		return strings.HasPrefix(name, p.text)
	default:
		ok, err := path.Match(p.text, name)
		return ok && err == nil
	}
}
