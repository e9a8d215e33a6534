package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Worktree is a working tree of the repository.
type Worktree struct {
	Path     string `json:"path"`
	Head     string `json:"head,omitempty"`
	Branch   string `json:"branch,omitempty"` // "" when detached
	Bare     bool   `json:"bare,omitempty"`
	Main     bool   `json:"main,omitempty"`
	Locked   bool   `json:"locked,omitempty"`
	Prunable bool   `json:"prunable,omitempty"` // its directory is gone
}

// WorktreeOptions describe a working tree for [Service.AddWorktree].
type WorktreeOptions struct {
	Path   string // directory to make; needed, relative paths are below Root
	Branch string // branch to check out, made at From when it does not exist; needed
	From   string // revision; default HEAD
}

// AddWorktree makes a working tree for another agent, with a branch of its own,
// and opens it with the options of s. The branch must not be checked out
// elsewhere.
func (s *Service) AddWorktree(ctx context.Context, opts WorktreeOptions) (*Service, error) {
	if opts.Path == "" {
		return nil, fmt.Errorf("git: add worktree: path: %w: it is empty", ErrInvalidName)
	}
	if err := s.checkBranchName(ctx, opts.Branch); err != nil {
		return nil, fmt.Errorf("git: add worktree: %w", err)
	}
	path := opts.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.root, path)
	}
	if opts.From == "" {
		opts.From = "HEAD"
	}
	from, err := s.resolve(ctx, opts.From)
	if err != nil {
		if head, herr := s.head(ctx); herr == nil && head == "" {
			err = fmt.Errorf("%w: commit once before working trees can be added", ErrUnborn)
		}
		return nil, fmt.Errorf("git: add worktree %s: %w", path, err)
	}
	args := []string{"worktree", "add", "--quiet"}
	if _, err := s.resolve(ctx, "refs/heads/"+opts.Branch); err == nil {
		args = append(args, "--", path, opts.Branch)
	} else {
		args = append(args, "--no-track", "-b", opts.Branch, "--", path, from)
	}
	if err := s.write.lock(ctx); err != nil {
		return nil, fmt.Errorf("git: add worktree %s: %w", path, err)
	}
	defer s.write.unlock()
	defer s.branches.forget()
	_, missing := os.Lstat(path)
	_, err = s.git(ctx, call{args: args, writes: true, env: s.reflogIdentity()})
	if err != nil && missing != nil && ctx.Err() == nil {
		if w, ferr := s.findWorktree(ctx, path); ferr == nil && w.Branch == opts.Branch {
			// All that came after it is a post-checkout hook, which decides nothing.
			s.opts.Logger.WarnContext(ctx, "git: a hook failed in a new worktree", "worktree", path, "error", err)
			err = nil
		}
	}
	if err != nil {
		said := stderrOf(err)
		if strings.Contains(said, "already checked out") || strings.Contains(said, "already used by worktree") || strings.Contains(said, "already exists") {
			err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return nil, fmt.Errorf("git: add worktree %s: %w", path, err)
	}
	w, err := Open(ctx, path, s.opts)
	if err != nil {
		return nil, fmt.Errorf("git: add worktree: %w", err)
	}
	return w, nil
}

// Worktrees lists the working trees of the repository, the main one first.
func (s *Service) Worktrees(ctx context.Context) ([]Worktree, error) {
	args, end := []string{"worktree", "list", "--porcelain"}, "\n"
	if s.version.AtLeast(2, 36) {
		args, end = append(args, "-z"), "\x00"
	}
	out, err := s.git(ctx, call{args: args})
	if err != nil {
		return nil, fmt.Errorf("git: list worktrees: %w", err)
	}
	var list []Worktree
	for record := range strings.SplitSeq(out, end+end) {
		w := Worktree{Main: len(list) == 0}
		for line := range strings.SplitSeq(record, end) {
			key, value, _ := strings.Cut(line, " ")
			switch key {
			case "worktree":
				w.Path = value
			case "HEAD":
				w.Head = hash(value)
			case "branch":
				w.Branch = strings.TrimPrefix(value, "refs/heads/")
			case "bare":
				w.Bare = true
			case "locked":
				w.Locked = true
			case "prunable":
				w.Prunable = true
			}
		}
		if w.Path != "" {
			list = append(list, w)
		}
	}
	return list, nil
}

// findWorktree returns the working tree at path.
func (s *Service) findWorktree(ctx context.Context, path string) (Worktree, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.root, path)
	}
	list, err := s.Worktrees(ctx)
	if err != nil {
		return Worktree{}, err
	}
	for _, w := range list {
		if samePath(w.Path, path) {
			return w, nil
		}
	}
	return Worktree{}, fmt.Errorf("git: worktree %s: %w", path, ErrNotFound)
}

func samePath(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// RemoveWorktree removes a linked working tree with its directory; its branch
// stays. Ignored files in it, such as build output, go too. Uncommitted work
// makes it fail with ErrLocalChanges, unless save is set: then the work is saved
// first, as the backup that is returned.
func (s *Service) RemoveWorktree(ctx context.Context, path string, save bool) (*Snapshot, error) {
	backup, err := s.removeWorktree(ctx, path, save)
	if err != nil {
		return backup, fmt.Errorf("git: remove worktree %s: %w", path, err)
	}
	return backup, nil
}

func (s *Service) removeWorktree(ctx context.Context, path string, save bool) (*Snapshot, error) {
	w, err := s.findWorktree(ctx, path)
	if err != nil {
		return nil, err
	}
	switch {
	case w.Main:
		return nil, fmt.Errorf("%w: it is the main working tree", ErrRefused)
	case samePath(w.Path, s.root):
		return nil, fmt.Errorf("%w: it is the one this service works in; open another to remove it", ErrRefused)
	case w.Locked:
		return nil, fmt.Errorf("%w: it is locked; git worktree unlock releases it", ErrRefused)
	case w.Prunable:
		return nil, s.PruneWorktrees(ctx)
	}
	// From here on nothing waits: what is written after the backup would be lost.
	if err := s.write.lock(ctx); err != nil {
		return nil, err
	}
	defer s.write.unlock()
	defer s.branches.forget()
	other, err := Open(ctx, w.Path, s.opts)
	if err != nil {
		return nil, err
	}
	st, err := other.Status(ctx, StatusOptions{})
	if err != nil {
		return nil, err
	}
	for _, e := range st.Entries {
		if e.Submodule != "" || e.Kind == KindUntracked && strings.HasSuffix(e.Path, "/") && isRepository(filepath.Join(w.Path, e.Path)) {
			return nil, fmt.Errorf("%w: %s is a repository with changes of its own, which a backup does not hold", ErrLocalChanges, e.Path)
		}
	}
	if hidden, err := other.hidden(ctx); err != nil {
		return nil, err
	} else if len(hidden) > 0 {
		return nil, fmt.Errorf("%w: git is told not to look at %s (assume-unchanged or skip-worktree), so that no backup would hold it", ErrLocalChanges, shown(hidden[0]))
	}
	var backup *Snapshot
	args := []string{"worktree", "remove"}
	if !st.Clean() || st.Branch == "" {
		if !save && !st.Clean() {
			return nil, fmt.Errorf("%w: %d paths, such as %s; commit them, or set save", ErrLocalChanges, len(st.Entries), st.Entries[0].Path)
		}
		// Of a detached HEAD the commits would be lost, so they are saved too.
		saved, sc, err := other.save(ctx, "before removing worktree "+w.Path, true)
		if err != nil {
			return nil, err
		}
		sc.remove()
		backup = &saved
	}
	if backup != nil {
		args = append(args, "--force")
	}
	_, err = s.git(ctx, call{args: append(args, "--", w.Path), writes: true})
	return backup, err
}

func isRepository(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ".git"))
	return err == nil
}

// PruneWorktrees forgets working trees whose directory is gone.
func (s *Service) PruneWorktrees(ctx context.Context) error {
	if err := s.write.lock(ctx); err != nil {
		return fmt.Errorf("git: prune worktrees: %w", err)
	}
	defer s.write.unlock()
	defer s.branches.forget()
	if _, err := s.git(ctx, call{args: []string{"worktree", "prune"}, writes: true}); err != nil {
		return fmt.Errorf("git: prune worktrees: %w", err)
	}
	return nil
}
