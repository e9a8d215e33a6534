package main

import (
	"bytes"
	"os"
	"path/filepath"
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
		{[]string{"--files"}, "a.go\nb/c.txt\nbin\n", 0},
		{[]string{"--files", "--hidden", "-g", "*i*"}, ".gitignore\n.hidden\nbin\n", 0},
		{[]string{"--files", "-t", "go"}, "a.go\n", 0},
		{[]string{"--files", "-g", "*.rs"}, "", 1},
		{[]string{"--repeat", "2", "--index", "one"}, "a.go:1:one\n", 0},
		{[]string{"nothing"}, "", 1},
		{[]string{"("}, "", 2},
		{[]string{}, "", 2},
		{[]string{"-x"}, "", 2},
		{[]string{"two", "missing"}, "", 2},
		{[]string{"two", ".", "-l"}, "./a.go\n", 0},
		{[]string{"--", "-x", "."}, "", 1},
	} {
		t.Chdir(dir)
		var out, errs bytes.Buffer
		assert.Equal(t, c.status, run(t.Context(), c.args, &out, &errs), "%q: %s", c.args, errs.String())
		assert.Equal(t, c.out, out.String(), "%q", c.args)
		if c.status == 2 {
			assert.NotEmpty(t, errs.String())
		}
	}
}
