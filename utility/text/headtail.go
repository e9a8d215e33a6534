package text

import (
	"fmt"
	"unicode/utf8"
)

// HeadTail is an io.Writer of bounded memory: it keeps the first and the last
// bytes of what is written and counts the rest. The beginning of an output says
// what it is and the end usually holds the verdict.
//
// Make one with [NewHeadTail]. The zero value keeps nothing and only counts. It
// is not safe for concurrent use.
type HeadTail struct {
	headMax, tailMax int // headMax < 0: keep everything

	head  []byte
	tail  []byte // ring of tailMax bytes once it is full
	next  int    // where the ring is written next, when full
	total int64
}

// NewHeadTail returns a HeadTail that keeps limit bytes: half at the beginning,
// half at the end. A negative limit keeps everything.
func NewHeadTail(limit int) *HeadTail {
	if limit < 0 {
		return &HeadTail{headMax: -1}
	}
	return &HeadTail{headMax: limit / 2, tailMax: limit - limit/2}
}

// Write takes all of p and never fails.
func (h *HeadTail) Write(p []byte) (int, error) {
	n := len(p)
	h.total += int64(n)
	if h.headMax < 0 {
		h.head = append(h.head, p...)
		return n, nil
	}
	if room := h.headMax - len(h.head); room > 0 {
		k := min(room, len(p))
		h.head = append(h.head, p[:k]...)
		p = p[k:]
	}
	if over := len(p) - h.tailMax; over > 0 {
		p = p[over:]
	}
	if room := h.tailMax - len(h.tail); room > 0 {
		k := min(room, len(p))
		h.tail = append(h.tail, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := copy(h.tail[h.next:], p)
		h.next = (h.next + k) % h.tailMax
		p = p[k:]
	}
	return n, nil
}

// Len returns how many bytes were written, kept or not.
func (h *HeadTail) Len() int64 { return h.total }

// Dropped returns how many of them [HeadTail.Bytes] does not show. A rune that
// the cut would split counts as dropped as a whole.
func (h *HeadTail) Dropped() int64 {
	_, _, _, dropped := h.parts()
	return dropped
}

// Bytes returns what was kept, in a new slice. Where bytes are missing it holds
// a line that says how many: "[… 123 bytes dropped …]".
func (h *HeadTail) Bytes() []byte {
	head, a, b, dropped := h.parts()
	out := make([]byte, 0, len(head)+len(a)+len(b)+48)
	out = append(out, head...)
	if dropped > 0 {
		if len(head) > 0 && head[len(head)-1] != '\n' {
			out = append(out, '\n')
		}
		out = fmt.Appendf(out, "[… %d bytes dropped …]\n", dropped)
	}
	return append(append(out, a...), b...)
}

// String returns Bytes as a string.
func (h *HeadTail) String() string { return string(h.Bytes()) }

// parts returns the head, the tail in two pieces, and the number of bytes
// between them.
func (h *HeadTail) parts() (head, a, b []byte, dropped int64) {
	head, a, b = h.head, h.tail[h.next:], h.tail[:h.next]
	dropped = h.total - int64(len(h.head)) - int64(len(h.tail))
	if dropped == 0 {
		return head, a, b, 0
	}
	if cut := partialEnd(head); cut > 0 {
		head = head[:len(head)-cut]
		dropped += int64(cut)
	}
	for range utf8.UTFMax - 1 {
		if len(a) == 0 {
			a, b = b, nil
		}
		if len(a) == 0 || utf8.RuneStart(a[0]) {
			break
		}
		a = a[1:]
		dropped++
	}
	return head, a, b, dropped
}

// partialEnd returns the number of bytes at the end of p that begin a rune
// without completing it.
func partialEnd(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if c := p[len(p)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(p[len(p)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
