package queue

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
)

// Peek implements [Queue].
func (m *Memory) Peek(ctx context.Context) (Item, error) {
	m.lock()
	defer m.unlock()
	if m.isClosed {
		return Item{}, ErrClosed
	}
	if n := m.ready.peek(); n != nil {
		return n.item, nil
	}
	return Item{}, ErrEmpty
}

// Get implements [Queue].
func (m *Memory) Get(ctx context.Context, id string) (Item, error) {
	m.lock()
	defer m.unlock()
	if m.isClosed {
		return Item{}, ErrClosed
	}
	if n := m.find(id); n != nil {
		return n.item, nil
	}
	return Item{}, fmt.Errorf("get %q: %w", id, ErrNotFound)
}

// List implements [Queue]. It copies the matching items first.
func (m *Memory) List(ctx context.Context, filter Filter) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		m.lock()
		if m.isClosed {
			m.unlock()
			yield(Item{}, ErrClosed)
			return
		}
		items := m.items(filter)
		m.unlock()
		for i := range items {
			if !yield(items[i], nil) {
				return
			}
		}
	}
}

// items returns copies of the matching items in the order of enqueuing.
func (m *Memory) items(filter Filter) []Item {
	var nodes []*node
	for n := range m.nodes.all {
		if filter.Match(&n.item) {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.seq, b.seq) })
	if filter.Limit > 0 && len(nodes) > filter.Limit {
		nodes = nodes[:filter.Limit]
	}
	items := make([]Item, len(nodes))
	for i, n := range nodes {
		items[i] = n.item
	}
	return items
}

// Depth implements [Queue].
func (m *Memory) Depth(ctx context.Context) (Depth, error) {
	m.lock()
	defer m.unlock()
	if m.isClosed {
		return Depth{}, ErrClosed
	}
	return Depth{
		Ready: m.readyCount, Delayed: len(m.delayed), Blocked: m.blocked,
		Leased: m.leased.n, Dead: m.dead,
	}, nil
}
