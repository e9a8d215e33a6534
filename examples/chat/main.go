// Chat talks to any model from a terminal.
//
//	chat "What is a monad?"                           # the model whose key is set
//	chat -model anthropic:claude-sonnet-4-6 -tool time
//	git diff | chat "Review this change:" -           # - stands for the standard input
//	chat -base-url http://localhost:11434/v1 -model qwen3:8b
//	chat -list
//
// Without a prompt it reads one from the standard input, or converses when that
// is a terminal: Ctrl-C cancels a reply and keeps what was said. -h lists the
// flags, which come before the prompt.
//
// Its exit status is 0 when the model answered, 1 when it could not, 2 for a
// command line that makes no sense, and 130 when it was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// The exit statuses.
const (
	exitAnswered    = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells report SIGINT
)

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, err := parseConfig(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitAnswered
	}
	if err == nil && !cfg.list && !(len(cfg.prompt) == 0 && isTerminal(stdin) && !cfg.json) {
		cfg.text, err = readPrompt(cfg.prompt, stdin)
	}
	if err != nil {
		fmt.Fprintf(stderr, "chat: %v\nrun chat -h for help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)

	if cfg.list {
		ctx, stop := cancelOn(ctx, interrupts)
		defer stop()
		err = list(ctx, cfg, stdout, stderr)
	} else {
		err = converse(ctx, cfg, interrupts, stdin, stdout, stderr)
	}
	switch {
	case err == nil:
		return exitAnswered
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "chat: %s\n", harmless(err.Error()))
	return exitFailed
}

// converse gets one answer, or as many as the person at the terminal wants.
func converse(ctx context.Context, cfg config, interrupts <-chan os.Signal, stdin io.Reader, stdout, stderr io.Writer) error {
	opening, stop := cancelOn(ctx, interrupts)
	defer stop()
	out := newPrinter(stdout, stderr, cfg.json)
	s, err := open(opening, cfg, out)
	stop()
	if err != nil {
		if cfg.json {
			out.line(failure(cfg.model, err))
		}
		return err
	}
	if cfg.text == "" {
		return s.interact(ctx, interrupts, stdin)
	}
	ctx, stop = cancelOn(ctx, interrupts)
	defer stop()
	return s.say(ctx, cfg.text)
}

// cancelOn returns a context that ends at an interrupt.
func cancelOn(ctx context.Context, interrupts <-chan os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// isTerminal reports whether f is a terminal rather than a pipe or a file.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
