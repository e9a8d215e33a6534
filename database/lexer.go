package database

import "strings"

// token is a word, a sign or a quoted piece of a statement. Words are in upper
// case. Of a quoted piece the text is its kind, because nothing in it is SQL, but
// it may be a name.
type token struct {
	text   string
	quoted bool
	name   string // in upper case, of a word and of a quoted name
}

// Texts of tokens that no check allows.
const (
	executedComment = "/*!"
	tclVariable     = "$("
	escapedName     = `U&"`
)

// lexing says how a dialect reads text.
type lexing struct {
	backslash   bool // escapes within '…'
	dollar      bool // $tag$…$tag$
	nested      bool // /* /* */ */
	returns     bool // a carriage return ends a comment too
	brackets    bool // [name]
	backtick    bool // `name`
	hash        bool // # begins a comment
	dashSpace   bool // -- begins a comment only before white space or a control character
	executable  bool // /*! … */ and /*M! … */ are executed
	doubleSlash bool // "…" is a string with backslash escapes
	tcl         bool // $name(…) is a variable, whatever stands in the parentheses
}

// readings returns every way in which a server of the dialect may read a
// text, which depends on its settings. A check must hold in all of them. They
// differ in what a backslash does, so that most texts have one reading.
func (d Dialect) readings(sql string) []lexing {
	var all []lexing
	switch d {
	case Postgres: // standard_conforming_strings on and off
		plain := lexing{dollar: true, nested: true, returns: true}
		escaping := plain
		escaping.backslash = true
		all = []lexing{plain, escaping}
	case MySQL: // sql_mode with NO_BACKSLASH_ESCAPES, without it, and with ANSI_QUOTES alone
		plain := lexing{backtick: true, hash: true, dashSpace: true, executable: true}
		names := plain
		names.backslash = true
		escaping := names
		escaping.doubleSlash = true
		all = []lexing{plain, escaping, names}
	default:
		all = []lexing{{brackets: true, backtick: true, tcl: true}}
	}
	if strings.IndexByte(sql, '\\') < 0 {
		return all[:1]
	}
	return all
}

// scan cuts a text into tokens, without comments. It reads every text: what
// is not closed runs to the end.
func (l lexing) scan(sql string) []token {
	var out []token
	for i := 0; i < len(sql); {
		c := sql[i]
		rest := sql[i:]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			i++
		case strings.HasPrefix(rest, "--") && (!l.dashSpace || len(rest) == 2 || rest[2] <= ' ' || rest[2] == 0x7f), l.hash && c == '#':
			n := strings.IndexByte(rest, '\n')
			if l.returns {
				n = strings.IndexAny(rest, "\n\r")
			}
			if n < 0 {
				return out
			}
			i += n + 1
		case strings.HasPrefix(rest, "/*"):
			if l.executable && (strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!")) {
				out = append(out, token{text: executedComment})
				i += 3
				break
			}
			i += l.comment(rest)
		case c == '\'':
			escape := l.backslash || l.escapeString(sql, i)
			n := quoted(rest, '\'', escape)
			for l.dollar { // a string may go on in the next line
				gap := continuation(rest[n:])
				if gap == 0 {
					break
				}
				n += gap
				n += quoted(rest[n:], '\'', escape)
			}
			out = append(out, token{quoted: true, text: "''", name: quotedName(rest[:n], "'")}) // SQLite takes it for a name where only one can stand
			i += n
		case c == '"':
			n := quoted(rest, '"', l.doubleSlash)
			out = append(out, token{quoted: true, text: `""`, name: quotedName(rest[:n], `"`)})
			if l.dollar && i > 1 && sql[i-1] == '&' && sql[i-2]|' ' == 'u' && (i == 2 || !wordByte(sql[i-3])) {
				out = append(out, token{text: escapedName})
			}
			i += n
		case c == '`' && l.backtick:
			n := quoted(rest, '`', false)
			out = append(out, token{quoted: true, text: "``", name: quotedName(rest[:n], "`")})
			i += n
		case c == '[' && l.brackets:
			n := strings.IndexByte(rest, ']')
			if n < 0 {
				n = len(rest) - 1
			}
			out = append(out, token{quoted: true, text: "[]", name: strings.ToUpper(strings.Trim(rest[:n+1], "[]"))})
			i += n + 1
		case c == '$' && l.dollar && dollarTag(rest) != "":
			tag := dollarTag(rest)
			n := strings.Index(rest[len(tag):], tag)
			if n < 0 {
				return append(out, token{quoted: true, text: "$$"})
			}
			i += n + 2*len(tag)
			out = append(out, token{quoted: true, text: "$$"})
		case l.tcl && strings.IndexByte("$@:#", c) >= 0:
			n, parentheses := sqliteVariable(rest)
			text := rest[:1]
			if parentheses {
				text = tclVariable
			}
			out = append(out, token{text: text})
			i += n
		case wordByte(c):
			n := 1
			for i+n < len(sql) && (wordByte(sql[i+n]) || sql[i+n] == '$') {
				n++
			}
			word := strings.ToUpper(sql[i : i+n])
			out = append(out, token{text: word, name: word})
			i += n
		default:
			out = append(out, token{text: sql[i : i+1]})
			i++
		}
	}
	return out
}

// escapeString reports whether the quote at i begins a string of PostgreSQL's
// form E'…', in which backslashes escape.
func (l lexing) escapeString(sql string, i int) bool {
	return l.dollar && i > 0 && (sql[i-1] == 'e' || sql[i-1] == 'E') && (i == 1 || !wordByte(sql[i-2]))
}

// continuation returns the length of the white space and comments before a quote
// that makes a string of PostgreSQL go on, escapes and all: there is a line break
// among them. It is 0 if there is no such quote.
func continuation(s string) int {
	newline := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\n' || c == '\r':
			newline = true
		case c == ' ' || c == '\t' || c == '\f' || c == '\v':
		case strings.HasPrefix(s[i:], "--"):
			end := strings.IndexAny(s[i:], "\n\r")
			if end < 0 {
				return 0
			}
			i += end - 1
		case c == '\'' && newline:
			return i
		default:
			return 0
		}
	}
	return 0
}

// comment returns the length of the comment at the beginning of s.
func (l lexing) comment(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "/*") && (depth == 0 || l.nested):
			depth++
			i += 2
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return len(s)
}

// quoted returns the length of the quoted piece at the beginning of s.
func quoted(s string, quote byte, backslash bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case backslash && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// quotedName returns the name in upper case that stands in quotes.
func quotedName(s, quote string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(s, quote), quote)
	return strings.ToUpper(strings.ReplaceAll(s, quote+quote, quote))
}

// dollarTag returns the opening tag of a dollar-quoted string, such as "$x$".
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$':
			return s[:i+1]
		case !wordByte(c) || i == 1 && c >= '0' && c <= '9':
			return ""
		}
	}
	return ""
}

// sqliteVariable returns the length of the variable of SQLite at the beginning of
// s, such as "$a::b", and whether parentheses follow in which anything may stand.
func sqliteVariable(s string) (n int, parentheses bool) {
	for n = 1; n < len(s); {
		switch {
		case wordByte(s[n]) || s[n] == '$':
			n++
		case strings.HasPrefix(s[n:], "::"):
			n += 2
		default:
			return n, s[n] == '(' && n > 1
		}
	}
	return n, false
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
