package filesystem

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzEdit applies any edit to any text: what applies changes only lines that
// the old text covers, and what does not leaves the text as it was.
func FuzzEdit(f *testing.F) {
	for _, seed := range [][3]string{
		{"a\nb\nc\n", "b", "B"}, {"if x {  \n\ty()\t\n}\n", "if x {\n\ty()\n}", "z()"}, {"func f() {\n\tif x {\n\t\ty()\n\t}\n}\n", "if x {\n\ty()\n}\n", "if z {\n}\n"},
		{"a\r\nb\r\n", "a\nb", "x\ny"}, {"\ufeffa\n", "a", "b"}, {"x x x", "x", ""}, {"  a\n  a\n", "a\n", "b\n"}, {"\n\n\n", "\n\n", "x"}, {"a", "a\n", "b\n"},
	} {
		f.Add(seed[0], seed[1], seed[2], false, 0)
		f.Add(seed[0], seed[1], seed[2], true, 0)
		f.Add(seed[0], "", seed[2], false, 2)
	}
	f.Fuzz(func(t *testing.T, text, old, replacement string, all bool, line int) {
		if len(text)+len(old)+len(replacement) > 1<<12 {
			return
		}
		var r EditResult
		next, why := applyEdit(text, Edit{Old: old, New: replacement, All: all, Line: line}, &r)
		if why != "" {
			require.Empty(t, next)
			return
		}
		if old == "" {
			if line > 0 { // what was there is still there, around the new text
				kept := 0
				for kept < len(text) && kept < len(next) && text[kept] == next[kept] {
					kept++
				}
				rest := 0
				for rest < len(text)-kept && rest < len(next)-kept && text[len(text)-1-rest] == next[len(next)-1-rest] {
					rest++
				}
				assert.Equal(t, len(text), kept+rest, "%q became %q", text, next)
			}
			return
		}
		require.Positive(t, r.Replacements)
		switch count := strings.Count(text, old); {
		case count == 1 || count > 1 && all:
			if !usesCRLF(text) {
				assert.Equal(t, strings.ReplaceAll(text, old, replacement), next)
				assert.Equal(t, count, r.Replacements)
			}
		case count > 1:
			t.Errorf("%q occurs %d times in %q and was replaced", old, count, text)
		default: // a place that is nearly the same: the lines around it stay
			if r.Replacements == 1 && len(r.Notes) == 1 {
				places, _ := looseMatches(text, old)
				require.NotEmpty(t, places)
				assert.True(t, strings.HasPrefix(next, text[:places[0].start]))
				assert.True(t, strings.HasSuffix(next, text[places[0].end:]))
			}
		}
	})
}
