package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/filesystem"
)

// ANSI colours, the same as ripgrep's.
const (
	colourPath  = "\x1b[35m"
	colourLine  = "\x1b[32m"
	colourMatch = "\x1b[1;31m"
	colourOff   = "\x1b[0m"
)

// printer writes results.
type printer struct {
	w       *bufio.Writer
	s       *settings
	context bool
	first   bool
}

func newPrinter(w io.Writer, s *settings) *printer {
	return &printer{w: bufio.NewWriterSize(w, 256<<10), s: s, context: s.query.Before > 0 || s.query.After > 0, first: true}
}

func (p *printer) flush() error { return p.w.Flush() }

// path returns a path as the user would write it.
func (p *printer) path(name string) string {
	switch {
	case p.s.file != "":
		return p.s.file
	case p.s.prefix == "":
		return name
	case strings.HasSuffix(p.s.prefix, "/"):
		return p.s.prefix + name
	}
	return p.s.prefix + "/" + name
}

func (p *printer) paint(colour, text string) {
	if p.s.colour {
		p.w.WriteString(colour)
	}
	p.w.WriteString(text)
	if p.s.colour {
		p.w.WriteString(colourOff)
	}
}

// file prints what was found in one file.
func (p *printer) file(f filesystem.FileMatch) {
	name := p.path(f.Path)
	if p.s.json {
		f.Path = name
		if data, err := json.Marshal(f); err == nil {
			p.w.Write(append(data, '\n'))
		}
		return
	}
	if p.s.names || len(f.Lines) == 0 {
		p.paint(colourPath, name)
		p.w.WriteByte('\n')
		return
	}
	last := 0
	for _, l := range f.Lines {
		if p.context && !p.first && l.Number != last+1 {
			p.w.WriteString("--\n")
		}
		last, p.first = l.Number, false
		mark := byte(':')
		if l.Context {
			mark = '-'
		}
		if p.s.file == "" {
			p.paint(colourPath, name)
			p.w.WriteByte(mark)
		}
		p.number(l.Number)
		p.w.WriteByte(mark)
		p.text(l)
		p.w.WriteByte('\n')
	}
}

func (p *printer) number(n int) {
	if p.s.colour {
		p.paint(colourLine, strconv.Itoa(n))
		return
	}
	p.w.Write(strconv.AppendInt(p.w.AvailableBuffer(), int64(n), 10))
}

func (p *printer) text(l filesystem.Line) {
	at := 0
	if p.s.colour {
		for _, span := range l.Spans {
			p.w.WriteString(l.Text[at:span.Start])
			p.paint(colourMatch, l.Text[span.Start:span.End])
			at = span.End
		}
	}
	p.w.WriteString(l.Text[at:])
	if l.Cut > 0 {
		fmt.Fprintf(p.w, " [… %d bytes cut …]", l.Cut)
	}
}

// list prints the names of the files that would be searched.
func (s *settings) list(ctx context.Context, files *filesystem.Service, out *printer, stderr io.Writer) (bool, error) {
	if s.file != "" {
		out.paint(colourPath, s.file)
		return true, out.w.WriteByte('\n')
	}
	found, failed := false, 0
	for round := range max(s.repeat, 1) {
		began := time.Now()
		names, errs := files.List(ctx, filesystem.ListOptions{
			Dir: s.dir, Globs: s.query.Globs, Types: s.query.Types, NoIgnore: s.noIgnore, NoHidden: !s.hidden, Workers: s.query.Workers,
		})
		if err := ctx.Err(); err != nil {
			return false, err
		}
		s.tell(stderr, round, began, "%d files", len(names))
		if round > 0 {
			continue
		}
		for _, err := range errs {
			failed++
			fmt.Fprintln(stderr, "search:", err)
		}
		for _, name := range names {
			out.paint(colourPath, out.path(name))
			out.w.WriteByte('\n')
		}
		found = len(names) > 0
	}
	if failed > 0 {
		return found, fmt.Errorf("%d directories could not be read", failed)
	}
	return found, nil
}
