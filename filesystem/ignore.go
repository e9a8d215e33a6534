package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// IgnoreOptions choose what walks, globs and searches leave out. The zero value
// follows git, .aiignore files and [DefaultIgnore].
type IgnoreOptions struct {
	// Rules are lines in the syntax of .gitignore, relative to the root, that
	// overrule every ignore file.
	Rules []string

	// NoGit ignores .gitignore files and the rest of git's rules, NoAI ignores
	// .aiignore files, NoDefaults drops DefaultIgnore.
	NoGit, NoAI, NoDefaults bool

	// Hidden leaves out files and directories whose name begins with a dot
	// unless a rule includes them.
	Hidden bool
}

// DefaultIgnore are the rules that hold when nothing else decides about a path.
// The directory .git is left out in any case.
var DefaultIgnore = []string{"node_modules/"}

const (
	gitIgnoreName = ".gitignore"
	aiIgnoreName  = ".aiignore"

	// maxIgnoreFile is the size from which git does not read an ignore file.
	maxIgnoreFile = 100 << 20
)

// ruleChain is what holds in one directory: its own ignore files and, through
// parent, those of the directories above. It is immutable, and directories
// without ignore files share their parent's.
type ruleChain struct {
	parent *ruleChain
	base   int    // length of the directory's path below the root, with its slash
	above  string // for a directory above the root: the way from it to the root
	git    *ruleList
	ai     *ruleList
	repo   *repoRules // set at the top of a git working tree: git's rules above do not count
}

// repoRules hold for a whole git working tree.
type repoRules struct {
	exclude *ruleList // info/exclude
	global  *ruleList // core.excludesFile
	fold    bool      // core.ignoreCase
}

// ignorer reads, compiles and caches ignore files of a tree.
type ignorer struct {
	opts     IgnoreOptions
	extra    *ruleList
	defaults *ruleList

	cache        *lru.Cache[string, cachedRules]
	chains       *lru.Cache[string, *ruleChain] // by directory
	hits, misses atomic.Int64
}

type cachedRules struct {
	stamp fileStamp
	rules *ruleList
}

// ignoreCacheSize bounds the number of compiled ignore files that are kept, and
// of directories with such files.
const ignoreCacheSize = 4096

func newIgnorer(opts IgnoreOptions) *ignorer {
	cache, _ := lru.New[string, cachedRules](ignoreCacheSize)
	chains, _ := lru.New[string, *ruleChain](ignoreCacheSize)
	ig := &ignorer{opts: opts, cache: cache, chains: chains}
	ig.extra = compileRules([]byte(strings.Join(opts.Rules, "\n")), false)
	if !opts.NoDefaults {
		ig.defaults = compileRules([]byte(strings.Join(DefaultIgnore, "\n")), false)
	}
	return ig
}

// ignored reports whether the rules leave out a path whose parent directories
// are not left out. base is where the last component begins.
func (ig *ignorer) ignored(chain *ruleChain, name string, base int, isDir bool) bool {
	last := name[base:]
	if last == ".git" {
		return true
	}
	if ig.extra != nil {
		if v := ig.extra.match(name, base, isDir, false); v != undecided {
			return v == ignored
		}
	}
	if v := chain.match(name, base, isDir); v != undecided {
		return v == ignored
	}
	if ig.opts.Hidden && last[0] == '.' {
		return true
	}
	return ig.defaults != nil && ig.defaults.match(name, base, isDir, false) == ignored
}

func (c *ruleChain) match(name string, base int, isDir bool) verdict {
	for n := c; n != nil; n = n.parent {
		if n.ai != nil {
			if v := n.list(n.ai, name, base, isDir, false); v != undecided {
				return v
			}
		}
	}
	// The options of the innermost working tree hold for all of its rules.
	var repo *repoRules
	for n := c; n != nil && repo == nil; n = n.parent {
		repo = n.repo
	}
	fold := repo != nil && repo.fold
	for n := c; n != nil; n = n.parent {
		if n.git != nil {
			if v := n.list(n.git, name, base, isDir, fold); v != undecided {
				return v
			}
		}
		if n.repo == nil {
			continue
		}
		for _, l := range [...]*ruleList{n.repo.exclude, n.repo.global} {
			if l == nil {
				continue
			}
			if v := n.list(l, name, base, isDir, fold); v != undecided {
				return v
			}
		}
		break
	}
	return undecided
}

// list matches a path below the root against rules of n's directory.
func (n *ruleChain) list(l *ruleList, name string, base int, isDir, fold bool) verdict {
	if n.above != "" {
		name = n.above + name
		return l.match(name, base+len(n.above), isDir, fold)
	}
	return l.match(name[n.base:], base-n.base, isDir, fold)
}

// enter returns the rules that hold in a directory. has says which of the files
// that matter are there.
func (ig *ignorer) enter(parent *ruleChain, dir string, node dirNode, has ignoreFiles) *ruleChain {
	if has == 0 {
		return parent
	}
	n := &ruleChain{parent: parent}
	if dir != "." {
		n.base = len(dir) + 1
	}
	fold := false
	if has&hasGit != 0 && !ig.opts.NoGit && dir != "." {
		n.repo = ig.nestedRepo(node)
	}
	for c := n; c != nil; c = c.parent {
		if c.repo != nil {
			fold = c.repo.fold
			break
		}
	}
	if has&hasGitIgnore != 0 && !ig.opts.NoGit {
		n.git = ig.load(node, dir, gitIgnoreName, fold)
	}
	if has&hasAIIgnore != 0 && !ig.opts.NoAI {
		n.ai = ig.load(node, dir, aiIgnoreName, false)
	}
	if n.git == nil && n.ai == nil && n.repo == nil {
		return parent
	}
	// The same rules are the same chain, which tells others that nothing changed.
	if old, ok := ig.chains.Get(dir); ok && *old == *n {
		return old
	}
	ig.chains.Add(dir, n)
	return n
}

// load returns the compiled rules of an ignore file, from the cache when the
// file has not changed. What cannot be read has no rules, as in git.
func (ig *ignorer) load(node dirNode, dir, name string, fold bool) *ruleList {
	opened := time.Now()
	f, err := node.open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	stamp := f.stamp()
	key := join(dir, name)
	if fold {
		key += "\x00i"
	}
	if old, ok := ig.cache.Get(key); ok && stamp.valid() && old.stamp == stamp {
		ig.hits.Add(1)
		return old.rules
	}
	ig.misses.Add(1)
	if stamp.Size >= maxIgnoreFile {
		return nil
	}
	data, err := f.readAll(nil)
	if err != nil {
		return nil
	}
	rules := compileRules(data, fold)
	if stamp.settledAt(opened) {
		ig.cache.Add(key, cachedRules{stamp, rules})
	}
	return rules
}

// ignoreFiles says which files that affect ignoring a directory contains.
type ignoreFiles uint8

const (
	hasGitIgnore ignoreFiles = 1 << iota
	hasAIIgnore
	hasGit
)

func (h *ignoreFiles) see(name string, kind fs.FileMode) {
	if len(name) < 4 || name[0] != '.' {
		return
	}
	switch {
	case name == gitIgnoreName && kind.IsRegular():
		*h |= hasGitIgnore
	case name == aiIgnoreName && kind.IsRegular():
		*h |= hasAIIgnore
	case name == ".git" && (kind.IsRegular() || kind.IsDir()):
		*h |= hasGit
	}
}

// Ignored reports whether name, or a directory that contains it, is left out by
// the ignore rules. A name that does not exist is judged as a file would be.
func (s *Service) Ignored(ctx context.Context, name string) (bool, error) {
	clean, err := s.clean(name)
	if err != nil {
		return false, err
	}
	t := s.tree()
	isDir := strings.HasSuffix(name, "/")
	if info, err := t.provider.Lstat(ctx, clean); err == nil {
		isDir = info.IsDir()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	_, ignored, err := t.chainTo(ctx, clean, isDir)
	return ignored, err
}

// chainTo collects the rules on the way to name and judges it.
func (t *tree) chainTo(ctx context.Context, name string, isDir bool) (chain *ruleChain, ignored bool, err error) {
	node, err := t.openRoot(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() { node.close() }()
	chain = t.topRules(ctx)
	for at := 0; ; {
		dir := path.Clean(name[:at])
		if node != nil {
			chain = t.ignore.enter(chain, dir, node, node.probe())
		}
		if name == "." {
			return chain, false, nil
		}
		base := at
		end := strings.IndexByte(name[at:], '/')
		last := end < 0
		if last {
			at = len(name)
		} else {
			at += end
		}
		if t.ignore.ignored(chain, name[:at], base, !last || isDir) {
			return chain, true, nil
		}
		if last && !isDir {
			return chain, false, nil
		}
		sub, err := node.dir(name[base:at])
		if err != nil {
			// A missing directory has no rules; neither has what is below it.
			return chain, !last && t.restIgnored(chain, name, at+1, isDir), nil
		}
		node.close()
		node = sub
		if last {
			return t.ignore.enter(chain, name, node, node.probe()), false, nil
		}
		at++
	}
}

// restIgnored judges the components of name from at on by the rules of chain.
func (t *tree) restIgnored(chain *ruleChain, name string, at int, isDir bool) bool {
	for at < len(name) {
		base := at
		if end := strings.IndexByte(name[at:], '/'); end < 0 {
			at = len(name)
		} else {
			at += end
		}
		if t.ignore.ignored(chain, name[:at], base, at < len(name) || isDir) {
			return true
		}
		at++
	}
	return false
}
