package natsqueue

import (
	"container/list"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// The states of an item in the log. none is that of an item that is not there.
const (
	ready = iota
	delayed
	blocked
	leased
	dead
	none
)

var stateNames = [...]queue.State{queue.Ready, queue.Delayed, queue.Blocked, queue.Leased, queue.Dead}

// meta is the part of an item that changes. Times are Unix nanoseconds.
type meta struct {
	state     int
	attempts  int
	token     int64 // of the lease
	due       int64 // end of the delay or of the lease
	available int64
	received  int64
	first     int64 // when it was first received
	lastError string
}

// entry is an item in memory.
type entry struct {
	seq  int64
	body *queue.Item // what never changes; shared, not to be written
	meta
	at  [3]int        // places in the heaps
	log *list.Element // place in state.live
}

func (e *entry) notBefore() int64 { return engine.Nanos(e.body.NotBefore) }

// size is about how many bytes the item takes in the log.
func (e *entry) size() int { return 128 + e.body.Size() + len(e.lastError) }

func (e *entry) item() queue.Item {
	it := *e.body
	if e.state < none {
		it.State = stateNames[e.state]
	}
	it.Attempts, it.LastError, it.FirstReceivedAt = e.attempts, e.lastError, engine.TimeAt(e.first)
	return it
}

// live is something in the log that is still needed, at its latest position.
type live struct {
	pos    uint64
	size   int
	entry  *entry  // or
	dedupe *dedupe // one of these
}

type dedupe struct {
	key, id string
	expires int64
	log     *list.Element
}

// head is the part of the state that every transaction repeats.
type head struct {
	prefix             string // of the IDs made here
	lastSeq, lastToken int64
	paused             bool
}

// state is what the log adds up to.
type state struct {
	head
	entries   map[int64]*entry
	ids       map[string]*entry
	ready     heap
	due       heap
	oldest    heap // of those that may be dropped
	keys      map[string]*heap
	n         [none]int
	dedupes   map[string]*dedupe
	live      *list.List // of live, by position
	liveBytes int
}

const (
	slotState = iota // in ready or due
	slotKey
	slotOldest
)

func bySeq(a, b *entry) bool { return a.seq < b.seq }

func newState() *state {
	return &state{
		entries: map[int64]*entry{}, ids: map[string]*entry{}, keys: map[string]*heap{}, dedupes: map[string]*dedupe{}, live: list.New(),
		ready: heap{slot: slotState, less: func(a, b *entry) bool {
			return a.body.Priority > b.body.Priority || a.body.Priority == b.body.Priority && a.seq < b.seq
		}},
		due:    heap{slot: slotState, less: func(a, b *entry) bool { return a.due < b.due || a.due == b.due && a.seq < b.seq }},
		oldest: heap{slot: slotOldest, less: bySeq},
	}
}

func (s *state) len() int { return s.n[ready] + s.n[delayed] + s.n[blocked] + s.n[leased] }

// set gives an item a new meta, adds it or, with the state none, takes it out.
func (s *state) set(seq int64, body *queue.Item, m meta) {
	e := s.entries[seq]
	if e == nil {
		if m.state == none || body == nil {
			return
		}
		e = &entry{seq: seq, body: body, meta: meta{state: none}}
		s.entries[seq] = e
		s.ids[body.ID] = e
	}
	s.unlink(e)
	e.meta = m
	if m.state == none {
		delete(s.entries, seq)
		if s.ids[e.body.ID] == e {
			delete(s.ids, e.body.ID)
		}
		return
	}
	s.link(e)
}

func (s *state) unlink(e *entry) {
	switch e.state {
	case none:
		return
	case ready:
		s.ready.remove(e)
	case delayed, leased:
		s.due.remove(e)
	}
	s.n[e.state]--
	if e.state < leased {
		s.oldest.remove(e)
	}
	if e.body.Key != "" && e.state != dead {
		k := s.keys[e.body.Key]
		if k.remove(e); len(k.es) == 0 {
			delete(s.keys, e.body.Key)
		}
	}
}

func (s *state) link(e *entry) {
	switch e.state {
	case ready:
		s.ready.push(e)
	case delayed, leased:
		s.due.push(e)
	}
	s.n[e.state]++
	if e.state < leased {
		s.oldest.push(e)
	}
	if e.body.Key != "" && e.state != dead {
		k := s.keys[e.body.Key]
		if k == nil {
			k = &heap{slot: slotKey, less: bySeq}
			s.keys[e.body.Key] = k
		}
		k.push(e)
	}
}

// held returns the item that a lease is for, or nil when it is not any more.
func (s *state) held(lease queue.Lease) *entry {
	if e := s.ids[lease.ID]; e != nil && e.state == leased && uint64(e.token) == lease.Token {
		return e
	}
	return nil
}

// keyNext returns the first unfinished item of a key.
func (s *state) keyNext(key string) *entry {
	if k := s.keys[key]; k != nil && key != "" {
		return k.first()
	}
	return nil
}

// settle notes where in the log the records of a transaction now are.
func (s *state) settle(recs []record, pos uint64) {
	forget := func(el *list.Element) {
		if el != nil {
			s.liveBytes -= el.Value.(*live).size
			s.live.Remove(el)
		}
	}
	for _, r := range recs {
		switch r.kind {
		case recPut:
			if e := s.entries[r.seq]; e != nil {
				forget(e.log)
				size := e.size()
				s.liveBytes += size
				e.log = s.live.PushBack(&live{pos: pos, size: size, entry: e})
			}
		case recMeta, recMove:
			if e := s.entries[max(r.seq, r.to)]; e != nil && e.log != nil { // a move goes to the end
				l := e.log.Value.(*live)
				s.liveBytes += e.size() - l.size
				l.size = e.size()
			}
		case recDelete:
			forget(r.log)
		case recDedupe:
			if d := s.dedupes[r.dedupe.key]; d != nil {
				forget(d.log)
				size := 32 + len(d.key) + len(d.id)
				s.liveBytes += size
				d.log = s.live.PushBack(&live{pos: pos, size: size, dedupe: d})
			}
		}
	}
}

// expireDedupes forgets keys whose window is over.
func (s *state) expireDedupes(now int64) {
	for key, d := range s.dedupes {
		if d.expires <= now {
			delete(s.dedupes, key)
			if d.log != nil {
				s.liveBytes -= d.log.Value.(*live).size
				s.live.Remove(d.log)
			}
		}
	}
}

// oldestItem returns the first position of an item in the log.
func (s *state) oldestItem() (pos uint64, ok bool) {
	for el := s.live.Front(); el != nil; el = el.Next() {
		if l := el.Value.(*live); l.entry != nil {
			return l.pos, true
		}
	}
	return 0, false
}

// needed returns the position before which the log may be purged.
func (s *state) needed(last uint64) uint64 {
	if el := s.live.Front(); el != nil {
		return el.Value.(*live).pos
	}
	return last
}
