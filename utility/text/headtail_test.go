package text_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

func TestHeadTailKeepsBothEnds(t *testing.T) {
	for _, c := range []struct {
		name    string
		limit   int
		writes  []string
		want    string
		dropped int64
	}{
		{"nothing", 8, nil, "", 0},
		{"below the limit", 8, []string{"abc", "de"}, "abcde", 0},
		{"at the limit", 8, []string{"abcdefgh"}, "abcdefgh", 0},
		{"one write", 4, []string{"0123456789"}, "01\n[… 6 bytes dropped …]\n89", 6},
		{"byte by byte", 4, strings.Split("0123456789", ""), "01\n[… 6 bytes dropped …]\n89", 6},
		{"head ends its line", 4, []string{"a\nbbbbbz\n"}, "a\n[… 5 bytes dropped …]\nz\n", 5},
		{"odd limit", 3, []string{"abcdef"}, "a\n[… 3 bytes dropped …]\nef", 3},
		{"limit of one", 1, []string{"abc"}, "[… 2 bytes dropped …]\nc", 2},
		{"limit of none", 0, []string{"abc"}, "[… 3 bytes dropped …]\n", 3},
		{"no limit", -1, []string{"abc", "def"}, "abcdef", 0},
		{"runes are not split", 6, []string{"éééééé"}, "é\n[… 8 bytes dropped …]\né", 8},
		{"split runes written in parts stay whole below the limit", 6, []string{"a\xc3", "\xa9b"}, "aéb", 0},
		{"what is not UTF-8 stays", 4, []string{"\xff\xff\xff\xff\xff\xff"}, "\xff\xff\n[… 2 bytes dropped …]\n\xff\xff", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := text.NewHeadTail(c.limit)
			total := 0
			for _, w := range c.writes {
				n, err := h.Write([]byte(w))
				require.NoError(t, err)
				assert.Equal(t, len(w), n)
				total += n
			}
			assert.Equal(t, c.want, h.String())
			assert.Equal(t, c.dropped, h.Dropped())
			assert.EqualValues(t, total, h.Len())
			assert.Equal(t, c.want, string(h.Bytes()), "reading changes nothing")
		})
	}
	var zero text.HeadTail
	_, err := zero.Write([]byte("abc"))
	require.NoError(t, err)
	assert.EqualValues(t, 3, zero.Dropped())
}

func TestHeadTailEqualsTheObviousAlgorithm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		limit := rng.IntN(40)
		h, all := text.NewHeadTail(limit), ""
		for range rng.IntN(12) {
			w := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(30))
			_, _ = h.Write([]byte(w))
			all += w
			if len(all) <= limit {
				require.Equal(t, all, h.String())
				continue
			}
			head, tail := all[:limit/2], all[len(all)-(limit-limit/2):]
			got := h.String()
			require.True(t, strings.HasPrefix(got, head) && strings.HasSuffix(got, tail), "%q of %q", got, all)
			require.EqualValues(t, len(all)-limit, h.Dropped())
		}
	}
}

func FuzzHeadTailNeverSplitsARune(f *testing.F) {
	f.Add("héllo wörld, 世界 🙂🙂🙂", 7)
	f.Add("\xf0\x9f\x99", 2)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit > 1<<16 {
			return
		}
		h := text.NewHeadTail(limit)
		_, _ = h.Write([]byte(s))
		if utf8.ValidString(s) {
			assert.True(t, utf8.ValidString(h.String()))
		}
		assert.EqualValues(t, len(s), h.Len())
		assert.LessOrEqual(t, h.Dropped(), int64(len(s)))
	})
}

func BenchmarkHeadTailWrite(b *testing.B) {
	h, p := text.NewHeadTail(1<<20), make([]byte, 32<<10)
	for range 100 {
		_, _ = h.Write(p)
	}
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = h.Write(p)
	}
}
