package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// isTerminal reports whether f is a terminal rather than a pipe or a file.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	return term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// spinnerDelay keeps short steps from flickering.
const spinnerDelay = 300 * time.Millisecond

// spinner shows one changing line at the bottom of a terminal while a step
// takes long. The zero value shows nothing. Its lock also guards the writer:
// whoever prints holds it through [spinner.above].
type spinner struct {
	out io.Writer // nil when the output is not a terminal

	mu      sync.Mutex
	label   string
	began   time.Time
	visible bool
	stop    chan struct{}
}

// start shows label with the elapsed time until end is called.
func (s *spinner) start(label string) {
	if s.out == nil {
		return
	}
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.label, s.began = label, time.Now()
	s.stop = make(chan struct{})
	go s.turn(s.stop)
}

func (s *spinner) turn(stop <-chan struct{}) {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		select {
		case <-stop:
		default:
			if elapsed := time.Since(s.began); elapsed >= spinnerDelay {
				fmt.Fprintf(s.out, "\r\x1b[K%c %s %.1fs", frames[i%len(frames)], s.label, elapsed.Seconds())
				s.visible = true
			}
		}
		s.mu.Unlock()
	}
}

// end removes the line.
func (s *spinner) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		close(s.stop)
		s.stop = nil
	}
	s.clear()
}

func (s *spinner) clear() {
	if s.visible {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.visible = false
	}
}

// above runs print with the line out of the way.
func (s *spinner) above(print func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	print()
}
