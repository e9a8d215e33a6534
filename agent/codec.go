package agent

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// The form of a checkpoint record, format 1, in bytes:
//
//	4  magic "TRck"
//	1  format
//	1  flags: 1 = what follows is deflated
//	4  CRC-32C of everything after it, little endian
//	   uvarint sequence, uvarint parent (0 = complete by itself),
//	   varint Unix nanoseconds, uvarint last event, uvarint number of parts
//	   parts: uvarint kind, string name, uvarint version, bytes data
//
// Strings and bytes carry their length as a uvarint. A record says how the
// state differs from its parent's, so its cost follows what changed: a step of
// a conversation costs its messages and about fifty bytes.
const (
	recordMagic  = "TRck"
	recordFormat = 1
	flagDeflated = 1
	recordHeader = 10
)

// partKind says what a part does to its slice.
type partKind uint8

const (
	partFull   partKind = 1 // the slice's whole state
	partDelta  partKind = 2 // appended to what the slice was
	partRemove partKind = 3 // the slice is no more
)

type part struct {
	kind    partKind
	name    string
	version int
	data    []byte
}

// record is one checkpoint as it is stored.
type record struct {
	seq    uint64
	parent uint64
	time   time.Time
	events uint64
	parts  []part
	bytes  int64 // of the encoded form
}

// maxInflated bounds what a deflated record may grow to, so that a damaged or
// hostile one cannot eat the memory: deflate expands by at most 1032:1.
const maxInflated = 1 << 32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes rec; compress asks for deflate where that is smaller.
func (rec *record) encode(compress bool) ([]byte, error) {
	size := recordHeader + 5*binary.MaxVarintLen64
	for _, p := range rec.parts {
		size += len(p.name) + len(p.data) + 4*binary.MaxVarintLen32
	}
	b := make([]byte, recordHeader, size)
	copy(b, recordMagic)
	b[4] = recordFormat
	b = binary.AppendUvarint(b, rec.seq)
	b = binary.AppendUvarint(b, rec.parent)
	b = binary.AppendVarint(b, rec.time.UnixNano())
	b = binary.AppendUvarint(b, rec.events)
	b = binary.AppendUvarint(b, uint64(len(rec.parts)))
	for _, p := range rec.parts {
		b = binary.AppendUvarint(b, uint64(p.kind))
		b = binary.AppendUvarint(b, uint64(len(p.name)))
		b = append(b, p.name...)
		b = binary.AppendUvarint(b, uint64(p.version))
		b = binary.AppendUvarint(b, uint64(len(p.data)))
		b = append(b, p.data...)
	}
	if uint64(len(b)) > math.MaxUint32 {
		return nil, fmt.Errorf("checkpoint %d holds %d bytes: a record holds at most 4 GiB", rec.seq, len(b))
	}
	if compress && len(b) > 512 {
		if small := deflate(b[recordHeader:]); len(small) < len(b)-recordHeader {
			b = append(b[:recordHeader], small...)
			b[5] |= flagDeflated
		}
	}
	binary.LittleEndian.PutUint32(b[6:], crc32.Checksum(b[recordHeader:], castagnoli))
	return b, nil
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil { // only for an unknown level
		return b
	}
	if _, err := w.Write(b); err != nil || w.Close() != nil {
		return b
	}
	return out.Bytes()
}

// errDamaged is wrapped by all errors of decodeRecord.
var errDamaged = errors.New("damaged checkpoint record")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

// decodeRecord reads what encode wrote. The record shares memory with b.
func decodeRecord(b []byte) (*record, error) {
	if len(b) < recordHeader || string(b[:4]) != recordMagic {
		return nil, damaged("it does not begin like one")
	}
	if b[4] != recordFormat {
		return nil, damaged("format %d, this version reads format %d", b[4], recordFormat)
	}
	if b[5]&^flagDeflated != 0 {
		return nil, damaged("unknown flags %#x", b[5])
	}
	if sum := crc32.Checksum(b[recordHeader:], castagnoli); sum != binary.LittleEndian.Uint32(b[6:]) {
		return nil, damaged("checksum %08x, it says %08x", sum, binary.LittleEndian.Uint32(b[6:]))
	}
	rec := &record{bytes: int64(len(b))}
	body := b[recordHeader:]
	if b[5]&flagDeflated != 0 {
		r := flate.NewReader(bytes.NewReader(body))
		inflated, err := io.ReadAll(io.LimitReader(r, min(maxInflated, int64(len(body))*1100+1024)))
		if err != nil {
			return nil, damaged("inflate: %v", err)
		}
		body = inflated
	}
	d := decoder{b: body}
	rec.seq = d.uvarint()
	rec.parent = d.uvarint()
	rec.time = time.Unix(0, d.varint())
	rec.events = d.uvarint()
	count := d.uvarint()
	if d.bad || count > uint64(len(d.b)) { // a part takes more than a byte
		return nil, damaged("its head is cut short")
	}
	if rec.seq == 0 || rec.parent >= rec.seq {
		return nil, damaged("number %d with parent %d", rec.seq, rec.parent)
	}
	rec.parts = make([]part, 0, count)
	for range count {
		p := part{kind: partKind(d.uvarint())}
		p.name = string(d.bytes())
		version := d.uvarint()
		p.data = d.bytes()
		if d.bad || version > math.MaxInt32 {
			return nil, damaged("part %d is cut short", len(rec.parts))
		}
		p.version = int(version)
		switch p.kind {
		case partFull, partDelta, partRemove:
		default:
			return nil, damaged("part %q is of unknown kind %d", p.name, p.kind)
		}
		rec.parts = append(rec.parts, p)
	}
	if len(d.b) != 0 {
		return nil, damaged("%d bytes too many", len(d.b))
	}
	return rec, nil
}

// decoder reads from b and remembers that something was missing.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}
