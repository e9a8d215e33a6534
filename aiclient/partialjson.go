package aiclient

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// CompleteJSON returns the longest valid JSON document that a truncated one
// begins with: open strings, arrays and objects are closed, and a key without a
// value, half a number's exponent or half a literal are left out. It returns
// nothing when text does not begin like a JSON document, and text itself when
// it is complete. What stands around the document, such as a Markdown fence, is
// ignored.
func CompleteJSON(text string) (json.RawMessage, bool) {
	text = unfence(text)
	if text == "" {
		return nil, false
	}
	c := completer{in: text}
	c.scan()
	if c.good < 0 {
		return nil, false
	}
	out := make([]byte, 0, c.good+len(c.closers)+2)
	out = append(out, text[:c.good]...)
	out = append(out, c.goodTail...)
	if !json.Valid(out) {
		return nil, false
	}
	return out, true
}

// unfence returns what follows the opening of a Markdown fence, or text.
func unfence(text string) string {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "```"); ok {
		if _, body, ok := strings.Cut(rest, "\n"); ok {
			text = body
		} else {
			text = ""
		}
		text, _, _ = strings.Cut(text, "\n```")
	}
	return strings.TrimSpace(text)
}

// completer reads a JSON document in one pass and remembers the last place at
// which closing what is open gives a valid document.
type completer struct {
	in       string
	closers  []byte // what would close the open arrays and objects, outermost first
	good     int    // in[:good] followed by goodTail is valid; -1 for none
	goodTail string
}

// mark notes that in[:i] followed by extra and the closers is valid.
func (c *completer) mark(i int, extra string) {
	tail := make([]byte, 0, len(extra)+len(c.closers))
	tail = append(tail, extra...)
	for j := len(c.closers) - 1; j >= 0; j-- {
		tail = append(tail, c.closers[j])
	}
	c.good, c.goodTail = i, string(tail)
}

func (c *completer) scan() {
	c.good = -1
	key := false // the next string is a key
	i, n := 0, len(c.in)
	var last func() // marks the end of the last value; late, because most are not the last
	settle := func(at int, extra string) {
		depth := len(c.closers)
		last = func() {
			if depth == len(c.closers) {
				c.mark(at, extra)
			}
		}
	}
	defer func() {
		if last != nil {
			last()
		}
	}()
	for i < n {
		switch ch := c.in[i]; ch {
		case ' ', '\t', '\n', '\r', ':':
			i++
		case ',':
			i++
			key = len(c.closers) > 0 && c.closers[len(c.closers)-1] == '}'
		case '{', '[':
			c.closers = append(c.closers, ch+2) // '{'+2 is '}', '['+2 is ']'
			key = ch == '{'
			i++
			settle(i, "")
		case '}', ']':
			if len(c.closers) == 0 || c.closers[len(c.closers)-1] != ch {
				return
			}
			c.closers = c.closers[:len(c.closers)-1]
			i++
			settle(i, "")
			if len(c.closers) == 0 {
				return // the document is complete; what follows is not part of it
			}
			key = false
		case '"':
			end, safe, whole := scanString(c.in, i)
			switch {
			case whole && !key:
				settle(end, "")
			case !whole && !key:
				settle(safe, `"`)
				return
			case !whole:
				return
			}
			key = false
			i = end
			if len(c.closers) == 0 {
				return
			}
		default:
			end := i
			for end < n && !strings.ContainsRune(",]} \t\r\n:", rune(c.in[end])) {
				end++
			}
			word := atom(c.in[i:end], end == n)
			if word == "" {
				return
			}
			settle(i+len(word), "")
			if len(c.closers) == 0 {
				return
			}
			i = end
		}
	}
}

// atom returns word if it is a literal or a number, and of one that is cut off the
// number that it begins with, or else nothing.
func atom(word string, cut bool) string {
	number := word[0] == '-' || word[0] >= '0' && word[0] <= '9'
	for range 3 { // half a number is up to two bytes longer than a whole one, as 1e+ is
		if json.Valid([]byte(word)) {
			return word
		}
		if !cut || !number || len(word) == 1 {
			break
		}
		word = word[:len(word)-1]
	}
	return ""
}

// scanString reads the string that begins at in[i]. It returns the index behind
// it, and for one that is cut off the index up to which it is safe: not within
// an escape or a character.
func scanString(in string, i int) (end, safe int, whole bool) {
	i++
	safe = i
	for i < len(in) {
		switch ch := in[i]; {
		case ch == '"':
			return i + 1, i, true
		case ch == '\\':
			size := 2
			if i+1 < len(in) && in[i+1] == 'u' {
				size = 6
			}
			if i+size > len(in) {
				return len(in), safe, false
			}
			half := size == 6 && (in[i+2] == 'd' || in[i+2] == 'D') && strings.IndexByte("89abAB", in[i+3]) >= 0
			i += size
			if half {
				continue // the first half of a pair is not safe without the second
			}
		default:
			if !utf8.FullRuneInString(in[i:]) {
				return len(in), safe, false
			}
			_, size := utf8.DecodeRuneInString(in[i:])
			i += size
		}
		safe = i
	}
	return len(in), safe, false
}
