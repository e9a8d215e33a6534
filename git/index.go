package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// scratch is a private copy of the index. git works on it instead of the real
// one, so that nothing is visible before everything has succeeded.
type scratch struct {
	path   string
	origin os.FileInfo // the real index when the copy was made; nil when there was none
}

const scratchPrefix = "tokenring-index-"

// newScratch copies the index in constant time: git never writes into an index
// file, it replaces it, so that a hard link keeps the old state.
func (s *Service) newScratch() (*scratch, error) {
	real := filepath.Join(s.gitDir, "index")
	for range 8 {
		sc := &scratch{path: filepath.Join(s.gitDir, fmt.Sprintf("%s%d-%x", scratchPrefix, time.Now().Unix(), rand.Uint64()))}
		err := os.Link(real, sc.path)
		if errors.Is(err, os.ErrNotExist) {
			return sc, nil // before the first git add there is no index
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			err = copyFile(real, sc.path)
		}
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("copy the index %s: %w", real, err)
		}
		if sc.origin, err = os.Stat(sc.path); err != nil {
			return nil, fmt.Errorf("copy the index %s: %w", real, err)
		}
		return sc, nil
	}
	return nil, fmt.Errorf("copy the index %s: no free name beside it", real)
}

// remove deletes the copy.
func (sc *scratch) remove() {
	_ = os.Remove(sc.path)
	_ = os.Remove(sc.path + ".lock")
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(dst, src); err != nil {
		dst.Close()
		os.Remove(to)
		return err
	}
	return dst.Close()
}

// indexLock is git's own lock on the index, held by this process.
type indexLock struct{ real, path string }

// lockIndex takes the lock, waiting for another process as git calls do.
func (s *Service) lockIndex(ctx context.Context) (*indexLock, error) {
	l := &indexLock{real: filepath.Join(s.gitDir, "index")}
	l.path = l.real + ".lock"
	var waited time.Duration
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return l, f.Close()
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("lock the index: %w", err)
		}
		jittered := pause/2 + rand.N(pause)
		if waited+jittered > s.lockWait() {
			return nil, fmt.Errorf("the index is locked by another git process, waited %v (if none runs, a killed one left %s: remove it): %w", waited.Round(time.Millisecond), l.path, err)
		}
		if err := s.pause(ctx, jittered); err != nil {
			return nil, fmt.Errorf("while another git process held the index: %w", err)
		}
		waited += jittered
	}
}

// unchanged reports whether the real index is still the one sc was linked to. Of
// one that had to be copied that cannot be told.
func (l *indexLock) unchanged(sc *scratch) bool {
	now, err := os.Stat(l.real)
	if errors.Is(err, os.ErrNotExist) {
		return sc.origin == nil
	}
	return err == nil && sc.origin != nil && os.SameFile(now, sc.origin) && now.Size() == sc.origin.Size() && now.ModTime().Equal(sc.origin.ModTime())
}

// install makes the copy the index. The lock stays.
func (l *indexLock) install(sc *scratch) error {
	if _, err := os.Stat(sc.path); errors.Is(err, os.ErrNotExist) {
		return nil // git wrote no index because there was nothing to put into it
	}
	if err := os.Rename(sc.path, l.real); err != nil {
		return fmt.Errorf("install the index: %w", err)
	}
	return nil
}

func (l *indexLock) release() { _ = os.Remove(l.path) }

// removeStaleIndexes clears copies that a killed process left. The name says
// when a copy was made: a day is beyond any commit.
func (s *Service) removeStaleIndexes() {
	entries, err := os.ReadDir(s.gitDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), scratchPrefix)
		if !ok {
			continue
		}
		made, _, _ := strings.Cut(rest, "-")
		seconds, err := strconv.ParseInt(made, 10, 64)
		if err == nil && time.Since(time.Unix(seconds, 0)) > 24*time.Hour {
			_ = os.Remove(filepath.Join(s.gitDir, e.Name()))
		}
	}
}
