package testing

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// GoTest tests Go packages with go test -json and reports every test. With a
// list of changed files it tests only the packages that they affect. Where there
// is no test it is Skipped.
type GoTest struct {
	Dir      string   // in the module; default the directory of this process
	Packages []string // patterns; default "./..."
	Args     []string // more arguments of go test, such as "-race" or "-short"
	Program  string   // default "go"

	Timeout    time.Duration // 0 means Options.Timeout; negative none
	KillDelay  time.Duration // default 2 s
	Env        []string
	InheritEnv []string
	Exclusive  bool
}

// Traits describe the resource.
func (g GoTest) Traits() Traits {
	return Traits{Exclusive: g.Exclusive, Timeout: g.Timeout, Command: text.Quote(g.argv(g.packages())...)}
}

func (g GoTest) packages() []string {
	if len(g.Packages) == 0 {
		return []string{"./..."}
	}
	return g.Packages
}

func (g GoTest) program() string {
	if g.Program == "" {
		return "go"
	}
	return g.Program
}

func (g GoTest) argv(packages []string) []string {
	argv := append([]string{g.program(), "test", "-json"}, g.Args...)
	return append(argv, packages...)
}

// Test runs go test.
func (g GoTest) Test(ctx context.Context, req Request) Result {
	packages := g.packages()
	if req.Changed != nil {
		affected, all, err := g.affected(ctx, req.Changed)
		switch {
		case err != nil, all:
			// When in doubt, everything is tested.
		case len(affected) == 0:
			return Result{Status: Skipped, Output: "No package depends on " + strings.Join(req.Changed[:min(len(req.Changed), 10)], ", ") + ".\n"}
		default:
			packages = affected
		}
	}
	// A go command that is ended leaves behind what it was building.
	built, err := os.MkdirTemp(os.Getenv("GOTMPDIR"), "tokenring-go-test-")
	if err != nil {
		return Result{Status: Errored, Error: "make a directory to build in: " + err.Error()}
	}
	defer os.RemoveAll(built)
	argv := g.argv(packages)
	env := append([]string{"GOTMPDIR=" + built}, g.Env...)
	sh := Shell{Argv: argv, Dir: g.Dir, KillDelay: g.KillDelay, Env: env, InheritEnv: g.InheritEnv, Format: FormatGoJSON}
	return sh.run(ctx, req, argv)
}
