package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MergeOptions say how [Service.Merge] merges.
type MergeOptions struct {
	Message string // of the merge commit; default git's own
	NoFF    bool   // make a merge commit although a fast-forward would do
}

// Merge is what a merge did.
type Merge struct {
	Hash        string    `json:"hash"`                  // what HEAD is now
	FastForward bool      `json:"fastForward,omitempty"` // HEAD only moved
	UpToDate    bool      `json:"upToDate,omitempty"`    // there was nothing to merge
	Backup      *Snapshot `json:"backup,omitempty"`      // the state before; Undo goes back to it
}

// Conflict is one path that cannot be merged.
type Conflict struct {
	Path    string `json:"path"`
	Type    string `json:"type,omitempty"`    // such as "CONFLICT (contents)"
	Message string `json:"message,omitempty"` // git's explanation
	Content string `json:"content,omitempty"` // the file with conflict markers, bounded
}

// ConflictError reports a merge that was not made because of conflicts. Nothing
// was changed. It wraps ErrConflict.
type ConflictError struct {
	Branch    string
	Conflicts []Conflict
}

func (e *ConflictError) Error() string {
	var names []string
	for _, c := range e.Conflicts {
		names = append(names, shown(c.Path))
	}
	return fmt.Sprintf("branch %s conflicts in %s; nothing was changed", e.Branch, strings.Join(names, ", "))
}

func (e *ConflictError) Unwrap() error { return ErrConflict }

// Merge merges a branch into the current one. A merge with conflicts is not
// made: a [*ConflictError] shows them, and nothing is changed. Uncommitted work
// stays; where it is in the way Merge fails with ErrLocalChanges, again without
// any change. The state before is saved first.
func (s *Service) Merge(ctx context.Context, branch string, opts MergeOptions) (Merge, error) {
	m, err := s.merge(ctx, branch, opts)
	if err != nil {
		return m, fmt.Errorf("git: merge: %w", err)
	}
	return m, nil
}

// MergeWorktree merges the branch of another working tree back into the current
// one of this. Work that is not committed there would be missing, so it is
// refused with ErrLocalChanges.
func (s *Service) MergeWorktree(ctx context.Context, path string, opts MergeOptions) (Merge, error) {
	w, err := s.findWorktree(ctx, path)
	if err != nil {
		return Merge{}, err
	}
	if w.Branch == "" {
		return Merge{}, fmt.Errorf("git: merge worktree %s: %w: it is on no branch", path, ErrRefused)
	}
	other, err := Open(ctx, w.Path, s.opts)
	if err != nil {
		return Merge{}, err
	}
	st, err := other.Status(ctx, StatusOptions{})
	if err != nil {
		return Merge{}, err
	}
	if !st.Clean() {
		return Merge{}, fmt.Errorf("git: merge worktree %s: %w: %d paths there are not committed, such as %s", path, ErrLocalChanges, len(st.Entries), st.Entries[0].Path)
	}
	return s.Merge(ctx, w.Branch, opts)
}

func (s *Service) merge(ctx context.Context, branch string, opts MergeOptions) (Merge, error) {
	if err := s.needWorktree("merge"); err != nil {
		return Merge{}, err
	}
	if err := s.checkBranchName(ctx, branch); err != nil {
		return Merge{}, err
	}
	theirs, err := s.resolve(ctx, "refs/heads/"+branch)
	if err != nil {
		return Merge{}, err
	}
	if err := s.write.lock(ctx); err != nil {
		return Merge{}, err
	}
	defer s.write.unlock()
	ours, err := s.head(ctx)
	if err != nil {
		return Merge{}, err
	}
	if ours == "" {
		return Merge{}, ErrUnborn
	}
	if err := s.refuseUnfinished(ctx); err != nil {
		return Merge{}, err
	}
	if _, err := s.git(ctx, call{args: []string{"merge-base", "--is-ancestor", theirs, ours}}); err == nil {
		return Merge{Hash: ours, UpToDate: true}, nil
	} else if exitCode(err) != 1 {
		return Merge{}, err
	}
	result, err := s.mergedTree(ctx, branch, ours, theirs)
	if err != nil {
		return Merge{}, err
	}
	if err := s.protectIgnored(ctx, "", ours, result); err != nil {
		return Merge{}, err
	}
	backup, sc, err := s.save(ctx, "before merging "+branch, true)
	if err != nil {
		return Merge{}, err
	}
	sc.remove()
	defer s.branches.forget()
	err = s.runMerge(ctx, branch, theirs, opts)
	after, cancel := aftermath(ctx)
	defer cancel()
	if err != nil && !s.merged(after, ours, theirs) {
		clean, err := s.unmerge(ctx, backup, err)
		if clean {
			return Merge{}, err
		}
		return Merge{Backup: &backup}, err
	}
	m := Merge{Backup: &backup}
	if m.Hash, err = s.head(after); err != nil {
		return m, err
	}
	m.FastForward = m.Hash == theirs
	return m, nil
}

func (s *Service) runMerge(ctx context.Context, branch, theirs string, opts MergeOptions) error {
	// Also against what branch.<name>.mergeOptions says.
	args := []string{"merge", "--quiet", "--no-edit", "--no-stat", "--no-autostash", "--no-squash", "--commit"}
	if opts.NoFF {
		args = append(args, "--no-ff")
	} else {
		args = append(args, "--ff")
	}
	if opts.Message != "" {
		args = append(args, "-m", plainMessage(opts.Message))
	} else {
		args = append(args, "-m", "Merge branch '"+branch+"'")
	}
	err := s.gitAs(ctx, call{args: append(args, theirs), writes: true})
	if err == nil {
		return nil
	}
	said := stderrOf(err)
	conflicts, _ := s.unmerged(context.WithoutCancel(ctx), "") // that nobody foresaw
	switch {
	case len(conflicts) > 0:
		unmade := &ConflictError{Branch: branch}
		for _, p := range conflicts {
			unmade.Conflicts = append(unmade.Conflicts, Conflict{Path: p})
		}
		return unmade
	case missingIdentity(said):
		return fmt.Errorf("%w: set user.name and user.email with git config, or Options.Identity: %w", ErrNoIdentity, err)
	case strings.Contains(said, "overwritten by merge"), strings.Contains(said, "cannot merge: You have"), strings.Contains(said, "Your index contains uncommitted"):
		return fmt.Errorf("%w: %w", ErrLocalChanges, err)
	case exitCode(err) == 1 && s.hasHook(ctx, "pre-merge-commit", "commit-msg", "prepare-commit-msg"):
		return fmt.Errorf("%w: %w", ErrHook, err)
	}
	return err
}

// merged reports whether HEAD is the merge, for a caller that gave up at the last
// moment.
func (s *Service) merged(ctx context.Context, ours, theirs string) bool {
	head, err := s.head(ctx)
	if err != nil || head == ours || head == theirs {
		return err == nil && head == theirs
	}
	parents, err := s.line(ctx, "rev-parse", head+"^@")
	return err == nil && parents == ours+"\n"+theirs
}

// unmerge takes back what a merge did before it stopped, as settle does.
func (s *Service) unmerge(ctx context.Context, backup Snapshot, err error) (clean bool, _ error) {
	after, cancel := aftermath(ctx)
	defer cancel()
	changed := !errors.Is(err, ErrLocalChanges)
	if _, lerr := os.Lstat(filepath.Join(s.gitDir, "MERGE_HEAD")); lerr == nil {
		if _, aerr := s.git(after, call{args: []string{"merge", "--abort"}, writes: true}); aerr != nil {
			return false, fmt.Errorf("%w; the merge could not be aborted (backup %s holds the state before): %w", err, backup.ID, aerr)
		}
		changed = false
	} else if ctx.Err() != nil {
		// git ended before it could note that it merges.
		for _, name := range []string{"MERGE_MSG", "MERGE_MODE", "AUTO_MERGE"} {
			_ = os.Remove(filepath.Join(s.gitDir, name))
		}
	}
	return s.settle(ctx, nil, backup, changed, err)
}

// mergedTree makes the merge in memory and returns its tree, or a
// ConflictError. Before git 2.38 that is not possible: git merge itself finds
// out, and their tree, which is what could overwrite files, stands in.
func (s *Service) mergedTree(ctx context.Context, branch, ours, theirs string) (string, error) {
	if !s.version.AtLeast(2, 38) {
		return theirs, nil
	}
	out, err := s.git(ctx, call{args: []string{"merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs}, writes: true})
	if err == nil {
		tree, _, _ := strings.Cut(out, "\x00")
		return strings.TrimSpace(tree), nil
	}
	if exitCode(err) != 1 {
		return "", err
	}
	tree, conflicts := parseConflicts(out)
	if len(conflicts) == 0 {
		return "", err
	}
	for i := range conflicts {
		if i == 20 {
			break
		}
		var content []byte
		keep := func(data []byte) { content = append(content, data[:min(len(data), maxConflict-len(content))]...) }
		if _, err := s.git(ctx, call{args: []string{"cat-file", "blob", tree + ":" + conflicts[i].Path}, onStdout: keep}); err == nil && bytes.Contains(content, []byte("<<<<<<<")) {
			conflicts[i].Content = bounded(strings.ToValidUTF8(string(content), "\uFFFD"))
		}
	}
	return "", &ConflictError{Branch: branch, Conflicts: conflicts}
}

// maxConflict is how much is read of a file with conflicts.
const maxConflict = 1 << 20

// parseConflicts reads the output of git merge-tree --write-tree -z --name-only
// --messages: the tree, the paths with conflicts, an empty field, then messages
// of a count of paths, the paths, a type and a text.
func parseConflicts(out string) (tree string, conflicts []Conflict) {
	fields := strings.Split(out, "\x00")
	tree, fields = fields[0], fields[1:]
	byPath := map[string]int{}
	for len(fields) > 0 && fields[0] != "" {
		if _, dup := byPath[fields[0]]; !dup {
			byPath[fields[0]] = len(conflicts)
			conflicts = append(conflicts, Conflict{Path: fields[0]})
		}
		fields = fields[1:]
	}
	if len(fields) > 0 {
		fields = fields[1:]
	}
	for len(fields) > 0 {
		n, err := strconv.Atoi(fields[0])
		if err != nil || n < 0 || len(fields) < n+3 {
			break
		}
		paths, kind, text := fields[1:1+n], fields[1+n], fields[2+n]
		fields = fields[3+n:]
		if !strings.HasPrefix(kind, "CONFLICT") {
			continue
		}
		for _, p := range paths {
			if i, ok := byPath[p]; ok {
				conflicts[i].Type, conflicts[i].Message = kind, strings.TrimSpace(text)
			}
		}
	}
	return tree, conflicts
}
