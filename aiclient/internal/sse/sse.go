// Package sse reads server-sent events, the framing in which model providers
// stream replies, as the WHATWG HTML standard defines it (section 9.2.6): lines
// end in LF, CR or CRLF, a leading byte order mark is dropped, comments and
// unknown fields are ignored, and several data lines join with a newline.
//
// Two deliberate differences from a browser: an event that the end of the
// stream cuts short is delivered and marked Cut instead of being dropped, so that
// the caller can decide whether what it holds is whole, and the size of an
// event is bounded.
package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// DefaultMaxEvent is the default bound on the bytes of one event. Providers put
// whole images into one event as base64, so it is generous.
const DefaultMaxEvent = 64 << 20

// ErrTooLong reports an event that is larger than the reader's bound.
var ErrTooLong = errors.New("sse: event too long")

// Event is one event of a stream. Its slices point into the reader's buffer and
// are valid only until the next call of [Reader.Next].
type Event struct {
	Type []byte // the event field; empty means "message"
	Data []byte // the data lines, joined with '\n'
	Cut  bool   // the stream ended before the blank line that ends the event
}

// Reader reads events. It is not safe for concurrent use.
type Reader struct {
	src   io.Reader
	buf   []byte
	start int // of the event that is being read
	pos   int // of the next unread byte
	end   int // of the buffered bytes
	max   int
	err   error  // of src, reported once the buffer is used up
	typ   []byte // of the event that is being read; reused

	begun  bool // the byte order mark has been dealt with
	skipLF bool // the last line ended in CR: a following LF belongs to it
}

// NewReader returns a reader of src's events, each of at most maxEvent bytes
// (0 means [DefaultMaxEvent]).
func NewReader(src io.Reader, maxEvent int) *Reader {
	if maxEvent <= 0 {
		maxEvent = DefaultMaxEvent
	}
	return &Reader{src: src, max: maxEvent}
}

var (
	fieldData  = []byte("data")
	fieldEvent = []byte("event")
	bom        = []byte("\xef\xbb\xbf")
)

// Next returns the next event that has data. The end of the stream is io.EOF;
// any other error of the underlying reader is returned as it is, after the
// events that came before it.
func (r *Reader) Next() (Event, error) {
	if !r.begun {
		r.begun = true
		for r.end < len(bom) && r.fill() {
		}
		if bytes.HasPrefix(r.buf[:r.end], bom) {
			r.pos = len(bom)
		}
	}

	// Offsets are relative to r.start, because fill moves the buffer.
	r.start = r.pos
	var dataFrom, dataTo int
	hasData := false
	r.typ = r.typ[:0]
	for {
		from, to, ok, err := r.line()
		if err != nil {
			return Event{}, err
		}
		if !ok { // the stream is over
			if hasData && r.err == io.EOF {
				return r.event(dataFrom, dataTo, true), nil
			}
			return Event{}, r.err
		}
		if from == to {
			if hasData {
				return r.event(dataFrom, dataTo, false), nil
			}
			r.start = r.pos
			r.typ = r.typ[:0]
			continue
		}
		line := r.buf[r.start+from : r.start+to]
		colon := bytes.IndexByte(line, ':')
		name, value := line, to
		if colon >= 0 {
			name, value = line[:colon], from+colon+1
			if value < to && r.buf[r.start+value] == ' ' {
				value++
			}
		}
		switch {
		case bytes.Equal(name, fieldData):
			if !hasData {
				hasData, dataFrom, dataTo = true, value, to
				continue
			}
			// A further data line moves down to the end of the data: it is
			// never shorter than "data" + line end, so '\n' always fits.
			at := r.start + dataTo
			r.buf[at] = '\n'
			dataTo += 1 + copy(r.buf[at+1:], r.buf[r.start+value:r.start+to])
		case bytes.Equal(name, fieldEvent):
			r.typ = append(r.typ[:0], r.buf[r.start+value:r.start+to]...)
		}
	}
}

func (r *Reader) event(dataFrom, dataTo int, cut bool) Event {
	from, to := r.start+dataFrom, r.start+dataTo
	return Event{Type: r.typ, Data: r.buf[from:to:to], Cut: cut}
}

// line finds the next line, without its end, as offsets from r.start. At the
// end of the stream an unterminated rest counts as a line; after it ok is false.
func (r *Reader) line() (from, to int, ok bool, err error) {
	if r.skipLF {
		if r.pos == r.end && !r.fill() {
			return 0, 0, false, nil
		}
		r.skipLF = false
		if r.buf[r.pos] == '\n' {
			if r.pos == r.start {
				r.start++
			}
			r.pos++
		}
	}
	scanned := 0
	for {
		rest := r.buf[r.pos+scanned : r.end]
		n := bytes.IndexByte(rest, '\n')
		if n >= 0 {
			rest = rest[:n]
		}
		if cr := bytes.IndexByte(rest, '\r'); cr >= 0 {
			n = cr
		}
		if n >= 0 {
			from = r.pos - r.start
			to = from + scanned + n
			r.skipLF = r.buf[r.start+to] == '\r'
			r.pos = r.start + to + 1
			return from, to, true, nil
		}
		scanned = r.end - r.pos
		if r.end-r.start > r.max {
			return 0, 0, false, fmt.Errorf("%w: more than %d bytes", ErrTooLong, r.max)
		}
		if !r.fill() {
			if scanned == 0 || r.err != io.EOF {
				return 0, 0, false, nil
			}
			from = r.pos - r.start
			r.pos = r.end
			return from, from + scanned, true, nil
		}
	}
}

// fill reads more bytes and reports whether it got any. It keeps everything
// from r.start on.
func (r *Reader) fill() bool {
	if r.err != nil {
		return false
	}
	if r.end == len(r.buf) {
		if r.start > 0 {
			copy(r.buf, r.buf[r.start:r.end])
			r.pos -= r.start
			r.end -= r.start
			r.start = 0
		}
		if r.end > len(r.buf)/2 || len(r.buf) == 0 {
			grown := make([]byte, max(8<<10, 2*len(r.buf)))
			copy(grown, r.buf[:r.end])
			r.buf = grown
		}
	}
	for range 100 { // as bufio does: a reader that returns nothing is broken
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	r.err = io.ErrNoProgress
	return false
}
