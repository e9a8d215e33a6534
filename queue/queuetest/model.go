package queuetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// model is the specification of a queue without regard to cost. Time stands
// still in it: leases and the dedupe window do not end and delays are long or
// none.
type model struct {
	items  []*modelItem      // in the order of enqueuing
	dedupe map[string]string // keys to the IDs of the first items
}

type modelItem struct {
	name     string
	key      string
	priority int
	state    queue.State // never Blocked: that follows from the others
	attempts int
	delivery queue.Delivery
}

const (
	modelAttempts = 3
	modelCapacity = 30
)

// enqueue takes a batch in or says why it cannot be.
func (m *model) enqueue(batch []queue.Item, items []*modelItem) (ids []string, err error) {
	dedupe := maps.Clone(m.dedupe)
	all := slices.Clone(m.items)
	for i := range batch {
		it := &batch[i]
		if first, ok := dedupe[it.Dedupe]; ok && it.Dedupe != "" {
			ids = append(ids, first)
			continue
		}
		if slices.ContainsFunc(all, func(o *modelItem) bool { return o.name == it.ID }) {
			return nil, queue.ErrDuplicateID
		}
		if it.Dedupe != "" {
			dedupe[it.Dedupe] = it.ID
		}
		all = append(all, items[i])
		ids = append(ids, it.ID)
	}
	if (&model{items: all}).live() > modelCapacity && len(all) > len(m.items) {
		return nil, queue.ErrFull
	}
	m.items, m.dedupe = all, dedupe
	return ids, nil
}

// live counts the items that are not dead.
func (m *model) live() int { return len(m.items) - len(m.in(queue.Dead)) }

// blocked reports whether an earlier item of the same key is not finished.
func (m *model) blocked(it *modelItem) bool {
	if it.key == "" || it.state == queue.Dead || it.state == queue.Leased {
		return false
	}
	for _, o := range m.items {
		if o == it {
			return false
		}
		if o.key == it.key && o.state != queue.Dead {
			return true
		}
	}
	return false
}

// next returns the item to deliver, or nil.
func (m *model) next() *modelItem {
	var best *modelItem
	for _, it := range m.items {
		if it.state == queue.Ready && !m.blocked(it) && (best == nil || it.priority > best.priority) {
			best = it
		}
	}
	return best
}

func (m *model) depth() (d queue.Depth) {
	for _, it := range m.items {
		switch {
		case m.blocked(it):
			d.Blocked++
		case it.state == queue.Ready:
			d.Ready++
		case it.state == queue.Delayed:
			d.Delayed++
		case it.state == queue.Leased:
			d.Leased++
		case it.state == queue.Dead:
			d.Dead++
		}
	}
	return d
}

func (m *model) in(state queue.State) []*modelItem {
	var found []*modelItem
	for _, it := range m.items {
		if it.state == state {
			found = append(found, it)
		}
	}
	return found
}

func (m *model) remove(it *modelItem) {
	m.items = slices.DeleteFunc(m.items, func(o *modelItem) bool { return o == it })
}

// testModel performs random operations on the queue and on the model and
// compares everything that can be seen.
func testModel(t *testing.T, e Engine) {
	steps := e.Steps
	if steps == 0 {
		steps = 2000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	q := open(t, e, queue.Options{MaxAttempts: modelAttempts, Lease: time.Hour, DedupeWindow: time.Hour, Capacity: modelCapacity})
	m := &model{dedupe: map[string]string{}}
	paused := false
	pick := func(items []*modelItem) *modelItem {
		if len(items) == 0 {
			return nil
		}
		return items[rnd.IntN(len(items))]
	}
	for step := range steps {
		switch op := rnd.IntN(20); {
		case op < 7:
			batch := make([]queue.Item, 1+rnd.IntN(3)*rnd.IntN(2))
			items := make([]*modelItem, len(batch))
			for i := range batch {
				it := &modelItem{name: fmt.Sprintf("%d.%d", step, i), priority: rnd.IntN(3), state: queue.Ready}
				if rnd.IntN(2) == 0 {
					it.key = string(rune('a' + rnd.IntN(4)))
				}
				if old := pick(m.items); old != nil && rnd.IntN(20) == 0 {
					it.name = old.name // which is taken
				}
				batch[i] = queue.Item{ID: it.name, Name: it.name, Key: it.key, Priority: it.priority}
				if rnd.IntN(5) == 0 {
					batch[i].Dedupe = fmt.Sprint(rnd.IntN(step + 1))
				}
				if rnd.IntN(10) == 0 {
					it.state = queue.Delayed
					batch[i].NotBefore = time.Now().Add(time.Hour)
				}
				items[i] = it
			}
			want, refused := m.enqueue(batch, items)
			got, err := q.Enqueue(t.Context(), batch...)
			require.ErrorIs(t, err, refused, "step %d", step)
			require.Equal(t, want, got, "step %d", step)
		case op < 13:
			d, err := q.TryReceive(t.Context())
			want := m.next()
			if want == nil || paused {
				require.ErrorIs(t, err, queue.ErrEmpty, "step %d: got %q", step, d.Item.Name)
				break
			}
			require.NoError(t, err, "step %d: want %s", step, want.name)
			require.Equal(t, want.name, d.Item.Name, "step %d", step)
			want.attempts++
			require.Equal(t, want.attempts, d.Item.Attempts)
			want.state, want.delivery = queue.Leased, d
		case op < 15:
			if it := pick(m.in(queue.Leased)); it != nil {
				q.ack(it.delivery)
				m.remove(it)
			}
		case op < 16:
			if it := pick(m.in(queue.Leased)); it != nil {
				delay := []time.Duration{-1, time.Hour}[rnd.IntN(2)]
				q.nack(it.delivery, delay, "failed")
				switch {
				case it.attempts >= modelAttempts:
					it.state = queue.Dead
				case delay < 0:
					it.state = queue.Ready
				default:
					it.state = queue.Delayed
				}
			}
		case op < 17:
			if it := pick(m.in(queue.Leased)); it != nil {
				if rnd.IntN(2) == 0 {
					require.NoError(t, q.Extend(t.Context(), it.delivery.Lease))
					break
				}
				require.NoError(t, q.Dead(t.Context(), it.delivery.Lease, "dead"))
				it.state = queue.Dead
			}
		case op < 18:
			if it := pick(m.items); it != nil {
				err := q.Remove(t.Context(), it.name)
				if it.state == queue.Leased {
					require.ErrorIs(t, err, queue.ErrLeased)
					break
				}
				require.NoError(t, err)
				m.remove(it)
			}
		case op < 19:
			if it := pick(m.in(queue.Dead)); it != nil {
				_, err := q.Redrive(t.Context(), it.name)
				if m.live() == modelCapacity {
					require.ErrorIs(t, err, queue.ErrFull)
					break
				}
				require.NoError(t, err)
				m.remove(it)
				m.items = append(m.items, it)
				it.attempts, it.state = 0, queue.Ready
				if got, err := q.Get(t.Context(), it.name); err == nil && got.NotBefore.After(time.Now()) {
					it.state = queue.Delayed
				}
			}
		default:
			if paused = !paused; paused {
				require.NoError(t, q.Pause(t.Context()))
			} else {
				require.NoError(t, q.Resume(t.Context()))
			}
		}
		if step%10 == 0 {
			q.depth(m.depth())
			var want []string
			for _, it := range m.items {
				want = append(want, it.name)
			}
			got := q.names(queue.Filter{})
			require.Len(t, got, len(want), "step %d", step)
			if len(want) > 0 {
				require.Equal(t, want, got, "step %d", step)
			}
		}
	}
}
