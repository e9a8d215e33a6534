//go:build unix

package command_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

// soon is long before what sleeps here would end, on a busy machine, too.
const soon = 40 * time.Second

func TestRunReportsHowTheCommandEnded(t *testing.T) {
	for _, c := range []struct {
		name, line, stdout, stderr, signal, message string
		code                                        int
	}{
		{name: "success", line: "echo out; echo err >&2", stdout: "out\n", stderr: "err\n"},
		{name: "silence", line: "true"},
		{name: "exit status", line: "echo first >&2; echo last >&2; exit 7", stderr: "first\nlast\n", code: 7,
			message: "command sh -c 'echo first >&2; echo last >&2; exit 7': exit status 7: last"},
		{name: "signal", line: "kill -KILL $$", code: -1, signal: "SIGKILL",
			message: "command sh -c 'kill -KILL $$': ended by SIGKILL"},
		{name: "bytes that are not UTF-8", line: `printf 'a\377\376b\0c'`, stdout: "a\xff\xfeb\x00c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := command.Run(t.Context(), command.Shell(c.line), command.Options{})
			if c.code == 0 {
				require.NoError(t, err)
			} else {
				var exit *command.ExitError
				require.ErrorAs(t, err, &exit)
				assert.Contains(t, err.Error(), c.message)
				assert.NoError(t, exit.Err)
				assert.Equal(t, res.ExitCode, exit.Result.ExitCode)
			}
			assert.Equal(t, c.stdout, res.Stdout.String())
			assert.Equal(t, c.stderr, res.Stderr.String())
			assert.Equal(t, c.code, res.ExitCode)
			assert.Equal(t, c.signal, res.Signal)
			assert.False(t, res.TimedOut)
			assert.False(t, res.Canceled)
			assert.Positive(t, res.Duration)
		})
	}
}

func TestWhatCannotBeStartedIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		name    string
		argv    []string
		opts    command.Options
		is      error
		message string
	}{
		{"no argv", nil, command.Options{}, nil, "argv is empty"},
		{"missing program", []string{"no-such-program-42", "x"}, command.Options{}, exec.ErrNotFound,
			"command no-such-program-42 x: could not be started"},
		{"missing path", []string{"./nothing/here"}, command.Options{}, os.ErrNotExist, "could not be started"},
		{"not executable", []string{file}, command.Options{}, os.ErrPermission, "could not be started"},
		{"missing directory", []string{"true"}, command.Options{Dir: file + "/gone"}, nil, "working directory"},
		{"directory is a file", []string{"true"}, command.Options{Dir: file}, nil, "is not a directory"},
		{"bad pattern", []string{"true"}, command.Options{InheritEnv: []string{"[a"}}, nil, `pattern "[a" of InheritEnv`},
		{"Env without a name", []string{"true"}, command.Options{Env: []string{"A=1", "very-secret-value"}}, nil, `entry of Env that begins with "very-sec…": want NAME=value`},
		{"Env with an empty name", []string{"true"}, command.Options{Env: []string{"=x"}}, nil, "want NAME=value"},
		{"NUL in an argument", []string{"echo", "a\x00b"}, command.Options{}, nil, "could not be started"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Stdin = strings.NewReader("input") // its pipe must not leak
			before := openFiles(t)
			res, err := command.Run(t.Context(), c.argv, c.opts)
			var exit *command.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Contains(t, err.Error(), c.message)
			if c.is != nil {
				assert.ErrorIs(t, err, c.is)
			}
			assert.Equal(t, -1, res.ExitCode)
			assert.Equal(t, c.argv, res.Argv)
			assert.Empty(t, res.Stdout.String())
			assert.Zero(t, res.Combined().Len())
			assert.Equal(t, before, openFiles(t))
		})
	}
}

// openFiles counts the file descriptors of this process where that is possible.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func TestTimeoutAndCancellation(t *testing.T) {
	cause := errors.New("the user pressed escape")
	t.Run("timeout", func(t *testing.T) {
		res, err := command.Run(t.Context(), command.Shell("echo begun; exec sleep 60"), command.Options{Timeout: time.Second})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Contains(t, err.Error(), "timed out after")
		assert.True(t, res.TimedOut)
		assert.False(t, res.Canceled)
		assert.Equal(t, "SIGTERM", res.Signal)
		assert.Equal(t, "begun\n", res.Stdout.String())
		assert.Less(t, res.Duration, soon)
	})
	t.Run("cancelled with a cause", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		res, err := command.Run(ctx, command.Shell("echo begun; exec sleep 60"), command.Options{
			OnOutput: func(command.Stream, []byte) { cancel(cause) },
		})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		assert.True(t, res.Canceled)
		assert.False(t, res.TimedOut)
	})
	t.Run("cancelled before the start", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		marker := filepath.Join(t.TempDir(), "ran")
		res, err := command.Run(ctx, []string{"touch", marker}, command.Options{})
		require.ErrorIs(t, err, context.Canceled)
		assert.True(t, res.Canceled)
		assert.Equal(t, -1, res.ExitCode)
		assert.NoFileExists(t, marker)
	})
	t.Run("a command that ends well after SIGTERM was interrupted all the same", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		res, err := command.Run(ctx, command.Shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done"), command.Options{
			OnOutput: func(command.Stream, []byte) { cancel() },
		})
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 0, res.ExitCode)
		assert.Equal(t, "ready\nbye\n", res.Stdout.String())
	})
}

// lifeline makes a FIFO. The returned function blocks until no process has it
// open for writing, which is how a test learns that a process is dead.
func lifeline(t *testing.T) (path string, dead func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "lifeline")
	require.NoError(t, exec.Command("mkfifo", path).Run())
	content := make(chan string, 1)
	go func() {
		data, err := os.ReadFile(path) // waits for a writer, then for the last one to go
		if err != nil {
			data = []byte(err.Error())
		}
		content <- string(data)
	}()
	return path, func() string {
		select {
		case s := <-content:
			return s
		case <-time.After(soon):
			t.Error("a process is still alive")
			return ""
		}
	}
}

func TestGrandchildThatIgnoresSIGTERMIsKilled(t *testing.T) {
	for _, leader := range []string{
		"wait",                              // dies of SIGTERM itself
		"trap '' TERM; while :; do :; done", // ignores it as well
	} {
		t.Run(leader, func(t *testing.T) {
			path, dead := lifeline(t)
			line := `sh -c 'exec 3>"$LIFE"; echo alive >&3; trap "" TERM; echo ready; while :; do sleep 60 >/dev/null 2>&1; done' & ` + leader
			ctx, cancel := context.WithCancel(t.Context())
			res, err := command.Run(ctx, command.Shell(line), command.Options{
				Env:       []string{"LIFE=" + path},
				KillDelay: 50 * time.Millisecond,
				OnOutput:  func(command.Stream, []byte) { cancel() },
			})
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, "alive\n", dead())
			assert.Equal(t, "ready\n", res.Stdout.String())
			assert.Less(t, res.Duration, soon)
		})
	}
}

func TestGrandchildThatHoldsThePipeDoesNotHangRun(t *testing.T) {
	path, dead := lifeline(t)
	read, write := io.Pipe()
	res, err := command.Run(t.Context(), command.Shell(`sh -c 'exec 3>"$LIFE"; echo holding; sleep 60' & read x; echo done`), command.Options{
		Env:       []string{"LIFE=" + path},
		KillDelay: 50 * time.Millisecond,
		Stdin:     read,
		OnOutput:  func(command.Stream, []byte) { _ = write.Close() },
	})
	require.NoError(t, err)
	assert.Equal(t, "holding\ndone\n", res.Stdout.String())
	assert.Less(t, res.Duration, soon)
	dead()
}

func TestProcessOutsideTheGroupThatHoldsThePipeDoesNotHangRun(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("needs setsid(1)")
	}
	path, dead := lifeline(t)
	// The daemon ends when its input does, and the test holds the other end.
	hold, release, err := os.Pipe()
	require.NoError(t, err)
	defer hold.Close()
	res, err := command.Run(t.Context(), command.Shell(`exec 4<&0; setsid sh -c 'exec 3>"$LIFE"; : >"$LIFE.open"; cat <&4 >/dev/null; echo daemon >&3' &
		while [ ! -e "$LIFE.open" ]; do sleep 0.01; done; echo done`), // not before the daemon has left the group
		command.Options{Env: []string{"LIFE=" + path}, KillDelay: 50 * time.Millisecond, Stdin: hold})
	require.NoError(t, err)
	assert.Equal(t, "done\n", res.Stdout.String())
	assert.Less(t, res.Duration, soon)
	require.NoError(t, release.Close())
	assert.Equal(t, "daemon\n", dead(), "what left the group outlives Run")
}

// The leader has to be killed, and what holds the pipe cannot be.
func TestProcessOutsideTheGroupDoesNotHangACancelledRun(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("needs setsid(1)")
	}
	path, dead := lifeline(t)
	hold, release, err := os.Pipe()
	require.NoError(t, err)
	defer hold.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := command.Run(ctx, command.Shell(`trap '' TERM; exec 4<&0; setsid sh -c 'exec 3>"$LIFE"; echo ready; cat <&4 >/dev/null' & while :; do sleep 0.01; done`),
			command.Options{Env: []string{"LIFE=" + path}, KillDelay: 50 * time.Millisecond, Stdin: hold, OnOutput: func(command.Stream, []byte) { cancel() }})
		ended <- err
	}()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(soon):
		t.Error("Run hangs")
	}
	require.NoError(t, release.Close())
	dead()
}

func TestExitStatusThatSomebodyElseTook(t *testing.T) {
	res, err := command.Run(t.Context(), command.Shell("echo $$"), command.Options{OnOutput: func(_ command.Stream, p []byte) {
		// As a process does that is init of a container.
		pid, err := strconv.Atoi(strings.TrimSpace(string(p)))
		assert.NoError(t, err)
		_, err = syscall.Wait4(pid, nil, 0, nil)
		assert.NoError(t, err)
	}})
	require.ErrorIs(t, err, syscall.ECHILD)
	assert.ErrorContains(t, err, "its exit status is lost")
	assert.Equal(t, -1, res.ExitCode)
	assert.NotEmpty(t, res.Stdout.String())
}

func TestGoexitOfTheCallbackDoesNotHangRun(t *testing.T) {
	path, dead := lifeline(t)
	func() {
		defer func() { assert.Contains(t, recover(), "runtime.Goexit was called") }()
		_, _ = command.Run(t.Context(), command.Shell(`exec 3>"$LIFE"; echo x; exec sleep 60`), command.Options{
			Env:      []string{"LIFE=" + path},
			OnOutput: func(command.Stream, []byte) { runtime.Goexit() },
		})
	}()
	dead()
}

func TestOutputOfStragglersIsKept(t *testing.T) {
	res, err := command.Run(t.Context(), command.Shell("(sleep 0.1; echo late) & echo early"), command.Options{KillDelay: soon})
	require.NoError(t, err)
	assert.Equal(t, "early\nlate\n", res.Stdout.String())
}

func TestStdin(t *testing.T) {
	t.Run("none is the null device", func(t *testing.T) {
		res, err := command.Run(t.Context(), []string{"cat"}, command.Options{Timeout: soon})
		require.NoError(t, err)
		assert.Empty(t, res.Stdout.String())
	})
	t.Run("reader", func(t *testing.T) {
		input := strings.Repeat("line\n", 100_000)
		res, err := command.Run(t.Context(), []string{"cat"}, command.Options{Stdin: strings.NewReader(input), MaxOutput: -1})
		require.NoError(t, err)
		assert.Equal(t, input, res.Stdout.String())
	})
	t.Run("a command that closes its input early", func(t *testing.T) {
		input := bytes.Repeat([]byte("x"), 1<<20)
		res, err := command.Run(t.Context(), command.Shell("exec <&-; echo ok"), command.Options{Stdin: bytes.NewReader(input)})
		require.NoError(t, err)
		assert.Equal(t, "ok\n", res.Stdout.String())
	})
	t.Run("a reader that never returns", func(t *testing.T) {
		read, write := io.Pipe()
		res, err := command.Run(t.Context(), []string{"true"}, command.Options{Stdin: read})
		require.NoError(t, err)
		assert.Less(t, res.Duration, soon)
		require.NoError(t, write.Close())
	})
}

func TestOutputIsBounded(t *testing.T) {
	t.Run("head and tail", func(t *testing.T) {
		res, err := command.Run(t.Context(), command.Shell("printf 0123456789; printf abcdefghij >&2"), command.Options{MaxOutput: 4})
		require.NoError(t, err)
		assert.Equal(t, "01\n[… 6 bytes dropped …]\n89", res.Stdout.String())
		assert.Equal(t, "ab\n[… 6 bytes dropped …]\nij", res.Stderr.String())
		assert.EqualValues(t, 6, res.Stdout.Dropped())
		assert.EqualValues(t, 10, res.Stdout.Len())
		assert.EqualValues(t, 20, res.Combined().Len())
	})
	t.Run("a flood stays in small memory", func(t *testing.T) {
		size, seen := int64(256<<20), int64(0)
		if os.Getenv("TOKENRING_LONG") != "" {
			size = 1 << 30
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := command.Run(t.Context(), command.Shell("head -c $SIZE /dev/zero"), command.Options{
			Env:      []string{"SIZE=" + strconv.FormatInt(size, 10)},
			OnOutput: func(_ command.Stream, p []byte) { seen += int64(len(p)) },
		})
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		assert.Equal(t, size, seen)
		assert.Equal(t, size, res.Stdout.Len())
		assert.Equal(t, size-command.DefaultMaxOutput, res.Stdout.Dropped())
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "bytes allocated in all")
	})
}

func TestCombinedFollowsTheOrderOfArrival(t *testing.T) {
	// Each line is written when the one before has been seen.
	type seen struct {
		stream command.Stream
		text   string
	}
	var calls []seen
	read, write := io.Pipe()
	res, err := command.Run(t.Context(), command.Shell("echo one; read x; echo two >&2; read x; echo three"), command.Options{
		Stdin: read,
		OnOutput: func(s command.Stream, p []byte) {
			calls = append(calls, seen{s, string(p)})
			if len(calls) < 3 {
				go func() { _, _ = write.Write([]byte("go on\n")) }()
			} else {
				_ = write.Close()
			}
		},
	})
	require.NoError(t, err)
	assert.Equal(t, []seen{{command.Stdout, "one\n"}, {command.Stderr, "two\n"}, {command.Stdout, "three\n"}}, calls)
	assert.Equal(t, "one\ntwo\nthree\n", res.Combined().String())
	assert.Equal(t, "stdout stderr Stream(9)", command.Stdout.String()+" "+command.Stderr.String()+" "+command.Stream(9).String())
}

func TestPanicOfTheCallbackReachesTheCaller(t *testing.T) {
	path, dead := lifeline(t)
	assert.Panics(t, func() {
		_, _ = command.Run(t.Context(), command.Shell(`exec 3>"$LIFE"; echo x; exec sleep 60`), command.Options{
			Env:      []string{"LIFE=" + path},
			OnOutput: func(command.Stream, []byte) { panic("the callback is broken") },
		})
	})
	dead()
}

func TestEnvironmentIsAnAllowList(t *testing.T) {
	t.Setenv("TEAM_API_KEY", "secret")
	t.Setenv("GOOGLE_API_KEY", "secret")
	t.Setenv("LC_TEST", "yes")
	run := func(opts command.Options) string {
		res, err := command.Run(t.Context(), []string{"env"}, opts)
		require.NoError(t, err)
		return "\n" + res.Stdout.String()
	}
	env := run(command.Options{Env: []string{"ADDED=1", "ADDED=2", "LC_TEST=changed"}})
	assert.NotContains(t, env, "secret")
	assert.Contains(t, env, "\nPATH=")
	assert.Contains(t, env, "\nADDED=2\n")
	assert.NotContains(t, env, "ADDED=1")
	assert.Contains(t, env, "\nLC_TEST=changed\n")

	assert.Contains(t, run(command.Options{InheritEnv: append(command.DefaultEnv(), "TEAM_*")}), "\nTEAM_API_KEY=secret\n")
	assert.Contains(t, run(command.Options{InheritEnv: []string{"*"}}), "\nGOOGLE_API_KEY=secret\n")
	assert.Equal(t, "\n", run(command.Options{InheritEnv: []string{}}))

	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	assert.Contains(t, run(command.Options{Dir: dir}), "\nPWD="+dir+"\n")
}

func TestRunIsSafeForConcurrentUse(t *testing.T) {
	before := openFiles(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 4 {
				res, err := command.Run(t.Context(), command.Shell("echo a; echo b >&2"), command.Options{Stdin: strings.NewReader("x")})
				assert.NoError(t, err)
				assert.Equal(t, "a\n", res.Stdout.String())
			}
		})
	}
	wg.Wait()
	assert.Eventually(t, func() bool { return openFiles(t) <= before }, 5*time.Second, 5*time.Millisecond, "file descriptors leak")
}
