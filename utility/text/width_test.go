package text_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

func TestWidths(t *testing.T) {
	assert.Equal(t, 5, text.Width("世界x"))
	assert.Equal(t, "ab…", text.Truncate("abcdef", 3))
	assert.Equal(t, "abc", text.Truncate("abc", 3))
	assert.Equal(t, "世…", text.Truncate("世界世界", 4))
	assert.Empty(t, text.Truncate("abc", 0))
	assert.Equal(t, "ab…ef", text.TruncateMiddle("abcdef0123ef", 5))
	assert.Equal(t, "abc", text.TruncateMiddle("abc", 3))
	assert.Equal(t, "…", text.TruncateMiddle("abc", 1))
	assert.Empty(t, text.TruncateMiddle("abc", -1))
	assert.Equal(t, "a long\nline\n\nbroken\nword", text.Wrap("a long line\n\nbrokenword", 6))
	assert.Equal(t, "as is", text.Wrap("as is", 0))
}

func FuzzWidthsAreKept(f *testing.F) {
	f.Add("héllo 世界 🙂 e\u0301", 5)
	f.Fuzz(func(t *testing.T, s string, width int) {
		if width < 2 || width > 100 {
			return
		}
		assert.LessOrEqual(t, text.Width(text.Truncate(s, width)), width)
		assert.Equal(t, strings.Join(strings.Fields(s), ""), strings.Join(strings.Fields(text.Wrap(s, width)), ""), "wrapping loses nothing")
		_ = text.TruncateMiddle(s, width)
	})
}

func TestHuman(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1<<20 - 1: "1 MiB", 3 << 30: "3 GiB", math.MaxInt64: "8 EiB", -2048: "-2 KiB"} {
		assert.Equal(t, want, text.Bytes(n))
	}
	for d, want := range map[time.Duration]string{0: "0s", 850 * time.Millisecond: "850ms", 1234 * time.Millisecond: "1.23s", 125 * time.Second: "2m5s", 200 * time.Minute: "3h20m"} {
		assert.Equal(t, want, text.Duration(d))
	}
	assert.Empty(t, text.Table(nil, nil))
}

func ExampleTable() {
	fmt.Print(text.Table([]string{"name", "note"}, [][]string{{"世界", "a|b"}, {"x"}}))
	// Output:
	// | name | note |
	// | ---- | ---- |
	// | 世界 | a\|b |
	// | x    |      |
}
