package tokenring_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// imports are what the Go blocks of the documentation may use without saying so,
// by the name that they are used under.
var imports = func() map[string]string {
	byName := map[string]string{}
	for _, std := range []string{"context", "database/sql", "encoding/json", "errors", "fmt", "io", "iter", "log/slog", "net/http", "os", "slices", "strings", "time"} {
		byName[path.Base(std)] = std
	}
	for _, own := range []string{
		"agent", "aiclient", "aiclient/aitest", "aiclient/anthropic", "aiclient/openai", "aiclient/providers", "database", "filesystem",
		"git", "memory", "queue", "queue/queuetest", "registry", "testing", "utility/budget", "utility/cache", "utility/stats", "utility/tool",
	} {
		byName[path.Base(own)] = module + "/" + own
	}
	return byName
}()

var (
	goBlock   = regexp.MustCompile("(?s)```go\n(.*?)```")
	qualifier = regexp.MustCompile(`\b([a-z]+)\.[A-Z]`)
)

// TestMarkdownCompiles compiles every Go block of every Markdown file, as a user
// would who pastes it into a function. A block of declarations stands by itself, and one
// that begins with "package" is a file.
func TestMarkdownCompiles(t *testing.T) {
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

	blocks := 0
	err = filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(file) != ".md":
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for i, block := range goBlock.FindAllStringSubmatch(string(data), -1) {
			blocks++
			name := strings.NewReplacer("/", "_", ".", "_").Replace(filepath.ToSlash(file))
			sub := filepath.Join(dir, fmt.Sprintf("%s_%d", strings.ToLower(name), i+1))
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(sub, "block.go"), []byte(source(block[1])), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NotZero(t, blocks)
	cmd := exec.Command("go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// source makes a file of a block.
func source(block string) string {
	if strings.HasPrefix(strings.TrimSpace(block), "package ") {
		return block
	}
	var names []string
	for _, m := range qualifier.FindAllStringSubmatch(block, -1) {
		if imports[m[1]] != "" {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("package snippets\n\nimport (\n\t\"context\"\n")
	for _, name := range slices.Compact(names) {
		if name != "context" {
			fmt.Fprintf(&b, "\t%q\n", imports[name])
		}
	}
	b.WriteString(")\n\nvar _ context.Context\n\n")
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package snippets\n"+block, 0); err == nil {
		b.WriteString(block)
		return b.String()
	}
	b.WriteString("func snippet(ctx context.Context) error {\n" + block)
	if !returns(b.String() + "}\n") {
		b.WriteString("\treturn nil\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// returns reports whether the last statement of the last function of a file is a
// return.
func returns(file string) bool {
	parsed, err := parser.ParseFile(token.NewFileSet(), "", file, 0)
	if err != nil {
		return false // go vet will say what is wrong
	}
	list := parsed.Decls[len(parsed.Decls)-1].(*ast.FuncDecl).Body.List
	if len(list) == 0 {
		return false
	}
	_, ok := list[len(list)-1].(*ast.ReturnStmt)
	return ok
}
