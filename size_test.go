package tokenring_test

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxModules bounds the modules that a program on agent and aiclient links,
// itself included.
const maxModules = 9

// TestProgramsStaySmall builds small programs and bounds what they link and how
// large they are when stripped, in bytes on linux/amd64. A program that speaks
// HTTP and TLS with the standard library alone has 6.2 million.
func TestProgramsStaySmall(t *testing.T) {
	for name, limit := range map[string]int64{
		"local":  7_000_000, // agent and aiclient with a model in the process
		"stream": 7_000_000, // a reply of OpenAI's API, without an agent
		"remote": 8_000_000, // both together, with checkpoints in files
	} {
		t.Run(name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), name)
			build := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "./testdata/minimal/"+name)
			build.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "GOARCH=amd64")
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)

			info, err := buildinfo.ReadFile(binary)
			require.NoError(t, err)
			modules := []string{info.Main.Path}
			for _, dep := range info.Deps {
				modules = append(modules, dep.Path)
			}
			assert.LessOrEqual(t, len(modules), maxModules, "%q", modules)

			file, err := os.Stat(binary)
			require.NoError(t, err)
			t.Logf("%d bytes, modules %q", file.Size(), modules)
			assert.Less(t, file.Size(), limit)
		})
	}
}
