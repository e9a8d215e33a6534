package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// DefaultKillDelay is the default of [Options.KillDelay].
const DefaultKillDelay = 2 * time.Second

// DefaultMaxOutput is the default of [Options.MaxOutput] in bytes.
const DefaultMaxOutput = 1 << 20

// Options say how to run a command. The zero value runs it in the current
// directory, without input, without a time limit and with the environment that
// [DefaultEnv] lets through.
type Options struct {
	// Dir is the working directory. Empty means that of this process.
	Dir string

	// Env is added to the inherited environment, as "NAME=value"; anything else
	// is an error. Later entries win over earlier ones and over inherited ones.
	Env []string

	// InheritEnv lists the variables of this process that the command sees:
	// names or [path.Match] patterns such as "LC_*". Nil means [DefaultEnv],
	// which leaves credentials out; {"*"} means all; empty but not nil means
	// none.
	InheritEnv []string

	// Stdin is the command's input. Nil means the null device, so that a command
	// that asks a question ends instead of waiting for ever. An *os.File is
	// handed over as it is; from any other reader Run reads until the command
	// ends. A Read that is blocked then is left behind until it returns.
	Stdin io.Reader

	// Timeout bounds the run. 0 means no limit but the context's.
	Timeout time.Duration

	// KillDelay is how long processes get to end: between the SIGTERM and the
	// SIGKILL of the whole process group when the run is cancelled, and, after
	// the command itself has exited, for what it left running with its output
	// still open. 0 means [DefaultKillDelay]; negative means no time at all.
	KillDelay time.Duration

	// MaxOutput is how many bytes are kept of each stream, half from the
	// beginning and half from the end. 0 means [DefaultMaxOutput]; negative
	// means all.
	MaxOutput int

	// OnOutput is called with all output as it comes, dropped or kept. Calls do
	// not overlap and follow the order of arrival; the bytes are valid only
	// during the call. It must return soon, because the command waits for it.
	OnOutput func(Stream, []byte)
}

// Stream names one of a command's outputs.
type Stream int

// The streams of a command.
const (
	Stdout Stream = iota + 1
	Stderr
)

func (s Stream) String() string {
	switch s {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	}
	return fmt.Sprintf("Stream(%d)", int(s))
}

// Shell returns the argv that runs line in the shell. Use it only for lines that
// are meant to be shell code; to put other text into one, quote it with
// [text.Quote].
func Shell(line string) []string { return shell(line) }

// Result tells how a command ended.
type Result struct {
	Argv []string

	Stdout, Stderr Output

	// ExitCode is the exit status, or -1 when the command was ended by a signal
	// or never started, or when its status is not known.
	ExitCode int

	// Signal is the signal that ended the command, such as "SIGKILL", or empty.
	Signal string

	// TimedOut says that Options.Timeout or the context's deadline ended the
	// run, Canceled that the context was cancelled.
	TimedOut, Canceled bool

	// Duration is the time from the start to the end of the run.
	Duration time.Duration

	combined Output
}

// Combined returns both streams interleaved in the order of arrival, bounded
// like each of them.
func (r Result) Combined() Output { return r.combined }

// Output is what a command wrote to a stream: all of it, or its beginning and
// its end. The zero value is an empty output.
type Output struct{ kept *text.HeadTail }

// String returns the kept text. Where bytes are missing it holds a line
// "[… N bytes dropped …]". The bytes are as the command wrote them, valid UTF-8
// or not.
func (o Output) String() string { return string(o.Bytes()) }

// Bytes returns the same as String.
func (o Output) Bytes() []byte {
	if o.kept == nil {
		return nil
	}
	return o.kept.Bytes()
}

// Dropped returns the number of bytes that are missing.
func (o Output) Dropped() int64 {
	if o.kept == nil {
		return 0
	}
	return o.kept.Dropped()
}

// Len returns the number of bytes that were written, including those dropped.
func (o Output) Len() int64 {
	if o.kept == nil {
		return 0
	}
	return o.kept.Len()
}

// ExitError reports a command that did not exit with status 0, or that could
// not be started.
type ExitError struct {
	Result Result

	// Err says why when it was not the command's own doing: the context's error
	// and cause, [context.DeadlineExceeded] for a timeout, or why it could not
	// be started. It is nil for a command that ended by itself.
	Err error
}

// Error names the command and how it ended, with the last line of its stderr.
func (e *ExitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "command %s: ", clip(text.Quote(e.Result.Argv...), 200))
	switch r := e.Result; {
	case r.TimedOut:
		fmt.Fprintf(&b, "timed out after %s: %v", r.Duration.Round(time.Millisecond), e.Err)
	case r.Canceled:
		fmt.Fprintf(&b, "canceled after %s: %v", r.Duration.Round(time.Millisecond), e.Err)
	case e.Err != nil:
		fmt.Fprintf(&b, "%v", e.Err)
	case r.Signal != "":
		fmt.Fprintf(&b, "ended by %s", r.Signal)
	default:
		fmt.Fprintf(&b, "exit status %d", r.ExitCode)
	}
	if line := lastLine(e.Result.Stderr.String()); line != "" {
		fmt.Fprintf(&b, ": %s", clip(line, 300))
	}
	return b.String()
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// startError puts into words why the command could not be started. The
// operating system reports a missing directory as if the program were missing.
func startError(dir string, err error) error {
	if dir != "" {
		if info, statErr := os.Stat(dir); statErr != nil {
			return fmt.Errorf("working directory: %w", statErr)
		} else if !info.IsDir() {
			return fmt.Errorf("working directory %s is not a directory", dir)
		}
	}
	return fmt.Errorf("could not be started: %w", err)
}

// contextError returns an error that is both the context's error and its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
