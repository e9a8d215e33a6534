package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
)

// A checkpoint file begins with fileMagic; then follow frames, little endian:
//
//	4  frameMagic
//	8  sequence number
//	4  length of the data
//	4  CRC-32C of the data
//	4  CRC-32C of the 20 bytes before
//	   the data
//
// The head has a checksum of its own, so that after damage the next frame can
// be told from bytes that only look like one.
const (
	fileMagic  = "TRckpt1\n"
	frameMagic = "\xf1TRr"
	frameHead  = 24
)

// frame is what scanFrames finds.
type frame struct {
	rec     Record // Seq is 0 when it is lost
	offset  int
	problem string // what is wrong, or ""
}

func appendFrame(b []byte, rec Record) ([]byte, error) {
	if uint64(len(rec.Data)) > math.MaxUint32 {
		return nil, fmt.Errorf("checkpoint %d holds %d bytes: at most 4 GiB fit", rec.Seq, len(rec.Data))
	}
	start := len(b)
	b = append(b, frameMagic...)
	b = binary.LittleEndian.AppendUint64(b, rec.Seq)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(rec.Data)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(rec.Data, castagnoli))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
	return append(b, rec.Data...), nil
}

// headAt reads the head of a frame. ok is false when there is none at offset.
func headAt(data []byte, offset int) (seq uint64, length, sum uint32, ok bool) {
	if len(data)-offset < frameHead {
		return 0, 0, 0, false
	}
	h := data[offset : offset+frameHead]
	if string(h[:4]) != frameMagic || crc32.Checksum(h[:20], castagnoli) != binary.LittleEndian.Uint32(h[20:]) {
		return 0, 0, 0, false
	}
	return binary.LittleEndian.Uint64(h[4:]), binary.LittleEndian.Uint32(h[12:]), binary.LittleEndian.Uint32(h[16:]), true
}

// scanFrames calls yield for each frame of a file, also for damaged ones that
// sound ones follow, until it returns false. It returns the offset behind the
// last sound frame: what follows that was torn.
func scanFrames(data []byte, yield func(frame) bool) (end int) {
	if len(data) == 0 {
		return 0
	}
	offset := 0
	if bytes.HasPrefix(data, []byte(fileMagic)) {
		offset = len(fileMagic)
		end = offset
	}
	var pending []frame // damaged frames that may turn out to be a torn end
	for offset < len(data) {
		seq, length, sum, ok := headAt(data, offset)
		if ok && uint64(length) <= uint64(len(data)-offset-frameHead) {
			size := int(length)
			body := data[offset+frameHead : offset+frameHead+size : offset+frameHead+size]
			if crc32.Checksum(body, castagnoli) == sum {
				for _, bad := range pending {
					if !yield(bad) {
						return end
					}
				}
				pending = nil
				if !yield(frame{rec: Record{Seq: seq, Data: body}, offset: offset}) {
					return end
				}
				offset += frameHead + size
				end = offset
				continue
			}
		}
		// Look for the next head; what lies between is one damaged piece.
		next := offset + 1
		for next < len(data) {
			i := bytes.Index(data[next:], []byte(frameMagic))
			if i < 0 {
				next = len(data)
				break
			}
			next += i
			if _, _, _, found := headAt(data, next); found {
				break
			}
			next++
		}
		reason := fmt.Sprintf("%d bytes are not a record", next-offset)
		if ok {
			reason = fmt.Sprintf("its checksum does not fit its %d bytes", length)
		} else {
			seq = 0
		}
		pending = append(pending, frame{rec: Record{Seq: seq}, offset: offset, problem: reason})
		offset = next
	}
	return end
}

// escapeName makes a file name of an ID that no file system confuses with
// another one's: bytes other than lower-case letters, digits, '-' and '_'
// become %xx.
func escapeName(id string) string {
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func unescapeName(name string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		var c byte
		if i+2 >= len(name) {
			return "", false
		}
		if _, err := fmt.Sscanf(name[i+1:i+3], "%02x", &c); err != nil {
			return "", false
		}
		b.WriteByte(c)
		i += 2
	}
	id := b.String()
	return id, escapeName(id) == name
}
