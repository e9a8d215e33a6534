package filesystem

import (
	"bytes"
	"cmp"
	"slices"
)

// finder finds a literal. It looks for the literal's rarest byte with the
// processor's vector instructions and compares the rest where that occurs.
type finder struct {
	text  []byte // in lower case with fold
	fold  bool   // ASCII letters match in either case
	rare  int    // offset of the byte that is looked for
	other byte   // its upper case with fold, or the same
}

func newFinder(text string, fold bool) finder {
	f := finder{text: []byte(text), fold: fold}
	if fold {
		for i, c := range f.text {
			f.text[i] = foldByte(c, true)
		}
	}
	best := 256 * 2
	for i, c := range f.text {
		rank := int(byteRank[c])
		if up := upperByte(c); fold && up != c {
			rank = max(rank, int(byteRank[up])) + 1
		}
		if rank < best {
			best, f.rare = rank, i
		}
	}
	f.other = f.text[f.rare]
	if fold {
		f.other = upperByte(f.other)
	}
	return f
}

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// index returns where the literal first occurs in buf at or after from, or -1.
func (f *finder) index(buf []byte, from int) int {
	if f.fold {
		return f.indexFold(buf, from)
	}
	n, c := len(f.text), f.text[f.rare]
	at := from + f.rare
	last := len(buf) - (n - f.rare) // the last place where the rare byte can be
	for tries := 0; at <= last; tries++ {
		i := bytes.IndexByte(buf[at:last+1], c)
		if i < 0 {
			return -1
		}
		at += i
		start := at - f.rare
		if string(buf[start:start+n]) == string(f.text) {
			return start
		}
		at++
		if tries == 64 && n > 1 {
			// The byte is not rare here. The general search is slower per
			// byte and does not stop so often.
			if span := at - from; span < tries*24 {
				if i := bytes.Index(buf[at-f.rare:], f.text); i >= 0 {
					return at - f.rare + i
				}
				return -1
			}
			from, tries = at, 0
		}
	}
	return -1
}

func (f *finder) indexFold(buf []byte, from int) int {
	n, low, up := len(f.text), f.text[f.rare], f.other
	at := from + f.rare
	last := len(buf) - (n - f.rare)
	if at > last {
		return -1
	}
	buf = buf[:last+n-f.rare]
	nextLow, nextUp := -1, -1
	for at <= last {
		if nextLow < at {
			if nextLow = bytes.IndexByte(buf[at:last+1], low); nextLow < 0 {
				nextLow = last + 1
			} else {
				nextLow += at
			}
		}
		if nextUp < at {
			switch {
			case low == up:
				nextUp = last + 1
			default:
				// Not further than the other one, which may be near.
				stop := min(last+1, max(nextLow, at+4096))
				if nextUp = bytes.IndexByte(buf[at:stop], up); nextUp < 0 {
					nextUp = stop
				} else {
					nextUp += at
				}
			}
		}
		at = min(nextLow, nextUp)
		if at > last {
			return -1
		}
		if start := at - f.rare; (buf[at] == low || buf[at] == up) && equalFoldedBytes(buf[start:start+n], f.text) {
			return start
		}
		at++
	}
	return -1
}

// equalFoldedBytes compares s with a text in lower case of the same length.
func equalFoldedBytes(s, folded []byte) bool {
	for i, c := range folded {
		if foldByte(s[i], true) != c {
			return false
		}
	}
	return true
}

func sortSpans(spans []Span) {
	slices.SortFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
}

// byteRank ranks bytes by how often they occur in source code and prose; the
// lower, the rarer.
var byteRank = func() (rank [256]uint8) {
	// From frequent to rare; what is not listed is rarer still.
	const order = " etnairsolcduf\nmph\tg.b,_()yv\"wkS/=TE:x-CAIN0RP1*DFLO;MB{}2U[]Gj'3qzV4>HW<X56&!89+7K|Y#$\\`Q@JZ%?^~\r"
	for i := range rank {
		rank[i] = 20
	}
	rank[0] = 60
	for i := range len(order) {
		rank[order[i]] = uint8(250 - 2*i)
	}
	return rank
}()
