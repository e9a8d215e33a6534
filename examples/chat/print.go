package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// printer shows a conversation: the model's text goes to out, everything about it
// to notes. It is not safe for concurrent use.
type printer struct {
	out, notes io.Writer
	json       bool
	terminal   bool // out is one
	verbose    bool // notes is a terminal: there is somebody to read figures

	midline  bool // the last text did not end with a newline
	thinking bool // the last text was reasoning
	sources  []*aiclient.Source
}

func newPrinter(out, notes io.Writer, asJSON bool) *printer {
	return &printer{out: out, notes: notes, json: asJSON, terminal: isTerminal(out), verbose: isTerminal(notes)}
}

// The styles of a terminal.
const (
	dim   = "\x1b[2m"
	plain = "\x1b[0m"
)

// part shows a part of a reply as it arrives.
func (p *printer) part(part aiclient.Part) {
	if p.json {
		p.line(part)
		return
	}
	switch part.Kind {
	case aiclient.KindText:
		p.text(part.Text, false)
	case aiclient.KindReasoning:
		if p.terminal { // thoughts are no part of an answer that goes to a file
			p.text(part.Text, true)
		}
	case aiclient.KindSource:
		p.sources = append(p.sources, part.Source)
	case aiclient.KindFile:
		p.note("[%s, %s]", part.File.MediaType, text.Bytes(int64(len(part.File.Data))))
	case aiclient.KindFinish:
		for _, warning := range part.Finish.Warnings {
			p.note("%s", warning)
		}
	}
}

func (p *printer) text(s string, thinking bool) {
	if s == "" {
		return
	}
	if p.thinking != thinking {
		p.newline()
		p.thinking = thinking
	}
	p.midline = !strings.HasSuffix(s, "\n")
	if p.terminal {
		s = harmless(s)
	}
	if thinking {
		s = dim + s + plain
	}
	fmt.Fprint(p.out, s)
}

// harmless takes away what would steer the terminal: what a model writes may come
// from anywhere.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

// tool shows a call and its result.
func (p *printer) tool(call aiclient.ToolCall, result aiclient.ToolResult, took time.Duration) {
	if p.json {
		p.line(aiclient.ToolResultPart(result))
		return
	}
	failed := ""
	if result.IsError {
		failed = "failed: "
	}
	p.note("[%s %s] %s%s (%s)", call.Name, text.Truncate(call.Arguments, 60), failed,
		text.Truncate(result.Text, 200), text.Duration(took.Round(time.Millisecond)))
}

// result is the last line of -json.
type result struct {
	Kind  string              `json:"kind"` // "result", beside the kinds of parts
	Model string              `json:"model"`
	Stop  aiclient.StopReason `json:"stop"`
	Usage aiclient.Usage      `json:"usage"`
	Cost  float64             `json:"cost"` // USD; 0 when it is not known
	Error string              `json:"error,omitempty"`
	Class aiclient.Class      `json:"class,omitempty"` // of the error
}

func failure(model string, err error) result {
	return result{Kind: "result", Model: model, Stop: aiclient.StopFailed, Error: err.Error(), Class: aiclient.ClassOf(err)}
}

// end shows what belongs to a whole answer.
func (p *printer) end(model aiclient.Model, turn *aiclient.Turn, err error) {
	if p.json {
		r := result{}
		if err != nil {
			r = failure("", err)
		}
		r.Kind, r.Model, r.Stop, r.Usage, r.Cost = "result", model.String(), turn.Stop, turn.Usage, turn.Cost
		p.line(r)
		return
	}
	p.newline()
	for i, s := range p.sources {
		title := s.Title
		if title == "" {
			title = s.URL
		}
		fmt.Fprintf(p.out, "[%d] %s\n", i+1, harmless(title+" "+s.URL))
	}
	p.sources = nil
	switch {
	case err != nil: // the caller says so
	case turn.Stop == aiclient.StopLength:
		p.note("the reply was cut off at its token limit")
	case turn.Stop == aiclient.StopContentFilter:
		p.note("the provider withheld the rest of the reply")
	}
	if p.verbose && len(turn.Steps) > 0 {
		p.note("%s", figures(turn))
	}
}

// figures says what a turn took.
func figures(turn *aiclient.Turn) string {
	var took time.Duration
	for _, step := range turn.Steps {
		took += step.Duration
	}
	s := fmt.Sprintf("%d tokens in, %d out", turn.Usage.Prompt(), turn.Usage.Output)
	if turn.Usage.CachedRead > 0 {
		s += fmt.Sprintf(" (%d in from cache)", turn.Usage.CachedRead)
	}
	if turn.Cost > 0 {
		s += fmt.Sprintf(", %.4f USD", turn.Cost)
	}
	s += ", " + text.Duration(took.Round(time.Millisecond))
	last := turn.Steps[len(turn.Steps)-1].Response
	if last != nil {
		if speed := last.Timing.TokensPerSecond(last.Usage); speed > 0 {
			s += fmt.Sprintf(", %.0f tokens/s", speed)
		}
	}
	return s
}

// note tells the person something that is no part of the answer.
func (p *printer) note(format string, args ...any) {
	p.newline()
	s := fmt.Sprintf(format, args...)
	if p.verbose {
		s = dim + harmless(s) + plain
	}
	fmt.Fprintln(p.notes, s)
}

// prompt asks for the next message.
func (p *printer) prompt() {
	p.newline()
	fmt.Fprint(p.notes, "> ")
}

func (p *printer) newline() {
	if p.midline {
		fmt.Fprintln(p.out)
	}
	p.midline = false
}

func (p *printer) line(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		data, _ = json.Marshal(failure("", err))
	}
	fmt.Fprintf(p.out, "%s\n", data)
}
