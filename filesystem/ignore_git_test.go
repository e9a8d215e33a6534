package filesystem

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// needGit returns a function that runs git in a directory.
func needGit(t testing.TB) func(dir, stdin string, args ...string) string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	return func(dir, stdin string, args ...string) string {
		cmd := exec.Command(git, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		out, err := cmd.Output()
		if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() > 1 {
			require.NoError(t, err, "git %v: %s", args, exit.Stderr)
		}
		return string(out)
	}
}

// ignoreCase is a generated directory tree with ignore files.
type ignoreCase struct {
	dirs, files []string
	rules       map[string]string // name of the ignore file to content
}

func generateIgnoreCase(r *rand.Rand) ignoreCase {
	names := []string{"a", "b", "foo", "bar", "x.c", "y.o", "A", "foo.c", "[a]", "a b", "!b", "#c", "tmp", "build", ".h", "a*", "ä", "b ", "foo\\"}
	c := ignoreCase{rules: make(map[string]string)}
	kinds := make(map[string]bool) // true for a directory
	pick := func() string { return names[r.IntN(len(names))] }
	dirs := []string{"."}
	for range 3 + r.IntN(6) {
		d := path.Join(dirs[r.IntN(len(dirs))], pick())
		if _, taken := kinds[d]; !taken && strings.Count(d, "/") < 4 {
			kinds[d] = true
			dirs = append(dirs, d)
			c.dirs = append(c.dirs, d)
		}
	}
	for range 4 + r.IntN(14) {
		f := path.Join(dirs[r.IntN(len(dirs))], pick())
		if _, taken := kinds[f]; !taken {
			kinds[f] = false
			c.files = append(c.files, f)
		}
	}
	var all []string
	for name := range kinds {
		all = append(all, name)
	}
	slices.Sort(all)
	for range 1 + r.IntN(3) {
		dir := dirs[r.IntN(len(dirs))]
		var b strings.Builder
		if r.IntN(20) == 0 {
			b.WriteString("\ufeff")
		}
		for range 1 + r.IntN(5) {
			b.WriteString(generatePattern(r, all, dir))
			switch r.IntN(15) {
			case 0:
				b.WriteString("\r\n")
			case 1:
				b.WriteString("  \n")
			default:
				b.WriteByte('\n')
			}
		}
		text := b.String()
		if r.IntN(10) == 0 {
			text = strings.TrimRight(text, "\n")
		}
		name := path.Join(dir, ".gitignore")
		if r.IntN(12) == 0 {
			name = ".git/info/exclude"
		}
		c.rules[name] = text
	}
	return c
}

// generatePattern makes a pattern from the way to a file, so that it often
// nearly matches, and then bends it.
func generatePattern(r *rand.Rand, all []string, dir string) string {
	if r.IntN(25) == 0 {
		return []string{"", "#", "!", "/", "//", "*", "**", "!*", "/*", "*/", "**/", "/**", "[", "[]", "[]a]", "[!a]", `\`, "a//b", "./a", "../a", "[[:foo:]]", "[a-", "!!a", "?", "/?", "***"}[r.IntN(26)]
	}
	name := "foo"
	if len(all) > 0 {
		name = all[r.IntN(len(all))]
	}
	if dir != "." {
		name = strings.TrimPrefix(name, dir+"/")
	}
	parts := strings.Split(name, "/")
	switch r.IntN(5) {
	case 0, 1:
		parts = parts[len(parts)-1:]
	case 2:
		parts = parts[r.IntN(len(parts)):]
	}
	for i, p := range parts {
		parts[i] = bend(r, p)
	}
	if r.IntN(6) == 0 {
		at := r.IntN(len(parts) + 1)
		parts = slices.Insert(parts, at, "**")
	}
	if len(parts) > 2 && r.IntN(6) == 0 {
		at := r.IntN(len(parts))
		parts[at] = []string{"*", "**", "***", "?*"}[r.IntN(4)]
	}
	p := strings.Join(parts, "/")
	if r.IntN(5) == 0 {
		p = "/" + p
	}
	if r.IntN(5) == 0 {
		p += "/"
	}
	if r.IntN(4) == 0 {
		p = "!" + p
	}
	return p
}

func bend(r *rand.Rand, s string) string {
	if s == "" || r.IntN(2) == 0 {
		return s
	}
	i := r.IntN(len(s))
	c := s[i : i+1]
	with := ""
	switch r.IntN(13) {
	case 0, 1:
		with = "*"
	case 2:
		with = "?"
	case 3:
		with = "[" + c + "]"
	case 4:
		with = "[!" + c + "]"
	case 5:
		with = "[a-f]"
	case 6:
		with = `\` + c
	case 7:
		with = "**"
	case 8:
		with = "[[:" + []string{"alpha", "lower", "upper", "digit", "punct", "space", "alnum", "print", "graph"}[r.IntN(9)] + ":]]"
	case 9:
		with = "[^" + string("abfo-]"[r.IntN(6)]) + "z]"
	case 10:
		return s[:i] + "*"
	case 11:
		return "*" + s[i:]
	case 12:
		with = `[\` + c + `x-]`
	}
	return s[:i] + with + s[i+1:]
}

// write makes the tree, in a repository that is already there.
func (c ignoreCase) write(t testing.TB, dir string) {
	for _, d := range c.dirs {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	for _, f := range c.files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, f), nil, 0o644))
	}
	for name, text := range c.rules {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
}

// newRepository makes as much of a repository as git needs to know one.
func newRepository(t testing.TB, dir string, ignoreCase bool) {
	for _, d := range []string{"info", "objects", "refs"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, ".git", d), 0o755))
	}
	config := fmt.Sprintf("[core]\n\trepositoryformatversion = 0\n\tignorecase = %v\n", ignoreCase)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("ref: refs/heads/main\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "config"), []byte(config), 0o644))
}

const ignoreSeed = 20260701

// Each case is a repository of its own.
func TestIgnoreEqualsGit(t *testing.T) {
	git := needGit(t)
	cases := 40
	if long() {
		cases = 10_000
	}
	base := t.TempDir()
	for i := range cases {
		c := generateIgnoreCase(rand.New(rand.NewPCG(ignoreSeed, uint64(i))))
		dir := filepath.Join(base, fmt.Sprint(i))
		newRepository(t, dir, i%5 == 0)
		c.write(t, dir)
		if !compareWithGit(t, git, dir, c, i) {
			return
		}
		require.NoError(t, os.RemoveAll(dir))
	}
}

// Many cases stand side by side in one repository, which git judges at once, so
// that every run of the test compares at least 10,000 paths.
func TestIgnoreEqualsGitInManyTrees(t *testing.T) {
	git := needGit(t)
	repositories, trees := 5, 150
	if long() {
		repositories = 70 // 10,500 trees
	}
	judged := 0
	for n := range repositories {
		r := rand.New(rand.NewPCG(ignoreSeed+1, uint64(n)))
		all := generateIgnoreCase(r) // with rules above and beside all others
		for i := range trees {
			all.add(fmt.Sprintf("tree%d/", i), generateIgnoreCase(r))
		}
		dir := t.TempDir()
		newRepository(t, dir, n%5 == 0)
		all.write(t, dir)
		if !compareWithGit(t, git, dir, all, n) {
			return
		}
		judged += len(all.dirs) + len(all.files)
		require.NoError(t, os.RemoveAll(dir))
	}
	assert.GreaterOrEqual(t, judged, 10_000)
}

// add puts another case into a directory of this one. Rules for a whole
// repository stay away.
func (c *ignoreCase) add(prefix string, other ignoreCase) {
	c.dirs = append(c.dirs, strings.TrimSuffix(prefix, "/"))
	for _, d := range other.dirs {
		c.dirs = append(c.dirs, prefix+d)
	}
	for _, f := range other.files {
		c.files = append(c.files, prefix+f)
	}
	for name, text := range other.rules {
		if !strings.HasPrefix(name, ".git/") {
			c.rules[prefix+name] = text
		}
	}
}

// compareWithGit compares single paths with `git check-ignore` and the walk with
// `git ls-files`.
func compareWithGit(t *testing.T, git func(dir, stdin string, args ...string) string, dir string, c ignoreCase, number int) bool {
	s, err := New(Options{Root: dir, Ignore: IgnoreOptions{NoDefaults: true}})
	require.NoError(t, err)
	defer s.Close()
	paths := slices.Concat(c.dirs, c.files)
	slices.Sort(paths)
	want := make(map[string]bool)
	for name := range strings.SplitSeq(git(dir, strings.Join(paths, "\x00"), "check-ignore", "--no-index", "-z", "--stdin"), "\x00") {
		want[name] = true
	}
	for _, p := range paths {
		got, err := s.Ignored(t.Context(), p)
		require.NoError(t, err)
		if got != want[p] {
			t.Errorf("case %d: %q: ignored is %v, git says %v\n%s", number, p, got, want[p], c.describe(p))
			return false
		}
	}
	var files []string
	for name := range strings.SplitSeq(git(dir, "", "ls-files", "-co", "--exclude-standard", "-z"), "\x00") {
		if name != "" {
			files = append(files, name)
		}
	}
	var walked []string
	for e, err := range s.Walk(t.Context(), WalkOptions{}) {
		require.NoError(t, err)
		if !e.IsDir() {
			walked = append(walked, e.Path)
		}
	}
	slices.Sort(files)
	slices.Sort(walked)
	return assert.Equal(t, files, walked, "case %d: files that are not ignored", number)
}

// describe shows the rules on the way to a path.
func (c ignoreCase) describe(name string) string {
	var b strings.Builder
	for file, text := range c.rules {
		if dir := path.Dir(file); dir == "." || dir == ".git/info" || strings.HasPrefix(name, dir+"/") {
			fmt.Fprintf(&b, "%s: %q\n", file, text)
		}
	}
	return b.String()
}
