package tokenring_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippetHeader is what the Go snippets of the README may use. Each import is
// used once, so that a snippet need not use all of them.
const snippetHeader = `package snippets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"MODULE/agent"
	"MODULE/aiclient"
	"MODULE/aiclient/anthropic"
	"MODULE/database"
	"MODULE/filesystem"
	"MODULE/git"
	"MODULE/memory"
	"MODULE/queue"
	"MODULE/registry"
	"MODULE/testing"
	"MODULE/utility/cache"
	"MODULE/utility/tool"
)

var (
	_ = sql.Open
	_ = errors.Join
	_ = fmt.Print
	_ = time.Second
	_ agent.Agent
	_ aiclient.Chat
	_ anthropic.Options
	_ database.Service
	_ filesystem.Options
	_ git.Options
	_ memory.Options
	_ queue.Options
	_ registry.Typed
	_ testing.Options
	_ cache.Options
	_ tool.Tool
)
`

// TestReadmeSnippetsCompile compiles every Go snippet of the README, as a user
// would who pastes it into a function.
func TestReadmeSnippetsCompile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, snippets)

	// A module beside this one, with the same requirements.
	root, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	gomod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	text := strings.Replace(string(gomod), "module "+module, "module snippets", 1)
	text += fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %s\n", module, module, root)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644))
	gosum, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), gosum, 0o644))

	for i, snippet := range snippets {
		body := snippet[1]
		if !strings.Contains(body[strings.LastIndex(strings.TrimSpace(body), "\n")+1:], "return") {
			body += "\treturn nil\n"
		}
		source := strings.ReplaceAll(snippetHeader, "MODULE", module) +
			fmt.Sprintf("\nfunc snippet(ctx context.Context) error {\n%s}\n", body)
		sub := filepath.Join(dir, fmt.Sprintf("snippet%d", i))
		require.NoError(t, os.MkdirAll(sub, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(sub, "snippet.go"), []byte(source), 0o644))
	}
	cmd := exec.Command("go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
