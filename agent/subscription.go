package agent

import (
	"cmp"
	"context"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// batchLen is how many events a reader copies at a time; what a stalled reader
// keeps alive.
const batchLen = 32

// maxJoined bounds the text of one event that joins adjacent deltas, in bytes.
const maxJoined = 64 << 10

// reader is one subscription.
type reader struct {
	cursor atomic.Uint64 // last sequence number delivered
	signal chan struct{}
}

// Events replays the events after the sequence number after and then follows
// the log as it grows: 0 replays all that the log holds, the Seq of the last
// event seen goes on behind it, [Agent.LastSeq] starts with what comes next.
//
// The sequence ends by itself after the agent's [Exit]. When ctx ends it yields
// the context's error once and stops.
//
// A reader that is slower than the log is bounded never holds the agent up. It
// receives a [Lagged] for every run of events that were dropped and goes on
// with the oldest one held; ends of inputs are delivered in their place
// nevertheless. Adjacent [Output] or [Reasoning] deltas of one input that wait
// for the reader arrive joined.
//
// Each range over the result is a subscription of its own and starts anew at
// after. It starts no goroutine.
func (a *Agent) Events(ctx context.Context, after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) { a.log.follow(ctx, after, yield) }
}

// LastSeq returns the sequence number of the newest event, 0 before the first.
func (a *Agent) LastSeq() uint64 { return a.log.last.Load() }

func (l *eventLog) follow(ctx context.Context, after uint64, yield func(Event, error) bool) {
	r := &reader{signal: make(chan struct{}, 1)}
	r.cursor.Store(after)
	l.mu.Lock()
	l.readers = append(l.readers, r)
	l.mu.Unlock()
	defer l.leave(r)

	batch := make([]Event, 0, batchLen)
	for {
		if ctx.Err() != nil {
			yield(Event{}, context.Cause(ctx))
			return
		}
		// closed is read first: nothing is appended after it is set.
		closed := l.closed.Load()
		batch = l.next(r.cursor.Load(), batch[:0])
		if len(batch) == 0 {
			if closed {
				return
			}
			if !l.sleep(ctx, r) {
				yield(Event{}, context.Cause(ctx))
				return
			}
			continue
		}
		for i := range batch {
			ev := batch[i]
			batch[i] = Event{} // a stalled consumer holds one event, not all
			if lag, ok := ev.Body.(Lagged); ok {
				l.lagged.Add(lag.To - lag.From + 1)
			}
			if !yield(ev, nil) {
				return
			}
			r.cursor.Store(ev.Seq)
			if ctx.Err() != nil {
				break
			}
		}
	}
}

// leave ends a subscription.
func (l *eventLog) leave(r *reader) {
	l.mu.Lock()
	for i, other := range l.readers {
		if other == r {
			l.readers = append(l.readers[:i], l.readers[i+1:]...)
			break
		}
	}
	l.mu.Unlock()
}

// sleep waits until there may be something after r's cursor. It returns false
// when ctx ended.
func (l *eventLog) sleep(ctx context.Context, r *reader) bool {
	ready := func() bool { return l.last.Load() > r.cursor.Load() || l.closed.Load() }
	// Giving way twice costs less than going to sleep when the writer is busy.
	for range 2 {
		runtime.Gosched()
		if ready() {
			return true
		}
	}
	if !l.wait.add(r, ready) {
		return true
	}
	select {
	case <-r.signal:
		l.wait.wake()
		l.wait.wake()
		return true
	case <-ctx.Done():
		if !l.wait.remove(r) {
			// Woken and cancelled at once: the wake-up belongs to the others.
			<-r.signal
			l.wait.wake()
			l.wait.wake()
		}
		return false
	}
}

// next appends what follows cursor to batch, joined where it can be.
func (l *eventLog) next(cursor uint64, batch []Event) []Event {
	last := l.last.Load()
	if last <= cursor {
		return batch
	}
	p := l.chunks.Load()
	if p == nil {
		// A restored agent that has not spoken yet: its numbers start higher.
		return append(batch, lagged(cursor+1, last))
	}
	c := find(*p, cursor+1)
	if c == nil {
		return l.gap(cursor, batch)
	}
	n := int(c.n.Load())
	if n == len(c.entries) {
		if list := c.after(cursor); list != nil {
			return append(batch, list[:min(len(list), batchLen)]...)
		}
	}
	for i := int(cursor + 1 - c.base); i < n && len(batch) < batchLen; {
		joined := joinable(c, i, n)
		if joined == 1 {
			batch = append(batch, c.event(i))
		} else {
			batch = append(batch, join(c, i, joined))
		}
		i += joined
	}
	return batch
}

// after returns a full chunk's events after cursor, joined, or nil when cursor
// is in the middle of a joined one.
func (c *chunk) after(cursor uint64) []Event {
	p := c.joined.Load()
	if p == nil {
		if cursor+1 != c.base {
			return nil
		}
		var list []Event
		for i, n := 0, len(c.entries); i < n; {
			joined := joinable(c, i, n)
			if joined == 1 {
				list = append(list, c.event(i))
			} else {
				list = append(list, join(c, i, joined))
			}
			i += joined
		}
		p = &list
		c.joined.Store(p)
	}
	i, _ := slices.BinarySearchFunc(*p, cursor+1, func(ev Event, seq uint64) int { return cmp.Compare(ev.Seq, seq) })
	if i == len(*p) || cmp.Or((*p)[i].First, (*p)[i].Seq) != cursor+1 {
		return nil
	}
	return (*p)[i:]
}

// gap reports what was dropped after cursor, except the ends of inputs, which
// it delivers.
func (l *eventLog) gap(cursor uint64, batch []Event) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.first()
	for _, ev := range l.kept {
		if ev.Seq <= cursor {
			continue
		}
		if len(batch) >= batchLen-1 {
			return batch
		}
		if ev.Seq > cursor+1 {
			batch = append(batch, lagged(cursor+1, ev.Seq-1))
		}
		batch = append(batch, ev)
		cursor = ev.Seq
	}
	if first > cursor+1 {
		batch = append(batch, lagged(cursor+1, first-1))
	}
	return batch
}

func lagged(from, to uint64) Event {
	return Event{Seq: to, First: from, Time: time.Now(), Body: Lagged{From: from, To: to}}
}

// joinable returns how many entries from i on are deltas of one text.
func joinable(c *chunk, i, n int) int {
	first := &c.entries[i]
	size := 0
	j := i
	for ; j < n; j++ {
		e := &c.entries[j]
		if e.input != first.input {
			break
		}
		switch b := e.body.(type) {
		case Output:
			if _, same := first.body.(Output); !same {
				return max(1, j-i)
			}
			size += len(b.Text)
		case Reasoning:
			if _, same := first.body.(Reasoning); !same {
				return max(1, j-i)
			}
			size += len(b.Text)
		default:
			return max(1, j-i)
		}
		if size > maxJoined {
			break
		}
	}
	return max(1, j-i)
}

func join(c *chunk, i, count int) Event {
	var text strings.Builder
	size := 0
	for j := i; j < i+count; j++ {
		size += c.entries[j].body.size()
	}
	text.Grow(size)
	for j := i; j < i+count; j++ {
		switch b := c.entries[j].body.(type) {
		case Output:
			text.WriteString(b.Text)
		case Reasoning:
			text.WriteString(b.Text)
		}
	}
	ev := c.event(i + count - 1)
	ev.First = c.base + uint64(i)
	if _, ok := ev.Body.(Output); ok {
		ev.Body = Output{Text: text.String()}
	} else {
		ev.Body = Reasoning{Text: text.String()}
	}
	return ev
}
