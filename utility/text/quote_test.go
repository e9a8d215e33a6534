package text_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

var quoted = []struct {
	words []string
	want  string
}{
	{nil, ""},
	{[]string{"go", "test", "./...", "-run=^TestA$"}, `go test ./... '-run=^TestA$'`},
	{[]string{"", "a b", "it's", "'"}, `'' 'a b' 'it'\''s' ''\'''`},
	{[]string{"$(rm -rf /)", "`x`", "a;b", "a\nb", "~", "*", "!x", "#c", "{a,b}", "\\"},
		"'$(rm -rf /)' '`x`' 'a;b' 'a\nb' '~' '*' '!x' '#c' '{a,b}' '\\'"},
	{[]string{"A=1", "B=2"}, `'A=1' B=2`},
	{[]string{"time", "if"}, `'time' if`},
	{[]string{"äöü", "世界"}, `'äöü' '世界'`},
	{[]string{"\xff\xfe"}, "'\xff\xfe'"},
}

func TestQuote(t *testing.T) {
	for _, c := range quoted {
		assert.Equal(t, c.want, text.Quote(c.words...))
	}
}

func FuzzQuoteMeansTheSameToAShell(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("needs sh(1)")
	}
	for _, c := range quoted {
		f.Add(strings.Join(c.words, "\x00"))
	}
	f.Fuzz(func(t *testing.T, joined string) {
		words := strings.Split(joined, "\x00")
		out, err := exec.Command(sh, "-c", `printf '%s\0' `+text.Quote(words...)).Output()
		require.NoError(t, err)
		assert.Equal(t, joined+"\x00", string(out))
	})
}
