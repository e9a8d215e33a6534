package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// RollbackOptions say how far [Service.Rollback] goes back and what it may
// cross. The zero value goes back one commit.
type RollbackOptions struct {
	N  int    // how many commits; default 1
	To string // go back to this revision instead; it must be an ancestor of HEAD

	// Pushed allows to take back commits that a remote-tracking branch holds,
	// Merges to cross merge commits.
	Pushed, Merges bool

	// SetAside allows to go back although uncommitted changes are in files that
	// the commits touch: then all uncommitted work leaves the working tree and
	// is kept in the backup only. Otherwise Rollback fails with ErrLocalChanges
	// and changes nothing.
	SetAside bool

	// Restore is called with the checkpoint that is noted on the commit that
	// HEAD comes to, if one is: its Tokenring-Checkpoint trailer or note. It
	// lets the state of an agent follow its code.
	Restore func(ctx context.Context, checkpoint string) error
}

// Rollback is what a rollback did.
type Rollback struct {
	From       string   `json:"from"`    // where HEAD was
	To         string   `json:"to"`      // where it is
	Commits    []Commit `json:"commits"` // taken back, the newest first
	Backup     Snapshot `json:"backup"`  // Undo(ctx, Backup.ID) brings everything back
	Checkpoint string   `json:"checkpoint,omitempty"`
}

// Rollback takes back the last commits: HEAD's branch and the files go to an
// earlier commit. Uncommitted and untracked work stays in the working tree. The
// whole state before is saved first, under refs/tokenring/backups/, from where
// [Service.Undo] restores it.
//
// It refuses ([ErrRefused]) to take back pushed commits, to cross merges and to
// go beyond the root, unless told otherwise.
func (s *Service) Rollback(ctx context.Context, opts RollbackOptions) (Rollback, error) {
	r, err := s.rollback(ctx, opts)
	if err != nil {
		return r, fmt.Errorf("git: rollback: %w", err)
	}
	return r, nil
}

func (s *Service) rollback(ctx context.Context, opts RollbackOptions) (Rollback, error) {
	if err := s.needWorktree("rollback"); err != nil {
		return Rollback{}, err
	}
	r, err := s.takeBack(ctx, opts)
	if err != nil {
		return r, err
	}
	// The code has gone back: who gives up now still has to know where to.
	if r.Checkpoint, err = s.checkpointOf(context.WithoutCancel(ctx), r.To); err != nil {
		return r, fmt.Errorf("the code went back to %s, but its checkpoint cannot be read: %w", r.To[:10], err)
	}
	if opts.Restore != nil && r.Checkpoint != "" {
		if err := opts.Restore(ctx, r.Checkpoint); err != nil {
			return r, fmt.Errorf("the code went back to %s, but checkpoint %s could not be restored: %w", r.To[:10], r.Checkpoint, err)
		}
	}
	return r, nil
}

// takeBack moves HEAD and the files.
func (s *Service) takeBack(ctx context.Context, opts RollbackOptions) (Rollback, error) {
	if err := s.write.lock(ctx); err != nil {
		return Rollback{}, err
	}
	defer s.write.unlock()
	r, err := s.planRollback(ctx, opts)
	if err != nil {
		return Rollback{}, err
	}
	backup, sc, err := s.save(ctx, "before rollback to "+r.To[:10], true)
	if err != nil {
		return Rollback{}, err
	}
	sc.remove()
	err = s.moveHead(ctx, r.From, r.To, "rollback")
	if errors.Is(err, ErrLocalChanges) && opts.SetAside {
		err = s.setAside(ctx, backup, r.To)
	} else if errors.Is(err, ErrLocalChanges) {
		err = fmt.Errorf("%w: commit them, or set SetAside to keep them in the backup only", err)
	}
	r.Backup = backup
	if err != nil {
		clean, err := s.settle(ctx, nil, backup, !errors.Is(err, ErrLocalChanges), err)
		if clean {
			return Rollback{}, err
		}
		return r, err
	}
	return r, nil
}

// planRollback finds the target and the commits in between.
func (s *Service) planRollback(ctx context.Context, opts RollbackOptions) (Rollback, error) {
	head, err := s.head(ctx)
	if err != nil {
		return Rollback{}, err
	}
	if head == "" {
		return Rollback{}, ErrUnborn
	}
	if err := s.refuseUnfinished(ctx); err != nil {
		return Rollback{}, err
	}
	r := Rollback{From: head}
	if opts.To != "" {
		if r.To, err = s.resolve(ctx, opts.To); err != nil {
			return Rollback{}, err
		}
		if _, err := s.git(ctx, call{args: []string{"merge-base", "--is-ancestor", r.To, head}}); err != nil {
			if exitCode(err) == 1 {
				return Rollback{}, fmt.Errorf("%w: %q is not an ancestor of HEAD; to work on it, switch to it", ErrRefused, opts.To)
			}
			return Rollback{}, err
		}
	} else {
		n := max(opts.N, 1)
		if opts.N < 0 {
			return Rollback{}, fmt.Errorf("%w: %d commits cannot be taken back; Undo brings commits back", ErrRefused, opts.N)
		}
		if r.To, err = s.resolve(ctx, head+"~"+strconv.Itoa(n)); errors.Is(err, ErrNotFound) {
			if s.shallow {
				return Rollback{}, fmt.Errorf("%w: the history of this shallow clone is shorter than %d commits; git fetch --deepen gets more", ErrRefused, n)
			}
			return Rollback{}, fmt.Errorf("%w: there are not %d commits before the current one; the root cannot be taken back", ErrRefused, n)
		} else if err != nil {
			return Rollback{}, err
		}
	}
	if r.To == head {
		return Rollback{}, fmt.Errorf("%w: %q is the current commit", ErrRefused, opts.To)
	}
	if r.Commits, err = s.Log(ctx, LogOptions{From: head, Until: r.To, Limit: -1}); err != nil {
		return Rollback{}, err
	}
	for _, c := range r.Commits {
		if len(c.Parents) > 1 && !opts.Merges {
			return Rollback{}, fmt.Errorf("%w: %s is a merge; set Merges to take it back", ErrRefused, c)
		}
	}
	if !opts.Pushed {
		if err := s.refusePushed(ctx, oldestOwn(r.Commits, head), "take it back (set Pushed to do so)"); err != nil {
			return Rollback{}, err
		}
	}
	return r, nil
}

// oldestOwn is the last of the commits from head on along first parents: who has
// any of these has it too. What a merge brought in may well be pushed.
func oldestOwn(commits []Commit, head string) string {
	first := make(map[string]string, len(commits))
	for _, c := range commits {
		first[c.Hash] = strings.Join(c.Parents[:min(len(c.Parents), 1)], "")
	}
	for {
		parent := first[head]
		if _, taken := first[parent]; !taken {
			return head
		}
		head = parent
	}
}

// refusePushed fails when a remote-tracking branch holds the commit.
func (s *Service) refusePushed(ctx context.Context, rev, what string) error {
	out, err := s.git(ctx, call{args: []string{"for-each-ref", "--count=1", "--format=%(refname:short)", "--contains=" + rev, "refs/remotes/"}})
	if err != nil {
		if strings.Contains(stderrOf(err), "malformed object name") || strings.Contains(stderrOf(err), "no such commit") {
			return nil // nothing is committed yet
		}
		return err
	}
	if remote := strings.TrimSpace(out); remote != "" {
		return fmt.Errorf("%w: commit %s is in %s already, others may have it; will not %s", ErrRefused, rev, remote, what)
	}
	return nil
}

// moveHead moves HEAD, its branch, the index and the files from one commit to
// another, carrying uncommitted changes along as git checkout does. It fails
// with ErrLocalChanges, and without any change, when these are in the way. After
// other errors, settle brings the files back.
func (s *Service) moveHead(ctx context.Context, from, to, why string) error {
	// Files whose times changed but not their content must not look changed. With
	// -q git would not say that the index is locked.
	if _, err := s.git(ctx, call{args: []string{"update-index", "--refresh"}, writes: true, noHooks: true}); err != nil && exitCode(err) != 1 {
		return err
	}
	if err := s.protectIgnored(ctx, "", from, to); err != nil {
		return err
	}
	if _, err := s.git(ctx, call{args: []string{"read-tree", "-m", "-u", from, to}, writes: true, noHooks: true}); err != nil {
		return inTheWay(err)
	}
	defer s.branches.forget()
	return s.updateHead(ctx, why, from, to)
}

// updateHead moves HEAD and its branch, and nothing else.
func (s *Service) updateHead(ctx context.Context, why, from, to string) error {
	_, err := s.git(ctx, call{args: []string{"update-ref", "-m", "tokenring: " + why, "HEAD", to, from}, writes: true, env: s.reflogIdentity()})
	if err == nil {
		return nil
	}
	ctx, cancel := aftermath(ctx)
	defer cancel()
	if head, herr := s.head(ctx); herr == nil && head == to {
		return nil // the caller gave up when it was done
	}
	return err
}

// setAside makes the working tree equal the commit, after backup has saved all
// that differs. Ignored files are still in nobody's backup: they stop it.
func (s *Service) setAside(ctx context.Context, backup Snapshot, to string) error {
	lock, err := s.lockIndex(ctx)
	if err != nil {
		return err
	}
	defer lock.release()
	sc, err := s.newScratch()
	if err != nil {
		return err
	}
	defer sc.remove()
	// The index of everything that the backup holds lets read-tree tell saved
	// files from ignored ones.
	if err := s.addAll(ctx, sc); err != nil {
		return err
	}
	if err := s.protectIgnored(ctx, sc.path, backup.Commit+"^{tree}", to); err != nil {
		return err
	}
	c := call{args: []string{"read-tree", "-m", "-u", backup.Commit + "^{tree}", to}, index: sc.path, writes: true, noHooks: true}
	if _, err := s.git(ctx, c); err != nil {
		return inTheWay(err)
	}
	defer s.branches.forget()
	if err := s.updateHead(ctx, "rollback", backup.Head, to); err != nil {
		return err
	}
	return lock.install(sc)
}

// reflogIdentity is needed where no identity is configured: a reflog entry has
// one.
func (s *Service) reflogIdentity() []string {
	id := s.opts.Identity
	if id == (Identity{}) {
		id = Identity{Name: "TokenRing", Email: "tokenring@localhost"}
	}
	return []string{"GIT_COMMITTER_NAME=" + id.Name, "GIT_COMMITTER_EMAIL=" + id.Email}
}

// Undo goes back to the state that a backup holds: HEAD, the branch, the index
// and all files that are not ignored. The state before is saved as a backup of
// its own and returned, so that Undo can be undone. An empty id means the newest
// backup that was made in this working tree. Of a branch that DeleteBranch deleted
// by force Undo makes the branch again and touches nothing else.
func (s *Service) Undo(ctx context.Context, id string) (Snapshot, error) {
	if err := s.needWorktree("undo"); err != nil {
		return Snapshot{}, err
	}
	if id == "" {
		list, err := s.Backups(ctx)
		if err != nil {
			return Snapshot{}, err
		}
		newest := slices.IndexFunc(list, func(b Snapshot) bool { return b.worktree == s.worktree() })
		if newest < 0 {
			return Snapshot{}, fmt.Errorf("git: undo: no backup of %s: %w", s.root, ErrNotFound)
		}
		id = list[newest].ID
	}
	target, err := s.FindSnapshot(ctx, id)
	if err != nil {
		return Snapshot{}, err
	}
	if target.Backup && target.Branch != "" && target.Reason == deletedBranch+target.Branch {
		// DeleteBranch touched nothing but the branch.
		return target, s.CreateBranch(ctx, target.Branch, target.Head)
	}
	if err := s.write.lock(ctx); err != nil {
		return Snapshot{}, fmt.Errorf("git: undo %s: %w", id, err)
	}
	defer s.write.unlock()
	now, err := s.undo(ctx, target)
	if err != nil {
		return now, fmt.Errorf("git: undo %s: %w", id, err)
	}
	return now, nil
}

// undo goes back to target. The caller holds the write lock.
func (s *Service) undo(ctx context.Context, target Snapshot) (Snapshot, error) {
	branch, err := s.currentBranch(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	if target.Branch != branch {
		return Snapshot{}, fmt.Errorf("%w: it was taken on branch %q, but %q is checked out; switch first, or use RestoreSnapshot for the files", ErrRefused, target.Branch, branch)
	}
	if head, err := s.head(ctx); err != nil {
		return Snapshot{}, err
	} else if target.Head == "" && head != "" {
		return Snapshot{}, fmt.Errorf("%w: it was taken before the first commit; RestoreSnapshot brings back its files", ErrRefused)
	}
	if err := s.refuseUnfinished(ctx); err != nil {
		return Snapshot{}, err
	}
	lock, err := s.lockIndex(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	defer lock.release()
	now, sc, err := s.save(ctx, "before undo to "+target.ID, true)
	if err != nil {
		return Snapshot{}, err
	}
	defer sc.remove()
	if target.Head != now.Head {
		if err := s.updateHead(ctx, "undo", now.Head, target.Head); err != nil {
			return Snapshot{}, errors.Join(err, s.forget(context.WithoutCancel(ctx), now))
		}
		s.branches.forget()
	}
	moved := now
	moved.Head = target.Head
	if err := s.bringBack(ctx, lock, sc, moved, target, nil); err != nil {
		if target.Head != now.Head {
			err = errors.Join(err, s.updateHead(context.WithoutCancel(ctx), "undo failed", target.Head, now.Head))
		}
		clean, err := s.settle(ctx, lock, now, !errors.Is(err, ErrLocalChanges), err)
		if clean {
			return Snapshot{}, err
		}
		return now, err
	}
	return now, nil
}
