package testing

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	stdtesting "testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func runShell(t stdtesting.TB, sh Shell) Result {
	t.Helper()
	s := newService(t, Options{MaxOutput: 4 << 10}, map[string]Resource{"sh": sh})
	_, err := s.Run(t.Context())
	require.NoError(t, err)
	r, ok := s.Result("sh")
	require.True(t, ok)
	return r
}

// What commands do that makes their callers hang, crash or lie.
func TestShellBadCases(t *stdtesting.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		shell  Shell
		status Status
		has    string
		within time.Duration
	}{
		"passes":               {Shell{Command: "echo fine"}, Passed, "fine", 0},
		"fails":                {Shell{Command: "echo bad >&2; exit 3"}, Failed, "bad", 0},
		"nothing to run":       {Shell{}, Errored, "", 0},
		"command missing":      {Shell{Argv: []string{"no-such-program-here"}}, Errored, "", 0},
		"missing in the shell": {Shell{Command: "no-such-program-here"}, Failed, "not found", 0},
		"directory missing":    {Shell{Command: "true", Dir: filepath.Join(dir, "absent")}, Errored, "", 0},
		"not executable":       {Shell{Argv: []string{dir}}, Errored, "", 0},
		"invalid UTF-8":        {Shell{Command: `printf 'a\377b\200\n'; exit 1`}, Failed, "a\uFFFDb\uFFFD", 0},
		"NUL bytes":            {Shell{Command: `printf 'a\000b'`}, Passed, "a\x00b", 0},
		"hangs on stdin":       {Shell{Command: "cat; echo done"}, Passed, "done", time.Minute},
		"closes stdout early":  {Shell{Command: "exec >&- 2>&-; exit 4"}, Failed, "", time.Minute},
		"exits by signal":      {Shell{Command: "echo before; kill -9 $$"}, Failed, "before", 0},
		"forks a daemon":       {Shell{Command: "sleep 300 & echo started", KillDelay: 50 * time.Millisecond}, Passed, "started", time.Minute},
		"ignores SIGTERM": {Shell{Command: `trap "" TERM; echo ready; while :; do sleep 0.05; done`, Timeout: 2 * time.Second,
			KillDelay: 50 * time.Millisecond}, TimedOut, "ready", time.Minute},
		"daemon of its own session": {Shell{Command: "setsid sleep 1 & echo started", KillDelay: 50 * time.Millisecond}, Passed, "started", time.Minute},
		"time limit":                {Shell{Command: "echo begun; sleep 300", Timeout: 2 * time.Second}, TimedOut, "begun", time.Minute},
	} {
		t.Run(name, func(t *stdtesting.T) {
			t.Parallel()
			began := time.Now()
			r := runShell(t, c.shell)
			assert.Equal(t, c.status, r.Status, "%+v", r)
			assert.Contains(t, r.Output, c.has)
			if c.within > 0 {
				assert.Less(t, time.Since(began), c.within)
			}
			if c.status != Passed && c.status != Failed {
				assert.NotEmpty(t, r.Error)
			}
		})
	}
}

func TestShellSignalAndEnvironment(t *stdtesting.T) {
	r := runShell(t, Shell{Command: "kill -9 $$"})
	assert.Equal(t, "SIGKILL", r.Signal)
	t.Setenv("OPENAI_API_KEY", "secret")
	dir := t.TempDir()
	r = runShell(t, Shell{Command: `echo "$MINE $OPENAI_API_KEY"; pwd`, Env: []string{"MINE=yes"}, Dir: dir})
	assert.Contains(t, r.Output, "yes \n")
	assert.Contains(t, r.Output, filepath.Base(dir))
	assert.NotContains(t, r.Output, "secret")
}

// untilWritten returns a context that ends when something is in the file.
func untilWritten(t *stdtesting.T, file string) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if data, _ := os.ReadFile(file); len(data) > 0 {
				cancel()
			}
			<-tick.C
		}
	}()
	return ctx
}

// The whole process group ends with the run, children of children too.
func TestNothingIsLeftRunning(t *stdtesting.T) {
	file := filepath.Join(t.TempDir(), "pid")
	s := newService(t, Options{}, map[string]Resource{"sh": Shell{Command: "(sleep 300 & echo $! > " + file + "; wait) & wait", KillDelay: time.Second}})
	report, err := s.Run(untilWritten(t, file))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Canceled, report.Results[0].Status)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	pid := 0
	for _, c := range strings.TrimSpace(string(data)) {
		pid = pid*10 + int(c-'0')
	}
	require.Positive(t, pid)
	require.Eventually(t, func() bool { // the system takes a moment to end what it was told to
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		// A zombie that init has not reaped yet is dead all the same.
		state, _ := os.ReadFile("/proc/" + strings.TrimSpace(string(data)) + "/stat")
		return strings.Contains(string(state), ") Z ")
	}, 20*time.Second, 5*time.Millisecond)
}

// A gigabyte of output keeps its beginning and end, and little memory.
func TestHugeOutput(t *stdtesting.T) {
	size := "100M"
	if os.Getenv("TOKENRING_LONG") != "" {
		size = "1G"
	}
	for name, sh := range map[string]Shell{
		"text":                 {Command: "echo first; head -c " + size + " /dev/zero | tr '\\0' 'x'; echo; echo last; exit 1"},
		"one line, as go test": {Command: "echo first; head -c " + size + " /dev/zero | tr '\\0' '{'; echo; echo last; exit 1", Format: FormatGoJSON},
		"one line, as TAP":     {Command: "echo first; head -c " + size + " /dev/zero | tr '\\0' 'x'; echo; echo last; exit 1", Format: FormatTAP},
	} {
		t.Run(name, func(t *stdtesting.T) {
			r := runInLittleMemory(t, sh)
			assert.Equal(t, Failed, r.Status)
			assert.Contains(t, r.Output, "first")
			assert.Contains(t, r.Output, "last")
		})
	}
}

// So does a gigabyte of test cases.
func TestHugeNumbersOfCases(t *stdtesting.T) {
	size := "2M"
	if os.Getenv("TOKENRING_LONG") != "" {
		size = "1G"
	}
	flood := func(format string, lines string) Shell {
		return Shell{Command: "seq -f '" + lines + "' 1 1000000000 | head -c " + size + "; echo; exit 1", Format: Format(format)}
	}
	for name, c := range map[string]struct {
		shell Shell
		has   string
	}{
		"points that passed":    {flood("tap", "ok %.0f - x"), "ok 1 - x"},
		"points that failed":    {flood("tap", "not ok %.0f - x"), "=== x: failed"},
		"tests that passed":     {flood("json", `{"Action":"pass","Package":"p","Test":"T%.0f"}`), ""},
		"tests that failed":     {flood("json", `{"Action":"fail","Package":"p","Test":"T%.0f"}`), "=== p.T1: failed"},
		"tests that never end":  {flood("json", `{"Action":"run","Package":"p","Test":"T%.0f"}`), "=== p.T1: failed\n(did not finish)"},
		"tests that print":      {flood("json", `{"Action":"output","Package":"p","Test":"T%.0f","Output":"0123456789012345678901234567890123456789012345678901234567890123456789\n"}`), "=== p.T1: failed\n0123456789"},
		"packages that fail":    {flood("json", `{"Action":"fail","Package":"p%.0f"}`), "=== p1: failed"},
		"packages with no code": {flood("json", `{"Action":"build-output","ImportPath":"p%.0f","Output":"does not build\n"}`), ""},
	} {
		t.Run(name, func(t *stdtesting.T) {
			r := runInLittleMemory(t, c.shell)
			assert.Equal(t, Failed, r.Status)
			assert.Contains(t, r.Output, c.has)
			if len(r.Cases) > 0 {
				assert.Greater(t, r.Total, len(r.Cases), "all are counted")
			}
		})
	}
}

// runInLittleMemory runs a command that writes much, and fails the test when that
// takes much memory.
func runInLittleMemory(t *stdtesting.T, sh Shell) Result {
	t.Helper()
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	s := newService(t, Options{}, map[string]Resource{"sh": sh})
	stop, done := make(chan struct{}), make(chan struct{})
	var most uint64
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
	}()
	_, err := s.Run(context.Background())
	close(stop)
	<-done
	require.NoError(t, err)
	r, _ := s.Result("sh")
	assert.LessOrEqual(t, len(r.Output), DefaultMaxOutput+200)
	used := int64(most) - int64(before.HeapAlloc)
	t.Logf("%d KiB at most", used>>10)
	assert.Less(t, used, int64(16<<20))
	return r
}
