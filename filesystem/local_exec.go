package filesystem

import (
	"cmp"
	"context"
	"path/filepath"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

// Executor is a Provider that runs programs where its files are.
type Executor interface {
	// Execute runs a program. Options.Dir is a name below the root and is
	// confined to it; the program itself is not.
	Execute(ctx context.Context, argv []string, opts command.Options) (command.Result, error)
}

// Execute implements [Executor].
func (l *Local) Execute(ctx context.Context, argv []string, opts command.Options) (command.Result, error) {
	dir, err := CleanName(cmp.Or(opts.Dir, "."))
	if err != nil {
		return command.Result{}, err
	}
	if dir, err = l.resolve(dir); err != nil {
		return command.Result{}, err
	}
	opts.Dir = filepath.Join(l.dir, filepath.FromSlash(dir))
	return command.Run(ctx, argv, opts)
}
