package filesystem

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// matchingLines returns what a matcher finds, and what package regexp does.
func matchingLines(t testing.TB, q Query, text string) (got, want []int) {
	m, err := newMatcher(q)
	require.NoError(t, err)
	fold := q.Case == CaseInsensitive
	re, err := compileQuery(q, fold)
	require.NoError(t, err)
	s := m.newState()
	s.reset()
	buf := []byte(text)
	for pos := 0; pos < len(buf); {
		start, end, ok := m.nextLine(s, buf, pos)
		if !ok {
			break
		}
		got = append(got, bytes.Count(buf[:start], newline)+1)
		pos = end + 1
	}
	for i, line := range splitLines(text) {
		if re.MatchString(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")) {
			want = append(want, i+1)
		}
	}
	return got, want
}

func TestSearchEqualsRegexp(t *testing.T) {
	text := "foo bar\nFoo_Bar 12\n\n  x\nabc123def\n\u212aelvin \u017fir\ncaf\xe9 au lait\nnaïve café\nend\r\na_b-c\n\x80\xff\n\U0001f600 smile\n\ufffd\nlast"
	for _, expr := range []string{
		`foo`, `o+`, `^foo`, `bar$`, `^$`, `^\s+x`, `\bbar\b`, `\Boo`, `[a-z]{3}\d+`, `.`, `^.{3}$`, `caf. au`, `caf.$`, `[^a-z\s]+`, `(?i)kelvin`, `(?i)SIR`,
		`na.ve`, `\pL+\s\pL+`, `d$`, `a_b\b`, `[^\x00-\x7f]`, `\x{1f600}`, `[\x{10000}-\x{10ffff}]`, `(foo|abc)(\d| )`, `x*`, `\Afoo`, `last\z`, `(?s)r.`, `\PL$`, `[[:upper:]]\w+_`, `\d{2}$`, `e`,
	} {
		for _, word := range []bool{false, true} {
			for _, c := range []Case{CaseSensitive, CaseInsensitive} {
				got, want := matchingLines(t, Query{Patterns: []string{expr}, Regexp: true, Word: word, Case: c}, text)
				assert.Equal(t, want, got, "%s word=%v case=%v", expr, word, c)
			}
		}
	}
	got, want := matchingLines(t, Query{Patterns: []string{"foo", "bar", "12", "x", "end", "last", "lait", "a_b", "smile", "abc"}}, text)
	assert.Equal(t, want, got, "more literals than are looked for one by one")
}

func TestSearchEqualsRegexpRandom(t *testing.T) {
	rounds := 1500
	if long() {
		rounds = 300_000
	}
	r := rand.New(rand.NewPCG(1, 2))
	atoms := []string{"a", "b", "c", "_", " ", "1", ".", `\w`, `\d`, `\s`, `\b`, `\B`, "^", "$", "[ab]", "[^a]", "é", "k", "S", `\W`, "(?:ab|c)", "(?i:k)", "\ufffd", "ab", "1_"}
	marks := []string{"", "", "", "", "*", "+", "?", "{2}", "{1,3}", "*?"}
	letters := []rune("aaabbc__ 1\n\n\n\réкK\u212asSſ\ufffd")
	for range rounds {
		var expr strings.Builder
		for range 1 + r.IntN(5) {
			if r.IntN(8) == 0 && expr.Len() > 0 {
				expr.WriteByte('|')
			}
			expr.WriteString(atoms[r.IntN(len(atoms))] + marks[r.IntN(len(marks))])
		}
		if _, err := regexp.Compile(expr.String()); err != nil {
			continue
		}
		var text []byte
		for range r.IntN(60) {
			if r.IntN(30) == 0 {
				text = append(text, byte(0x80+r.IntN(0x80)))
				continue
			}
			text = utf8.AppendRune(text, letters[r.IntN(len(letters))])
		}
		q := Query{Patterns: []string{expr.String()}, Regexp: true, Word: r.IntN(4) == 0}
		if r.IntN(4) == 0 {
			q.Case = CaseInsensitive
		}
		got, want := matchingLines(t, q, string(text))
		if !slices.Equal(got, want) {
			t.Fatalf("%q word=%v case=%v in %q: lines %v, want %v", expr.String(), q.Word, q.Case, text, got, want)
		}
	}
}

func FuzzSearchEqualsRegexp(f *testing.F) {
	f.Add(`fo+\b|^$`, "foo\n\nbar")
	f.Add(`(?i)k.*\d$`, "K1\r\n\u212a9")
	f.Fuzz(func(t *testing.T, expr, text string) {
		if _, err := regexp.Compile(expr); err != nil || len(expr) > 100 || len(text) > 1000 {
			t.Skip("not an expression, or a long one")
		}
		got, want := matchingLines(t, Query{Patterns: []string{expr}, Regexp: true}, text)
		assert.Equal(t, want, got)
	})
}

func TestUTF8RangesMatchExactlyTheirRunes(t *testing.T) {
	for _, c := range [][2]rune{{0, 0x10ffff}, {'a', 'z'}, {0x7f, 0x80}, {0x7ff, 0x800}, {0x123, 0x4567}, {0xd000, 0xe100}, {0xfff0, 0x10010}, {0x10000, 0x10ffff}, {0x1f600, 0x1f64f}} {
		var seqs [][][2]byte
		splitUTF8(c[0], c[1], func(seq [][2]byte) { seqs = append(seqs, seq) })
		for r := rune(0); r <= utf8.MaxRune; r += 1 + r/97 {
			if !utf8.ValidRune(r) {
				continue
			}
			enc := utf8.AppendRune(nil, r)
			matches := 0
			for _, seq := range seqs {
				ok := len(seq) == len(enc)
				for i := range min(len(seq), len(enc)) {
					ok = ok && enc[i] >= seq[i][0] && enc[i] <= seq[i][1]
				}
				if ok {
					matches++
				}
			}
			want := 0
			if r >= c[0] && r <= c[1] {
				want = 1
			}
			assert.Equal(t, want, matches, "%U in %U", r, c)
		}
	}
}

func TestAutomatonWithoutRoomBeginsAnew(t *testing.T) {
	// Each position among the last ones makes a state of its own.
	expr := `[ab]*a[ab]{14}c`
	prog := compileBytes([]string{expr}, syntax.Perl&^syntax.OneLine)
	require.NotNil(t, prog)
	d := newLineDFA(prog)
	r := rand.New(rand.NewPCG(3, 4))
	var text []byte
	for range 200_000 {
		text = append(text, "ab"[r.IntN(2)])
	}
	text = append(text, "abbbbbbbbbbbbbbc\nxx"...)
	assert.Equal(t, len(text)-3, d.find(text, 0)-0)
	assert.Positive(t, d.clears)
	assert.LessOrEqual(t, len(d.states), maxDFAStates)
}
