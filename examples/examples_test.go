package examples_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExamplesRun runs each small example as a user would, without a network
// and without keys, and looks for the lines that say what it shows.
func TestExamplesRun(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator),
		"./quickstart", "./providers", "./structured", "./approval", "./checkpoint", "./swarm", "./cachedhttp", "./registrywait").CombinedOutput()
	require.NoError(t, err, "%s", out)

	for _, c := range []struct {
		name  string
		stdin string
		want  []string
		never []string
	}{
		{name: "quickstart", want: []string{"Three dice show at most 18."}},
		{name: "providers", want: []string{"claude fails (overloaded), going on with gemini", "hello from gemini", "hello from gpt"}, never: []string{"at last"}},
		{name: "structured", want: []string{"Tea, 5 minutes, 3 steps", "0 steps so far", "3 steps so far"}},
		{name: "approval", stdin: "yes\n", want: []string{"+++ b/published.txt", "I wrote the draft and published it.", "drafts/note.txt exists: true", "published.txt exists: true"}},
		{name: "approval", stdin: "no\n", want: []string{"did not publish it", "drafts/note.txt exists: true", "published.txt exists: false"}},
		{name: "approval", stdin: "", want: []string{"did not publish it", "published.txt exists: false"}},
		{name: "checkpoint", want: []string{"it was killed", `painter-1 goes on with "Paint five walls."`, "All five walls are painted."}},
		{name: "swarm", want: []string{"task-2 (translate bye.txt) is merged", "conflicts in hello.txt and stays on its branch", "3 of 4 tasks are merged"}},
		{name: "cachedhttp", want: []string{"100 callers, 1 request", "1 of 2 requests said that nothing has changed", "the answer is still there: [small large] <nil>"}},
		{name: "registrywait", want: []string{"watcher: greet added", "caller: hello", `did you mean "greet"?`, "watcher: greet removed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			cmd := example(t, filepath.Join(dir, c.name), tmp)
			cmd.Stdin = strings.NewReader(c.stdin)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Run(), "%s%s", &stdout, &stderr)
			assert.Empty(t, files(t, tmp), "nothing is left behind")
			for _, want := range c.want {
				assert.Contains(t, stdout.String(), want)
			}
			for _, never := range c.never {
				assert.NotContains(t, stdout.String(), never)
			}
			if c.name == "checkpoint" && runtime.GOOS != "windows" {
				assert.Equal(t, 1, strings.Count(stdout.String(), "painting wall 2"), "a finished call is not run again")
				assert.Equal(t, 2, strings.Count(stdout.String(), "painting wall 3"), "the one that was cut off is")
			}
		})
	}
	if runtime.GOOS == "windows" {
		return // where a process cannot be interrupted
	}
	for name, at := range map[string]string{"approval": "yes, always or no?", "swarm": "is merged", "checkpoint": "painting wall 1"} {
		t.Run("interrupted "+name, func(t *testing.T) { interrupt(t, filepath.Join(dir, name), at) })
	}
}

// interrupt interrupts a program that makes files, in the middle of its work.
func interrupt(t *testing.T, program, at string) {
	t.Parallel()
	tmp := t.TempDir()
	cmd := example(t, program, tmp)
	_, err := cmd.StdinPipe() // stays open: somebody sits there
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var seen strings.Builder
	for in := bufio.NewReader(stdout); !strings.Contains(seen.String(), at); {
		b, err := in.ReadByte()
		require.NoError(t, err, seen.String())
		seen.WriteByte(b)
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, stdout)
	require.NoError(t, err)
	_ = cmd.Wait() // what was nearly done may be done
	assert.True(t, cmd.ProcessState.Exited(), "the signal has not killed it")
	assert.Empty(t, files(t, tmp), "nothing is left behind")
}

// example prepares a run of a program with a folder of its own for temporary files
// and no keys.
func example(t *testing.T, program, tmp string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{"TMPDIR=" + tmp, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull}
	for _, name := range []string{"PATH", "HOME", "SYSTEMROOT"} {
		cmd.Env = append(cmd.Env, name+"="+os.Getenv(name))
	}
	return cmd
}

func files(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	return entries
}
