package filesystem

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// writable returns the provider of a tree for changes to name, which must be
// clean, after checking that name may be changed.
func (s *Service) writable(t *tree, name string) (WritableProvider, error) {
	p := t.provider
	w, ok := p.(WritableProvider)
	if !ok {
		return nil, &fs.PathError{Op: "write", Path: name, Err: ErrReadOnly}
	}
	if err := checkNew(name); err != nil {
		if _, missing := p.Lstat(context.Background(), name); missing != nil {
			return nil, err
		}
	}
	real := name
	if r, ok := p.(resolver); ok {
		var err error
		if real, err = r.resolve(name); err != nil {
			return nil, err
		}
	}
	for _, candidate := range []string{name, real} {
		for part := range strings.SplitSeq(candidate, "/") {
			if s.protects(part) {
				return nil, &fs.PathError{Op: "write", Path: name, Err: fmt.Errorf("%s is %w", part, ErrProtected)}
			}
		}
	}
	return w, nil
}

// protects reports whether entries of this name must not be changed.
func (s *Service) protects(part string) bool {
	protect := s.opts.Protect
	if protect == nil {
		protect = []string{".git"}
	}
	return slices.ContainsFunc(protect, func(name string) bool { return sameEntry(part, name) })
}

// checkBelow refuses to remove a directory that contains what is protected.
func (s *Service) checkBelow(ctx context.Context, p Provider, dir string) error {
	list, err := p.ReadDir(ctx, dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name := join(dir, e.Name())
		if s.protects(e.Name()) {
			return &fs.PathError{Op: "remove", Path: dir, Err: fmt.Errorf("%s is %w", name, ErrProtected)}
		}
		if e.IsDir() {
			if err := s.checkBelow(ctx, p, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteFile replaces or creates a file, atomically and with its parents. An
// existing file keeps its mode, a new one gets 0644.
func (s *Service) WriteFile(ctx context.Context, name string, data []byte) (err error) {
	began := s.begin()
	defer func() { s.done(ctx, began, "write", name, int64(len(data)), err) }()
	clean, err := s.clean(name)
	if err != nil {
		return err
	}
	s.edits.Lock()
	defer s.edits.Unlock()
	return s.writeClean(ctx, s.tree(), clean, data)
}

func (s *Service) writeClean(ctx context.Context, t *tree, name string, data []byte) error {
	w, err := s.writable(t, name)
	if err != nil {
		return err
	}
	if limit := s.maxFileSize(); limit >= 0 && int64(len(data)) > limit {
		return tooLarge("write", name, int64(len(data)), limit)
	}
	if err := w.WriteFile(ctx, name, data, 0o644); err != nil {
		return err
	}
	s.wrote(ctx, name)
	s.know(name, data)
	return nil
}

// Append adds data to the end of a file, which is created when missing.
func (s *Service) Append(ctx context.Context, name string, data []byte) error {
	return s.change(ctx, "append", name, len(data), func(_ *tree, w WritableProvider, clean string) error {
		return w.Append(ctx, clean, data, 0o644)
	})
}

// Mkdir creates a directory and its parents. An existing directory is fine.
func (s *Service) Mkdir(ctx context.Context, name string) error {
	return s.change(ctx, "mkdir", name, 0, func(_ *tree, w WritableProvider, clean string) error {
		return w.Mkdir(ctx, clean, 0o755)
	})
}

// Chmod changes the permission bits of a file or directory.
func (s *Service) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	return s.change(ctx, "chmod", name, 0, func(_ *tree, w WritableProvider, clean string) error {
		return w.Chmod(ctx, clean, mode)
	})
}

// Remove removes a file, a symlink or an empty directory.
func (s *Service) Remove(ctx context.Context, name string) error {
	return s.change(ctx, "remove", name, 0, func(_ *tree, w WritableProvider, clean string) error {
		if clean == "." {
			return &fs.PathError{Op: "remove", Path: ".", Err: fmt.Errorf("the root is %w", ErrProtected)}
		}
		return w.Remove(ctx, clean)
	})
}

// RemoveAll removes a file, or a directory with all it contains. A directory
// that contains what Options.Protect names, such as a repository, stays.
func (s *Service) RemoveAll(ctx context.Context, name string) error {
	return s.change(ctx, "remove", name, 0, func(_ *tree, w WritableProvider, clean string) error {
		if clean == "." {
			return &fs.PathError{Op: "remove", Path: ".", Err: fmt.Errorf("the root is %w", ErrProtected)}
		}
		if info, err := w.Lstat(ctx, clean); err == nil && info.IsDir() {
			if err := s.checkBelow(ctx, w, clean); err != nil {
				return err
			}
		}
		return w.RemoveAll(ctx, clean)
	})
}

// Rename moves a file or directory. A file at the new name is replaced.
func (s *Service) Rename(ctx context.Context, oldName, newName string) error {
	return s.change(ctx, "rename", oldName, 0, func(t *tree, _ WritableProvider, from string) error {
		to, err := s.clean(newName)
		if err != nil {
			return err
		}
		w, err := s.writable(t, to)
		if err != nil {
			return err
		}
		if from == "." || to == "." || strings.HasPrefix(to, from+"/") {
			return &fs.PathError{Op: "rename", Path: from, Err: fmt.Errorf("a directory cannot move into itself: %w", ErrName)}
		}
		if err := w.Rename(ctx, from, to); err != nil {
			return err
		}
		s.wrote(ctx, to)
		return nil
	})
}

// Copy copies a file. A new one gets the same permission bits, an existing one
// keeps its own.
func (s *Service) Copy(ctx context.Context, oldName, newName string) error {
	return s.change(ctx, "copy", newName, 0, func(t *tree, w WritableProvider, to string) error {
		from, err := s.clean(oldName)
		if err != nil {
			return err
		}
		data, err := s.readClean(ctx, t, from)
		if err != nil {
			return err
		}
		info, err := w.Stat(ctx, from)
		if err != nil {
			return err
		}
		return w.WriteFile(ctx, to, data, info.Mode().Perm())
	})
}

// change makes one change and records it.
func (s *Service) change(ctx context.Context, op, name string, bytes int, do func(t *tree, w WritableProvider, clean string) error) (err error) {
	began := s.begin()
	defer func() { s.done(ctx, began, op, name, int64(bytes), err) }()
	clean, err := s.clean(name)
	if err != nil {
		return err
	}
	s.edits.Lock()
	defer s.edits.Unlock()
	t := s.tree()
	w, err := s.writable(t, clean)
	if err != nil {
		return err
	}
	if err := do(t, w, clean); err != nil {
		return err
	}
	s.wrote(ctx, clean)
	return nil
}
