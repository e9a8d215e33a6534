package filesystem

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

const (
	// searchChunk is how much of a file is searched at a time.
	searchChunk = 1 << 20

	// binaryHead is how far into a file a NUL byte makes the file binary. A NUL
	// further on ends the search of the file there.
	binaryHead = 64 << 10

	// maxShown is where lines are cut in a result, in bytes.
	maxShown = 4096

	// maxBuffered bounds what must be in memory at once: a line, a file in
	// UTF-16, and with Multiline any file.
	maxBuffered = 256 << 20
)

// fileSearch searches one file, chunk by chunk. Chunks end at line ends.
type fileSearch struct {
	run    *searchRun
	state  *matchState
	match  FileMatch
	line   int         // number of the line at counted
	keep   bool        // lines are kept
	after  int         // lines of context still to be shown behind the last match
	shown  int         // number of the last line that was shown
	before []shownLine // the end of the chunk before

	// Lines and their text are gathered in the worker's memory and copied to
	// the result at once.
	lines []Line
	text  []byte
	ends  []int // of each line's text

	learn learning
}

// search searches an open file. It returns false to end the whole search.
func (r *searchRun) search(worker int, f *nodeFile, path string) bool {
	w := &r.workers[worker]
	size := f.info.Size
	if r.tooLarge(f.info) {
		w.tooLarge++
		return true
	}
	fs := fileSearch{run: r, match: FileMatch{Path: path}, line: 1, keep: !r.noLines.Load(), learn: r.learns(w, f.info)}
	if w.state == nil {
		w.state = r.matcher.newState()
	}
	fs.state = w.state
	fs.lines, fs.text, fs.ends = w.lines[:0], w.text[:0], w.ends[:0]
	defer func() { w.lines, w.text, w.ends = fs.lines, fs.text, fs.ends }()
	buf := w.buf[:0]
	w.searched++
	first := true
	for eof := false; !eof; {
		want := searchChunk
		if rest := size + 1 - int64(len(buf)); first && rest < searchChunk {
			want = max(int(rest), 512)
		}
		if r.matcher.multiline {
			want = max(want, int(min(size+1, maxBuffered)))
		}
		if cap(buf)-len(buf) < want {
			grown := make([]byte, len(buf), max(2*cap(buf), len(buf)+want))
			copy(grown, buf)
			buf = grown
			w.buf = buf[:0]
		}
		var err error
		begin := len(buf)
		for len(buf)-begin < want && !eof {
			var n int
			n, err = f.Read(buf[len(buf):min(cap(buf), begin+want)])
			buf = buf[:len(buf)+n]
			if err == io.EOF || err == nil && (n == 0 || int64(len(buf)) == size && first) {
				eof, err = true, nil
			}
			if err != nil {
				return r.failed(worker, fmt.Errorf("search %s: %w", path, err))
			}
		}
		w.bytes += int64(len(buf) - begin)
		if first && isUTF16(buf) {
			if size > maxBuffered {
				w.tooLarge++
				return true
			}
			if !eof {
				rest, err := f.readAll(nil)
				if err != nil {
					return r.failed(worker, fmt.Errorf("search %s: %w", path, err))
				}
				buf, eof = append(buf, rest...), true
			}
			buf = decodeUTF16(buf)
		}
		if nul := bytes.IndexByte(buf[begin*b2i(!first):], 0); nul >= 0 {
			nul += begin * b2i(!first)
			if first && nul < binaryHead {
				w.binary++
				if fs.learn.file != nil {
					r.learned(w, fs.learn, true)
				}
				return true
			}
			// What comes before the NUL byte is text.
			buf, eof = buf[:nul], true
		}
		if first {
			buf = bytes.TrimPrefix(buf, utf8BOM)
		}
		first = false
		end := len(buf)
		if !eof {
			end = bytes.LastIndexByte(buf, '\n') + 1
			if r.matcher.multiline || end == 0 {
				// The whole file is searched at once, or a line is longer
				// than the chunk.
				if len(buf) >= maxBuffered {
					w.tooLarge++
					break
				}
				continue
			}
		}
		if fs.learn.file != nil {
			w.grams.add(buf[:end])
			if eof {
				r.learned(w, fs.learn, false)
			}
		}
		fs.chunk(buf[:end])
		n := copy(w.buf[:cap(w.buf)], buf[end:])
		buf = w.buf[:n]
	}
	if fs.match.Count == 0 {
		return true
	}
	if len(fs.lines) > 0 {
		text, at := string(fs.text), 0
		fs.match.Lines = slices.Clone(fs.lines)
		for i, end := range fs.ends {
			fs.match.Lines[i].Text, at = text[at:end], end
		}
	}
	if r.emit != nil {
		return r.emit(fs.match)
	}
	w.matches = append(w.matches, fs.match)
	return true
}

// tooLarge reports whether a file is passed over for its size.
func (r *searchRun) tooLarge(s fileStamp) bool {
	return r.q.MaxFileSize > 0 && s.Size > r.q.MaxFileSize
}

var utf8BOM = []byte("\ufeff")

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// chunk searches whole lines.
func (fs *fileSearch) chunk(buf []byte) {
	r := fs.run
	m := r.matcher
	state := fs.state
	state.reset()
	pos, counted := 0, 0 // counted: the lines up to here are in fs.line
	shownTo := 0         // the end of what was shown of this chunk
	for pos < len(buf) {
		start, end, ok := m.nextLine(state, buf, pos)
		if !ok {
			break
		}
		if fs.keep && r.collect {
			if limit := matchesAllowed(r.q); limit >= 0 && r.lines.Add(1) > int64(limit) {
				r.noLines.Store(true)
			}
			if r.noLines.Load() { // the result will show names only
				fs.keep, fs.lines, fs.text, fs.ends = false, fs.lines[:0], fs.text[:0], fs.ends[:0]
			}
		}
		if fs.match.Count++; !fs.keep {
			pos = end + 1
			if m.multiline {
				fs.match.Count += bytes.Count(buf[start:end], newline)
			}
			continue
		}
		if fs.after > 0 {
			shownTo = fs.contextAfter(buf, shownTo, start, &counted)
		}
		if r.q.Before > 0 {
			fs.contextBefore(buf, shownTo, start, &counted)
		}
		fs.line += bytes.Count(buf[counted:start], newline)
		counted = start
		for at := start; at <= end; { // several lines with Multiline
			stop := end
			if i := bytes.IndexByte(buf[at:end], '\n'); i >= 0 {
				stop = at + i
			}
			fs.add(shown(buf[at:stop]), fs.line, false)
			if at != start {
				fs.match.Count++
			}
			at = stop + 1
			if at <= end {
				fs.line++
				counted = at
			}
		}
		pos, shownTo = end+1, min(end+1, len(buf))
		fs.after = r.q.After
	}
	if fs.keep && fs.after > 0 {
		fs.contextAfter(buf, shownTo, len(buf), &counted)
	}
	fs.line += bytes.Count(buf[counted:], newline)
	if r.q.Before > 0 && fs.keep {
		fs.remember(buf)
	}
}

var newline = []byte{'\n'}

// shownLine is what a result shows of a line.
type shownLine struct {
	text []byte
	cut  int // bytes missing at its end
}

func shown(line []byte) shownLine {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	n := min(len(line), maxShown)
	return shownLine{line[:n], len(line) - n}
}

// size is what the line counts for Query.MaxBytes.
func (l shownLine) size() int { return len(l.text) + lineOverhead }

// add keeps a line, unless there are more of its kind already than the result
// may show, which drops them all then.
func (fs *fileSearch) add(line shownLine, number int, context bool) {
	fs.shown = number
	r := fs.run
	if limit := int64(r.q.MaxBytes); r.collect && limit >= 0 {
		switch {
		case !context && r.bytes.Add(int64(line.size())) > limit:
			r.noLines.Store(true)
		case context && r.around.Load() > limit:
			return
		case context:
			r.around.Add(int64(line.size()))
		}
	}
	l := Line{Number: number, Context: context, Cut: line.cut}
	if !context && r.q.Spans {
		l.Spans = r.matcher.spans(line.text)
	}
	fs.lines = append(fs.lines, l)
	fs.text = append(fs.text, line.text...)
	fs.ends = append(fs.ends, len(fs.text))
}

// contextAfter shows lines from at on, up to limit and to the number wanted.
func (fs *fileSearch) contextAfter(buf []byte, at, limit int, counted *int) int {
	for at < limit && fs.after > 0 {
		fs.line += bytes.Count(buf[*counted:at], newline)
		*counted = at
		end := len(buf)
		if i := bytes.IndexByte(buf[at:], '\n'); i >= 0 {
			end = at + i
		}
		fs.add(shown(buf[at:end]), fs.line, true)
		fs.after--
		at = min(end+1, len(buf))
	}
	return at
}

// contextBefore shows the lines before start that were not shown yet.
func (fs *fileSearch) contextBefore(buf []byte, shownTo, start int, counted *int) {
	first, n := start, 0
	for n < fs.run.q.Before && first > shownTo {
		first = bytes.LastIndexByte(buf[:first-1], '\n') + 1
		n++
	}
	if first == 0 && n < fs.run.q.Before && shownTo == 0 {
		// The rest comes from the chunk before.
		number := fs.line - bytes.Count(buf[:*counted], newline)
		for i := max(0, len(fs.before)-(fs.run.q.Before-n)); i < len(fs.before); i++ {
			if at := number - len(fs.before) + i; at > fs.shown {
				fs.add(fs.before[i], at, true)
			}
		}
	}
	for first < start {
		fs.line += bytes.Count(buf[*counted:first], newline)
		*counted = first
		end := first + bytes.IndexByte(buf[first:start], '\n')
		fs.add(shown(buf[first:end]), fs.line, true)
		first = end + 1
	}
}

// remember keeps the last lines of a chunk for the next one: as many as may be
// shown, or more than the result may show, in which case it shows none.
func (fs *fileSearch) remember(buf []byte) {
	q := &fs.run.q
	size := 0
	more := func(n int) bool { return n < q.Before && (q.MaxBytes < 0 || size <= q.MaxBytes) }
	var last []shownLine
	for end := len(buf); end > 0 && more(len(last)); {
		start := bytes.LastIndexByte(buf[:end-1], '\n') + 1
		line := shown(bytes.TrimSuffix(buf[start:end], newline))
		line.text = bytes.Clone(line.text)
		last = append(last, line)
		size += line.size()
		end = start
	}
	for i := len(fs.before) - 1; i >= 0 && more(len(last)); i-- {
		last = append(last, fs.before[i])
		size += fs.before[i].size()
	}
	slices.Reverse(last)
	fs.before = last
}
