package text

import (
	"slices"
	"strings"
)

// Quote joins words to a command line of a POSIX shell that means exactly these
// words. Words that need no quotes get none.
func Quote(words ...string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		quoteWord(&b, w, i == 0)
	}
	return b.String()
}

// reserved are the words that begin a construct of some shell when they come
// first and unquoted; those with other characters than letters are quoted
// anyway.
var reserved = []string{
	"case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function",
	"if", "in", "namespace", "select", "then", "time", "until", "while",
}

// quoteWord writes one word. An unquoted first word with '=' would be an
// assignment.
func quoteWord(b *strings.Builder, w string, first bool) {
	if w != "" && !(first && (strings.Contains(w, "=") || slices.Contains(reserved, w))) && strings.IndexFunc(w, needsQuote) < 0 {
		b.WriteString(w)
		return
	}
	b.WriteByte('\'')
	for {
		before, after, found := strings.Cut(w, "'")
		b.WriteString(before)
		if !found {
			break
		}
		b.WriteString(`'\''`)
		w = after
	}
	b.WriteByte('\'')
}

// needsQuote reports whether r could mean something to a shell. '~' and '='
// matter only in places that callers may build on, so '~' is quoted always and
// '=' only where it assigns.
func needsQuote(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_./:,+@%=", r)
}
