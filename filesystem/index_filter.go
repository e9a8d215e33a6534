package filesystem

import (
	"bytes"
	"math/bits"
)

// bitsPerGram is the room that a filter has for each gram.
const bitsPerGram = 5

// contains reports whether a file may contain one of the texts, of which each is
// given by its grams.
func (c *fileContent) contains(texts [][]gram) bool {
	for _, text := range texts {
		all := true
		for _, g := range text {
			if at := g.bit(len(c.filter)); c.filter[at>>6]&(1<<(at&63)) == 0 {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

// gram stands for three or four bytes in a row, by a hash of 24 bits. Letters
// count in lower case, so that one index serves both kinds of searches.
type gram uint32

const gramBits = 24

func gram3(bytes uint32) gram { return gram(bytes * 0x85ebca6b >> (32 - gramBits)) }
func gram4(bytes uint32) gram { return gram(bytes * 0x9e3779b1 >> (32 - gramBits)) }

// bit returns which bit the gram sets in a filter of so many words.
func (g gram) bit(words int) uint64 {
	at, _ := bits.Mul64(uint64(g)<<(64-gramBits), uint64(words)*64)
	return at
}

var lowered = func() (t [256]byte) {
	for i := range t {
		t[i] = foldByte(byte(i), true)
	}
	return t
}()

// required returns the grams of the texts of which one must be in a file that
// matches, or nil when any file may.
func (m *matcher) required() [][]gram {
	var out [][]gram
	for _, f := range m.finders {
		var grams []gram
		for line := range bytes.SplitSeq(f.text, newline) {
			for end := 3; end <= len(line); end++ {
				last := uint32(0)
				for _, c := range line[max(0, end-4):end] {
					last = last>>8 | uint32(lowered[c])<<24
				}
				if end > 3 {
					grams = append(grams, gram4(last))
				}
				grams = append(grams, gram3(last>>8))
			}
		}
		if len(grams) == 0 {
			return nil
		}
		out = append(out, grams)
	}
	return out
}

// gramSet collects the different grams of one file after the other.
type gramSet struct {
	seen [1 << gramBits / 64]uint64 // a bit for each gram
	list []gram
}

// add collects the grams of whole lines.
func (s *gramSet) add(text []byte) {
	last, length := uint32(0), 0
	for _, c := range text {
		if c == '\n' {
			length = 0
			continue
		}
		last = last>>8 | uint32(lowered[c])<<24
		if length++; length >= 3 {
			s.see(gram3(last >> 8))
		}
		if length >= 4 {
			s.see(gram4(last))
		}
	}
}

func (s *gramSet) see(g gram) {
	if word, bit := &s.seen[g>>6], uint64(1)<<(g&63); *word&bit == 0 {
		*word |= bit
		s.list = append(s.list, g)
	}
}

// filter makes the filter of what was collected and forgets it.
func (s *gramSet) filter() []uint64 {
	filter := make([]uint64, max(1, (len(s.list)*bitsPerGram+63)/64))
	for _, g := range s.list {
		at := g.bit(len(filter))
		filter[at>>6] |= 1 << (at & 63)
	}
	s.forget()
	return filter
}

// forget begins anew.
func (s *gramSet) forget() {
	for _, g := range s.list {
		s.seen[g>>6] &^= 1 << (g & 63)
	}
	s.list = s.list[:0]
}
