package queue

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
)

// idMaker makes IDs such as "k3f9x2-1v-4": unique over the life of this queue
// by the number in the middle, which counts to base 32, and over queues by the
// random prefix; the last part is the slot, which finds the node.
type idMaker struct {
	prefix  string
	latest  []byte          // prefix and number
	block   strings.Builder // IDs share an allocation
	strings []string        // and so do the slices that return them
}

const digits = "0123456789abcdefghijklmnopqrstuv"

func newIDMaker() idMaker {
	prefix := strings.ToLower(rand.Text()[:6]) + "-"
	return idMaker{prefix: prefix, latest: append([]byte(prefix), digits[0])}
}

func (im *idMaker) make(slot uint32) string {
	im.count()
	var last [8]byte
	at := len(last)
	for more := true; more; more = slot > 0 {
		at--
		last[at] = digits[slot%32]
		slot /= 32
	}
	at--
	last[at] = '-'
	id := append(im.latest, last[at:]...)
	if im.block.Cap()-im.block.Len() < len(id) {
		im.block.Reset()
		im.block.Grow(512) // small, for the last of its IDs keeps all of it
	}
	start := im.block.Len()
	im.block.Write(id)
	return im.block.String()[start:]
}

// count adds one to the number. That is nearly always one digit, where making
// the digits of a number is one step for each.
func (im *idMaker) count() {
	for i := len(im.latest) - 1; i >= len(im.prefix); i-- {
		switch im.latest[i] {
		case digits[31]:
			im.latest[i] = digits[0]
			continue
		case '9':
			im.latest[i] = 'a'
		default:
			im.latest[i]++
		}
		return
	}
	im.latest = slices.Insert(im.latest, len(im.prefix), digits[1])
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
