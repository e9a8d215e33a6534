package filesystem

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzFinder finds each occurrence of a text, as bytes.Index does.
func FuzzFinder(f *testing.F) {
	for _, seed := range [][2]string{{"a", "banana"}, {"reader", strings.Repeat("d r e reade reader Reader ", 9)}, {"@[", "`{@["}, {"\xff\x00", "\x00\xff\x00\xff"}, {"aaaa", strings.Repeat("a", 70)}, {"_x", "_X_x"}} {
		f.Add(seed[0], seed[1], 0)
		f.Add(seed[0], seed[1], 3)
	}
	f.Fuzz(func(t *testing.T, text, data string, from int) {
		if text == "" || from < 0 || from > len(data) {
			return
		}
		lower := func(s string) []byte {
			b := []byte(s)
			for i, c := range b {
				b[i] = foldByte(c, true)
			}
			return b
		}
		for _, fold := range []bool{false, true} {
			in, want := []byte(data), []byte(text)
			if fold {
				in, want = lower(data), lower(text)
			}
			finder := newFinder(text, fold)
			for at := from; at <= len(data); at++ {
				expected := bytes.Index(in[at:], want)
				if expected >= 0 {
					expected += at
				}
				assert.Equal(t, expected, finder.index([]byte(data), at))
				assert.Equal(t, expected, finder.indexPair([]byte(data), at))
			}
		}
	})
}
