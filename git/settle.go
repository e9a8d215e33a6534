package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// settleTime is how long a call that stopped half way, usually because its context
// ended, may take to bring back what it has changed.
const settleTime = 30 * time.Second

// aftermath is the context in which that happens.
func aftermath(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}

// settle ends a call that failed after it had made a backup, with HEAD where it
// was. It brings back the state before if that is changed, and forgets the backup,
// which would only be in the way of Undo. When that fails it is not clean: the
// backup stays. A caller that holds the index lock has not changed the index.
func (s *Service) settle(ctx context.Context, lock *indexLock, backup Snapshot, changed bool, err error) (clean bool, _ error) {
	ctx, cancel := aftermath(ctx)
	defer cancel()
	if changed {
		if back := s.comeBack(ctx, lock, backup); back != nil {
			return false, fmt.Errorf("%w; what was done until then could not be taken back (backup %s holds the state before): %w", err, backup.ID, back)
		}
	}
	return true, errors.Join(err, s.forget(ctx, backup))
}

// comeBack brings back the files of a backup and, unless the caller holds the lock,
// its index. Somebody may have worked in the files meanwhile: then a snapshot keeps
// them.
func (s *Service) comeBack(ctx context.Context, lock *indexLock, backup Snapshot) error {
	if head, err := s.head(ctx); err != nil {
		return err
	} else if head != backup.Head {
		return fmt.Errorf("HEAD has moved to %s", head)
	}
	now, sc, err := s.save(ctx, "interrupted, "+backup.Reason, false)
	if err != nil {
		return err
	}
	defer sc.remove()
	args := []string{"rev-parse", now.Index + "^{tree}", backup.Index + "^{tree}", now.Commit + "^{tree}", backup.Commit + "^{tree}"}
	if backup.Head != "" {
		args = append(args, backup.Head+"^{tree}")
	}
	out, err := s.line(ctx, args...)
	if err != nil {
		return err
	}
	trees := strings.Fields(out)
	index := lock == nil && trees[0] != trees[1]
	files := trees[2] != trees[3]
	if index {
		if lock, err = s.lockIndex(ctx); err != nil {
			return err
		}
		defer lock.release()
	}
	if files {
		if err := s.bringFiles(ctx, sc, now, backup.Commit+"^{tree}"); err != nil {
			return err
		}
	}
	if index {
		if err := s.bringIndex(ctx, lock, sc, backup); err != nil {
			return err
		}
	}
	if slices.Contains(trees[3:], trees[2]) {
		return s.forget(ctx, now)
	}
	return nil
}
