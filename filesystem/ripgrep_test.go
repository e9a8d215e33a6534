package filesystem

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// needRipgrep returns a function that runs rg in a directory and returns the
// lines of its output.
func needRipgrep(t testing.TB) func(dir string, args ...string) []string {
	t.Helper()
	rg, err := exec.LookPath("rg")
	if err != nil {
		t.Skip("ripgrep is not installed")
	}
	return func(dir string, args ...string) []string {
		cmd := exec.Command(rg, append([]string{"--no-config", "--no-require-git", "--no-messages", "-H"}, args...)...)
		cmd.Dir = dir
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil {
			exit, ok := err.(*exec.ExitError)
			require.True(t, ok && exit.ExitCode() == 1, "rg: %v", err)
		}
		var lines []string
		for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if line = strings.TrimPrefix(strings.TrimSuffix(line, "\r"), "./"); line != "" {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		return lines
	}
}

// ripgrepCases are queries with rg's way to ask them. Classes such as \w are
// ASCII in package regexp.
var ripgrepCases = []struct {
	name string
	q    Query
	args []string
}{
	{"rare literal", Query{Patterns: []string{"ErrUnexpectedEOF"}}, []string{"-F", "ErrUnexpectedEOF"}},
	{"common literal", Query{Patterns: []string{"return"}}, []string{"-F", "return"}},
	{"short literal", Query{Patterns: []string{"x"}}, []string{"-F", "x"}},
	{"several", Query{Patterns: []string{"Reader", "Writer", "EOF"}}, []string{"-F", "-e", "Reader", "-e", "Writer", "-e", "EOF"}},
	{"word", Query{Patterns: []string{"error"}, Word: true}, []string{"-w", "-F", "error"}},
	{"case-insensitive", Query{Patterns: []string{"reader"}, Case: CaseInsensitive}, []string{"-i", "-F", "reader"}},
	{"case-insensitive with s", Query{Patterns: []string{"closes"}, Case: CaseInsensitive}, []string{"-i", "-F", "closes"}},
	{"regexp with a literal", Query{Patterns: []string{`func [A-Z]\w*Reader`}, Regexp: true}, []string{`(?-u)func [A-Z]\w*Reader`}},
	{"regexp with several", Query{Patterns: []string{`(Mutex|WaitGroup|Once)\b`}, Regexp: true}, []string{`(Mutex|WaitGroup|Once)\b`}},
	{"regexp without literals", Query{Patterns: []string{`[a-z]{3}[0-9]{4}[a-z]`}, Regexp: true}, []string{`[a-z]{3}[0-9]{4}[a-z]`}},
	{"regexp with anchors", Query{Patterns: []string{`^\}$`, `^$`}, Regexp: true}, []string{"--crlf", "-e", `^\}$`, "-e", `^$`}},
	{"regexp of a word", Query{Patterns: []string{`err(or)?`}, Regexp: true, Word: true}, []string{"-w", `err(or)?`}},
	{"globs", Query{Patterns: []string{"TODO"}, Globs: []string{"*.go", "!*_test.go"}}, []string{"-F", "-g", "*.go", "-g", "!*_test.go", "TODO"}},
	{"type", Query{Patterns: []string{"text"}, Types: []string{"go"}}, []string{"-F", "-t", "go", "text"}},
}

func ripgrepCorpus(t testing.TB) string {
	dir := filepath.Join(goroot(t), "src")
	if long() {
		return dir
	}
	return filepath.Join(dir, "encoding")
}

func TestSearchEqualsRipgrep(t *testing.T) {
	rg := needRipgrep(t)
	dir := ripgrepCorpus(t)
	s, err := New(Options{Root: dir, Ignore: IgnoreOptions{NoDefaults: true}})
	require.NoError(t, err)
	defer s.Close()
	for _, c := range ripgrepCases {
		t.Run(c.name, func(t *testing.T) {
			c.q.MaxFiles, c.q.MaxMatches, c.q.MaxBytes, c.q.NoHidden = -1, -1, -1, true
			r, err := s.Search(t.Context(), c.q)
			require.NoError(t, err)
			var got []string
			for _, f := range r.Files {
				for _, l := range f.Lines {
					if l.Cut == 0 {
						got = append(got, fmt.Sprintf("%s:%d:%s", f.Path, l.Number, l.Text))
					}
				}
			}
			slices.Sort(got)
			want := slices.DeleteFunc(rg(dir, append([]string{"-n"}, c.args...)...), func(line string) bool {
				_, text, _ := strings.Cut(line, ":")
				_, text, _ = strings.Cut(text, ":")
				return len(text) > maxShown
			})
			assert.NotEmpty(t, want)
			if !slices.Equal(want, got) {
				assert.Equal(t, len(want), len(got))
				for i := range min(len(want), len(got)) {
					require.Equal(t, want[i], got[i])
				}
			}
		})
	}
}

func TestListEqualsRipgrep(t *testing.T) {
	rg := needRipgrep(t)
	dir := ripgrepCorpus(t)
	s, err := New(Options{Root: dir, Ignore: IgnoreOptions{NoDefaults: true}})
	require.NoError(t, err)
	defer s.Close()
	got, errs := s.List(t.Context(), ListOptions{NoHidden: true})
	assert.Empty(t, errs)
	assert.True(t, slices.IsSortedFunc(got, comparePaths))
	slices.Sort(got)
	assert.Equal(t, rg(dir, "--files"), got)
}
