package filesystem

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// WalkOptions choose what a walk visits. The zero value visits everything below
// the root that is not ignored.
type WalkOptions struct {
	// Dir is where the walk begins. Empty means the root.
	Dir string

	// NoIgnore visits what the ignore rules leave out, except .git.
	NoIgnore bool

	// NoHidden leaves out what begins with a dot.
	NoHidden bool

	// MaxDepth bounds the depth below Dir: 1 lists Dir alone. 0 means no bound.
	MaxDepth int

	// Unordered visits directories in parallel and yields entries as they come.
	// Otherwise each directory's entries come sorted by name, a directory
	// before what it contains.
	Unordered bool

	// Workers bounds the directories that are read at once when Unordered.
	// 0 means one per processor.
	Workers int
}

// Walk visits files, directories, symlinks and special files below a directory
// and yields them as they are found; symlinks are not followed. What cannot be
// read is yielded as an error beside the entry that it concerns and does not
// end the walk. When ctx ends, its error comes last.
func (s *Service) Walk(ctx context.Context, opts WalkOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		dir := "."
		if opts.Dir != "" {
			var err error
			if dir, err = s.clean(opts.Dir); err != nil {
				yield(Entry{}, err)
				return
			}
		}
		t := s.tree()
		if opts.Unordered {
			t.walkParallel(ctx, dir, opts, yield)
			return
		}
		w := walker{tree: t, ctx: ctx, opts: opts, yield: yield}
		w.start(dir)
	}
}

// walker visits a tree in order.
type walker struct {
	tree  *tree
	ctx   context.Context
	opts  WalkOptions
	yield func(Entry, error) bool
	want  func(Entry) bool // nil wants all
	free  [][]Entry        // lists to use again
}

func (w *walker) start(dir string) {
	chain, hidden, err := w.tree.chainTo(w.ctx, dir, true)
	if err == nil && hidden && !w.opts.NoIgnore && dir == ".git" {
		return
	}
	var node dirNode
	if err == nil {
		node, err = w.tree.openDir(w.ctx, dir)
	}
	if err != nil {
		w.yield(Entry{Path: dir, Type: fs.ModeDir}, fmt.Errorf("walk %s: %w", dir, err))
		return
	}
	// chainTo has already entered dir.
	w.dir(dir, node, chain, 1, true)
}

// dir visits what is in an open directory and closes it. It returns false when
// the walk is over.
func (w *walker) dir(dir string, node dirNode, chain *ruleChain, depth int, entered bool) bool {
	defer node.close()
	var list []Entry
	if n := len(w.free); n > 0 {
		list, w.free = w.free[n-1][:0], w.free[:n-1]
	}
	list, chain, err := w.tree.list(dir, node, chain, entered, w.opts, list)
	if err != nil && !w.yield(Entry{Path: dir, Type: fs.ModeDir}, fmt.Errorf("walk %s: %w", dir, err)) {
		return false
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range list {
		if w.want != nil && !w.want(e) {
			continue
		}
		if err := w.ctx.Err(); err != nil {
			w.yield(Entry{}, err)
			return false
		}
		if !w.yield(e.bare(), nil) {
			return false
		}
		if !e.IsDir() || w.opts.MaxDepth > 0 && depth >= w.opts.MaxDepth {
			continue
		}
		sub, err := node.dir(e.Name())
		if err != nil {
			if !w.yield(e.bare(), fmt.Errorf("walk %s: %w", e.Path, err)) {
				return false
			}
			continue
		}
		if !w.dir(e.Path, sub, chain, depth+1, false) {
			return false
		}
	}
	w.free = append(w.free, list)
	return true
}

// list reads a directory and leaves out what the rules and options leave out.
// With entered, chain already contains the directory's own rules.
func (t *tree) list(dir string, node dirNode, chain *ruleChain, entered bool, opts WalkOptions, list []Entry) ([]Entry, *ruleChain, error) {
	prefix := ""
	if dir != "." {
		prefix = dir + "/"
	}
	list, known, err := t.entries(dir, node, prefix, list)
	if !entered && !opts.NoIgnore {
		var has ignoreFiles
		for _, e := range list {
			if e.Path[e.base] == '.' {
				has.see(e.Name(), e.Type)
			}
		}
		chain = t.ignore.enter(chain, dir, node, has)
	}
	under := wholeUnder{chain, opts.NoIgnore, opts.NoHidden}
	if known != nil {
		if whole := known.whole.Load(); whole != nil && *whole == under {
			return list, chain, err
		}
	}
	kept := list[:0]
	for _, e := range list {
		name := e.Name()
		switch {
		case name == ".git":
		case opts.NoHidden && name[0] == '.':
		case opts.NoIgnore || !t.ignore.ignored(chain, e.Path, int(e.base), e.IsDir()):
			kept = append(kept, e)
		}
	}
	if known != nil && len(kept) == len(list) {
		known.whole.Store(&under)
	}
	return kept, chain, err
}
