package natsqueue

import (
	"bytes"
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// A frame is the message of one transaction: its ID, the head of the state, and
// what became of the items that it touched.
const frameVersion = 1

// The kinds of records.
const (
	recPut    = 'P' // an item in full
	recMeta   = 'M' // an item's meta
	recDelete = 'D'
	recMove   = 'S' // an item's seq and meta
	recDedupe = 'K'
)

type record struct {
	kind   byte
	seq    int64
	to     int64 // new seq of a moved item
	body   *queue.Item
	meta   meta
	dedupe dedupe
	log    *list.Element // of a deleted item, in memory only
}

// size is how many bytes a record takes, at most.
func (r *record) size() int {
	n := 96 + len(r.meta.lastError) + len(r.dedupe.key) + len(r.dedupe.id)
	if r.kind == recPut {
		n += overhead + r.body.Size() + 8*len(r.body.Headers)
	}
	return n
}

var errFrame = errors.New("transaction cannot be read")

func putString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func encode(id string, h *head, recs []record) []byte {
	size := 64
	for i := range recs {
		size += recs[i].size()
	}
	b := append(make([]byte, 0, size), frameVersion)
	b = putString(b, id)
	b = putString(b, h.prefix)
	b = binary.AppendVarint(b, h.lastSeq)
	b = binary.AppendVarint(b, h.lastToken)
	paused := byte(0)
	if h.paused {
		paused = 1
	}
	b = append(b, paused)
	for i := range recs {
		r := &recs[i]
		b = append(b, r.kind)
		if r.kind == recDedupe {
			b = putString(b, r.dedupe.key)
			b = putString(b, r.dedupe.id)
			b = binary.AppendVarint(b, r.dedupe.expires)
			continue
		}
		b = binary.AppendVarint(b, r.seq)
		if r.kind == recDelete {
			continue
		}
		if r.kind == recPut {
			it := r.body
			for _, s := range []string{it.ID, it.Name, it.Key, it.Dedupe} {
				b = putString(b, s)
			}
			b = binary.AppendVarint(b, int64(it.Priority))
			b = binary.AppendVarint(b, engine.Nanos(it.NotBefore))
			b = binary.AppendVarint(b, engine.Nanos(it.EnqueuedAt))
			b = putString(b, it.Payload)
			b = putString(b, it.Checkpoint)
			b = binary.AppendUvarint(b, uint64(len(it.Headers)))
			for _, k := range slices.Sorted(maps.Keys(it.Headers)) {
				b = putString(putString(b, k), it.Headers[k])
			}
		}
		if r.kind == recMove {
			b = binary.AppendVarint(b, r.to)
		}
		m := &r.meta
		for _, v := range []int64{int64(m.state), int64(m.attempts), m.token, m.due, m.available, m.received, m.first} {
			b = binary.AppendVarint(b, v)
		}
		b = putString(b, m.lastError)
	}
	return b
}

// reader reads the parts of a frame; the first failure stays.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

func decode(data []byte) (id string, h head, recs []record, err error) {
	r := &reader{b: data}
	if v := r.byte(); v != frameVersion {
		return "", h, nil, fmt.Errorf("%w: version %d, this program knows %d", errFrame, v, frameVersion)
	}
	id = string(r.bytes())
	h = head{prefix: string(r.bytes()), lastSeq: r.int(), lastToken: r.int(), paused: r.byte() == 1}
	for len(r.b) > 0 && !r.bad {
		rec := record{kind: r.byte()}
		switch rec.kind {
		case recDedupe:
			rec.dedupe = dedupe{key: string(r.bytes()), id: string(r.bytes()), expires: r.int()}
		case recDelete:
			rec.seq = r.int()
			rec.meta.state = none
		case recPut, recMeta, recMove:
			rec.seq = r.int()
			if rec.kind == recPut {
				rec.body = r.item()
			}
			if rec.kind == recMove {
				rec.to = r.int()
			}
			m := &rec.meta
			m.state, m.attempts = int(r.int()), int(r.int())
			m.token, m.due, m.available, m.received, m.first = r.int(), r.int(), r.int(), r.int(), r.int()
			m.lastError = string(r.bytes())
			r.bad = r.bad || m.state < 0 || m.state >= none
		default:
			r.bad = true
		}
		recs = append(recs, rec)
	}
	if r.bad {
		return "", head{}, nil, fmt.Errorf("%w: it is damaged", errFrame)
	}
	return id, h, recs, nil
}

func (r *reader) item() *queue.Item {
	it := &queue.Item{ID: string(r.bytes()), Name: string(r.bytes()), Key: string(r.bytes()), Dedupe: string(r.bytes())}
	it.Priority, it.NotBefore, it.EnqueuedAt = int(r.int()), engine.TimeAt(r.int()), engine.TimeAt(r.int())
	// Copies, so that one item does not keep a message of many in memory.
	it.Payload, it.Checkpoint = bytes.Clone(r.bytes()), bytes.Clone(r.bytes())
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return it
	}
	if n > 0 {
		it.Headers = map[string]string{}
	}
	for range n {
		k := string(r.bytes())
		it.Headers[k] = string(r.bytes())
	}
	return it
}
