package testing

import (
	"os"
	"path/filepath"
	"strings"
	stdtesting "testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGoTestAffected(t *stdtesting.T) {
	dir := module(t)
	for name, content := range map[string]string{
		"root.go":         "package m\n",
		"a/note.txt":      "",
		"c/testdata/x.go": "package x\n",
		"d/d_test.go":     "//go:build extra\n\npackage d\n\nimport (\n\t\"testing\"\n\n\t_ \"example.org/m/a\"\n)\n\nfunc TestD(t *testing.T) {}\n",
		"d/d.go":          "package d\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666))
	}
	for _, c := range []struct {
		packages, args []string
		changed, want  string // "all", or the last elements of the packages
	}{
		{changed: "a/a.go", want: "a b"},
		{changed: "a/note.txt", want: "a b"},
		{changed: "b/b_test.go", want: "b"},
		{changed: "c/testdata/x.go", want: "c"},
		{changed: "root.go", want: "m"},
		{changed: "gone/gone.go", want: "all"}, // who imported it does not build any more
		{packages: []string{".", "./b"}, changed: "a/a.go", want: "all"},
		{packages: []string{".", "./b"}, changed: "a/note.txt", want: "all"},
		{args: []string{"-run", "x", "-tags=extra"}, changed: "a/a.go", want: "a b d"},
		{args: []string{"--tags", "extra", "-race"}, changed: "a/a.go", want: "a b d"},
		{args: []string{"-args", "-tags=extra"}, changed: "a/a.go", want: "a b"},
	} {
		g := GoTest{Dir: dir, Env: []string{"GOWORK=off", "GOFLAGS="}, Packages: c.packages, Args: c.args}
		list, all, err := g.affected(t.Context(), []string{c.changed})
		require.NoError(t, err)
		got := "all"
		if !all {
			for i, p := range list {
				list[i] = filepath.Base(p)
			}
			got = strings.Join(list, " ")
		}
		assert.Equal(t, c.want, got, "%+v", c)
	}
}
