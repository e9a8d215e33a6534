package filesystem

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// What the machine's user ignores must not decide about tests.
	os.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	os.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	os.Setenv("XDG_CONFIG_HOME", filepath.Join(os.TempDir(), "no-such-config"))
	goleak.VerifyTestMain(m)
}

// newTestService serves a fresh directory with files, given as name and content.
// A name that ends in a slash is a directory.
func newTestService(t testing.TB, opts Options, files map[string]string) *Service {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, dir, files)
	if opts.Root == "" && opts.Provider == nil {
		opts.Root = dir
	}
	s, err := New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func writeTree(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			require.NoError(t, os.MkdirAll(full, 0o755))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, []byte(content), 0o644))
	}
}

func rootOf(s *Service) string { return s.Provider().(*Local).Dir() }

func long() bool { return os.Getenv("TOKENRING_LONG") != "" }

// goroot returns where Go's own source is.
func goroot(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("the go command is not installed")
	}
	return strings.TrimSpace(string(out))
}
