package filesystem

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

// Window is a part of a text file, by lines.
type Window struct {
	Path  string
	First int // number of the first line, from 1
	Lines []string
	Total int  // lines in the whole file; counted up to the end of the window when More
	More  bool // the file goes on behind the window
}

// String renders the window with line numbers.
func (w Window) String() string {
	var b strings.Builder
	for i, line := range w.Lines {
		fmt.Fprintf(&b, "%6d\t%s\n", w.First+i, line)
	}
	return b.String()
}

// maxLine is where a line is cut in a Window, in bytes.
const maxLine = 4096

// ReadLines returns count lines of a text file from line first on, which counts
// from 1. A count of 0 or less means all that follow. A file with NUL bytes is
// ErrBinary. Only what is asked for is held in memory, so a file may be of any
// size; lines over 4096 bytes are cut and say so.
func (s *Service) ReadLines(ctx context.Context, name string, first, count int) (Window, error) {
	began := s.begin()
	w, err := s.readLines(ctx, name, first, count)
	size := 0
	for _, line := range w.Lines {
		size += len(line)
	}
	s.done(ctx, began, "read", name, int64(size), err)
	return w, err
}

func (s *Service) readLines(ctx context.Context, name string, first, count int) (Window, error) {
	clean, err := s.clean(name)
	if err != nil {
		return Window{}, err
	}
	t := s.tree()
	f, err := t.openFile(ctx, clean)
	if err != nil {
		return Window{}, err
	}
	defer f.Close()
	s.reads.Add(1)
	w := Window{Path: clean, First: max(first, 1)}
	r := bufio.NewReaderSize(f, 64<<10)
	head, err := r.Peek(2)
	if err != nil && err != io.EOF {
		return Window{}, fmt.Errorf("read %s: %w", clean, err)
	}
	if isUTF16(head) {
		data, err := s.readClean(ctx, t, clean)
		if err != nil {
			return Window{}, err
		}
		r = bufio.NewReader(bytes.NewReader(decodeUTF16(data)))
	}
	var line []byte
	cut, size := 0, 0
	open := false // line has begun and not ended
	limit := s.maxFileSize()
	for reads := 1; ; reads++ {
		if reads%64 == 0 && ctx.Err() != nil {
			return Window{}, ctx.Err()
		}
		part, err := r.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return Window{}, fmt.Errorf("read %s: %w", clean, err)
		}
		if bytes.IndexByte(part, 0) >= 0 {
			return Window{}, fmt.Errorf("read %s: %w", clean, ErrBinary)
		}
		if err == io.EOF && len(part) == 0 && !open {
			return w, nil
		}
		wanted := w.Total+1 >= w.First
		if wanted && count > 0 && len(w.Lines) == count {
			w.More = true
			return w, nil
		}
		part, ended := bytes.CutSuffix(part, newline)
		if wanted {
			keep := min(len(part), maxLine-len(line))
			line = append(line, part[:keep]...)
			cut += len(part) - keep
		}
		if open = !ended && err == bufio.ErrBufferFull; open {
			continue
		}
		w.Total++
		if wanted {
			text := strings.TrimSuffix(string(line), "\r")
			if w.Total == 1 {
				text = strings.TrimPrefix(text, "\ufeff")
			}
			if cut > 0 {
				text += fmt.Sprintf(" [… %d bytes cut …]", cut)
			}
			if size += len(text); limit >= 0 && int64(size) > limit {
				return Window{}, tooLarge("read", clean, int64(size), limit)
			}
			w.Lines = append(w.Lines, text)
		}
		line, cut = line[:0], 0
		if err == io.EOF {
			return w, nil
		}
	}
}

// ReadRange returns up to length bytes from offset on. At or behind the end of
// the file it returns none.
func (s *Service) ReadRange(ctx context.Context, name string, offset, length int64) (data []byte, err error) {
	began := s.begin()
	defer func() { s.done(ctx, began, "read", name, int64(len(data)), err) }()
	clean, err := s.clean(name)
	if err != nil {
		return nil, err
	}
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("read %s: offset %d and length %d must not be negative", clean, offset, length)
	}
	if limit := s.maxFileSize(); limit >= 0 && length > limit {
		return nil, tooLarge("read", clean, length, limit)
	}
	f, err := s.tree().openFile(ctx, clean)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.reads.Add(1)
	if seeker, ok := f.(io.Seeker); ok {
		_, err = seeker.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, f, offset)
	}
	if err == io.EOF {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", clean, err)
	}
	data, err = io.ReadAll(io.LimitReader(f, length))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", clean, err)
	}
	return data, nil
}
