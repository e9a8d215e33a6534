package testing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/command"
	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// Format is what a command prints about its tests.
type Format string

const (
	FormatText   Format = ""     // anything; the exit code alone counts
	FormatTAP    Format = "tap"  // Test Anything Protocol
	FormatGoJSON Format = "json" // go test -json
)

// Shell runs a command line in the shell: exit code 0 means passed.
type Shell struct {
	Command string
	Argv    []string // instead of Command: a program and its arguments, without a shell
	Dir     string   // working directory; default that of this process

	Timeout    time.Duration // 0 means Options.Timeout; negative none
	KillDelay  time.Duration // from SIGTERM to SIGKILL of the whole process group; default 2 s
	Env        []string      // added variables, as "NAME=value"
	InheritEnv []string      // as in command.Options; credentials stay out by default
	Exclusive  bool          // run while no other resource does

	// Format says how to read single test cases from standard output. Where there
	// are none although the command succeeds, the resource is Skipped.
	Format Format

	// JUnit lists files or patterns (path/filepath.Match, relative to Dir) of
	// JUnit XML reports that the command writes. Files that are older than the
	// run are not read.
	JUnit []string
}

// Traits describe the resource.
func (sh Shell) Traits() Traits {
	return Traits{Exclusive: sh.Exclusive, Timeout: sh.Timeout, Command: sh.line()}
}

func (sh Shell) line() string {
	if len(sh.Argv) > 0 {
		return text.Quote(sh.Argv...)
	}
	return sh.Command
}

// Test runs the command. Standard input is empty.
func (sh Shell) Test(ctx context.Context, req Request) Result {
	argv := sh.Argv
	if len(argv) == 0 {
		if sh.Command == "" {
			return Result{Status: Errored, Error: "the shell resource has neither Command nor Argv"}
		}
		argv = command.Shell(sh.Command)
	}
	return sh.run(ctx, req, argv)
}

func (sh Shell) run(ctx context.Context, req Request, argv []string) Result {
	opts := command.Options{Dir: sh.Dir, Env: sh.Env, InheritEnv: sh.InheritEnv, KillDelay: sh.KillDelay, MaxOutput: req.MaxOutput}
	reader := newReader(sh.Format, req)
	if reader != nil {
		opts.OnOutput = func(stream command.Stream, data []byte) {
			if stream == command.Stdout {
				reader.write(data)
			}
		}
	}
	began := time.Now()
	res, err := command.Run(ctx, argv, opts)
	r := Result{Command: sh.line(), ExitCode: res.ExitCode, Signal: res.Signal, Status: Passed}
	out := res.Combined()
	r.Output, r.Dropped = bound(out.String(), out.Dropped(), req.MaxOutput)
	switch {
	case err == nil:
	case res.TimedOut:
		r.Status, r.Error = TimedOut, fmt.Sprintf("timed out after %s", res.Duration.Round(time.Millisecond))
	case res.Canceled:
		r.Status, r.Error = Canceled, err.Error()
	case notStarted(res, err):
		r.Status, r.Error = Errored, err.Error()
		return r
	default:
		r.Status = Failed
	}
	if reader != nil {
		reader.end()
		list := reader.cases()
		r.Cases, r.Total, r.Failed, r.Suites = list.kept, list.total, list.failed, reader.packages()
		r.Output, r.Dropped = reader.output(r, res)
	}
	if len(sh.JUnit) > 0 {
		list, err := readJUnit(sh.Dir, sh.JUnit, began)
		if err != nil && r.Status == Passed {
			r.Status, r.Error = Errored, err.Error()
		} else if err != nil {
			r.Error = err.Error()
		}
		r.Cases = append(r.Cases, list.kept...)
		r.Total, r.Failed = r.Total+list.total, r.Failed+list.failed
		if failures := failing(r.Cases); len(failures) > 0 {
			full, dropped := failuresFirst(failures, r.Output, req.MaxOutput)
			r.Output, r.Dropped = full, r.Dropped+dropped
		}
	}
	r.Failures = failing(r.Cases)
	if r.Status == Passed && r.Failed > 0 {
		r.Status, r.Error = Failed, "cases failed although the command reported success"
	}
	if structured := reader != nil || len(sh.JUnit) > 0; structured && r.Status == Passed && r.Total == 0 {
		r.Status, r.Error = Skipped, "no test ran"
	}
	return r
}

// notStarted tells a command that could not be run from one that failed.
func notStarted(res command.Result, err error) bool {
	var exit *command.ExitError
	return errors.As(err, &exit) && exit.Err != nil && res.Signal == "" && res.ExitCode < 0 ||
		errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist)
}

func failing(cases []Case) []Case {
	var bad []Case
	for _, c := range cases {
		if c.Status.Bad() {
			bad = append(bad, c)
		}
	}
	return bad
}
