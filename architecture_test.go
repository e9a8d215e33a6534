package tokenring_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/tokenring-ai/tokenring-go"

// features never import each other.
var features = []string{"agent", "aiclient", "queue", "memory", "filesystem", "git", "testing", "database"}

// observers stand beside the features in order to watch all of them, so they
// may import what a host may.
var observers = []string{"utility/otel"}

// allowedRequirements is everything that the root go.mod may require. Whatever
// needs more than this is a nested module.
var allowedRequirements = []string{
	"github.com/bmatcuk/doublestar/v4",
	"github.com/cenkalti/backoff/v4",
	"github.com/clipperhouse/displaywidth",
	"github.com/clipperhouse/uax29/v2", // of displaywidth
	"github.com/fsnotify/fsnotify",
	"github.com/google/jsonschema-go",
	"github.com/hashicorp/golang-lru/v2",
	"github.com/stretchr/testify",
	"go.uber.org/goleak",
	"go.yaml.in/yaml/v3",
	"golang.org/x/sync",
	"golang.org/x/sys",
}

// layer says where a package, named by its path below the module, stands.
func layer(pkg string) (kind, owner string) {
	top, _, _ := strings.Cut(pkg, "/")
	switch {
	case pkg == "":
		return "root", ""
	case top == "examples":
		return "host", ""
	case slices.Contains(observers, pkg):
		return "host", ""
	case slices.Contains(features, top):
		return "feature", top
	case top == "registry" || top == "utility" && strings.Contains(pkg, "/"):
		return "foundation", top
	default:
		return "unknown", ""
	}
}

// forbidden explains why from must not import to, or returns "".
func forbidden(from, to string) string {
	fromKind, fromOwner := layer(from)
	toKind, toOwner := layer(to)
	switch {
	case toKind == "unknown" || fromKind == "unknown":
		return "is not part of the layout"
	case toKind == "root":
		return "the root package is documentation only"
	case fromKind == "root":
		return "the root package is documentation only"
	case toKind == "host" && fromKind != "host":
		return "only hosts may import hosts"
	case fromKind == "host":
		return ""
	case fromKind == "foundation" && toKind != "foundation":
		return "a foundation imports nothing but foundations"
	case fromKind == "feature" && toKind == "feature" && fromOwner != toOwner:
		return "a feature imports no other feature: let the host wire them"
	}
	return ""
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	type pkg struct {
		ImportPath                         string
		Imports, TestImports, XTestImports []string
	}
	below := func(importPath string) (string, bool) {
		if importPath == module {
			return "", true
		}
		return strings.CutPrefix(importPath, module+"/")
	}

	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "work")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	}
	require.NoError(t, err)

	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
		from, ok := below(p.ImportPath)
		if !ok {
			continue
		}
		seen++
		kind, _ := layer(from)
		assert.NotEqual(t, "unknown", kind, "package %s has no place in the layout", from)
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			to, ok := below(imported)
			if !ok || to == from {
				continue
			}
			if why := forbidden(from, to); why != "" {
				t.Errorf("%s imports %s: %s", from, to, why)
			}
		}
	}
	assert.Greater(t, seen, len(features), "the import graph was not read")
}

func TestForbiddenEdgesAreNamed(t *testing.T) {
	for edge, allowed := range map[[2]string]bool{
		{"agent", "registry"}:                   true,
		{"agent/sqlstore", "agent"}:             true,
		{"aiclient", "utility/cache"}:           true,
		{"utility/cache", "utility/retry"}:      true,
		{"registry/natsregistry", "registry"}:   true,
		{"examples/coder", "agent"}:             true,
		{"utility/otel", "aiclient"}:            true,
		{"agent", "aiclient"}:                   false,
		{"agent/sqlstore", "queue"}:             false,
		{"testing", "git"}:                      false,
		{"registry", "agent"}:                   false,
		{"utility/tool", "aiclient"}:            false,
		{"agent", "examples/coder"}:             false,
		{"agent", "utility/otel"}:               false,
		{"memory", "helpers"}:                   false,
		{"queue/natsqueue", "agent/checkpoint"}: false,
	} {
		t.Run(path.Join(edge[0], "to", edge[1]), func(t *testing.T) {
			assert.Equal(t, allowed, forbidden(edge[0], edge[1]) == "", forbidden(edge[0], edge[1]))
		})
	}
}

func TestRootModuleRequiresOnlyWhatIsAllowed(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json", "go.mod").Output()
	require.NoError(t, err)
	var mod struct {
		Require []struct{ Path, Version string }
	}
	require.NoError(t, json.Unmarshal(out, &mod))
	require.NotEmpty(t, mod.Require)
	for _, r := range mod.Require {
		assert.Contains(t, allowedRequirements, r.Path,
			fmt.Sprintf("%s@%s: move what needs it into a nested module, or argue for it here", r.Path, r.Version))
	}
}
