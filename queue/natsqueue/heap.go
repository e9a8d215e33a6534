package natsqueue

// heap is a heap of entries that know their place in it.
type heap struct {
	es   []*entry
	less func(a, b *entry) bool
	slot int // which of an entry's places belongs to this heap
}

func (h *heap) first() *entry {
	if len(h.es) == 0 {
		return nil
	}
	return h.es[0]
}

func (h *heap) push(e *entry) {
	h.es = append(h.es, e)
	e.at[h.slot] = len(h.es) - 1
	h.up(len(h.es) - 1)
}

func (h *heap) remove(e *entry) {
	i, last := e.at[h.slot], len(h.es)-1
	h.swap(i, last)
	h.es[last] = nil
	h.es = h.es[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h *heap) swap(i, j int) {
	h.es[i], h.es[j] = h.es[j], h.es[i]
	h.es[i].at[h.slot], h.es[j].at[h.slot] = i, j
}

func (h *heap) up(i int) {
	for i > 0 && h.less(h.es[i], h.es[(i-1)/2]) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *heap) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.es); child++ {
			if h.less(h.es[child], h.es[least]) {
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
