package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RestoreSnapshot brings the files back to what they were when the snapshot was
// taken: all of them, or only the given files and directories. Files that
// appeared since are removed, those that git ignores stay. The state before the
// call is saved first and returned, so that the call can itself be undone.
//
// HEAD does not move. The index is restored too when all files are and HEAD is
// what it was then; else what is staged stays staged.
func (s *Service) RestoreSnapshot(ctx context.Context, id string, paths ...string) (Snapshot, error) {
	if err := s.needWorktree("restore snapshot"); err != nil {
		return Snapshot{}, err
	}
	paths, err := s.checkPaths(paths)
	if err != nil {
		return Snapshot{}, fmt.Errorf("git: restore snapshot: %w", err)
	}
	snap, err := s.FindSnapshot(ctx, id)
	if err != nil {
		return Snapshot{}, err
	}
	if err := s.write.lock(ctx); err != nil {
		return Snapshot{}, fmt.Errorf("git: restore snapshot %s: %w", id, err)
	}
	defer s.write.unlock()
	// Before anything changes, so that another process cannot stop it half way.
	lock, err := s.lockIndex(ctx)
	if err != nil {
		return Snapshot{}, fmt.Errorf("git: restore snapshot %s: %w", id, err)
	}
	defer lock.release()
	now, sc, err := s.save(ctx, "before restoring "+id, true)
	if err != nil {
		return Snapshot{}, fmt.Errorf("git: restore snapshot %s: %w", id, err)
	}
	defer sc.remove()
	if err := s.bringBack(ctx, lock, sc, now, snap, paths); err != nil {
		clean, err := s.settle(ctx, lock, now, !errors.Is(err, ErrLocalChanges), err)
		if clean {
			now = Snapshot{}
		}
		return now, fmt.Errorf("git: restore snapshot %s: %w", id, err)
	}
	return now, nil
}

// bringBack changes the files from those of now, which sc holds, to those of
// target, and the index where the whole of it is asked for.
func (s *Service) bringBack(ctx context.Context, lock *indexLock, sc *scratch, now, target Snapshot, paths []string) error {
	tree := target.Commit + "^{tree}"
	if len(paths) > 0 {
		var err error
		if tree, err = s.partialTree(ctx, sc, now, target, paths); err != nil {
			return err
		}
	}
	if err := s.bringFiles(ctx, sc, now, tree); err != nil {
		return err
	}
	if len(paths) > 0 || target.Head != now.Head {
		return nil
	}
	return s.bringIndex(ctx, lock, sc, target)
}

// bringFiles changes the files from those of now, which sc holds, to those of a
// tree.
func (s *Service) bringFiles(ctx context.Context, sc *scratch, now Snapshot, tree string) error {
	// A merge of two trees touches only what differs between them, keeps the
	// file times of the rest, and refuses to overwrite what sc does not know.
	if err := s.protectIgnored(ctx, sc.path, now.Commit+"^{tree}", tree); err != nil {
		return err
	}
	c := call{args: []string{"read-tree", "-m", "-u", now.Commit + "^{tree}", tree}, index: sc.path, writes: true, noHooks: true}
	if _, err := s.git(ctx, c); err != nil {
		return inTheWay(err)
	}
	return nil
}

// bringIndex makes the index that of target. sc holds the files.
func (s *Service) bringIndex(ctx context.Context, lock *indexLock, sc *scratch, target Snapshot) error {
	c := call{args: []string{"read-tree", "-m", target.Index + "^{tree}"}, index: sc.path, writes: true, noHooks: true}
	if _, err := s.git(ctx, c); err != nil {
		return fmt.Errorf("restore the index: %w", err)
	}
	return lock.install(sc)
}

// partialTree is the tree of now with the paths taken from target.
func (s *Service) partialTree(ctx context.Context, sc *scratch, now, target Snapshot, paths []string) (string, error) {
	out, err := s.git(ctx, call{args: []string{"diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", now.Commit + "^{tree}", target.Commit + "^{tree}"}})
	if err != nil {
		return "", err
	}
	files, _, err := parseRawNumstat(out)
	if err != nil {
		return "", err
	}
	wanted := below(paths)
	files = slices.DeleteFunc(files, func(f FileDiff) bool { return !wanted(f.Path) })
	if len(files) == 0 {
		return now.Commit + "^{tree}", nil
	}
	part := &scratch{path: sc.path + "-part"}
	defer part.remove()
	if err := copyFile(sc.path, part.path); err != nil {
		return "", fmt.Errorf("copy the index: %w", err)
	}
	var script strings.Builder
	for _, f := range files {
		if f.NewHash == "" {
			fmt.Fprintf(&script, "0 %s\t%s\x00", strings.Repeat("0", len(now.Commit)), f.Path)
		} else {
			fmt.Fprintf(&script, "%06o %s\t%s\x00", f.NewMode, f.NewHash, f.Path)
		}
	}
	c := call{args: []string{"update-index", "-z", "--index-info"}, stdin: []byte(script.String()), index: part.path, writes: true, noHooks: true}
	if _, err := s.git(ctx, c); err != nil {
		return "", err
	}
	tree, err := s.git(ctx, call{args: []string{"write-tree"}, index: part.path, writes: true, noHooks: true})
	return strings.TrimSpace(tree), err
}

// inTheWay recognises git's refusal to overwrite files.
func inTheWay(err error) error {
	said := stderrOf(err)
	if strings.Contains(said, "would be overwritten") || strings.Contains(said, "not uptodate") || strings.Contains(said, "would be lost") || strings.Contains(said, "would lose untracked files") {
		return fmt.Errorf("%w: %w", ErrLocalChanges, err)
	}
	return err
}
