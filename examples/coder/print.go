package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// maxFailureLines is how many lines of failing tests the terminal shows. The
// model gets more.
const maxFailureLines = 16

// printer turns an agent's events into lines: for people, or as JSON for
// programs.
type printer struct {
	out  io.Writer
	json bool
	spin spinner

	midline  bool // the last text did not end with a newline
	thinking bool // the last text was reasoning
}

func newPrinter(out io.Writer, asJSON bool) *printer {
	p := &printer{out: out, json: asJSON}
	if !asJSON && isTerminal(out) {
		p.spin.out = out
	}
	return p
}

// follow prints the events after the given one until the agent exits or ctx
// ends. It always prints what had happened before ctx ended.
func (p *printer) follow(ctx context.Context, a *agent.Agent, after uint64) {
	defer p.spin.end()
	for event, err := range a.Events(ctx, after) {
		if err != nil {
			return // only ctx ends a sequence with an error
		}
		if p.json {
			p.printJSON(event)
		} else {
			p.print(event)
		}
		if own, ok := event.Body.(agent.Custom); ok && own.Name == eventResult {
			return
		}
	}
}

func (p *printer) printJSON(event agent.Event) {
	line, err := json.Marshal(event)
	if err != nil {
		line, _ = json.Marshal(map[string]string{"kind": "error", "error": err.Error()})
	}
	fmt.Fprintf(p.out, "%s\n", line)
}

// print shows one event to a person.
func (p *printer) print(event agent.Event) {
	switch body := event.Body.(type) {
	case agent.Output:
		p.stream(body.Text, false)
	case agent.Reasoning:
		p.stream(body.Text, true)
	case agent.InputReceived:
		if body.Source == sourceUser {
			p.line("\n> %s\n", oneLine(body.Text, 200))
		}
	case agent.Busy:
		p.wait("waiting for the model")
	case agent.Idle:
		p.spin.end()
	case agent.ToolStarted:
		p.wait(describe(body.Call))
	case agent.ToolFinished:
		p.spin.end()
		mark := "✓"
		detail := ""
		if body.Failed {
			mark, detail = "✗", "  "+oneLine(body.Result, 100)
		}
		p.line("  %s %s  %s%s", mark, describe(body.Call), text.Duration(body.Duration.Round(time.Millisecond)), detail)
		p.wait("waiting for the model")
	case agent.Message:
		if body.Level >= slog.LevelWarn {
			p.line("  ! %s", body.Text)
		}
	case agent.HookRan:
		if body.Error != "" {
			p.line("  ! hook %s: %s", body.Name, body.Error)
		}
	case agent.Asked:
		p.spin.end()
		p.line("%s\nyes, always or no?", body.Request.Text)
	case agent.Aborting:
		p.spin.end()
		p.line("stopping: %s", body.Reason)
	case agent.Lagged:
		p.line("  … %d events are not shown", body.To-body.From+1)
	case agent.Custom:
		p.own(body)
	}
}

// own shows this program's own events.
func (p *printer) own(event agent.Custom) {
	switch event.Name {
	case eventSetup:
		r := read[setupReport](event)
		p.line("repository: %s", r.Repository)
		if r.Scripted {
			p.line("model:      scripted (no API key found: the replies are written in advance; files, tests and git are real)")
		} else {
			p.line("model:      %s", r.Model)
		}
		p.line("tests:      %s", r.Tests)
		p.line("agent:      %s (continue a run that was cut off with -resume %s)", r.Agent, r.Agent)
		if r.Inspector != "" {
			p.line("inspector:  %s", r.Inspector)
		}
	case eventTests:
		p.tests(read[testsReport](event))
	case eventRepair:
		r := read[repairReport](event)
		if r.GaveUp != "" {
			p.line("repair: given up: %s", r.GaveUp)
			return
		}
		p.line("repair: attempt %d of %d is queued with checkpoint %s\n", r.Attempt, r.Of, r.Checkpoint)
	case eventCommit:
		r := read[commitReport](event)
		if r.Hash != "" {
			if r.Stat != "" {
				p.line("%s", strings.TrimRight(r.Stat, "\n"))
			}
			p.line("commit: %.10s %s", r.Hash, firstLine(r.Message))
		}
		for _, path := range r.LeftOut {
			p.line("  ! not committed: %s", path)
		}
	case eventResult:
		p.result(read[resultReport](event))
	}
}

func (p *printer) tests(r testsReport) {
	p.spin.end()
	took := time.Duration(r.Seconds * float64(time.Second))
	switch r.State {
	case "running":
		p.wait("running " + r.Command)
	case "passed":
		p.line("tests: ✓ %s passed  %s", r.Command, text.Duration(took.Round(time.Millisecond)))
	default:
		p.line("tests: ✗ %s %s  %s", r.Command, r.State, text.Duration(took.Round(time.Millisecond)))
		lines := strings.Split(strings.TrimRight(r.Output, "\n"), "\n")
		if cut := len(lines) - maxFailureLines; cut > 0 {
			lines = append(lines[:maxFailureLines:maxFailureLines], fmt.Sprintf("… %d more lines", cut))
		}
		for _, line := range lines {
			p.line("    %s", line)
		}
	}
}

func (p *printer) result(r resultReport) {
	p.spin.end()
	cost := "price unknown"
	if r.Cost > 0 {
		cost = fmt.Sprintf("$%.4f", r.Cost)
	}
	p.line("tokens: %d in, %d out, %s", r.Input, r.Output, cost)
	if r.Checkpoint != "" {
		p.line("checkpoint: %s", r.Checkpoint)
	}
	p.line("%s", r.Summary)
}

// stream prints a piece of the model's text as it comes.
func (p *printer) stream(piece string, thinking bool) {
	if piece == "" {
		return
	}
	p.spin.end()
	p.spin.above(func() {
		if thinking != p.thinking {
			p.endLine()
		}
		if thinking && !p.midline {
			fmt.Fprint(p.out, "  (thinking) ")
		}
		p.thinking = thinking
		fmt.Fprint(p.out, printable(piece))
		p.midline = !strings.HasSuffix(piece, "\n")
	})
}

// wait shows what takes time, on a line of its own: the spinner erases the line
// that it stands on.
func (p *printer) wait(label string) {
	p.spin.end()
	p.spin.above(p.endLine)
	p.spin.start(label)
}

// endLine ends a text that was streamed without a newline at its end.
func (p *printer) endLine() {
	if p.midline {
		fmt.Fprintln(p.out)
		p.midline = false
	}
}

// line prints a line of its own.
func (p *printer) line(format string, args ...any) {
	p.spin.above(func() {
		p.endLine()
		p.thinking = false
		fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
	})
}

// describe names a tool call by what it acts on.
func describe(call agent.ToolCall) string {
	var args map[string]any
	_ = json.Unmarshal(call.Args, &args) // whatever the model wrote
	for _, key := range []string{"path", "pattern", "query", "command", "argv", "text", "name"} {
		switch v := args[key].(type) {
		case string:
			return call.Name + " " + oneLine(v, 60)
		case []any:
			words := make([]string, len(v))
			for i := range v {
				words[i] = fmt.Sprint(v[i])
			}
			return call.Name + " " + oneLine(strings.Join(words, " "), 60)
		}
	}
	return call.Name
}

func read[T any](event agent.Custom) T {
	var v T
	_ = json.Unmarshal(event.Data, &v) // written by emit
	return v
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func oneLine(s string, width int) string {
	return text.Truncate(strings.Join(strings.Fields(s), " "), width)
}

// printable keeps a model or a test from driving the terminal: control
// characters other than newline and tab become visible.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}
