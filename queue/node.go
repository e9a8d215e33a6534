package queue

// node is the memory engine's record of an item. Nodes live in slabs and are
// reused; a slot number finds one without a map.
type node struct {
	item  Item
	seq   uint64 // place in the order of enqueuing; 0 while the node is free
	token uint64 // of the current lease; 0 when there is none
	slot  uint32
	named bool // the ID is in Memory.named
	order bool // an entry for it is in Memory.order

	due       int64 // delayed: when it becomes ready; leased: when the lease ends
	available int64 // since when it could have been delivered
	received  int64 // when it was last delivered
	heapAt    int   // index in the delay heap

	key        *keyQueue
	prev, next *node // lease list or key list; next also links free nodes
}

const slabSize = 256

// slab hands out nodes and keeps their addresses.
type slab struct {
	chunks []*[slabSize]node
	free   *node
	used   uint32 // slots ever handed out
}

func (s *slab) take() *node {
	if n := s.free; n != nil {
		s.free, n.next = n.next, nil
		return n
	}
	if s.used%slabSize == 0 {
		s.chunks = append(s.chunks, new([slabSize]node))
	}
	n := &s.chunks[s.used/slabSize][s.used%slabSize]
	n.slot = s.used
	s.used++
	return n
}

func (s *slab) give(n *node) {
	n.item = Item{}
	n.seq, n.token, n.named, n.order = 0, 0, false, false
	n.key, n.prev, n.next = nil, nil, s.free
	s.free = n
}

// at returns the node in a slot if it holds an item.
func (s *slab) at(slot uint32) *node {
	if slot >= s.used {
		return nil
	}
	if n := &s.chunks[slot/slabSize][slot%slabSize]; n.seq != 0 {
		return n
	}
	return nil
}

// all yields every item's node, in no order.
func (s *slab) all(yield func(*node) bool) {
	for slot := range s.used {
		if n := s.at(slot); n != nil && !yield(n) {
			return
		}
	}
}

// list is a doubly linked list of nodes.
type list struct {
	first, last *node
	n           int
}

func (l *list) push(n *node) {
	n.prev, n.next = l.last, nil
	if l.last != nil {
		l.last.next = n
	} else {
		l.first = n
	}
	l.last = n
	l.n++
}

func (l *list) remove(n *node) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.last = n.prev
	}
	n.prev, n.next = nil, nil
	l.n--
}

// keyQueue holds the items of one key: the one that may be delivered or is
// being handled, and those blocked behind it.
type keyQueue struct {
	active  *node
	blocked list
}

// delayHeap is a min-heap of delayed nodes by due time, then by place.
type delayHeap []*node

func (h delayHeap) less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}

func (h delayHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapAt, h[j].heapAt = i, j
}

func (h *delayHeap) push(n *node) {
	n.heapAt = len(*h)
	*h = append(*h, n)
	h.up(n.heapAt)
}

func (h *delayHeap) remove(n *node) {
	i, last := n.heapAt, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h delayHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h delayHeap) down(i int) {
	for {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < len(h) && h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

// bucket holds the ready items of one priority.
type bucket struct {
	priority int
	fifo     fifo
}

// readySet holds the ready items: a bucket for each priority in use, and a heap
// of the buckets with the highest priority on top.
type readySet struct {
	byPriority map[int]*bucket
	heap       []*bucket
	last       *bucket // the bucket used last, which saves a lookup
}

func (r *readySet) push(n *node) {
	b := r.last
	if b == nil || b.priority != n.item.Priority {
		if b = r.byPriority[n.item.Priority]; b == nil {
			b = &bucket{priority: n.item.Priority, fifo: fifo{ready: true}}
			if r.byPriority == nil {
				r.byPriority = map[int]*bucket{}
			}
			r.byPriority[b.priority] = b
			r.heap = append(r.heap, b)
			for i := len(r.heap) - 1; i > 0; {
				parent := (i - 1) / 2
				if r.heap[parent].priority >= r.heap[i].priority {
					break
				}
				r.heap[parent], r.heap[i] = r.heap[i], r.heap[parent]
				i = parent
			}
		}
		r.last = b
	}
	b.fifo.push(n)
}

// peek returns the node to deliver next, or nil.
func (r *readySet) peek() *node {
	for len(r.heap) > 0 {
		if n := r.heap[0].fifo.peek(); n != nil || !r.dropTop() {
			return n
		}
	}
	return nil
}

// take removes and returns what peek returns.
func (r *readySet) take() *node {
	for len(r.heap) > 0 {
		if n := r.heap[0].fifo.pop(); n != nil || !r.dropTop() {
			return n
		}
	}
	return nil
}

// discarded says that a ready node of that priority is gone.
func (r *readySet) discarded(priority int) {
	if b := r.byPriority[priority]; b != nil {
		b.fifo.discarded()
	}
}

// dropTop drops the top bucket, which is empty, unless it is the usual one alone,
// which is worth keeping.
func (r *readySet) dropTop() bool {
	top, last := r.heap[0], len(r.heap)-1
	if last == 0 && top.priority == 0 {
		return false
	}
	delete(r.byPriority, top.priority)
	if r.last == top {
		r.last = nil
	}
	r.heap[0], r.heap[last] = r.heap[last], nil
	r.heap = r.heap[:last]
	for i := 0; ; {
		most := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < last && r.heap[child].priority > r.heap[most].priority {
				most = child
			}
		}
		if most == i {
			return true
		}
		r.heap[most], r.heap[i] = r.heap[i], r.heap[most]
		i = most
	}
}
