package testing

import (
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// bound makes output valid text of at most limit bytes, from its beginning and
// its end.
func bound(output string, dropped int64, limit int) (string, int64) {
	output = strings.ToValidUTF8(output, "\uFFFD")
	if len(output) <= limit {
		return output, dropped
	}
	kept := text.NewHeadTail(limit)
	_, _ = kept.Write([]byte(output))
	return strings.ToValidUTF8(kept.String(), ""), dropped + kept.Dropped()
}

// failuresFirst puts the output of failing cases before the rest, so that it is
// what a bound keeps.
func failuresFirst(failures []Case, rest string, limit int) (string, int64) {
	if len(failures) == 0 {
		return bound(rest, 0, limit)
	}
	var b strings.Builder
	var dropped int64
	share := max(limit*3/4/len(failures), 512)
	for i, c := range failures {
		if b.Len() > limit*3/4 {
			fmt.Fprintf(&b, "… and %d more failing cases\n", len(failures)-i)
			for _, c := range failures[i:] {
				dropped += int64(len(c.Output))
			}
			break
		}
		out, d := bound(c.Output, 0, share)
		dropped += d
		fmt.Fprintf(&b, "=== %s: %s\n%s", c.ID(), c.Status, out)
		if out != "" && !strings.HasSuffix(out, "\n") {
			b.WriteByte('\n')
		}
	}
	rest, d := bound(rest, 0, max(limit-b.Len(), 1024))
	if strings.TrimSpace(rest) != "" {
		b.WriteString("=== output\n" + rest)
	}
	return b.String(), dropped + d
}
