package queue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// snapshot is the JSON form of a Memory queue.
type snapshot struct {
	Version int           `json:"version"`
	Paused  bool          `json:"paused,omitempty"`
	Items   []Item        `json:"items,omitempty"` // in the order of enqueuing
	Dedupe  []dedupeEntry `json:"dedupe,omitempty"`
}

const snapshotVersion = 1

// MarshalJSON returns a snapshot of all items, dead letters included, the
// remembered dedupe keys and whether the queue is paused. It also works after
// Close.
func (m *Memory) MarshalJSON() ([]byte, error) {
	now := m.lock()
	m.dedupe.expire(now)
	s := snapshot{
		Version: snapshotVersion,
		Paused:  m.paused,
		Items:   m.items(Filter{}),
		Dedupe:  slices.Clone(m.dedupe.ring[m.dedupe.head:]),
	}
	m.unlock()
	for i := range s.Items { // JSON has not every time that Go has
		it := &s.Items[i]
		it.NotBefore = engine.TimeAt(engine.Nanos(it.NotBefore))
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("queue snapshot: %w", err)
	}
	return data, nil
}

// UnmarshalJSON replaces the queue's content by a snapshot. Items that were
// being handled when it was taken are available again, at their old place and
// with their attempts counted. Leases from before are lost. A snapshot that
// cannot be read changes nothing.
func (m *Memory) UnmarshalJSON(data []byte) error {
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("queue restore: %w", err)
	}
	if s.Version != snapshotVersion {
		return fmt.Errorf("queue restore: snapshot version %d, this program reads %d", s.Version, snapshotVersion)
	}
	seen := make(map[string]bool, len(s.Items))
	for i := range s.Items {
		switch it := &s.Items[i]; {
		case it.ID == "" || seen[it.ID]:
			return fmt.Errorf("queue restore: item %d of %d: ID %q is empty or twice there", i+1, len(s.Items), it.ID)
		case !slices.Contains([]State{Ready, Delayed, Blocked, Leased, Dead}, it.State):
			return fmt.Errorf("queue restore: item %q: unknown state %q", it.ID, it.State)
		default:
			seen[it.ID] = true
		}
	}
	now := m.lock()
	defer m.unlock()
	if m.isClosed {
		return fmt.Errorf("queue restore: %w", ErrClosed)
	}
	m.clear()
	m.paused = s.Paused
	for i := range s.Items {
		n := m.nodes.take()
		m.lastSeq++
		n.seq = m.lastSeq
		n.item = s.Items[i]
		m.identify(n)
		switch n.item.State {
		case Dead:
			m.dead++
		default:
			m.place(n, now)
		}
	}
	// Whatever the window was, they are to expire in their order and in this one.
	slices.SortStableFunc(s.Dedupe, func(a, b dedupeEntry) int { return cmp.Compare(a.Expires, b.Expires) })
	for _, e := range s.Dedupe {
		m.dedupe.add(e.Key, e.ID, min(e.Expires, now+int64(m.opts.DedupeWindow)))
	}
	m.changed(now)
	return nil
}

// Reset empties the queue, dead letters and leased items included, when the
// scope is "all". Other scopes do not concern it.
func (m *Memory) Reset(scope string) {
	if scope != "all" {
		return
	}
	now := m.lock()
	defer m.unlock()
	m.clear()
	m.paused, m.draining = false, false
	m.changed(now)
}

// Generation changes whenever the content does.
func (m *Memory) Generation() uint64 {
	m.lock()
	defer m.unlock()
	return m.generation
}

func (m *Memory) clear() {
	m.nodes = slab{}
	m.named = map[string]*node{}
	m.ready = readySet{}
	m.delayed = nil
	m.leased = list{}
	m.keys = map[string]*keyQueue{}
	m.order = fifo{}
	m.dedupe = dedupeWindow{}
	m.dead, m.blocked, m.readyCount = 0, 0, 0
}
