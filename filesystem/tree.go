package filesystem

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
)

// tree is a provider with what the service keeps about it.
type tree struct {
	provider Provider
	ignore   *ignorer
	index    *contentIndex // nil when not asked for
	contents *contentCache // nil when not asked for
	exists   *existsCache  // nil when not asked for

	outerLock  sync.Mutex
	outerFiles *hostFiles // what outerRule was read from
	outerRule  *ruleChain
}

func newTree(p Provider, opts Options) *tree {
	t := &tree{provider: p, ignore: newIgnorer(opts.Ignore)}
	if opts.Index {
		t.index = newContentIndex(opts.IndexBytes, opts.IndexWatch)
	}
	if opts.CacheBytes > 0 {
		t.contents = newContentCache(opts.CacheBytes)
	}
	if opts.ExistsTTL > 0 {
		t.exists = newExistsCache(opts.ExistsTTL)
	}
	return t
}

func (t *tree) close() {
	if t.index != nil {
		t.index.watch.close()
	}
}

// hosted is a Provider that is a directory of this machine: a Local or what
// embeds one.
type hosted interface {
	Dir() string
	openNode() (dirNode, error)
}

// topRules returns what holds in the root because of what lies above it. It is
// read again when one of the files that it comes from has changed.
func (t *tree) topRules(ctx context.Context) *ruleChain {
	if t.ignore.opts.NoGit {
		return nil
	}
	t.outerLock.Lock()
	defer t.outerLock.Unlock()
	if h, ok := t.provider.(hosted); ok {
		if t.outerFiles == nil || !t.outerFiles.unchanged() {
			t.outerFiles = newHostFiles()
			t.outerRule = outerRules(h.Dir(), t.outerFiles)
		}
		return t.outerRule
	}
	t.outerRule = nil
	if node, err := t.openRoot(ctx); err == nil {
		defer node.close()
		if node.probe()&hasGit != 0 {
			if repo := t.ignore.nestedRepo(node); repo != nil {
				t.outerRule = &ruleChain{repo: repo}
			}
		}
	}
	return t.outerRule
}

// openRoot opens the root directory for a walk. What embeds a Local is asked by
// its own methods, which may hide something.
func (t *tree) openRoot(ctx context.Context) (dirNode, error) {
	if l, ok := t.provider.(*Local); ok {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if node, err := l.openNode(); err != errNoNode {
			return node, err
		}
	}
	if _, err := t.provider.Stat(ctx, "."); err != nil {
		return nil, err
	}
	return &plainNode{ctx, t.provider, "."}, nil
}

// openDir opens the directory name, without following symlinks.
func (t *tree) openDir(ctx context.Context, name string) (dirNode, error) {
	node, err := t.openRoot(ctx)
	if err != nil || name == "." {
		return node, err
	}
	at := "."
	for part := range splitPath(name) {
		at = join(at, part)
		sub, err := node.dir(part)
		node.close()
		if err != nil {
			if info, lerr := t.provider.Lstat(ctx, at); lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
				err = &fs.PathError{Op: "open", Path: at, Err: fmt.Errorf("symlinks are not followed here, so name the directory that it leads to: %w", syscall.ENOTDIR)}
			}
			return nil, err
		}
		node = sub
	}
	return node, nil
}
