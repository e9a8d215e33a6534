package filesystem

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// finder finds a literal. It looks for the literal's rarest byte with the
// processor's vector instructions and compares the rest where that occurs; where
// that is too often, and when case does not count, it looks for two bytes at
// their distance, eight places at a time.
type finder struct {
	text []byte // in lower case with fold
	fold bool   // ASCII letters match in either case

	rare, second int    // offsets of the bytes that are looked for
	first, other uint64 // those bytes, in each of eight places
	lower        uint64 // what makes letters lower case, with fold
}

const (
	eachByte = 0x0101010101010101
	eachHigh = 0x8080808080808080
)

func newFinder(text string, fold bool) finder {
	f := finder{text: []byte(text), fold: fold}
	if fold {
		f.lower = 0x20 * eachByte // other bytes than letters meet too, and are compared
		for i, c := range f.text {
			f.text[i] = foldByte(c, true)
		}
	}
	rank := func(i int) int {
		c := f.text[i]
		if up := upperByte(c); fold && up != c {
			return int(max(byteRank[c], byteRank[up])) + 1
		}
		return int(byteRank[c])
	}
	for i := range f.text {
		if rank(i) < rank(f.rare) {
			f.rare = i
		}
	}
	if f.rare == 0 {
		f.second = len(f.text) - 1
	}
	for i := range f.text {
		if i != f.rare && rank(i) < rank(f.second) {
			f.second = i
		}
	}
	f.first = uint64(f.text[f.rare])*eachByte | f.lower
	f.other = uint64(f.text[f.second])*eachByte | f.lower
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
		return f.indexPair(buf, from)
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
		if tries == 16 && n > 1 {
			if span := at - from; span < tries*64 { // the byte is not rare here
				return f.indexPair(buf, at-f.rare)
			}
			from, tries = at, 0
		}
	}
	return -1
}

// indexPair is index by two bytes. A byte of x is zero where both match; the
// lowest one that the subtraction finds is zero indeed, those above it may
// differ by a borrow and are compared all the same.
func (f *finder) indexPair(buf []byte, from int) int {
	const step = 16
	at, last := from, len(buf)-len(f.text)
	for limit := len(buf) - step - max(f.rare, f.second); at <= limit; at += step {
		p, q := buf[at+f.rare:][:step], buf[at+f.second:][:step]
		x := (binary.LittleEndian.Uint64(p) | f.lower) ^ f.first | (binary.LittleEndian.Uint64(q) | f.lower) ^ f.other
		y := (binary.LittleEndian.Uint64(p[8:]) | f.lower) ^ f.first | (binary.LittleEndian.Uint64(q[8:]) | f.lower) ^ f.other
		x = (x - eachByte) &^ x & eachHigh
		y = (y - eachByte) &^ y & eachHigh
		if x|y == 0 {
			continue
		}
		for ; x != 0; x &= x - 1 {
			if i := at + bits.TrailingZeros64(x)/8; i <= last && f.at(buf[i:]) {
				return i
			}
		}
		for ; y != 0; y &= y - 1 {
			if i := at + 8 + bits.TrailingZeros64(y)/8; i <= last && f.at(buf[i:]) {
				return i
			}
		}
	}
	for ; at <= last; at++ {
		if f.at(buf[at:]) {
			return at
		}
	}
	return -1
}

// at reports whether the literal stands at the beginning of buf, which must be
// as long.
func (f *finder) at(buf []byte) bool {
	if f.fold {
		return equalFoldedBytes(buf[:len(f.text)], f.text)
	}
	return string(buf[:len(f.text)]) == string(f.text)
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
