package filesystem

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// Overlay keeps changes in memory above a tree that it never changes, until
// they are committed or discarded. It is safe for concurrent use.
type Overlay struct {
	base Provider

	mu      sync.RWMutex
	upper   *Memory
	deleted map[string]bool // names of base that are not seen any more, with all below
}

// NewOverlay returns an Overlay without changes.
func NewOverlay(base Provider) *Overlay {
	o := &Overlay{base: base}
	o.Discard()
	return o
}

// ChangeKind says what became of a file.
type ChangeKind string

// The kinds of changes.
const (
	Created  ChangeKind = "created"
	Modified ChangeKind = "modified"
	Deleted  ChangeKind = "deleted"
)

// Change is a file or directory that an Overlay has changed.
type Change struct {
	Path string
	Kind ChangeKind
	Dir  bool
	Diff string // unified, for text files
}

// Discard forgets all changes.
func (o *Overlay) Discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.discardLocked()
}

func (o *Overlay) discardLocked() {
	o.upper, _ = NewMemory(nil)
	o.deleted = make(map[string]bool)
}

// hides reports whether base's entry of this name is not seen any more.
func (o *Overlay) hides(name string) bool {
	for len(o.deleted) > 0 {
		if o.deleted[name] {
			return true
		}
		if name == "." {
			break
		}
		name = path.Dir(name)
	}
	return false
}

// layer returns the tree that shows name, or nil when neither does.
func (o *Overlay) layer(ctx context.Context, name string) Provider {
	if _, err := o.upper.Lstat(ctx, name); err == nil && name != "." {
		return o.upper
	}
	if o.hides(name) {
		return nil
	}
	// A file above hides a directory below.
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if info, err := o.upper.Lstat(ctx, dir); err == nil && !info.IsDir() {
			return nil
		}
	}
	return o.base
}

// follow resolves the symlinks of base that are still seen in name, or only
// those in its directory.
func (o *Overlay) follow(ctx context.Context, name string, last bool) (string, error) {
	r, ok := o.base.(resolver)
	if !ok || name == "." {
		return name, nil
	}
	if _, err := o.upper.Lstat(ctx, name); err == nil {
		return name, nil
	}
	lstat := func(name string) (fs.FileInfo, error) {
		if p := o.layer(ctx, name); p != nil {
			return p.Lstat(ctx, name)
		}
		return nil, fs.ErrNotExist
	}
	if last {
		return resolveLinks(name, lstat, r.readlink)
	}
	dir, err := resolveLinks(path.Dir(name), lstat, r.readlink)
	return join(dir, path.Base(name)), err
}

func (o *Overlay) resolve(name string) (string, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.follow(context.Background(), name, true)
}

func (o *Overlay) readlink(name string) (string, error) {
	r, ok := o.base.(resolver)
	if !ok {
		return "", memError("readlink", name, fs.ErrInvalid)
	}
	return r.readlink(name)
}

// at finds the tree that shows a name, after symlinks.
func (o *Overlay) at(ctx context.Context, op, name string, last bool) (Provider, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if !fs.ValidPath(name) {
		return nil, "", memError(op, name, ErrName)
	}
	name, err := o.follow(ctx, name, last)
	if err != nil {
		return nil, "", err
	}
	if p := o.layer(ctx, name); p != nil {
		return p, name, nil
	}
	return nil, "", memError(op, name, fs.ErrNotExist)
}

// Open implements [Provider].
func (o *Overlay) Open(ctx context.Context, name string) (fs.File, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	p, name, err := o.at(ctx, "open", name, true)
	if err != nil {
		return nil, err
	}
	return p.Open(ctx, name)
}

// Stat implements [Provider].
func (o *Overlay) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	p, name, err := o.at(ctx, "stat", name, true)
	if err != nil {
		return nil, err
	}
	return p.Stat(ctx, name)
}

// Lstat implements [Provider].
func (o *Overlay) Lstat(ctx context.Context, name string) (fs.FileInfo, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	p, name, err := o.at(ctx, "lstat", name, false)
	if err != nil {
		return nil, err
	}
	return p.Lstat(ctx, name)
}

// ReadDir implements [Provider].
func (o *Overlay) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	p, name, err := o.at(ctx, "readdir", name, true)
	if err != nil {
		return nil, err
	}
	return o.list(ctx, p, name)
}

// list joins what both trees have in a directory that p shows.
func (o *Overlay) list(ctx context.Context, p Provider, name string) ([]fs.DirEntry, error) {
	merged := make(map[string]fs.DirEntry)
	if p != Provider(o.upper) || !o.hides(name) {
		list, err := o.base.ReadDir(ctx, name)
		if err != nil && p != Provider(o.upper) {
			return nil, err
		}
		for _, e := range list {
			if !o.hides(join(name, e.Name())) {
				merged[e.Name()] = e
			}
		}
	}
	list, err := o.upper.ReadDir(ctx, name)
	if err != nil && p == Provider(o.upper) {
		return nil, err
	}
	for _, e := range list {
		merged[e.Name()] = e
	}
	out := slices.Collect(maps.Values(merged))
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}
