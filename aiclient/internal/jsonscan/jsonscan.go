// Package jsonscan reads JSON in one forward pass without reflection and
// without allocation, besides the strings that the caller asks for. Provider
// adapters use it for stream chunks, of which a reply has thousands.
//
// It is strict about syntax, as encoding/json is, and lenient about types: a
// value of another type than the one asked for reads as absent, because
// providers send null, "" and {} in each other's places.
//
//	s := jsonscan.New(data)
//	for s.Object(); s.Key(); {
//		switch string(s.Name()) {
//		case "index":
//			index = s.Int()
//		default:
//			s.Skip()
//		}
//	}
//	return s.End()
//
// Each value must be consumed exactly once, and each loop run to its end.
package jsonscan

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind is the type of a JSON value.
type Kind byte

// The kinds of JSON values. Invalid stands for anything that begins no value.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// maxDepth bounds nesting, as encoding/json does, so that hostile input cannot
// exhaust the stack.
const maxDepth = 1000

// Scanner reads one JSON document. The zero value has an empty document.
// It is not safe for concurrent use.
type Scanner struct {
	b      []byte
	i      int
	name   []byte
	first  bool // inside a container, before its first element
	absent bool // the container that was to be entered is none
	err    error
}

// New returns a scanner of data, which it only reads.
func New(data []byte) Scanner { return Scanner{b: data} }

// Err returns the first syntax error. It wraps io.ErrUnexpectedEOF when the
// document is cut short.
func (s *Scanner) Err() error { return s.err }

// End reports the first syntax error, or that something follows the value.
func (s *Scanner) End() error {
	s.space()
	if s.err == nil && s.i < len(s.b) {
		s.fail("end of the document")
	}
	return s.err
}

// Kind returns the type of the next value without consuming it.
func (s *Scanner) Kind() Kind {
	s.space()
	if s.err != nil || s.i >= len(s.b) {
		return Invalid
	}
	switch c := s.b[s.i]; {
	case c == '"':
		return String
	case c == '{':
		return Object
	case c == '[':
		return Array
	case c == 'n':
		return Null
	case c == 't', c == 'f':
		return Bool
	case c == '-', c >= '0' && c <= '9':
		return Number
	}
	return Invalid
}

// Object enters an object, whose members are then reached with Key. When the
// value is something else it is skipped, and the first call of Key returns
// false.
func (s *Scanner) Object() { s.enter(Object) }

// Array enters an array, like Object; its elements are reached with Item.
func (s *Scanner) Array() { s.enter(Array) }

func (s *Scanner) enter(kind Kind) {
	if s.Kind() != kind {
		s.Skip()
		s.absent = true
		return
	}
	s.i++
	s.first = true
}

// Key moves to the next member of an object; its name is Name and its value is
// next. It returns false, and leaves the object, when there is none.
func (s *Scanner) Key() bool {
	if !s.element('}') {
		return false
	}
	name, escaped, ok := s.rawString()
	if !ok {
		return false
	}
	if escaped || !utf8.Valid(name) {
		name = unescape(nil, name)
	}
	s.name = name
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != ':' {
		s.fail("':'")
		return false
	}
	s.i++
	return true
}

// Name returns the name of the current member. It is valid until the next call
// of Key.
func (s *Scanner) Name() []byte { return s.name }

// Item moves to the next element of an array. It returns false, and leaves the
// array, when there is none.
func (s *Scanner) Item() bool { return s.element(']') }

func (s *Scanner) element(end byte) bool {
	if s.absent {
		s.absent = false
		return false
	}
	s.space()
	if s.err != nil {
		return false
	}
	if s.i >= len(s.b) {
		s.fail("',' or end of container")
		return false
	}
	first := s.first
	s.first = false
	switch {
	case s.b[s.i] == end:
		s.i++
		return false
	case first:
		return true
	case s.b[s.i] == ',':
		s.i++
		s.space()
		return true
	}
	s.fail("',' or end of container")
	return false
}

// Text returns a string value. Anything else reads as "".
func (s *Scanner) Text() string {
	raw, escaped := s.text()
	if escaped {
		var stack [256]byte
		return string(unescape(stack[:0], raw))
	}
	return string(raw)
}

// TextBytes returns a string value like Text, without a copy when it has no
// escapes.
func (s *Scanner) TextBytes() []byte {
	raw, escaped := s.text()
	if escaped {
		return unescape(nil, raw)
	}
	return raw
}

// text consumes a value and returns it if it is a string. Invalid UTF-8 counts
// as an escape, because it must be replaced.
func (s *Scanner) text() (raw []byte, escaped bool) {
	if s.Kind() != String {
		s.Skip()
		return nil, false
	}
	raw, escaped, ok := s.rawString()
	if !ok {
		return nil, false
	}
	return raw, escaped || !utf8.Valid(raw)
}

// Int returns a number, rounded towards zero. Anything else reads as 0.
func (s *Scanner) Int() int64 {
	raw := s.number()
	if raw == nil {
		return 0
	}
	var n int64
	for i, c := range raw {
		if c < '0' || c > '9' || i == 18 {
			if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
				return n
			}
			f, _ := strconv.ParseFloat(string(raw), 64)
			return int64(f)
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// Float returns a number. Anything else reads as 0.
func (s *Scanner) Float() float64 {
	f, _ := strconv.ParseFloat(string(s.number()), 64)
	return f
}

func (s *Scanner) number() []byte {
	if s.Kind() != Number {
		s.Skip()
		return nil
	}
	from := s.i
	s.skipNumber()
	if s.err != nil {
		return nil
	}
	return s.b[from:s.i]
}

// Bool returns a boolean. Anything else reads as false.
func (s *Scanner) Bool() bool {
	from := s.i
	if s.Kind() == Bool {
		from = s.i
	}
	s.Skip()
	return s.err == nil && s.b[from] == 't'
}

// Raw returns the next value as it is in the document, which it shares.
func (s *Scanner) Raw() []byte {
	s.space()
	from := s.i
	s.Skip()
	if s.err != nil {
		return nil
	}
	return s.b[from:s.i:s.i]
}

// Skip consumes the next value.
func (s *Scanner) Skip() { s.skip(0) }

func (s *Scanner) skip(depth int) {
	if depth > maxDepth {
		s.fail("fewer nested values")
		return
	}
	switch s.Kind() {
	case String:
		s.rawString()
	case Number:
		s.skipNumber()
	case Object:
		s.i++
		s.first = true
		for s.Key() {
			s.skip(depth + 1)
		}
	case Array:
		s.i++
		s.first = true
		for s.Item() {
			s.skip(depth + 1)
		}
	case Null:
		s.literal("null")
	case Bool:
		if s.b[s.i] == 't' {
			s.literal("true")
		} else {
			s.literal("false")
		}
	default:
		s.fail("a value")
	}
}

func (s *Scanner) literal(word string) {
	if !bytes.HasPrefix(s.b[s.i:], []byte(word)) {
		if bytes.HasPrefix([]byte(word), s.b[s.i:]) {
			s.i = len(s.b)
		}
		s.fail(word)
		return
	}
	s.i += len(word)
}

func (s *Scanner) skipNumber() {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		s.digits()
	}
}

func (s *Scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	if s.i == from {
		s.fail("a digit")
		return false
	}
	return true
}

// rawString consumes a string and returns what is between its quotes.
func (s *Scanner) rawString() (raw []byte, escaped, ok bool) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		s.fail("a string")
		return nil, false, false
	}
	from := s.i + 1
	for i := from; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[from:i], escaped, true
		case c == '\\':
			escaped = true
			i++
			if i < len(s.b) && s.b[i] == 'u' {
				if _, ok := hex4(s.b[i+1:]); !ok {
					s.i = i
					if i+5 > len(s.b) {
						s.i = len(s.b)
					}
					s.fail("four hex digits")
					return nil, false, false
				}
				i += 4
			} else if i < len(s.b) && unescaped[s.b[i]] == 0 {
				s.i = i
				s.fail("an escape")
				return nil, false, false
			}
		case c < ' ':
			s.i = i
			s.fail("no control character in a string")
			return nil, false, false
		}
	}
	s.i = len(s.b)
	s.fail("'\"'")
	return nil, false, false
}

func (s *Scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\t', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *Scanner) fail(want string) {
	if s.err != nil {
		return
	}
	if s.i >= len(s.b) {
		s.err = fmt.Errorf("JSON ends early at byte %d: expected %s: %w", len(s.b), want, io.ErrUnexpectedEOF)
		return
	}
	s.err = fmt.Errorf("malformed JSON at byte %d: expected %s, got %q", s.i, want, s.b[s.i])
	s.i = len(s.b)
}

var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unescape appends raw, which rawString has checked, to dst. Invalid UTF-8 and
// lone surrogates become U+FFFD, as in encoding/json.
func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '\\' && raw[i+1] == 'u':
			u, _ := hex4(raw[i+2:])
			i += 6
			if utf16.IsSurrogate(u) {
				var low rune
				if i+1 < len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
					low, _ = hex4(raw[i+2:])
				}
				if u = utf16.DecodeRune(u, low); u != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, u)
		case c == '\\':
			dst = append(dst, unescaped[raw[i+1]])
			i += 2
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(raw[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return dst
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 + rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 + rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 + rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
