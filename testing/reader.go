package testing

import (
	"bytes"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

// reader reads test cases out of what a command prints, as it comes.
type reader interface {
	write(data []byte)
	end()
	cases() *caseList
	packages() []Case
	// output is what to keep of the run: the failing cases first.
	output(r Result, res command.Result) (string, int64)
}

func newReader(f Format, req Request) reader {
	switch f {
	case FormatTAP:
		t := &tapReader{req: req}
		t.lines.fn = t.line
		return t
	case FormatGoJSON:
		return newGoReader(req)
	default:
		return nil
	}
}

// maxLine bounds what is kept of one line, so that a gigabyte without a line
// break does no harm.
const maxLine = 256 << 10

// lineSplitter calls fn with each line, without its line break.
type lineSplitter struct {
	fn  func(line []byte)
	buf []byte
}

func (l *lineSplitter) write(data []byte) {
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			l.keep(data)
			return
		}
		if len(l.buf) == 0 {
			l.fn(bytes.TrimSuffix(data[:min(end, maxLine)], []byte("\r")))
		} else {
			l.keep(data[:end])
			l.fn(bytes.TrimSuffix(l.buf, []byte("\r")))
			l.buf = l.buf[:0]
		}
		data = data[end+1:]
	}
}

func (l *lineSplitter) keep(data []byte) {
	l.buf = append(l.buf, data[:min(len(data), maxLine-len(l.buf))]...)
}

func (l *lineSplitter) end() {
	if len(l.buf) > 0 {
		l.fn(l.buf)
		l.buf = nil
	}
}
