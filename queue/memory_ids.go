package queue

import (
	"strconv"
	"strings"
)

// idMaker makes IDs such as "k3f9x2-1v-4": unique over the life of this queue
// by the number in the middle and over queues by the random prefix; the last
// part is the slot, which finds the node. Numbers are to base 32, which shifts
// where others divide.
type idMaker struct {
	prefix  string
	strings []string // the slices that return IDs share an allocation
}

func (im *idMaker) make(seq uint64, slot uint32) string {
	var id [32]byte
	at := len(id)
	for _, n := range [...]uint64{uint64(slot), seq} {
		for more := true; more; more = n > 0 {
			at--
			id[at] = "0123456789abcdefghijklmnopqrstuv"[n%32]
			n /= 32
		}
		at--
		id[at] = '-'
	}
	at -= len(im.prefix)
	copy(id[at:], im.prefix)
	return string(id[at:])
}

// find returns the node of an item, or nil.
func (m *Memory) find(id string) *node {
	if n := m.named[id]; n != nil {
		return n
	}
	if i := strings.LastIndexByte(id, '-'); i > 0 && strings.HasPrefix(id, m.ids.prefix) {
		if slot, err := strconv.ParseUint(id[i+1:], 32, 32); err == nil {
			if n := m.nodes.at(uint32(slot)); n != nil && n.item.ID == id {
				return n
			}
		}
	}
	return nil
}

// slice returns n empty strings; small ones share an allocation.
func (im *idMaker) slice(n int) []string {
	if n > 4 {
		return make([]string, n)
	}
	if len(im.strings) < n {
		im.strings = make([]string, 64)
	}
	s := im.strings[:n:n]
	im.strings = im.strings[n:]
	return s
}
