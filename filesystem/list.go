package filesystem

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ListOptions choose what [Service.List] lists.
type ListOptions struct {
	Dir                string // empty means the root
	Globs, Types       []string
	NoIgnore, NoHidden bool
	Workers            int
}

// List returns the regular files below a directory that a search would look at,
// sorted as a walk visits them. Directories that cannot be read are errors
// beside the files that can.
func (s *Service) List(ctx context.Context, opts ListOptions) (names []string, errs []error) {
	began := s.begin()
	defer func() { s.done(ctx, began, "list", opts.Dir, 0, errors.Join(errs...)) }()
	dir := "."
	var err error
	if opts.Dir != "" {
		if dir, err = s.clean(opts.Dir); err != nil {
			return nil, []error{err}
		}
	}
	filter, err := newFileFilter(opts.Globs, opts.Types)
	if err != nil {
		return nil, []error{err}
	}
	n := workers(opts.Workers)
	found := make([][]string, n)
	var mu sync.Mutex
	sc := &scan{tree: s.tree(), opts: WalkOptions{NoIgnore: opts.NoIgnore, NoHidden: opts.NoHidden, Workers: n}}
	if filter != nil {
		sc.want = func(e Entry) bool { return filter.wants(e, dir) }
	}
	sc.visit = func(w int, _ dirNode, e Entry) bool {
		if e.IsRegular() {
			found[w] = append(found[w], e.Path)
		}
		return true
	}
	sc.fail = func(_ int, _ Entry, err error) bool {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		return true
	}
	if err := sc.run(ctx, dir); err != nil {
		return nil, []error{err}
	}
	all := slices.Concat(found...)
	slices.SortFunc(all, comparePaths)
	return all, errs
}
