package testing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

type goPackage struct {
	ImportPath string
	Dir        string
	ForTest    string
	Deps       []string
}

// affected returns the packages whose tests can be influenced by the changed
// files: those that hold them, and those that depend on these, in tests too. all
// is true when that cannot be narrowed down: the module itself changed, or a
// file lies outside of every package.
func (g GoTest) affected(ctx context.Context, changed []string) (packages []string, all bool, err error) {
	list, err := g.list(ctx)
	if err != nil {
		return nil, false, err
	}
	base, err := filepath.Abs(g.Dir)
	if err != nil {
		return nil, false, err
	}
	if real, err := filepath.EvalSymlinks(base); err == nil {
		base = real
	}
	byDir := map[string]string{}
	for _, p := range list {
		if p.ForTest == "" && p.Dir != "" {
			if real, err := filepath.EvalSymlinks(p.Dir); err == nil {
				p.Dir = real
			}
			byDir[p.Dir] = p.ImportPath
		}
	}
	const sep = string(filepath.Separator)
	hit := map[string]bool{}
	for _, file := range changed {
		switch filepath.Base(file) {
		case "go.mod", "go.sum", "go.work", "go.work.sum":
			return nil, true, nil
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(base, filepath.FromSlash(file))
		}
		// A file that is no Go source belongs to the nearest package above: testdata
		// and embedded files do. A package that is not listed, or that is gone, has
		// an importer that is not known.
		owner := ""
		for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
			owner = byDir[dir]
			testdata := strings.Contains(strings.TrimPrefix(dir, base)+sep, sep+"testdata"+sep)
			if owner != "" || dir == base || dir == filepath.Dir(dir) || !testdata && (filepath.Ext(file) == ".go" || holdsGo(dir)) {
				break
			}
		}
		if owner == "" {
			return nil, true, nil
		}
		hit[owner] = true
	}
	affected := map[string]bool{}
	for _, p := range list {
		name := p.ImportPath
		if p.ForTest != "" {
			name = p.ForTest
		}
		if hit[name] || slices.ContainsFunc(p.Deps, func(d string) bool {
			d, _, _ = strings.Cut(d, " ") // "pkg [other.test]"
			return hit[d]
		}) {
			affected[strings.TrimSuffix(name, ".test")] = true
		}
	}
	// Only what the resource tests anyway.
	maps.DeleteFunc(affected, func(name string, _ bool) bool {
		return !slices.ContainsFunc(list, func(p goPackage) bool { return p.ForTest == "" && p.ImportPath == name })
	})
	return slices.Sorted(maps.Keys(affected)), false, nil
}

func holdsGo(dir string) bool {
	entries, _ := os.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) == ".go" })
}

// buildFlags picks those of go test's arguments that decide which files and
// imports a package has.
func buildFlags(args []string) []string {
	var flags []string
	for i, arg := range args {
		name, _, joined := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		switch name = strings.TrimPrefix(name, "-"); {
		case arg == name: // not a flag
		case name == "args":
			return flags
		case name == "race", name == "msan", name == "asan":
			flags = append(flags, arg)
		case name == "tags", name == "mod", name == "modfile", name == "overlay":
			flags = append(flags, arg)
			if !joined && i+1 < len(args) {
				flags = append(flags, args[i+1])
			}
		}
	}
	return flags
}

func (g GoTest) list(ctx context.Context) ([]goPackage, error) {
	argv := append([]string{g.program(), "list", "-e", "-test", "-json=ImportPath,Dir,ForTest,Deps"}, buildFlags(g.Args)...)
	argv = append(argv, g.packages()...)
	res, err := command.Run(ctx, argv, command.Options{Dir: g.Dir, Env: g.Env, InheritEnv: g.InheritEnv, MaxOutput: 64 << 20})
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	if res.Stdout.Dropped() > 0 {
		return nil, errors.New("list packages: the list is longer than 64 MiB")
	}
	var list []goPackage
	dec := json.NewDecoder(strings.NewReader(res.Stdout.String()))
	for {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		if name, _, ok := strings.Cut(p.ImportPath, " "); ok {
			p.ImportPath = name
		}
		if strings.HasSuffix(p.ImportPath, ".test") && p.ForTest == "" {
			p.ForTest = strings.TrimSuffix(p.ImportPath, ".test")
		}
		list = append(list, p)
	}
}
