package filesystem

import (
	"bytes"
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode"
)

func simpleFoldNext(r rune) rune { return unicode.SimpleFold(r) }

// lineDFA finds lines in which a program matches. It is an automaton whose
// states are made when they are first reached, each from the set of
// instructions that are waiting for the next byte. Conditions such as "end of
// line" depend on two neighbouring bytes, so they are decided when the second is
// known, one byte late.
//
// A lineDFA belongs to one worker.
type lineDFA struct {
	prog   *byteProg
	stride int     // number of classes
	next   []int32 // state and class to the next state, or one of the marks
	states []dfaState
	byKey  map[string]int32
	clears int

	// Room to compute a state in.
	stack []uint32
	seen  []uint32 // generation in which an instruction was visited
	round uint32
	set   []uint32
	key   []byte
}

// dfaState is a set of instructions and what is known of the byte before.
type dfaState struct {
	insts  []uint32
	before dfaBefore
}

type dfaBefore uint8

const (
	beforeLine dfaBefore = 1 << iota // the line begins here
	beforeWord                       // the byte before is part of a word
)

const (
	dfaUnknown int32 = -1
	dfaMatched int32 = -2

	// maxDFAStates bounds the memory of an automaton; beyond, it starts anew.
	maxDFAStates = 4096

	// maxDFAClears is the number of new beginnings after which an expression
	// counts as too large for the automaton.
	maxDFAClears = 64
)

func newLineDFA(prog *byteProg) *lineDFA {
	d := &lineDFA{prog: prog, stride: len(prog.reps), seen: make([]uint32, len(prog.insts))}
	d.clear()
	return d
}

func (d *lineDFA) clear() {
	d.next, d.states, d.byKey = d.next[:0], d.states[:0], make(map[string]int32)
	d.state(nil, beforeLine)
}

// usable reports whether the automaton still pays.
func (d *lineDFA) usable() bool { return d.clears < maxDFAClears }

// find returns a position in the first line at or after pos that matches, or
// -1. pos must be the beginning of a line.
func (d *lineDFA) find(buf []byte, pos int) int {
	state, stride := int32(0), int32(d.stride)
	next, classes := d.next, &d.prog.classes
	for i := pos; i < len(buf); i++ {
		to := next[state*stride+int32(classes[buf[i]])]
		if to < 0 {
			if to == dfaUnknown {
				to = d.step(state, classes[buf[i]])
				next = d.next
			}
			if to == dfaMatched {
				return i
			}
		}
		state = to
	}
	if len(buf) > pos && buf[len(buf)-1] != '\n' || len(buf) == pos {
		// The last line ends without a newline.
		class := classes['\n']
		to := next[state*stride+int32(class)]
		if to == dfaUnknown {
			to = d.step(state, class)
		}
		if to == dfaMatched {
			return len(buf)
		}
	}
	return -1
}

// step computes the state that follows on a byte of a class.
func (d *lineDFA) step(state int32, class uint8) int32 {
	from := d.states[state]
	c := d.prog.reps[class]
	var holds syntax.EmptyOp
	if from.before&beforeLine != 0 {
		holds |= syntax.EmptyBeginLine | syntax.EmptyBeginText
	}
	if c == '\n' || c == '\r' {
		holds |= syntax.EmptyEndLine | syntax.EmptyEndText
	}
	word := c == '_' || isAlpha(c) || isDigit(c)
	if word != (from.before&beforeWord != 0) {
		holds |= syntax.EmptyWordBoundary
	} else {
		holds |= syntax.EmptyNoWordBoundary
	}
	to := dfaMatched
	if !d.follow(from.insts, holds, c) {
		switch {
		case c == '\n':
			to = 0 // a new line begins
		case word:
			to = d.state(d.set, beforeWord)
		default:
			to = d.state(d.set, 0)
		}
	}
	if to != dfaUnknown {
		d.next[int(state)*d.stride+int(class)] = to
		return to
	}
	// There is no more room: begin anew, with the state that is needed.
	set, before := slices.Clone(d.set), dfaBefore(0)
	if word {
		before = beforeWord
	}
	d.clears++
	d.clear()
	return d.state(set, before)
}

// follow collects in d.set what waits behind byte c, and reports whether the
// program matches before c.
func (d *lineDFA) follow(insts []uint32, holds syntax.EmptyOp, c byte) bool {
	d.round++
	d.set = d.set[:0]
	d.stack = append(append(d.stack[:0], insts...), d.prog.start)
	for len(d.stack) > 0 {
		pc := d.stack[len(d.stack)-1]
		d.stack = d.stack[:len(d.stack)-1]
		if d.seen[pc] == d.round {
			continue
		}
		d.seen[pc] = d.round
		switch in := &d.prog.insts[pc]; in.op {
		case byteMatch:
			return true
		case byteAlt:
			d.stack = append(d.stack, in.arg, in.out)
		case byteEmpty:
			if syntax.EmptyOp(in.arg)&^holds == 0 {
				d.stack = append(d.stack, in.out)
			}
		case byteRange:
			if c >= in.lo && c <= in.hi {
				d.set = append(d.set, in.out)
			}
		}
	}
	slices.Sort(d.set)
	d.set = slices.Compact(d.set)
	return false
}

// state returns the number of a state, which it makes when needed, or
// dfaUnknown when there is no room.
func (d *lineDFA) state(insts []uint32, before dfaBefore) int32 {
	d.key = append(d.key[:0], byte(before))
	for _, pc := range insts {
		d.key = binary.LittleEndian.AppendUint32(d.key, pc)
	}
	if n, ok := d.byKey[string(d.key)]; ok {
		return n
	}
	if len(d.states) == maxDFAStates {
		return dfaUnknown
	}
	n := int32(len(d.states))
	d.states = append(d.states, dfaState{slices.Clone(insts), before})
	d.byKey[string(d.key)] = n
	for range d.stride {
		d.next = append(d.next, dfaUnknown)
	}
	return n
}

// plainASCII reports whether the automaton and package regexp cannot differ
// about a line: they take line ends and broken UTF-8 differently.
func plainASCII(line []byte) bool {
	for len(line) >= 8 {
		if binary.LittleEndian.Uint64(line)&0x8080808080808080 != 0 {
			return false
		}
		if hasCR(binary.LittleEndian.Uint64(line)) {
			return bytes.IndexByte(line, '\r') < 0 && asciiOnly(line)
		}
		line = line[8:]
	}
	return asciiOnly(line) && bytes.IndexByte(line, '\r') < 0
}

// hasCR reports whether one of eight bytes may be a carriage return.
func hasCR(w uint64) bool {
	x := w ^ 0x0d0d0d0d0d0d0d0d
	return (x-0x0101010101010101)&^x&0x8080808080808080 != 0
}

func asciiOnly(line []byte) bool {
	for _, c := range line {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
