package peerbench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// minimal are programs that stream one reply, by the folder of their module and
// their path in it.
var minimal = []struct{ name, dir, path string }{
	{"tokenring", "../..", "./testdata/minimal/stream"},
	{"net-http", ".", "./testdata/minimal/net-http"},
	{"openai-go", ".", "./testdata/minimal/openai-go"},
	{"anthropic-sdk-go", ".", "./testdata/minimal/anthropic-sdk-go"},
}

// The shares of a peer's figures that ours may have. A third of what
// anthropic-sdk-go links is less than net/http and encoding/json alone, so that
// beside it only what is added to those counts.
const (
	sizeShare    = 3
	compileShare = 10
)

// TestMinimalPrograms compares the stripped sizes of the programs. In the long
// form it compiles them with nothing in the build cache but the standard library
// and compares the times, too.
func TestMinimalPrograms(t *testing.T) {
	sizes := map[string]int64{}
	for _, p := range minimal {
		binary := build(t, p.dir, p.path, "")
		info, err := os.Stat(binary)
		if err != nil {
			t.Fatal(err)
		}
		sizes[p.name] = info.Size()
		t.Logf("%-16s %9d bytes stripped", p.name, info.Size())
	}
	added := func(name string) int64 { return sizes[name] - sizes["net-http"] }
	if sizes["tokenring"]*sizeShare > sizes["openai-go"] {
		t.Errorf("more than a third of openai-go")
	}
	if added("tokenring")*sizeShare > added("anthropic-sdk-go") {
		t.Errorf("%d bytes more than net/http alone, more than a third of the %d of anthropic-sdk-go", added("tokenring"), added("anthropic-sdk-go"))
	}
	if os.Getenv("TOKENRING_LONG") == "" {
		return
	}

	standard := t.TempDir()
	for _, p := range minimal {
		list := command(t, p.dir, "", "list", "-deps", "-f", "{{if .Standard}}{{.ImportPath}}{{end}}", p.path)
		packages := slices.DeleteFunc(strings.Fields(list), func(path string) bool {
			return strings.HasPrefix(path, "vendor/") || strings.Contains(path, "internal")
		})
		command(t, p.dir, standard, append([]string{"build"}, packages...)...)
	}
	times := map[string]time.Duration{}
	for _, p := range minimal {
		cache := t.TempDir()
		if err := os.CopyFS(cache, os.DirFS(standard)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		build(t, p.dir, p.path, cache)
		times[p.name] = time.Since(began)
		t.Logf("%-16s %9s to compile and link", p.name, times[p.name].Round(10*time.Millisecond))
	}
	for _, peer := range []string{"openai-go", "anthropic-sdk-go"} {
		if times["tokenring"]*compileShare > times[peer] {
			t.Errorf("compiling takes more than a tenth of the time of %s", peer)
		}
	}
}

// build builds a stripped program and returns its path.
func build(t *testing.T, dir, path, cache string) string {
	binary := filepath.Join(t.TempDir(), "program")
	command(t, dir, cache, "build", "-ldflags=-s -w", "-o", binary, path)
	return binary
}

// command runs the go command with a build cache of its own, unless cache is
// empty, and returns what it prints.
func command(t *testing.T, dir, cache string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if cache != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+cache)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
