package agent

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of [LogOptions].
const (
	DefaultLogEvents   = 4096
	DefaultLogBytes    = 4 << 20
	DefaultLogFinished = 1024
)

// LogOptions bound an agent's event log.
type LogOptions struct {
	// Events is how many events are kept; 0 means [DefaultLogEvents].
	Events int
	// Bytes is how much the kept events may weigh, about; 0 means
	// [DefaultLogBytes]. An event that is larger alone is kept alone.
	Bytes int
	// Finished is how many ends of inputs are kept beyond the two bounds above
	// for readers that come back later; 0 means [DefaultLogFinished]. A reader
	// that is subscribed never misses one.
	Finished int
}

func (o LogOptions) withDefaults() LogOptions {
	if o.Events <= 0 {
		o.Events = DefaultLogEvents
	}
	if o.Bytes <= 0 {
		o.Bytes = DefaultLogBytes
	}
	if o.Finished <= 0 {
		o.Finished = DefaultLogFinished
	}
	return o
}

// chunkLen is the length of a full chunk. The first chunks are shorter, so
// that an agent that says little owns little.
const (
	chunkLen      = 64
	firstChunkLen = 4
)

type entry struct {
	at    int64 // Unix nanoseconds
	input string
	body  Body
}

// chunk is a run of events. Its entries are written once, before n is raised,
// so that readers need no lock.
type chunk struct {
	base    uint64 // sequence number of entries[0]
	n       atomic.Uint32
	bytes   int
	entries []entry
	// joined holds a full chunk's events with adjacent deltas joined. The first
	// late reader makes it, so that a hundred of them do not each join the same.
	joined atomic.Pointer[[]Event]
}

// event makes the public form of the i-th entry.
func (c *chunk) event(i int) Event {
	e := &c.entries[i]
	return Event{Seq: c.base + uint64(i), Time: time.Unix(0, e.at), Input: e.input, Body: e.body}
}

// eventLog is a bounded log with one lock for writers and none for readers.
//
// Readers hold nothing of the log while their consumer works, so a stalled one
// costs the batch it copied and no more. The writer wakes at most one waiting
// reader for each event; readers wake each other, which keeps the price of an
// event independent of how many follow.
type eventLog struct {
	opts   *LogOptions // shared by all agents of a type
	chunks atomic.Pointer[[]*chunk]
	last   atomic.Uint64
	closed atomic.Bool
	lagged atomic.Uint64 // events that readers missed
	begun  uint64        // number before the first event of this life

	mu    sync.Mutex
	tail  *chunk
	count int
	bytes int
	// kept holds the terminal events of chunks that were dropped.
	kept    []Event
	readers []*reader

	wait waitList
}

// start sets the number before the first event.
func (l *eventLog) start(last uint64) {
	l.begun = last
	l.last.Store(last)
}

// append adds an event and returns its sequence number, or 0 once the log is
// closed.
func (l *eventLog) append(now int64, input string, body Body) uint64 {
	cost := bodyCost + body.size()
	l.mu.Lock()
	if l.closed.Load() {
		l.mu.Unlock()
		return 0
	}
	seq := l.last.Load() + 1
	t := l.tail
	if t == nil || int(t.n.Load()) == len(t.entries) || t.bytes > l.opts.Bytes/8 {
		t = l.grow(seq)
	}
	n := t.n.Load()
	t.entries[n] = entry{at: now, input: input, body: body}
	t.bytes += cost
	l.bytes += cost
	l.count++
	t.n.Store(n + 1)
	l.last.Store(seq)
	if _, ok := body.(Exit); ok {
		l.closed.Store(true)
	}
	l.mu.Unlock()
	l.wait.wake()
	return seq
}

// grow adds a chunk and drops the oldest ones that no longer fit.
func (l *eventLog) grow(base uint64) *chunk {
	var old []*chunk
	if p := l.chunks.Load(); p != nil {
		old = *p
	}
	size := firstChunkLen
	if len(old) > 0 {
		size = min(2*len(old[len(old)-1].entries), chunkLen)
	}
	size = min(size, max(1, l.opts.Events/4))
	c := &chunk{base: base, entries: make([]entry, size)}

	drop := 0
	for drop < len(old) && (l.count+size > l.opts.Events || l.bytes > l.opts.Bytes-l.opts.Bytes/8) {
		d := old[drop]
		n := int(d.n.Load())
		for i := range n {
			if terminal(d.entries[i].body) {
				l.kept = append(l.kept, d.event(i))
			}
		}
		l.count -= n
		l.bytes -= d.bytes
		drop++
	}
	if drop > 0 {
		l.trimKept()
	}
	next := make([]*chunk, 0, len(old)-drop+1)
	next = append(append(next, old[drop:]...), c)
	l.chunks.Store(&next)
	l.tail = c
	return c
}

// trimKept forgets the oldest ends of inputs that no subscribed reader still
// has before it.
func (l *eventLog) trimKept() {
	excess := len(l.kept) - l.opts.Finished
	if excess <= 0 {
		return
	}
	slowest := l.last.Load()
	for _, r := range l.readers {
		slowest = min(slowest, r.cursor.Load())
	}
	n := 0
	for n < excess && l.kept[n].Seq <= slowest {
		n++
	}
	l.kept = append([]Event(nil), l.kept[n:]...)
}

// first returns the oldest sequence number that the log still holds in full.
func (l *eventLog) first() uint64 {
	if p := l.chunks.Load(); p != nil && len(*p) > 0 {
		return (*p)[0].base
	}
	return l.last.Load() + 1
}

// find returns the chunk that holds seq, or nil when it was dropped.
func find(chunks []*chunk, seq uint64) *chunk {
	i := sort.Search(len(chunks), func(i int) bool { return chunks[i].base > seq })
	if i == 0 {
		return nil
	}
	return chunks[i-1]
}

// waitList wakes readers in a tree: who is woken wakes two more.
type waitList struct {
	waiting atomic.Int32
	mu      sync.Mutex
	list    []*reader
}

// wake wakes one waiting reader, if there is one.
func (w *waitList) wake() {
	if w.waiting.Load() == 0 {
		return
	}
	w.mu.Lock()
	n := len(w.list)
	if n == 0 {
		w.mu.Unlock()
		return
	}
	r := w.list[n-1]
	w.list[n-1] = nil
	w.list = w.list[:n-1]
	w.waiting.Store(int32(n - 1))
	w.mu.Unlock()
	r.signal <- struct{}{}
}

// add enters r and reports whether it must sleep: not when ready turned true
// meanwhile.
func (w *waitList) add(r *reader, ready func() bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, r)
	// The writer publishes, then looks here; we enter here, then look. One of
	// the two sees the other.
	w.waiting.Store(int32(len(w.list)))
	if ready() {
		w.list = w.list[:len(w.list)-1]
		w.waiting.Store(int32(len(w.list)))
		return false
	}
	return true
}

// remove takes r out and reports whether it was still in; if not, it has been
// signalled.
func (w *waitList) remove(r *reader) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.list {
		if other == r {
			w.list = append(w.list[:i], w.list[i+1:]...)
			w.waiting.Store(int32(len(w.list)))
			return true
		}
	}
	return false
}
