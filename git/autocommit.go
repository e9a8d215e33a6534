package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// ErrNoBaseline: AutoCommit does not know what was there before the agent.
var ErrNoBaseline = errors.New("no baseline")

var errNoPassed = errors.New("AutoCommitOptions.Passed is not set: without the verdict of the tests nothing is committed")

// AutoCommitOptions configure [NewAutoCommit].
type AutoCommitOptions struct {
	// Passed reports whether the tests passed. It is needed: nothing is
	// committed without it.
	Passed func() bool

	// Disabled turns AutoCommit off until SetDisabled(false).
	Disabled bool

	// Changed returns the paths that the agent itself wrote, relative to Root or
	// absolute. When it is set, nothing else is committed; when it is nil,
	// everything that changed since Begin counts as the agent's.
	Changed func() []string

	// All commits a person's changes too, those from before Begin included.
	All bool

	// Commit holds what the commits have beside message and paths: authors,
	// trailers, NoVerify.
	Commit CommitOptions

	OnCommit  func(c Commit)                               // after each commit
	OnSkipped func(ctx context.Context, skipped []Skipped) // when something was left out
}

// Skipped is a changed path that AutoCommit left alone.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// AutoCommit commits an agent's work after its tests have passed, and only the
// agent's: what a person had changed before [AutoCommit.Begin], staged or not,
// tracked or not, is neither committed nor altered, unless All is set. A file
// that both changed is left out and reported, because its changes cannot be told
// apart.
//
// It is a state slice: the baseline survives a resume. It is safe for concurrent
// use.
type AutoCommit struct {
	s    *Service
	opts AutoCommitOptions

	run mutex      // one commit at a time
	mu  sync.Mutex // guards what follows
	st  autoState
	gen uint64
}

// NewAutoCommit makes the hook. Call Begin before the agent's first write. From
// then on the git_commit tool of the service spares the person's changes too.
func NewAutoCommit(s *Service, opts AutoCommitOptions) *AutoCommit {
	a := &AutoCommit{s: s, opts: opts, run: newMutex(), st: autoState{Disabled: opts.Disabled}}
	s.guard.Store(a)
	return a
}

// agentPaths returns what a commit that a model asks for may hold: the agent's
// changes, or those of them that lie in the wanted paths.
func (a *AutoCommit) agentPaths(ctx context.Context, wanted []string) ([]string, error) {
	a.mu.Lock()
	begun := a.st.Begun && a.st.Root == a.s.root
	a.mu.Unlock()
	if !begun || a.opts.All {
		return wanted, nil
	}
	paths, skipped, err := a.plan(ctx)
	if err != nil {
		return nil, err
	}
	if len(wanted) > 0 {
		asked := below(wanted)
		paths = slices.DeleteFunc(paths, func(p string) bool { return !asked(p) })
		skipped = slices.DeleteFunc(skipped, func(s Skipped) bool { return !asked(s.Path) })
	}
	if len(paths) > 0 {
		return paths, nil
	}
	if len(skipped) > 0 {
		return nil, fmt.Errorf("%w: %s %s", ErrRefused, skipped[0].Path, skipped[0].Reason)
	}
	return nil, fmt.Errorf("%w: everything that differs was changed before you began, and is not yours to commit", ErrNothingToCommit)
}

// Begin records what differs from HEAD before the agent works. Once there is a
// baseline, from an earlier call or a restored state, Begin keeps it: call it at
// every start, or as a hook before each chat. Rebase takes a new one.
func (a *AutoCommit) Begin(ctx context.Context) error {
	if err := a.run.lock(ctx); err != nil {
		return fmt.Errorf("git: auto-commit: %w", err)
	}
	defer a.run.unlock()
	a.mu.Lock()
	begun := a.st.Begun && a.st.Root == a.s.root
	a.mu.Unlock()
	if begun {
		return nil
	}
	return a.rebase(ctx)
}

// Rebase takes a new baseline: everything that differs from HEAD now counts as
// the person's. Use it when a person has worked in the tree in between.
func (a *AutoCommit) Rebase(ctx context.Context) error {
	if err := a.run.lock(ctx); err != nil {
		return fmt.Errorf("git: auto-commit: %w", err)
	}
	defer a.run.unlock()
	return a.rebase(ctx)
}

func (a *AutoCommit) rebase(ctx context.Context) error {
	st, err := a.s.Status(ctx, StatusOptions{Untracked: UntrackedFiles, NoRenames: true})
	if err != nil {
		return fmt.Errorf("git: auto-commit: record what was changed before: %w", err)
	}
	dirty := make(pathStates, len(st.Entries))
	for _, e := range st.Entries {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("git: auto-commit: record what was changed before: %w", err)
		}
		dirty[e.Path] = a.s.fileState(e)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.st.Begun, a.st.Root, a.st.Head, a.st.Dirty = true, a.s.root, st.Head, dirty
	a.st.Skipped = nil
	a.gen++
	return nil
}

// AfterTesting commits the agent's changes when the tests passed. Register it to
// run after testing. It does nothing when they did not pass, when nothing
// changed, or when AutoCommit is disabled.
func (a *AutoCommit) AfterTesting(ctx context.Context) error {
	if err := a.run.lock(ctx); err != nil {
		return fmt.Errorf("git: auto-commit: %w", err)
	}
	defer a.run.unlock()
	a.mu.Lock()
	disabled, begun := a.st.Disabled, a.st.Begun && a.st.Root == a.s.root
	a.mu.Unlock()
	switch {
	case disabled:
		return nil
	case a.opts.Passed == nil:
		return fmt.Errorf("git: auto-commit: %w", errNoPassed)
	case !a.opts.Passed():
		return nil
	case !begun && !a.opts.All:
		return fmt.Errorf("git: auto-commit: %w: call Begin before the agent's first write; without it a person's changes cannot be told from the agent's", ErrNoBaseline)
	}
	paths, skipped, err := a.plan(ctx)
	if err != nil {
		return fmt.Errorf("git: auto-commit: %w", err)
	}
	var made *Commit
	if len(paths) > 0 {
		opts := a.opts.Commit
		opts.Paths, opts.Staged, opts.Amend = paths, false, false
		c, err := a.s.Commit(ctx, opts)
		if err != nil && !errors.Is(err, ErrNothingToCommit) {
			return fmt.Errorf("git: auto-commit: %w", err)
		}
		if err == nil {
			made = &c
		}
	}
	a.mu.Lock()
	if made != nil {
		a.st.Last = made
		a.gen++
	}
	if !slices.Equal(a.st.Skipped, skipped) {
		a.st.Skipped = skipped
		a.gen++
	}
	a.mu.Unlock()
	if made != nil && a.opts.OnCommit != nil {
		a.opts.OnCommit(*made)
	}
	if len(skipped) > 0 {
		a.s.opts.Logger.WarnContext(ctx, "git: auto-commit left changes out", "repository", a.s.root, "skipped", skipped)
		if a.opts.OnSkipped != nil {
			a.opts.OnSkipped(ctx, skipped)
		}
	}
	return nil
}

// plan sorts what differs from HEAD into the agent's paths and those left out.
// What a person had changed and the agent did not touch is neither.
func (a *AutoCommit) plan(ctx context.Context) (paths []string, skipped []Skipped, err error) {
	st, err := a.s.Status(ctx, StatusOptions{Untracked: UntrackedFiles, NoRenames: true})
	if err != nil {
		return nil, nil, err
	}
	own, err := a.own()
	if err != nil {
		return nil, nil, err
	}
	a.mu.Lock()
	dirty := maps.Clone(a.st.Dirty)
	a.mu.Unlock()
	if a.opts.All {
		dirty = nil
	}
	outside := a.s.outside()
	still := make(map[string]bool, len(st.Entries))
	forgotten := map[string]bool{}
	for _, e := range st.Entries {
		still[e.Path] = true
		if e.Index == 'D' && a.s.exists(e.Path) {
			forgotten[e.Path] = true
		}
		before, wasDirty := dirty[e.Path]
		changed := !wasDirty || before != a.s.fileState(e)
		skip := func(reason string) { skipped = append(skipped, Skipped{e.Path, reason}) }
		switch {
		case !changed:
		case forgotten[e.Path] && e.Kind == KindUntracked: // its second entry
		case own != nil && !own(e.Path):
		case wasDirty:
			skip("was changed before the agent began, and the agent changed it too: commit it yourself")
		case e.Kind == KindUnmerged:
			skip("has unresolved conflicts")
		case forgotten[e.Path]:
			// A commit of paths would take the file from the working tree again.
			skip("was removed from the index only: commit it yourself")
		case strings.HasSuffix(e.Path, "/"):
			skip("is a repository of its own")
		case e.Submodule != "" && e.Submodule[1] != 'C' && e.Index == '.':
			skip("is a submodule with uncommitted changes inside")
		case outside(e.Path):
			skip("is outside of " + a.s.dir)
		default:
			paths = append(paths, e.Path)
		}
	}
	// What the person has committed or reverted is not theirs any more: later
	// changes there are the agent's.
	a.mu.Lock()
	for p := range a.st.Dirty {
		if !still[p] {
			delete(a.st.Dirty, p)
			a.gen++
		}
	}
	a.mu.Unlock()
	return paths, skipped, nil
}

// own returns the test for the agent's own paths, or nil for all.
func (a *AutoCommit) own() (func(string) bool, error) {
	if a.opts.Changed == nil {
		return nil, nil
	}
	paths, err := a.s.checkPaths(a.opts.Changed())
	if err != nil {
		return nil, fmt.Errorf("AutoCommitOptions.Changed: %w", err)
	}
	set := make(map[string]bool, len(paths))
	for _, p := range paths {
		set[p] = true
	}
	return func(p string) bool { return set[p] }, nil
}

// outside returns the test for paths that are not below the directory that the
// service was opened with, which is the workspace.
func (s *Service) outside() func(path string) bool {
	root, err := filepath.EvalSymlinks(s.root)
	if err != nil {
		root = s.root
	}
	dir, err := filepath.EvalSymlinks(s.dir)
	if err != nil || dir == root {
		return func(string) bool { return false }
	}
	return func(path string) bool {
		rel, err := filepath.Rel(dir, filepath.Join(root, filepath.FromSlash(path)))
		return err != nil || !filepath.IsLocal(rel)
	}
}

// Last returns the last commit that AutoCommit made, after a resume without its
// Files.
func (a *AutoCommit) Last() (Commit, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.st.Last == nil {
		return Commit{}, false
	}
	return *a.st.Last, true
}

// Skipped returns what the last run left out of its commit.
func (a *AutoCommit) Skipped() []Skipped {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.st.Skipped)
}

// SetDisabled turns AutoCommit off or on.
func (a *AutoCommit) SetDisabled(disabled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.st.Disabled != disabled {
		a.st.Disabled = disabled
		a.gen++
	}
}
