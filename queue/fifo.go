package queue

// entry refers to a node as it was when it entered an order. Nodes are reused, so
// the sequence number tells whether the entry still means the same item.
type entry struct {
	n   *node
	seq uint64
}

// fifo holds entries in the order of their sequence numbers: a ring for those
// that come in order, which is nearly all, and a heap for those that return
// to an earlier place. Entries may go stale; those are skipped when they surface
// and swept out when they prevail.
type fifo struct {
	ring    []entry // length is a power of two
	head, n int
	back    []entry // min-heap by seq
	stale   int     // upper bound of stale entries, raised by the owner
	ready   bool    // of the items that are ready, not of those that may be dropped
}

// live reports whether an entry still counts.
func (f *fifo) live(e entry) bool {
	if e.n.seq != e.seq {
		return false
	}
	if f.ready {
		return e.n.item.State == Ready
	}
	return e.n.order
}

func (f *fifo) push(n *node) {
	e := entry{n, n.seq}
	if f.n > 0 && e.seq < f.ring[(f.head+f.n-1)&(len(f.ring)-1)].seq {
		f.pushBack(e)
		return
	}
	if f.n == len(f.ring) {
		f.resize(max(16, 2*len(f.ring)))
	}
	f.ring[(f.head+f.n)&(len(f.ring)-1)] = e
	f.n++
}

// peek returns the first live node, or nil.
func (f *fifo) peek() *node {
	for f.n > 0 {
		e := f.ring[f.head]
		if f.live(e) {
			break
		}
		f.dropHead()
		f.stale--
	}
	for len(f.back) > 0 && !f.live(f.back[0]) {
		f.popBack()
		f.stale--
	}
	switch {
	case f.n == 0 && len(f.back) == 0:
		f.stale = 0
		return nil
	case f.n == 0 || len(f.back) > 0 && f.back[0].seq < f.ring[f.head].seq:
		return f.back[0].n
	default:
		return f.ring[f.head].n
	}
}

// pop removes and returns the first live node, or nil.
func (f *fifo) pop() *node {
	if f.n > 0 && len(f.back) == 0 {
		if e := f.ring[f.head]; f.live(e) { // as a rule
			f.dropHead()
			return e.n
		}
	}
	n := f.peek()
	if n != nil {
		f.drop(n)
	}
	return n
}

// drop removes the node that peek returned.
func (f *fifo) drop(n *node) {
	if f.n > 0 && f.ring[f.head].n == n && f.ring[f.head].seq == n.seq {
		f.dropHead()
	} else {
		f.popBack()
	}
}

func (f *fifo) dropHead() {
	f.ring[f.head] = entry{}
	f.head = (f.head + 1) & (len(f.ring) - 1)
	f.n--
	if f.n == 0 && len(f.ring) > 4096 {
		f.ring, f.head = nil, 0
	}
}

// discarded says that one entry went stale, and sweeps when more than half are.
func (f *fifo) discarded() {
	f.stale++
	if f.stale < 64 || f.stale*2 < f.n+len(f.back) {
		return
	}
	kept := make([]entry, 0, f.n)
	for i := range f.n {
		if e := f.ring[(f.head+i)&(len(f.ring)-1)]; f.live(e) {
			kept = append(kept, e)
		}
	}
	back := f.back
	*f = fifo{ready: f.ready}
	f.resize(ringSize(len(kept)))
	f.n = copy(f.ring, kept)
	for _, e := range back {
		if f.live(e) {
			f.pushBack(e)
		}
	}
}

func ringSize(n int) int {
	size := 16
	for size < n {
		size *= 2
	}
	return size
}

func (f *fifo) resize(size int) {
	ring := make([]entry, size)
	for i := range f.n {
		ring[i] = f.ring[(f.head+i)&(len(f.ring)-1)]
	}
	f.ring, f.head = ring, 0
}

func (f *fifo) pushBack(e entry) {
	h := append(f.back, e)
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].seq <= h[i].seq {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
	f.back = h
}

func (f *fifo) popBack() {
	h := f.back
	last := len(h) - 1
	h[0], h[last] = h[last], entry{}
	h = h[:last]
	for i := 0; ; {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < last && h[child].seq < h[least].seq {
				least = child
			}
		}
		if least == i {
			break
		}
		h[least], h[i] = h[i], h[least]
		i = least
	}
	f.back = h
}
