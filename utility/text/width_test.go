package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

const family = "👨\u200d👩\u200d👧" // one character of five code points

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "abc": 3, "世界x": 5, "e\u0301": 1, "e\u0301e": 2, family: 2, "🇩🇪🇫🇷": 4, "각": 2,
		"\t": 8, "a\tb": 10, "\x1b[1mb": 4, "\x00\x01": 0, "\xff\xfe": 2, "\u200b": 0,
	} {
		assert.Equal(t, want, text.Width(s), "%q", s)
	}
}

func TestTruncate(t *testing.T) {
	for _, c := range []struct {
		s           string
		width       int
		end, middle string
	}{
		{"abc", 3, "abc", "abc"},
		{"abcdef", 3, "ab…", "a…f"},
		{"abcdef0123ef", 5, "abcd…", "ab…ef"},
		{"abc", 1, "…", "…"},
		{"abc", 0, "", ""},
		{"abc", -1, "", ""},
		{"", 5, "", ""},
		{"世界世界", 4, "世…", "…界"},
		{"世界世界", 5, "世界…", "世…界"},
		{"世界", 1, "…", "…"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301…", "e\u0301…e\u0301"},
		{family + "abcd" + family, 5, family + "ab…", family + "…" + family},
		{"🇩🇪🇫🇷🇮🇹", 4, "🇩🇪…", "…🇮🇹"},
		{"a\tb\tc", 10, "a\t…", "a…c"},
		{"a\tb\tc", 11, "a\tb…", "a…\tc"},
		{"src/very/long/path/file.go", 12, "src/very/lo…", "src/v…ile.go"},
		{"a\u0301\u0302\u0303", 1, "a\u0301\u0302\u0303", "a\u0301\u0302\u0303"},
	} {
		assert.Equal(t, c.end, text.Truncate(c.s, c.width), "%q to %d", c.s, c.width)
		assert.Equal(t, c.middle, text.TruncateMiddle(c.s, c.width), "the middle of %q to %d", c.s, c.width)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		name, s string
		width   int
		want    string
	}{
		{"fits", "as is", 5, "as is"},
		{"no width", "as is", 0, "as is"},
		{"words", "a long line", 6, "a long\nline"},
		{"empty lines stay", "a long line\n\nb\n", 6, "a long\nline\n\nb\n"},
		{"a long word is broken on lines of its own", "x brokenword y", 6, "x\nbroken\nword y"},
		{"indentation is kept", "  - one two three", 9, "  - one\n  two\n  three"},
		{"tabs indent as well", "\tone two", 13, "\tone\n\ttwo"},
		{"indentation without room goes", "          one two", 4, "one\ntwo"},
		{"inner spacing is kept", "a   b   c   d", 9, "a   b   c\nd"},
		{"a line that fits keeps its spaces", "  a  \nbb cc", 5, "  a  \nbb cc"},
		{"white space alone", "          ", 4, ""},
		{"space at the end goes", "abc def    ", 5, "abc\ndef"},
		{"Windows line ends", "one two\r\nthree\r\n", 5, "one\r\ntwo\r\nthree\r\n"},
		{"spaces that hold words together", "a 10\u00a0kg b", 5, "a\n10\u00a0kg\nb"},
		{"wide characters", "世界 世界世界", 5, "世界\n世界\n世界"},
		{"wider than the width", "世x", 1, "世\nx"},
		{"combining marks stay", "e\u0301e\u0301e\u0301", 2, "e\u0301e\u0301\ne\u0301"},
		{"emoji stay whole", family + family, 3, family + "\n" + family},
	} {
		assert.Equal(t, c.want, text.Wrap(c.s, c.width), c.name)
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func FuzzWidthsAreKept(f *testing.F) {
	for _, s := range []string{"héllo 世界 🙂 e\u0301", "\ta b\tc\r\nd", family + " 🇩🇪🇫🇷", "a\x01\u0301b \ufe0f\ufe0fx", "\u0600\u0600…\n\u0600 ab", "\xff\xc3 \xe4\xb8", "  indented text that is long", "1\ufe0f\u20e3 क्ष"} {
		for _, n := range []int{1, 2, 5, 9} {
			f.Add(s, n)
		}
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		if width < -1 || width > 100 {
			return
		}
		end, middle, wrapped := text.Truncate(s, width), text.TruncateMiddle(s, width), text.Wrap(s, width)
		if utf8.ValidString(s) {
			for _, r := range []string{end, middle, wrapped} {
				assert.True(t, utf8.ValidString(r), "%q", r)
			}
		}
		assert.Equal(t, squeeze(s), squeeze(wrapped), "wrapping loses nothing")
		if width <= 0 {
			assert.Empty(t, end+middle)
			return
		}
		for _, r := range []string{end, middle} {
			assert.LessOrEqual(t, text.Width(r), width, "%q", r)
			if text.Width(s) <= width {
				assert.Equal(t, s, r)
			} else {
				assert.Contains(t, r, "…")
			}
		}
		if width < 9 { // a tab or a wide character may exceed it alone
			return
		}
		for line := range strings.SplitSeq(wrapped, "\n") {
			assert.LessOrEqual(t, text.Width(line), width, "%q of %q", line, s)
		}
	})
}

func TestHugeLinesTakeLinearTime(t *testing.T) {
	for _, unit := range []string{"word ", "世", "e\u0301", "\t", "\u0600", "\u0301", " ", "\x00", family} {
		s := strings.Repeat(unit, 1<<20/len(unit))
		assert.LessOrEqual(t, text.Width(text.Truncate(s, 40)), 40)
		assert.LessOrEqual(t, text.Width(text.TruncateMiddle(s, 40)), 40)
		assert.NotNil(t, text.Wrap(s, 40))
	}
}
