package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"syscall"
)

// Changes lists what was changed, sorted by path, with diffs of text files.
// Files that were written with the content that they had are left out.
func (o *Overlay) Changes(ctx context.Context) ([]Change, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.changes(ctx)
}

func (o *Overlay) changes(ctx context.Context) ([]Change, error) {
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(o.deleted)) {
		var err error
		if out, err = o.gone(ctx, name, out); err != nil {
			return nil, err
		}
	}
	upper := newTree(o.upper, Options{Ignore: IgnoreOptions{NoGit: true, NoAI: true, NoDefaults: true}})
	var failed error
	w := walker{tree: upper, ctx: ctx, opts: WalkOptions{NoIgnore: true}}
	w.yield = func(e Entry, err error) bool {
		var c Change
		if err == nil {
			c, err = o.change(ctx, e)
		}
		if err != nil {
			failed = err
			return false
		}
		if c.Kind != "" {
			out = append(out, c)
		}
		return true
	}
	w.start(".")
	slices.SortStableFunc(out, func(a, b Change) int { return comparePaths(a.Path, b.Path) })
	return out, failed
}

// gone adds what base has at a name that was removed and that nothing of the
// same kind in the upper tree replaces.
func (o *Overlay) gone(ctx context.Context, name string, out []Change) ([]Change, error) {
	info, err := o.base.Lstat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	now, err := o.upper.Lstat(ctx, name)
	switch {
	case err != nil || now.Mode().Type() != info.Mode().Type():
		c := Change{Path: name, Kind: Deleted, Dir: info.IsDir()}
		if info.Mode().IsRegular() {
			old, err := readProvider(ctx, o.base, name)
			if err != nil {
				return nil, err
			}
			c.Diff = textDiff(name, "", old, nil)
		}
		return append(out, c), nil
	case !info.IsDir():
		return out, nil // replaced, which is a modification
	}
	list, err := o.base.ReadDir(ctx, name)
	for _, e := range list {
		if err == nil {
			out, err = o.gone(ctx, join(name, e.Name()), out)
		}
	}
	return out, err
}

// change describes an entry of the upper tree.
func (o *Overlay) change(ctx context.Context, e Entry) (Change, error) {
	c := Change{Path: e.Path, Kind: Created, Dir: e.IsDir()}
	below, err := o.base.Lstat(ctx, e.Path)
	there := err == nil && below.Mode().Type() == e.Type
	info, err := o.upper.Lstat(ctx, e.Path)
	if err != nil {
		return Change{}, err
	}
	same := there && info.Mode().Perm() == below.Mode().Perm()
	before := ""
	if there {
		c.Kind, before = Modified, e.Path
	}
	if e.IsDir() {
		if same {
			return Change{}, nil
		}
		return c, nil
	}
	now, err := readProvider(ctx, o.upper, e.Path)
	if err != nil {
		return Change{}, err
	}
	var old []byte
	if there {
		if old, err = readProvider(ctx, o.base, e.Path); err != nil {
			return Change{}, err
		}
	}
	if same && bytes.Equal(old, now) {
		return Change{}, nil
	}
	c.Diff = textDiff(before, e.Path, old, now)
	return c, nil
}

func textDiff(before, after string, old, now []byte) string {
	if bytes.IndexByte(old, 0) >= 0 || bytes.IndexByte(now, 0) >= 0 {
		return ""
	}
	return UnifiedDiff(before, after, string(old), string(now))
}

// Commit makes the changes in a tree, usually the base, and then discards them.
// What is removed goes last, so that nothing is lost on the way. When a change
// cannot be made, the error says so, those before it stay made, and the overlay
// keeps all.
func (o *Overlay) Commit(ctx context.Context, onto WritableProvider) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	list, err := o.changes(ctx)
	for turn := range 3 {
		for _, c := range list {
			if err == nil && turn == o.turn(ctx, c) {
				err = o.apply(ctx, onto, c)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("commit overlay: %w", err)
	}
	o.discardLocked()
	return nil
}

// turn says when a change is made: first what is written and what has to give
// way to it, then what is removed, and then modes of directories, which may
// forbid both.
func (o *Overlay) turn(ctx context.Context, c Change) int {
	if c.Kind == Deleted {
		if _, err := o.upper.Lstat(ctx, c.Path); err != nil {
			return 1
		}
	}
	if c.Dir && c.Kind == Modified {
		return 2
	}
	return 0
}

func (o *Overlay) apply(ctx context.Context, onto WritableProvider, c Change) error {
	if c.Kind == Deleted {
		err := onto.RemoveAll(ctx, c.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	info, err := o.upper.Lstat(ctx, c.Path)
	if err != nil {
		return err
	}
	switch {
	case c.Dir && c.Kind == Modified:
		return onto.Chmod(ctx, c.Path, info.Mode().Perm())
	case c.Dir:
		return onto.Mkdir(ctx, c.Path, info.Mode().Perm())
	}
	data, err := readProvider(ctx, o.upper, c.Path)
	if err != nil {
		return err
	}
	if err := onto.WriteFile(ctx, c.Path, data, info.Mode().Perm()); err != nil {
		return err
	}
	return onto.Chmod(ctx, c.Path, info.Mode().Perm())
}
