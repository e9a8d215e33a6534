package git

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Snapshot is a saved working state: HEAD, the index, and all files that are
// not ignored. It is kept under refs/tokenring/ as a commit in the form of a
// stash entry, so that git stash apply and git diff take it too.
type Snapshot struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason,omitempty"`
	Head   string    `json:"head,omitempty"`   // commit that was checked out; "" before the first
	Branch string    `json:"branch,omitempty"` // branch that was checked out; "" when detached
	Commit string    `json:"commit"`           // hash of the commit that holds the files
	Index  string    `json:"index"`            // hash of the commit that holds the index
	Backup bool      `json:"backup,omitempty"` // saved by the package before it changed something

	worktree string // of a linked working tree, its git directory below the common one
}

const (
	snapshotRefs = "refs/tokenring/snapshots/"
	backupRefs   = "refs/tokenring/backups/"
)

// ref is the reference that keeps the snapshot.
func (s Snapshot) ref() string {
	if s.Backup {
		return backupRefs + s.ID
	}
	return snapshotRefs + s.ID
}

// Snapshot saves the whole working state without touching branch, index or
// files: staged, unstaged and untracked work, everything that is not ignored.
// Changes inside of submodules are not part of it. Take one before an agent's
// first write of an input, and undo works without any commit.
func (s *Service) Snapshot(ctx context.Context, reason string) (Snapshot, error) {
	if err := s.needWorktree("snapshot"); err != nil {
		return Snapshot{}, err
	}
	if err := s.write.lock(ctx); err != nil {
		return Snapshot{}, fmt.Errorf("git: snapshot: %w", err)
	}
	defer s.write.unlock()
	snap, sc, err := s.save(ctx, reason, false)
	if err != nil {
		return Snapshot{}, fmt.Errorf("git: snapshot: %w", err)
	}
	sc.remove()
	return snap, nil
}

// save makes a snapshot and returns the index that holds all its files, which
// the caller removes.
func (s *Service) save(ctx context.Context, reason string, backup bool) (_ Snapshot, _ *scratch, err error) {
	began := time.Now()
	defer func() { s.stats.snapshots.add(time.Since(began), err != nil) }()
	sc, err := s.newScratch()
	if err != nil {
		return Snapshot{}, nil, err
	}
	defer func() {
		if err != nil {
			sc.remove()
		}
	}()
	snap := Snapshot{Time: time.Now().Truncate(time.Second), Reason: oneLine(strings.TrimSpace(reason)), Backup: backup, worktree: s.worktree()}
	if snap.Head, err = s.head(ctx); err != nil {
		return Snapshot{}, nil, err
	}
	if snap.Branch, err = s.currentBranch(ctx); err != nil {
		return Snapshot{}, nil, err
	}
	index := call{args: []string{"write-tree"}, index: sc.path, writes: true, noHooks: true}
	indexTree, indexErr := s.git(ctx, index)
	if indexErr != nil && exitCode(indexErr) < 0 {
		return Snapshot{}, nil, indexErr
	}
	if err := s.addAll(ctx, sc); err != nil {
		return Snapshot{}, nil, fmt.Errorf("save the files: %w", err)
	}
	filesTree, err := s.git(ctx, index)
	if err != nil {
		return Snapshot{}, nil, fmt.Errorf("save the files: %w", err)
	}
	if indexErr != nil {
		// An index with conflicts has no tree. The files, with their conflict
		// markers, stand in for it.
		indexTree = filesTree
	}
	indexTree, filesTree = strings.TrimSpace(indexTree), strings.TrimSpace(filesTree)

	var parents []string
	if snap.Head != "" {
		parents = []string{"-p", snap.Head}
	}
	if snap.Index, err = s.commitTree(ctx, indexTree, snap, parents...); err != nil {
		return Snapshot{}, nil, err
	}
	if snap.Commit, err = s.commitTree(ctx, filesTree, snap, append(parents, "-p", snap.Index)...); err != nil {
		return Snapshot{}, nil, err
	}
	if err := s.keepSnapshot(ctx, &snap); err != nil {
		return Snapshot{}, nil, err
	}
	if s.opts.Trace.Snapshot != nil {
		s.opts.Trace.Snapshot(ctx, snap)
	}
	return snap, sc, nil
}

// addAll brings every file that is not ignored into a scratch index. A repository
// without commits that lies in the tree is left out: git cannot hold it, nor does
// it touch it.
func (s *Service) addAll(ctx context.Context, sc *scratch) error {
	c := call{args: []string{"add", "--all"}, index: sc.path, writes: true, noHooks: true,
		config: []string{"core.safecrlf=false", "advice.addEmbeddedRepo=false"}}
	_, err := s.git(ctx, c)
	const empty = "does not have a commit checked out"
	if err == nil || !strings.Contains(stderrOf(err), empty) {
		return err
	}
	c.args = append(c.args, "--ignore-errors")
	if _, err = s.git(ctx, c); err == nil || exitCode(err) != 1 {
		return err
	}
	for line := range strings.Lines(stderrOf(err)) {
		if strings.HasPrefix(line, "error: ") && !strings.Contains(line, empty) && !strings.HasPrefix(line, "error: unable to index file") {
			return err
		}
	}
	return nil
}

// keepSnapshot makes the reference that protects the snapshot from being
// collected. IDs sort by time.
func (s *Service) keepSnapshot(ctx context.Context, snap *Snapshot) error {
	var random [2]byte
	rand.Read(random[:])
	snap.ID = time.Now().UTC().Format("20060102T150405.000000000Z") + "-" + hex.EncodeToString(random[:])
	c := call{args: []string{"update-ref", "--stdin", "-z"}, writes: true, noHooks: true,
		stdin: []byte("create " + snap.ref() + "\x00" + snap.Commit + "\x00")}
	if _, err := s.git(ctx, c); err != nil {
		return fmt.Errorf("keep the snapshot: %w", err)
	}
	return nil
}

// forget removes the reference of a snapshot.
func (s *Service) forget(ctx context.Context, snap Snapshot) error {
	c := call{args: []string{"update-ref", "-d", snap.ref(), snap.Commit}, writes: true, noHooks: true}
	if _, err := s.git(ctx, c); err != nil {
		return fmt.Errorf("forget snapshot %s: %w", snap.ID, err)
	}
	return nil
}

// snapshotEnv is who makes snapshots: a person's identity may not exist.
func snapshotEnv(at time.Time) []string {
	when := strconv.FormatInt(at.Unix(), 10) + " +0000"
	return []string{
		"GIT_AUTHOR_NAME=TokenRing", "GIT_AUTHOR_EMAIL=tokenring@localhost", "GIT_AUTHOR_DATE=" + when,
		"GIT_COMMITTER_NAME=TokenRing", "GIT_COMMITTER_EMAIL=tokenring@localhost", "GIT_COMMITTER_DATE=" + when,
	}
}

func (s *Service) commitTree(ctx context.Context, tree string, snap Snapshot, parents ...string) (string, error) {
	title := snap.Reason
	if title == "" {
		title = "working state"
	}
	message := fmt.Sprintf("tokenring: %s\n\nTokenring-Branch: %s\nTokenring-Head: %s\n", title, snap.Branch, snap.Head)
	if snap.worktree != "" {
		message += "Tokenring-Worktree: " + snap.worktree + "\n"
	}
	args := append([]string{"commit-tree", "--no-gpg-sign", "-F", "-"}, parents...)
	out, err := s.git(ctx, call{args: append(args, tree), stdin: []byte(message), env: snapshotEnv(snap.Time), writes: true})
	if err != nil {
		return "", fmt.Errorf("save the state: %w", err)
	}
	return strings.TrimSpace(out), nil
}

// worktree names a linked working tree; the main one is "".
func (s *Service) worktree() string {
	rel, err := filepath.Rel(s.commonDir, s.gitDir)
	if err != nil || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}

// Snapshots lists what Snapshot saved, the newest first.
func (s *Service) Snapshots(ctx context.Context) ([]Snapshot, error) {
	return s.saved(ctx, snapshotRefs)
}

// Backups lists the states that were saved before the package changed
// something: [Service.Undo] goes back to them. The newest comes first.
func (s *Service) Backups(ctx context.Context) ([]Snapshot, error) {
	return s.saved(ctx, backupRefs)
}

func (s *Service) saved(ctx context.Context, prefix string) ([]Snapshot, error) {
	out, err := s.git(ctx, call{args: []string{"for-each-ref", "--format=%(refname)%00%(objectname)%00%(parent)%00%(committerdate:unix)%00%(contents)%00", prefix}})
	if err != nil {
		return nil, fmt.Errorf("git: list %s: %w", strings.TrimSuffix(prefix, "/"), err)
	}
	var list []Snapshot
	for {
		out = strings.TrimLeft(out, "\n")
		fields := strings.SplitN(out, "\x00", 6)
		if len(fields) < 6 {
			break
		}
		snap := Snapshot{ID: strings.TrimPrefix(fields[0], prefix), Commit: fields[1], Backup: prefix == backupRefs}
		parents := strings.Fields(fields[2])
		if len(parents) == 0 {
			out = fields[5]
			continue // not one of ours
		}
		snap.Index = parents[len(parents)-1]
		seconds, _ := strconv.ParseInt(fields[3], 10, 64)
		snap.Time = time.Unix(seconds, 0)
		title, trailers, _ := strings.Cut(fields[4], "\n")
		snap.Reason = strings.TrimPrefix(title, "tokenring: ")
		for line := range strings.SplitSeq(trailers, "\n") {
			if v, ok := strings.CutPrefix(line, "Tokenring-Branch: "); ok {
				snap.Branch = v
			} else if v, ok := strings.CutPrefix(line, "Tokenring-Head: "); ok {
				snap.Head = v
			} else if v, ok := strings.CutPrefix(line, "Tokenring-Worktree: "); ok {
				snap.worktree = v
			}
		}
		list = append(list, snap)
		out = fields[5]
	}
	slices.SortStableFunc(list, func(a, b Snapshot) int { return strings.Compare(b.ID, a.ID) })
	return list, nil
}

// FindSnapshot returns the snapshot or backup with the ID.
func (s *Service) FindSnapshot(ctx context.Context, id string) (Snapshot, error) {
	for _, prefix := range []string{snapshotRefs, backupRefs} {
		list, err := s.saved(ctx, prefix)
		if err != nil {
			return Snapshot{}, err
		}
		for _, snap := range list {
			if snap.ID == id {
				return snap, nil
			}
		}
	}
	return Snapshot{}, fmt.Errorf("git: snapshot %q: %w", id, ErrNotFound)
}

// DiffSnapshot compares a snapshot with the files as they are now: what has
// changed since.
func (s *Service) DiffSnapshot(ctx context.Context, id string, opts DiffOptions) (*Diff, error) {
	snap, err := s.FindSnapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	opts.From, opts.Untracked = snap.Commit, true
	return s.Diff(ctx, opts)
}

// PruneSnapshots forgets snapshots and backups that are older than age, but of
// each kind never the newest keep ones. It returns how many it forgot.
func (s *Service) PruneSnapshots(ctx context.Context, age time.Duration, keep int) (int, error) {
	if err := s.write.lock(ctx); err != nil {
		return 0, fmt.Errorf("git: prune snapshots: %w", err)
	}
	defer s.write.unlock()
	var script strings.Builder
	n := 0
	for _, prefix := range []string{snapshotRefs, backupRefs} {
		list, err := s.saved(ctx, prefix)
		if err != nil {
			return 0, err
		}
		for _, snap := range list[min(max(keep, 0), len(list)):] {
			if time.Since(snap.Time) > age {
				fmt.Fprintf(&script, "delete %s\x00%s\x00", snap.ref(), snap.Commit)
				n++
			}
		}
	}
	if n == 0 {
		return 0, nil
	}
	if _, err := s.git(ctx, call{args: []string{"update-ref", "--stdin", "-z"}, stdin: []byte(script.String()), writes: true, noHooks: true}); err != nil {
		return 0, fmt.Errorf("git: prune snapshots: %w", err)
	}
	return n, nil
}
