package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSearchCommand(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.go": "one\ntwo\nthree two\n", "b/c.txt": "Two\n", ".gitignore": "skipped\n", "skipped": "two\n", ".hidden": "two\n", "bin": "two\x00",
	} {
		full := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, []byte(text), 0o644))
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.WriteFile(elsewhere, []byte("far\n"), 0o644))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, "link")))
	for _, c := range []struct {
		args   []string
		out    string
		status int
	}{
		{[]string{"two"}, "a.go:2:two\na.go:3:three two\n", 0},
		{[]string{"-i", "two"}, "a.go:2:two\na.go:3:three two\nb/c.txt:1:Two\n", 0},
		{[]string{"-S", "Two"}, "b/c.txt:1:Two\n", 0},
		{[]string{"-w", "-F", "three", "-F", "one"}, "a.go:1:one\na.go:3:three two\n", 0},
		{[]string{"-e", "^t.o$", "-g", "*.go"}, "a.go:2:two\n", 0},
		{[]string{"-l", "two"}, "a.go\n", 0},
		{[]string{"-C", "1", "one"}, "a.go:1:one\na.go-2-two\n", 0},
		{[]string{"--color", "always", "one"}, "\x1b[35ma.go\x1b[0m:\x1b[32m1\x1b[0m:\x1b[1;31mone\x1b[0m\n", 0},
		{[]string{"--json", "one"}, `{"Path":"a.go","Count":1,"Lines":[{"Number":1,"Text":"one","Context":false,"Spans":[{"Start":0,"End":3}],"Cut":0}]}` + "\n", 0},
		{[]string{"two", "a.go"}, "2:two\n3:three two\n", 0},
		{[]string{"Two", "b"}, "b/c.txt:1:Two\n", 0},
		{[]string{"-l", "Two", "b/c.txt"}, "b/c.txt\n", 0},
		{[]string{"far", "link"}, "1:far\n", 0},
		{[]string{"-l", "far", "link"}, "link\n", 0},
		{[]string{"far"}, "", 1},
		{[]string{"--files"}, "a.go\nb/c.txt\nbin\n", 0},
		{[]string{"--files", "--hidden", "-g", "*i*"}, ".gitignore\n.hidden\nbin\n", 0},
		{[]string{"--files", "-t", "go"}, "a.go\n", 0},
		{[]string{"--files", "b/c.txt"}, "b/c.txt\n", 0},
		{[]string{"--files", "-g", "*.rs"}, "", 1},
		{[]string{"--repeat", "2", "--index", "one"}, "a.go:1:one\n", 0},
		{[]string{"nothing"}, "", 1},
		{[]string{"("}, "", 2},
		{[]string{}, "", 2},
		{[]string{"-x"}, "", 2},
		{[]string{"-C", "-1", "one"}, "", 2},
		{[]string{"--color", "perhaps", "one"}, "", 2},
		{[]string{"two", "missing"}, "", 2},
		{[]string{"two", ".", "-l"}, "./a.go\n", 0},
		{[]string{"--", "-x", "."}, "", 1},
	} {
		t.Chdir(dir)
		var out, errs bytes.Buffer
		assert.Equal(t, c.status, run(t.Context(), c.args, &out, &errs), "%q: %s", c.args, errs.String())
		assert.Equal(t, c.out, out.String(), "%q", c.args)
		if c.status == 2 {
			assert.Equal(t, 1, strings.Count(errs.String(), "\n"), "%q: %s", c.args, errs.String())
		}
	}
	var out, errs bytes.Buffer
	assert.Equal(t, 0, run(t.Context(), []string{"-h"}, &out, &errs))
	assert.Equal(t, 1, strings.Count(errs.String(), "usage: search"))
}

func TestRepeatTellsTheTimeOfEachRound(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("a", []byte("text\n"), 0o644))
	for _, args := range [][]string{{"--repeat", "3", "text"}, {"--repeat", "3", "--index", "text"}, {"--repeat", "3", "--files"}} {
		var out, errs bytes.Buffer
		assert.Equal(t, 0, run(t.Context(), args, &out, &errs))
		assert.Equal(t, 1, strings.Count(out.String(), "\n"), "%q: what is found is printed once", args)
		assert.Regexp(t, `^(round \d: \S+s, .+\n){3}$`, errs.String(), "%q", args)
	}
}

// What is printed, and the exit status, are those of ripgrep.
func TestOutputEqualsRipgrep(t *testing.T) {
	rg, err := exec.LookPath("rg")
	if err != nil {
		t.Skip("ripgrep is not installed")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	t.Chdir(filepath.Join(strings.TrimSpace(string(root)), "src", "encoding"))
	for _, c := range []struct{ ours, theirs []string }{
		{[]string{"EOF"}, nil},
		{[]string{"-w", "error"}, nil},
		{[]string{"-i", "unmarshal", "json"}, nil},
		{[]string{"-C", "2", "ErrUnexpectedEOF"}, nil},
		{[]string{"-B", "1", "-A", "3", "-g", "*_test.go", "t.Fatal"}, nil},
		{[]string{"-F", "a.b("}, []string{"-F", "a.b("}},
		{[]string{"-e", "^func [A-Z]", "-e", "^type"}, nil},
		{[]string{"-l", "reflect", "./gob"}, nil},
		{[]string{"reflect", "gob/type.go"}, nil},
		{[]string{"--files"}, nil},
		{[]string{"--files", "-t", "go", "-g", "!json", "."}, nil},
		{[]string{"no such text anywhere"}, nil},
	} {
		theirs := c.theirs
		if theirs == nil {
			theirs = c.ours
		}
		cmd := exec.Command(rg, append([]string{"--no-config", "--no-heading", "-n", "--sort", "path"}, theirs...)...)
		want, _ := cmd.Output()
		var out, errs bytes.Buffer
		assert.Equal(t, cmd.ProcessState.ExitCode(), run(t.Context(), c.ours, &out, &errs), "%q: %s", c.ours, errs.String())
		assert.Equal(t, string(want), out.String(), "%q", c.ours)
	}
}
