package filesystem

import (
	"regexp/syntax"
	"unicode/utf8"
)

// byteProg is a regular expression as a program over bytes instead of runes.
// It is what the automaton in dfa.go is made of.
type byteProg struct {
	insts   []byteInst
	start   uint32
	classes [256]uint8 // bytes that no instruction tells apart have one class
	reps    []byte     // a byte of each class
}

type byteOp uint8

const (
	byteFail  byteOp = iota
	byteRange        // a byte from lo to hi, then out
	byteAlt          // out or arg
	byteEmpty        // when the conditions in arg hold, out
	byteMatch
)

type byteInst struct {
	op       byteOp
	lo, hi   byte
	out, arg uint32
}

// maxByteInsts bounds a program. Larger ones are left to package regexp.
const maxByteInsts = 20_000

// compileBytes compiles expressions, of which any may match. It returns nil for
// what does not fit into a program.
func compileBytes(exprs []string, flags syntax.Flags) *byteProg {
	p := &byteProg{insts: []byteInst{{op: byteFail}}}
	var starts []uint32
	for _, expr := range exprs {
		re, err := syntax.Parse(expr, flags)
		if err != nil {
			return nil
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil || !p.add(prog, &starts) {
			return nil
		}
	}
	p.start = starts[0]
	for _, s := range starts[1:] {
		p.start = p.emit(byteInst{op: byteAlt, out: p.start, arg: s})
	}
	p.classify()
	return p
}

func (p *byteProg) emit(i byteInst) uint32 {
	p.insts = append(p.insts, i)
	return uint32(len(p.insts) - 1)
}

// add translates a program of package syntax. Each of its instructions gets a
// place first, because they refer to each other.
func (p *byteProg) add(prog *syntax.Prog, starts *[]uint32) bool {
	base := uint32(len(p.insts))
	at := func(pc uint32) uint32 { return base + pc }
	p.insts = append(p.insts, make([]byteInst, len(prog.Inst))...)
	*starts = append(*starts, at(uint32(prog.Start)))
	for pc := range prog.Inst {
		in := &prog.Inst[pc]
		var out byteInst
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			out = byteInst{op: byteAlt, out: at(in.Out), arg: at(in.Arg)}
		case syntax.InstCapture, syntax.InstNop:
			out = byteInst{op: byteEmpty, out: at(in.Out)}
		case syntax.InstEmptyWidth:
			out = byteInst{op: byteEmpty, out: at(in.Out), arg: in.Arg}
		case syntax.InstMatch:
			out = byteInst{op: byteMatch}
		case syntax.InstFail:
			out = byteInst{op: byteFail}
		default:
			heads := p.runes(in, at(in.Out))
			if len(p.insts) > maxByteInsts {
				return false
			}
			out = byteInst{op: byteFail}
			for i, head := range heads {
				if i == 0 {
					out = byteInst{op: byteEmpty, out: head}
				} else {
					out = byteInst{op: byteAlt, out: head, arg: p.emit(out)}
				}
			}
		}
		p.insts[base+uint32(pc)] = out
	}
	return true
}

// runes translates an instruction that matches one rune and returns where its
// alternatives begin.
func (p *byteProg) runes(in *syntax.Inst, out uint32) []uint32 {
	var ranges []rune
	switch in.Op {
	case syntax.InstRuneAny:
		ranges = []rune{0, utf8.MaxRune}
	case syntax.InstRuneAnyNotNL:
		ranges = []rune{0, '\n' - 1, '\n' + 1, utf8.MaxRune}
	default:
		ranges = in.Rune
		if len(ranges) == 1 {
			ranges = []rune{ranges[0], ranges[0]}
			if syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
				ranges = foldOrbit(in.Rune[0])
			}
		}
	}
	var heads []uint32
	for i := 0; i+1 < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if lo <= utf8.RuneError && utf8.RuneError <= hi {
			// So does each byte that is not UTF-8. This takes the bytes of
			// valid runes too; whoever needs it exactly looks again.
			heads = append(heads, p.emit(byteInst{op: byteRange, lo: 0x80, hi: 0xff, out: out}))
		}
		splitUTF8(lo, hi, func(seq [][2]byte) {
			next := out
			for i := len(seq) - 1; i >= 0; i-- {
				next = p.emit(byteInst{op: byteRange, lo: seq[i][0], hi: seq[i][1], out: next})
			}
			heads = append(heads, next)
		})
	}
	return heads
}

// foldOrbit returns the runes that equal r when case does not count, as ranges.
func foldOrbit(r rune) []rune {
	out := []rune{r, r}
	for f := simpleFoldNext(r); f != r; f = simpleFoldNext(f) {
		out = append(out, f, f)
	}
	return out
}

// splitUTF8 yields sequences of byte ranges that together match exactly the
// encodings of the runes from lo to hi.
func splitUTF8(lo, hi rune, yield func(seq [][2]byte)) {
	for _, limit := range [...]rune{0x7f, 0x7ff, 0xd7ff, 0xdfff, 0xffff} {
		if lo > hi {
			return
		}
		if lo > limit {
			continue
		}
		end := min(hi, limit)
		if limit != 0xdfff { // surrogates have no encoding
			splitLength(lo, end, yield)
		}
		lo = end + 1
	}
	if lo <= hi {
		splitLength(lo, hi, yield)
	}
}

// splitLength splits a range of runes whose encodings are equally long, so that
// each byte but the first differing one covers all of its values.
func splitLength(lo, hi rune, yield func(seq [][2]byte)) {
	n := utf8.RuneLen(lo)
	for i := 1; i < n; i++ {
		mask := rune(1)<<(6*i) - 1 // what the last i bytes encode
		if lo&^mask == hi&^mask {
			continue
		}
		if lo&mask != 0 {
			splitLength(lo, lo|mask, yield)
			splitLength((lo|mask)+1, hi, yield)
			return
		}
		if hi&mask != mask {
			splitLength(lo, hi&^mask-1, yield)
			splitLength(hi&^mask, hi, yield)
			return
		}
	}
	var a, b [utf8.UTFMax]byte
	utf8.EncodeRune(a[:], lo)
	utf8.EncodeRune(b[:], hi)
	seq := make([][2]byte, n)
	for i := range seq {
		seq[i] = [2]byte{a[i], b[i]}
	}
	yield(seq)
}

// classify finds out which bytes the program tells apart.
func (p *byteProg) classify() {
	var starts [257]bool
	mark := func(lo, hi byte) { starts[lo], starts[int(hi)+1] = true, true }
	words := false
	for _, in := range p.insts {
		switch in.op {
		case byteRange:
			mark(in.lo, in.hi)
		case byteEmpty:
			words = words || syntax.EmptyOp(in.arg)&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0
		}
	}
	mark('\n', '\n')
	mark('\r', '\r')
	if words {
		mark('0', '9')
		mark('A', 'Z')
		mark('_', '_')
		mark('a', 'z')
	}
	starts[0] = true
	for b := range 256 {
		if starts[b] {
			p.reps = append(p.reps, byte(b))
		}
		p.classes[b] = uint8(len(p.reps) - 1)
	}
}
