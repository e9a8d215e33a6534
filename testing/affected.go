package testing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	hit := map[string]bool{}
	for _, file := range changed {
		switch filepath.Base(file) {
		case "go.mod", "go.sum", "go.work", "go.work.sum":
			return nil, true, nil
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(base, filepath.FromSlash(file))
		}
		owner := ""
		// A file that is no Go source belongs to the nearest package above:
		// testdata and embedded files do.
		for dir := filepath.Dir(file); owner == ""; dir = filepath.Dir(dir) {
			owner = byDir[dir]
			if owner == "" && (dir == base || dir == filepath.Dir(dir)) {
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

func (g GoTest) list(ctx context.Context) ([]goPackage, error) {
	argv := append([]string{g.program(), "list", "-e", "-test", "-json=ImportPath,Dir,ForTest,Deps"}, g.packages()...)
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
