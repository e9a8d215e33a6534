package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// Grace periods that no caller has a reason to change.
const (
	// drainDelay is how long output is awaited after every process of the group
	// was killed: only a process that left the group can still hold it open.
	drainDelay = 100 * time.Millisecond

	// stdinDelay is how long a reader that is blocked in Read is awaited after
	// the command has ended.
	stdinDelay = 100 * time.Millisecond
)

// Run runs a program and waits until it has ended. argv[0] is looked up in the
// PATH of this process unless it contains a slash, in which case it is relative
// to Options.Dir; no shell is involved unless [Shell] made argv.
//
// The error is nil only when the command exited with status 0. Otherwise it is
// an [*ExitError], which wraps the context's error when the run was cancelled or
// timed out. The Result is filled in either case, with the output so far.
//
// When Run returns, no process of the command's process group is left; one that
// must outlive it has to start a session of its own (setsid). Run is safe for
// concurrent use.
func Run(ctx context.Context, argv []string, opts Options) (Result, error) {
	began := time.Now()
	res := Result{Argv: slices.Clone(argv), ExitCode: -1}
	if opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.Timeout)
		defer cancel()
	}
	fail := func(err error) (Result, error) {
		res.Duration = time.Since(began)
		return res, &ExitError{Result: res, Err: err}
	}
	if len(argv) == 0 {
		return fail(errors.New("argv is empty: want a program and its arguments"))
	}
	for _, p := range opts.InheritEnv {
		if _, err := path.Match(p, ""); err != nil {
			return fail(fmt.Errorf("pattern %q of InheritEnv: %w", p, err))
		}
	}
	for _, entry := range opts.Env {
		if strings.IndexByte(entry, '=') <= 0 {
			// Not the whole entry: what lacks its name may be a secret.
			return fail(fmt.Errorf("entry of Env that begins with %q: want NAME=value", clip(entry, 8)))
		}
	}
	if ctx.Err() != nil {
		res.interrupted(ctx)
		return fail(contextError(ctx))
	}

	r := newRunner(opts)
	err := r.start(argv, opts)
	if err != nil {
		return fail(startError(opts.Dir, err))
	}
	interrupted := r.wait(ctx)
	if interrupted {
		res.interrupted(ctx)
	}
	res.Stdout, res.Stderr, res.combined = Output{r.stdout}, Output{r.stderr}, Output{r.combined}
	if r.cmd.ProcessState != nil {
		res.ExitCode, res.Signal = exitStatus(r.cmd.ProcessState)
	}
	res.Duration = time.Since(began)
	switch {
	case r.panicked != nil:
		panic(fmt.Sprintf("command: panic in Options.OnOutput: %v\n\n%s", r.panicked, r.stack))
	case interrupted:
		return res, &ExitError{Result: res, Err: contextError(ctx)}
	case r.cmd.ProcessState == nil:
		return res, &ExitError{Result: res, Err: fmt.Errorf("ended, but its exit status is lost, because another part of this program reaped it: %w", r.waitErr)}
	case res.ExitCode != 0:
		return res, &ExitError{Result: res}
	}
	return res, nil
}

func (r *Result) interrupted(ctx context.Context) {
	r.TimedOut = errors.Is(ctx.Err(), context.DeadlineExceeded)
	r.Canceled = !r.TimedOut
}

// runner is one run of a command.
type runner struct {
	cmd       *exec.Cmd
	killDelay time.Duration
	onOutput  func(Stream, []byte)

	mu                       sync.Mutex // guards what follows while readers run
	stdout, stderr, combined *text.HeadTail
	closed                   bool // output that comes from now on is too late
	panicked                 any
	stack                    []byte
	abort                    chan struct{} // closed when onOutput panicked

	waitErr    error // why there is no exit status
	readers    sync.WaitGroup
	ends       []*os.File // our ends of the output pipes
	stdinPipe  *os.File   // our end of the input pipe, or nil
	stdinDone  chan struct{}
	outputDone chan struct{}
}

func newRunner(opts Options) *runner {
	limit, delay := opts.MaxOutput, opts.KillDelay
	if limit == 0 {
		limit = DefaultMaxOutput
	}
	if delay == 0 {
		delay = DefaultKillDelay
	}
	return &runner{
		killDelay:  max(delay, 0),
		onOutput:   opts.OnOutput,
		stdout:     text.NewHeadTail(limit),
		stderr:     text.NewHeadTail(limit),
		combined:   text.NewHeadTail(limit),
		abort:      make(chan struct{}),
		outputDone: make(chan struct{}),
	}
}

// start starts the command and the goroutines that move its data. The pipes are
// made here instead of by os/exec so that Run decides how long to wait for them.
func (r *runner) start(argv []string, opts Options) (err error) {
	dir := opts.Dir
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return err
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = environment(os.Environ(), opts.InheritEnv, dir, opts.Env)
	newGroup(cmd)
	r.cmd = cmd

	var theirs []*os.File
	defer func() {
		closeAll(theirs)
		if err != nil {
			closeAll(r.ends)
			if r.stdinPipe != nil {
				_ = r.stdinPipe.Close()
			}
		}
	}()
	pipe := func() (*os.File, *os.File, error) {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, nil, fmt.Errorf("pipe: %w", err)
		}
		return read, write, nil
	}
	for _, w := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		read, write, err := pipe()
		if err != nil {
			return err
		}
		*w = write
		r.ends, theirs = append(r.ends, read), append(theirs, write)
	}
	switch in := opts.Stdin.(type) {
	case nil:
	case *os.File:
		cmd.Stdin = in
	default:
		read, write, err := pipe()
		if err != nil {
			return err
		}
		cmd.Stdin, r.stdinPipe = read, write
		theirs = append(theirs, read)
	}
	if err := cmd.Start(); err != nil {
		return err
	}

	r.readers.Go(func() { r.read(Stdout, r.ends[0], r.stdout) })
	r.readers.Go(func() { r.read(Stderr, r.ends[1], r.stderr) })
	go func() {
		r.readers.Wait()
		close(r.outputDone)
	}()
	if r.stdinPipe != nil {
		// Variables of their own, so that a goroutine that stays blocked in Read
		// does not keep the output alive.
		done, to, from := make(chan struct{}), r.stdinPipe, opts.Stdin
		r.stdinDone = done
		go func() {
			defer close(done)
			// A command that does not read its input is no failure.
			_, _ = io.Copy(to, from)
			_ = to.Close()
		}()
	}
	return nil
}

// read moves one stream into its buffer until it ends.
func (r *runner) read(stream Stream, from *os.File, into *text.HeadTail) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			r.write(stream, into, buf[:n])
		}
		if err != nil {
			return
		}
	}
}

func (r *runner) write(stream Stream, into *text.HeadTail, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	_, _ = into.Write(p)
	_, _ = r.combined.Write(p)
	if r.onOutput == nil || r.panicked != nil {
		return
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		if r.panicked = recover(); r.panicked == nil {
			r.panicked = "runtime.Goexit was called"
		}
		r.stack = debug.Stack()
		close(r.abort)
	}()
	r.onOutput(stream, p)
	returned = true
}

// wait waits for the command's end, or brings it about, and leaves nothing
// behind. It reports whether the context ended the run.
func (r *runner) wait(ctx context.Context) (interrupted bool) {
	exited := make(chan struct{})
	go func() {
		// The command stays a zombie until the group is killed below, so that
		// its process ID cannot name an innocent new process by then.
		waitWithoutReaping(r.cmd)
		close(exited)
	}()

	// How long output is awaited once the command has exited; nil for ever.
	var patience <-chan time.Time
	stop := ctx.Done()
	select {
	case <-exited:
		timer := time.NewTimer(r.killDelay)
		defer timer.Stop()
		patience = timer.C
	case <-r.abort:
		killGroup(r.cmd)
		<-exited
	case <-stop:
		interrupted, stop = true, nil
		terminateGroup(r.cmd)
		timer := time.NewTimer(r.killDelay)
		defer timer.Stop()
		patience = timer.C
		select {
		case <-exited:
		case <-patience:
			killGroup(r.cmd)
			<-exited
			patience = expired // it fires only once
		}
	}

	// What the command left running may still write; then it has to go.
	select {
	case <-r.outputDone:
	case <-patience:
	case <-r.abort:
	case <-stop:
	}
	killGroup(r.cmd)
	r.waitErr = r.cmd.Wait() // reaps; the status is read from ProcessState

	if waitFor(r.outputDone, drainDelay) {
		closeAll(r.ends)
	} else {
		for _, end := range r.ends {
			_ = end.SetReadDeadline(time.Now())
		}
		go func() {
			// Where pipes have no deadlines a reader stays until the pipe ends.
			<-r.outputDone
			closeAll(r.ends)
		}()
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	if r.stdinPipe != nil {
		_ = r.stdinPipe.Close() // fails a Write that is blocked
		waitFor(r.stdinDone, stdinDelay)
	}
	return interrupted
}

// expired is the channel of a timer that has fired.
var expired = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

func waitFor(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
