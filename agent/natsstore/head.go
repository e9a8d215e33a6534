package natsstore

import (
	"encoding/binary"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// headName is the header that says what a message is.
const headName = "Tokenring-Checkpoint"

// kind says what the messages of a write make up.
type kind string

const (
	kindRecord kind = "record" // one more record
	kindAll    kind = "all"    // all records, in the place of those before
)

// head is the head of a message.
type head struct {
	kind  kind
	seq   uint64 // highest record number once the write is complete
	prev  uint64 // highest record number before
	part  int    // 1 to parts
	parts int
	write string // tells writes apart
}

func (h head) last() uint64 {
	if h.part == h.parts {
		return h.seq
	}
	return h.prev
}

func (h head) header() nats.Header {
	return nats.Header{headName: {fmt.Sprintf("%s %d %d %d %d %s", h.kind, h.seq, h.prev, h.part, h.parts, h.write)}}
}

func parseHead(header nats.Header) (head, error) {
	var h head
	text := header.Get(headName)
	if _, err := fmt.Sscanf(text, "%s %d %d %d %d %s", &h.kind, &h.seq, &h.prev, &h.part, &h.parts, &h.write); err != nil {
		return h, fmt.Errorf("head %q: %w", text, err)
	}
	if h.kind != kindRecord && h.kind != kindAll || h.part < 1 || h.part > h.parts {
		return h, fmt.Errorf("head %q is not one of this version", text)
	}
	return h, nil
}

// pack writes records one after another: number, length, data.
func pack(recs []agent.Record) []byte {
	size := 0
	for _, r := range recs {
		size += len(r.Data) + 2*binary.MaxVarintLen64
	}
	b := make([]byte, 0, size)
	for _, r := range recs {
		b = binary.AppendUvarint(b, r.Seq)
		b = binary.AppendUvarint(b, uint64(len(r.Data)))
		b = append(b, r.Data...)
	}
	return b
}

// unpack reads what pack wrote. The records share memory with b.
func unpack(b []byte) ([]agent.Record, error) {
	var recs []agent.Record
	for len(b) > 0 {
		seq, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("record %d of a set is cut short", len(recs))
		}
		b = b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, fmt.Errorf("record %d of a set is cut short", len(recs))
		}
		b = b[n:]
		recs = append(recs, agent.Record{Seq: seq, Data: b[:size:size]})
		b = b[size:]
	}
	return recs, nil
}
