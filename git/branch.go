package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Branch is a local branch.
type Branch struct {
	Name     string    `json:"name"`
	Hash     string    `json:"hash"`
	Subject  string    `json:"subject"`
	Time     time.Time `json:"time"` // of the last commit
	Current  bool      `json:"current,omitempty"`
	Upstream string    `json:"upstream,omitempty"`
	Worktree string    `json:"worktree,omitempty"` // where it is checked out
}

// branchCache keeps the list until HEAD or a reference changes.
type branchCache struct {
	mu    sync.Mutex
	state string
	list  []Branch
}

func (c *branchCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.list = "", nil
}

// Branches lists the local branches by name. The list is kept until HEAD or a
// reference changes.
func (s *Service) Branches(ctx context.Context) ([]Branch, error) {
	state := s.refsState()
	s.branches.mu.Lock()
	if state != "" && state == s.branches.state {
		list := append([]Branch(nil), s.branches.list...)
		s.branches.mu.Unlock()
		return list, nil
	}
	s.branches.mu.Unlock()
	out, err := s.git(ctx, call{args: []string{"for-each-ref", "--format=%(refname:lstrip=2)%00%(objectname)%00%(HEAD)%00%(upstream:short)%00%(worktreepath)%00%(committerdate:unix)%00%(contents:subject)", "refs/heads/"}})
	if err != nil {
		return nil, fmt.Errorf("git: list branches: %w", err)
	}
	var list []Branch
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\x00", 7)
		if len(f) != 7 {
			return nil, fmt.Errorf("git: list branches: malformed record %.80q", line)
		}
		seconds, _ := strconv.ParseInt(f[5], 10, 64)
		list = append(list, Branch{Name: f[0], Hash: f[1], Current: f[2] == "*", Upstream: f[3], Worktree: f[4], Time: time.Unix(seconds, 0), Subject: f[6]})
	}
	s.branches.mu.Lock()
	s.branches.state, s.branches.list = state, list
	s.branches.mu.Unlock()
	return append([]Branch(nil), list...), nil
}

// refsState fingerprints HEAD and the references by their files, without
// running git. "" means that it cannot: references are kept in another format.
func (s *Service) refsState() string {
	var b strings.Builder
	head, err := os.ReadFile(filepath.Join(s.gitDir, "HEAD"))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(s.commonDir, "reftable")); err == nil {
		return ""
	}
	b.Write(head)
	// The list says where each branch is checked out.
	trees := []string{s.commonDir}
	linked, _ := os.ReadDir(filepath.Join(s.commonDir, "worktrees"))
	for _, e := range linked {
		trees = append(trees, filepath.Join(s.commonDir, "worktrees", e.Name()))
	}
	for _, dir := range trees {
		head, _ := os.ReadFile(filepath.Join(dir, "HEAD"))
		fmt.Fprintf(&b, "%s %s", dir, head)
	}
	add := func(path string, info os.FileInfo) {
		fmt.Fprintf(&b, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
	}
	for _, name := range []string{"packed-refs", "config", "worktrees"} {
		if info, err := os.Stat(filepath.Join(s.commonDir, name)); err == nil {
			add(name, info)
		}
	}
	if err := filepath.Walk(filepath.Join(s.commonDir, "refs", "heads"), func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		add(path, info)
		if info.Mode().IsRegular() && time.Since(info.ModTime()) < 2*time.Second {
			// The clock of the file system may be too coarse to tell two writes
			// apart, so recent ones are told by content.
			value, _ := os.ReadFile(path)
			b.Write(value)
		}
		return nil
	}); err != nil {
		return ""
	}
	return b.String()
}

// CurrentBranch returns the branch that is checked out, born or not; "" when
// HEAD is detached.
func (s *Service) CurrentBranch(ctx context.Context) (string, error) {
	name, err := s.currentBranch(ctx)
	if err != nil {
		return "", fmt.Errorf("git: current branch: %w", err)
	}
	return name, nil
}

func (s *Service) currentBranch(ctx context.Context) (string, error) {
	out, err := s.line(ctx, "symbolic-ref", "--quiet", "--short", "HEAD")
	if err != nil && exitCode(err) == 1 {
		return "", nil
	}
	return out, err
}

// CreateBranch makes a branch at a revision ("" means HEAD) without switching to
// it.
func (s *Service) CreateBranch(ctx context.Context, name, rev string) error {
	if err := s.checkBranchName(ctx, name); err != nil {
		return fmt.Errorf("git: create branch: %w", err)
	}
	if rev == "" {
		rev = "HEAD"
	}
	hash, err := s.resolve(ctx, rev)
	if err != nil {
		return fmt.Errorf("git: create branch %s: %w", name, err)
	}
	if err := s.write.lock(ctx); err != nil {
		return fmt.Errorf("git: create branch %s: %w", name, err)
	}
	defer s.write.unlock()
	defer s.branches.forget()
	if _, err := s.git(ctx, call{args: []string{"branch", "--no-track", "--", name, hash}, writes: true, env: s.reflogIdentity()}); err != nil {
		return fmt.Errorf("git: create branch %s: %w", name, err)
	}
	return nil
}

// Dirty says what SwitchBranch does with uncommitted work.
type Dirty string

const (
	DirtyCarry  Dirty = "carry"  // take it along where it does not conflict, else refuse
	DirtyRefuse Dirty = "refuse" // refuse
	DirtySave   Dirty = "save"   // keep it in a backup only and leave the tree clean
)

// SwitchBranch checks out a branch, which is created at HEAD when create is set.
// The zero policy is DirtyCarry. With DirtySave the returned backup holds the
// work that was left behind.
func (s *Service) SwitchBranch(ctx context.Context, name string, create bool, policy Dirty) (*Snapshot, error) {
	backup, err := s.switchBranch(ctx, name, create, policy)
	if err != nil {
		return backup, fmt.Errorf("git: switch to branch %s: %w", name, err)
	}
	return backup, nil
}

func (s *Service) switchBranch(ctx context.Context, name string, create bool, policy Dirty) (*Snapshot, error) {
	if err := s.needWorktree("switch branch"); err != nil {
		return nil, err
	}
	if err := s.checkBranchName(ctx, name); err != nil {
		return nil, err
	}
	if err := s.write.lock(ctx); err != nil {
		return nil, err
	}
	defer s.write.unlock()
	defer s.branches.forget()
	if policy == DirtyRefuse || policy == DirtySave {
		st, err := s.Status(ctx, StatusOptions{})
		if err != nil {
			return nil, err
		}
		if policy == DirtyRefuse && !st.Clean() {
			return nil, fmt.Errorf("%w: %d paths", ErrLocalChanges, len(st.Entries))
		}
		if st.Clean() {
			policy = DirtyCarry
		}
	}
	if err := s.refuseUnfinished(ctx); err != nil {
		return nil, err
	}
	before, err := s.currentBranch(ctx)
	if err != nil {
		return nil, err
	}
	head, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	args := []string{"switch", "--quiet", "--no-guess", "--no-overwrite-ignore"}
	if create {
		args = append(args, "--create")
	} else {
		target, err := s.resolve(ctx, "refs/heads/"+name)
		if err != nil {
			return nil, err
		}
		if head != "" {
			if err := s.protectIgnored(ctx, "", head, target); err != nil {
				return nil, err
			}
		}
	}
	if policy == DirtySave && head == "" {
		return nil, ErrUnborn
	}
	var backup *Snapshot
	if policy == DirtySave || !create && head != "" {
		saved, sc, err := s.save(ctx, "before switching to "+name, true)
		if err == nil {
			sc.remove()
			backup = &saved
		} else if policy == DirtySave || ctx.Err() != nil { // else the backup is only for a switch that stops half way
			return nil, err
		}
	}
	if policy == DirtySave {
		err = s.setAside(ctx, *backup, head)
	}
	if err == nil {
		_, err = s.git(ctx, call{args: append(args, name), writes: true, env: s.reflogIdentity()})
		err = s.switchEnded(ctx, before, name, inTheWay(err))
	}
	switch {
	case backup == nil:
		return nil, err
	case err == nil || errors.Is(err, errSwitched):
		if policy != DirtySave {
			if ferr := s.forget(context.WithoutCancel(ctx), *backup); ferr != nil {
				s.opts.Logger.WarnContext(ctx, "git: a backup stays", "repository", s.root, "error", ferr)
			}
			backup = nil
		}
		return backup, err
	}
	clean, err := s.settle(ctx, nil, *backup, policy == DirtySave || !errors.Is(err, ErrLocalChanges), err)
	if clean {
		backup = nil
	}
	return backup, err
}

var errSwitched = errors.New("the branch is checked out")

// switchEnded finds out whether git has switched although it reports an error.
func (s *Service) switchEnded(ctx context.Context, before, name string, err error) error {
	if err == nil || before == name {
		return err
	}
	after, cancel := aftermath(ctx)
	defer cancel()
	switch now, nerr := s.currentBranch(after); {
	case nerr != nil || now != name:
		return err
	case ctx.Err() != nil:
		return nil // the caller gave up when it was done
	default:
		return fmt.Errorf("%w, but %w: %w", errSwitched, ErrHook, err)
	}
}

// deletedBranch begins the reason of a backup that DeleteBranch makes.
const deletedBranch = "deleted branch "

// DeleteBranch deletes a branch. One that is not merged into HEAD or its
// upstream is refused unless force is set; then a backup keeps its commits, and Undo brings it back.
func (s *Service) DeleteBranch(ctx context.Context, name string, force bool) error {
	if err := s.checkBranchName(ctx, name); err != nil {
		return fmt.Errorf("git: delete branch: %w", err)
	}
	hash, err := s.resolve(ctx, "refs/heads/"+name)
	if err != nil {
		return fmt.Errorf("git: delete branch %s: %w", name, err)
	}
	if err := s.write.lock(ctx); err != nil {
		return fmt.Errorf("git: delete branch %s: %w", name, err)
	}
	defer s.write.unlock()
	defer s.branches.forget()
	flag := "--delete"
	var kept Snapshot
	if force {
		kept = Snapshot{Time: time.Now().Truncate(time.Second), Reason: deletedBranch + name, Head: hash, Branch: name, Backup: true, worktree: s.worktree()}
		if kept.Index, err = s.commitTree(ctx, hash+"^{tree}", kept, "-p", hash); err == nil {
			if kept.Commit, err = s.commitTree(ctx, hash+"^{tree}", kept, "-p", hash, "-p", kept.Index); err == nil {
				err = s.keepSnapshot(ctx, &kept)
			}
		}
		if err != nil {
			return fmt.Errorf("git: delete branch %s: %w", name, err)
		}
		flag = "-D"
	}
	if _, err := s.git(ctx, call{args: []string{"branch", "--quiet", flag, "--", name}, writes: true}); err != nil {
		if force {
			err = errors.Join(err, s.forget(context.WithoutCancel(ctx), kept))
		}
		if strings.Contains(stderrOf(err), "not fully merged") {
			err = fmt.Errorf("%w: it is not merged; set force to delete it all the same: %w", ErrRefused, err)
		}
		return fmt.Errorf("git: delete branch %s: %w", name, err)
	}
	return nil
}
