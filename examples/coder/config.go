package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// config is what the user asked for. It is saved with the agent, so that
// -resume needs nothing but the agent's ID.
type config struct {
	Task       string
	Dir        string // absolute path of the repository; empty for the demonstration
	Model      string // provider:model, or scriptedModel
	BaseURL    string
	Test       string // shell command
	MaxRepairs int
	NoCommit   bool

	// The following belong to one run and are not saved.
	Yes          bool   `json:"-"`
	RepairsGiven bool   `json:"-"` // MaxRepairs is no default
	JSON         bool   `json:"-"`
	Resume       string `json:"-"`
	Inspect      bool   `json:"-"`
	State        string `json:"-"`
}

const usage = `coder repairs and extends a git repository: it chats with a model that may
search, read, edit and run commands, runs the tests, has failures repaired and
commits when they pass.

usage: coder [flags] ["task"]

Without a task, a directory and an API key it repairs a small demonstration
repository with a scripted model.

`

// parseConfig reads the command line. The error is a *failure with the exit
// status of bad usage, or flag.ErrHelp.
func parseConfig(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("coder", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Dir, "dir", "", "work on the git repository at `path` (default: a demonstration)")
	flags.StringVar(&c.Model, "model", "", "use `provider:model` (default: by the API key that is set: OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY)")
	flags.StringVar(&c.BaseURL, "base-url", "", "talk to the OpenAI-compatible endpoint at `url`, with the key in CODER_API_KEY if it needs one")
	flags.StringVar(&c.Test, "test", "", "run `command` as the tests (default: detected from the build files)")
	flags.IntVar(&c.MaxRepairs, "max-repairs", 3, "give up after `n` repairs of the same failure; with -resume, after so many more")
	flags.BoolVar(&c.Yes, "yes", false, "approve every command without asking")
	flags.BoolVar(&c.JSON, "json", false, "print one JSON event a line")
	flags.BoolVar(&c.NoCommit, "no-commit", false, "leave the changes uncommitted")
	flags.BoolVar(&c.Inspect, "inspect", false, "serve a local web page that shows and steers the run, and open it")
	flags.StringVar(&c.Resume, "resume", "", "continue the agent `id` from its newest checkpoint")
	flags.StringVar(&c.State, "state", "", "keep checkpoints in `path` (default: in the user's configuration directory)")

	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			flags.SetOutput(stderr)
			flags.PrintDefaults()
			return c, flag.ErrHelp
		}
		return c, badUsage(err)
	}
	flags.Visit(func(f *flag.Flag) { c.RepairsGiven = c.RepairsGiven || f.Name == "max-repairs" })
	c.Task = strings.TrimSpace(strings.Join(flags.Args(), " "))
	switch {
	case c.MaxRepairs < 0:
		return c, badUsage(fmt.Errorf("-max-repairs %d: want 0 or more", c.MaxRepairs))
	case c.Resume != "" && c.Task != "":
		return c, badUsage(errors.New("-resume continues the saved task: give no other"))
	case c.Resume != "" && c.Dir != "":
		return c, badUsage(errors.New("-resume continues in the saved directory: give no -dir"))
	case c.Dir != "" && c.Task == "" && c.Resume == "":
		return c, badUsage(errors.New(`say what to do: coder -dir path "task"`))
	case c.Dir == "" && c.Task != "" && c.Resume == "":
		c.Dir = "."
	}
	if c.BaseURL != "" {
		if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return c, badUsage(fmt.Errorf("-base-url %s: want a URL such as http://localhost:11434/v1", c.BaseURL))
		}
	}
	if c.Dir != "" {
		dir, err := filepath.Abs(c.Dir)
		if err != nil {
			return c, setupFailure(fmt.Errorf("-dir %s: %w", c.Dir, err))
		}
		c.Dir = dir
	}
	if c.State == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			base = os.TempDir() // no home, as in a bare container
		}
		c.State = filepath.Join(base, "tokenring", "coder")
	}
	return c, nil
}

// The exit statuses.
const (
	exitGreen       = 0   // the tests pass, the work is committed
	exitRed         = 1   // the tests still fail
	exitUsage       = 2   // the command line makes no sense
	exitSetup       = 3   // the model or the repository cannot be used
	exitInterrupted = 130 // the user stopped it, as shells report SIGINT
)

// failure is an error that knows its exit status.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func badUsage(err error) error     { return &failure{exitUsage, err} }
func setupFailure(err error) error { return &failure{exitSetup, err} }

// exitStatus returns the status that err calls for.
func exitStatus(err error) int {
	var f *failure
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitGreen
	case errors.As(err, &f):
		return f.status
	default:
		return exitSetup
	}
}
