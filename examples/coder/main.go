// Coder repairs and extends a git repository: it chats with a model that may
// search, read, edit and run commands, runs the tests, has failures repaired,
// and commits when they pass. Everything it does is saved, so that it can be
// killed at any point and continued with -resume.
//
// Run it without arguments to see it repair a demonstration repository with a
// scripted model; -h lists the flags. Its exit status is 0 when the tests pass
// and the work is committed, 1 when they still fail, 2 for a command line that
// makes no sense, 3 when the model or the repository cannot be used, and 130
// when it was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, err := parseConfig(args, stderr)
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stderr, "coder: %v\nrun coder -h for help\n", err)
		}
		return exitStatus(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	release := onInterrupt(stop, stderr)
	defer release()

	s, err := open(ctx, cfg, newPrinter(stdout, cfg.JSON))
	if err != nil {
		err = cmpCause(ctx, err)
		fmt.Fprintf(stderr, "coder: %v\n", err)
		return exitStatus(err)
	}
	s.terminal = isTerminal(stdin) && !cfg.JSON
	person, leave := context.WithCancelCause(context.Background())
	defer leave(nil)
	s.shop.person = person
	if s.terminal {
		go func() { // ends with the process
			s.listen(stdin)
			if !cfg.Inspect {
				leave(errNobody)
			}
		}()
	} else if !cfg.Inspect {
		leave(errNobody)
	}
	if s.terminal && s.inspector != nil {
		if err := s.inspector.Open(); err != nil {
			fmt.Fprintf(stderr, "coder: %v; open the inspector's address by hand\n", err)
		}
	}
	return s.work(ctx)
}

// errInterrupted is why a run ends that the user stopped.
var errInterrupted = &failure{exitInterrupted, errors.New("interrupted")}

// onInterrupt ends the run at the first interrupt and the process at the second.
func onInterrupt(stop context.CancelCauseFunc, stderr io.Writer) (release func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			if n > 0 {
				os.Exit(exitInterrupted)
			}
			fmt.Fprintln(stderr, "\ncoder: stopping and saving; interrupt again to exit at once")
			stop(errInterrupted)
		}
	}()
	return sync.OnceFunc(func() {
		signal.Stop(signals)
		close(done)
	})
}

// saveTimeout bounds what is done after the work has ended: saving and closing.
const saveTimeout = 10 * time.Second
