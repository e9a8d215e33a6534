package filesystem

import "strings"

// A gitGlob is one compiled glob in git's dialect. It is a sequence of tokens
// that is matched byte by byte, with at most two points to go back to.
//
// The dialect: '?' and '[…]' match one byte and '*' any number, none of them a
// slash when the glob is matched against a path; "**" between slashes, or
// between a slash and an end, spans directories; a backslash takes the next
// byte literally; a malformed bracket expression matches nothing at all.
type gitGlob struct {
	tokens []globToken
	fold   bool // ASCII letters match in either case
}

type globKind uint8

const (
	globLiteral globKind = iota // text
	globOne                     // '?'
	globSet                     // "[…]"
	globStar                    // '*': bytes other than a slash
	globAny                     // any bytes at all
	globDirs                    // "**/": nothing, or anything that ends in a slash
)

type globToken struct {
	kind globKind
	text string
	set  *byteSet
}

type byteSet [4]uint64

func (s *byteSet) add(c byte)           { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) contains(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

// compileGlob compiles a glob. With isPath, wildcards stop at slashes. It
// returns nil for a glob that cannot match.
func compileGlob(glob string, isPath, fold bool) *gitGlob {
	g := &gitGlob{fold: fold}
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			g.tokens = append(g.tokens, globToken{kind: globLiteral, text: string(literal)})
			literal = literal[:0]
		}
	}
	for i := 0; i < len(glob); {
		switch c := glob[i]; c {
		case '\\':
			// git compares an escaped letter without folding it to a text
			// that it has folded.
			if i+1 == len(glob) || foldByte(glob[i+1], fold) != glob[i+1] {
				return nil
			}
			literal = append(literal, glob[i+1])
			i += 2
		case '?':
			flush()
			g.tokens = append(g.tokens, globToken{kind: globOne})
			i++
		case '[':
			set, next := parseSet(glob, i+1, fold)
			if set == nil {
				return nil
			}
			if isPath {
				set['/'>>6] &^= 1 << ('/' & 63)
			}
			flush()
			g.tokens = append(g.tokens, globToken{kind: globSet, set: set})
			i = next
		case '*':
			flush()
			end := i
			for end < len(glob) && glob[end] == '*' {
				end++
			}
			token := globToken{kind: globStar}
			rest := glob[end:]
			switch {
			case !isPath:
				token.kind = globAny
			case end-i < 2 || i > 0 && glob[i-1] != '/':
			case rest == "" || strings.HasPrefix(rest, `\/`):
				token.kind = globAny
			case rest[0] == '/':
				token.kind = globDirs
				end++
			}
			g.tokens = append(g.tokens, token)
			i = end
		default:
			literal = append(literal, foldByte(c, fold))
			i++
		}
	}
	flush()
	return g
}

// last returns the byte that every match ends in, or 0.
func (g *gitGlob) last() byte {
	if n := len(g.tokens); n > 0 && g.tokens[n-1].kind == globLiteral {
		text := g.tokens[n-1].text
		return text[len(text)-1]
	}
	return 0
}

func foldByte(c byte, fold bool) byte {
	if fold && c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// match reports whether the glob matches all of s.
//
// The leftmost way to satisfy what stands before a wildcard leaves the most
// room for what follows, so only the latest wildcard of each reach needs to be
// tried again: the latest one that stays within a component, and the latest
// one that spans them.
func (g *gitGlob) match(s string) bool {
	if g == nil {
		return false
	}
	tokens := g.tokens
	t, i := 0, 0
	star, starAt := -1, 0 // token after the latest '*', where it is tried next
	span, spanAt := -1, 0 // the same for "**"
	for {
		ok := false
		if t == len(tokens) {
			if i == len(s) {
				return true
			}
		} else {
			switch token := &tokens[t]; token.kind {
			case globLiteral:
				if ok = g.hasPrefix(s[i:], token.text); ok {
					i += len(token.text)
				}
			case globOne:
				if ok = i < len(s) && s[i] != '/'; ok {
					i++
				}
			case globSet:
				if ok = i < len(s) && token.set.contains(foldByte(s[i], g.fold)); ok {
					i++
				}
			case globStar:
				star, starAt, ok = t+1, i, true
			case globAny, globDirs:
				span, spanAt, ok = t, i, true
				star = -1
			}
			if ok {
				t++
				continue
			}
		}
		if star >= 0 && starAt < len(s) && s[starAt] != '/' {
			starAt++
			t, i = star, starAt
			continue
		}
		star = -1
		if span < 0 || spanAt >= len(s) {
			return false
		}
		if tokens[span].kind == globDirs {
			slash := strings.IndexByte(s[spanAt:], '/')
			if slash < 0 {
				return false
			}
			spanAt += slash
		}
		spanAt++
		t, i = span+1, spanAt
	}
}

func (g *gitGlob) hasPrefix(s, prefix string) bool {
	if !g.fold {
		return strings.HasPrefix(s, prefix)
	}
	return len(s) >= len(prefix) && equalFolded(s[:len(prefix)], prefix)
}

// equalFolded compares s with a text whose ASCII letters are lower case.
func equalFolded(s, folded string) bool {
	for i := range len(s) {
		if foldByte(s[i], true) != folded[i] {
			return false
		}
	}
	return true
}

// parseSet parses the bracket expression whose content begins at i and returns
// the bytes in it and the position behind it, or nil when it is malformed. With
// fold, the set is for text in lower case.
func parseSet(glob string, i int, fold bool) (set *byteSet, next int) {
	set = new(byteSet)
	negated := i < len(glob) && (glob[i] == '!' || glob[i] == '^')
	if negated {
		i++
	}
	begin, canRange, low := i, false, byte(0)
	for ; ; i++ {
		if i >= len(glob) {
			return nil, 0
		}
		c := glob[i]
		if c == ']' && i > begin {
			break
		}
		switch {
		case c == '-' && canRange && i+1 < len(glob) && glob[i+1] != ']':
			i++
			if glob[i] == '\\' {
				if i++; i >= len(glob) {
					return nil, 0
				}
			}
			addRange(set, low, glob[i], fold)
			canRange = false
			continue
		case c == '\\':
			if i++; i >= len(glob) {
				return nil, 0
			}
			c = glob[i]
		case c == '[' && i+1 < len(glob) && glob[i+1] == ':':
			end := strings.IndexByte(glob[i+2:], ']')
			if end < 0 {
				return nil, 0
			}
			if end += i + 2; end > i+2 && glob[end-1] == ':' {
				if !addClass(set, glob[i+2:end-1], fold) {
					return nil, 0
				}
				i, canRange = end, false
				continue
			}
		}
		set.add(c)
		low, canRange = c, c != 0
	}
	if negated {
		for w := range set {
			set[w] = ^set[w]
		}
	}
	return set, i + 1
}

func addRange(set *byteSet, low, high byte, fold bool) {
	for c := int(low); c <= int(high); c++ {
		set.add(byte(c))
		set.add(foldByte(byte(c), fold))
	}
}

// addClass adds a POSIX class as git defines it, which is ASCII only. It
// reports false for an unknown name.
func addClass(set *byteSet, name string, fold bool) bool {
	in := posixClasses[name]
	if in == nil {
		return false
	}
	for c := range 256 {
		if in(byte(c)) {
			set.add(byte(c))
		}
	}
	if fold && name == "upper" {
		addRange(set, 'a', 'z', false)
	}
	return true
}

var posixClasses = map[string]func(c byte) bool{
	"alnum":  func(c byte) bool { return isAlpha(c) || isDigit(c) },
	"alpha":  isAlpha,
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
	"digit":  isDigit,
	"graph":  func(c byte) bool { return c > ' ' && c < 0x7f },
	"lower":  func(c byte) bool { return c >= 'a' && c <= 'z' },
	"print":  func(c byte) bool { return c >= ' ' && c < 0x7f },
	"punct":  func(c byte) bool { return c > ' ' && c < 0x7f && !isAlpha(c) && !isDigit(c) },
	"space":  func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' },
	"upper":  func(c byte) bool { return c >= 'A' && c <= 'Z' },
	"xdigit": func(c byte) bool { return isDigit(c) || (c|0x20) >= 'a' && (c|0x20) <= 'f' },
}

func isAlpha(c byte) bool { return (c|0x20) >= 'a' && (c|0x20) <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
