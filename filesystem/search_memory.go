package filesystem

import "sync"

// searchMemory is what a worker reads into and gathers lines in. It is used
// again by later searches.
type searchMemory struct {
	buf   []byte
	lines []Line
	text  []byte
	ends  []int
	grams *gramSet // nil until a search learns something for an index
}

// maxKept bounds each part of the memory that is kept between searches, in
// bytes or lines.
const maxKept = 4 << 20

var searchMemories = sync.Pool{New: func() any { return &searchMemory{buf: make([]byte, 0, 128<<10)} }}

func takeSearchMemory() *searchMemory { return searchMemories.Get().(*searchMemory) }

// giveBack keeps the memory for a later search, unless this one needed much.
func (m *searchMemory) giveBack() {
	if cap(m.buf) > maxKept || cap(m.text) > maxKept || cap(m.lines) > maxKept>>10 {
		return
	}
	clear(m.lines[:cap(m.lines)]) // the result owns what they refer to
	searchMemories.Put(m)
}
