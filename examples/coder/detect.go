package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// detectTest returns the command that runs the tests of the project in dir, or
// "" when no build file says which. The order is that of specificity: a
// Makefile often wraps one of the others, so it comes last.
func detectTest(dir string) string {
	has := func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err == nil && info.Mode().IsRegular()
	}
	switch {
	case has("go.mod"):
		return "go test ./..."
	case has("Cargo.toml"):
		return "cargo test"
	case has("package.json") && npmTest(filepath.Join(dir, "package.json")):
		switch {
		case has("pnpm-lock.yaml"):
			return "pnpm test"
		case has("yarn.lock"):
			return "yarn test"
		default:
			return "npm test --silent"
		}
	case has("pyproject.toml"):
		return "python3 -m pytest -q"
	case has("Makefile") && makeTest(filepath.Join(dir, "Makefile")):
		return "make test"
	}
	return ""
}

// npmTest reports whether the package has a test script of its own: the one
// that `npm init` writes only fails.
func npmTest(file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	var pkg struct {
		Scripts map[string]string `json:"scripts"`
	}
	if json.Unmarshal(data, &pkg) != nil {
		return false
	}
	test := pkg.Scripts["test"]
	return test != "" && !strings.Contains(test, "no test specified")
}

// makeTest reports whether the Makefile has a target named test.
func makeTest(file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		target, _, ok := strings.Cut(line, ":")
		if ok && !strings.HasPrefix(line, "\t") && strings.Contains(" "+target+" ", " test ") {
			return true
		}
	}
	return false
}
