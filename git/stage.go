package git

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// argvPaths is how many bytes of paths go on a command line; more go through a
// file. Windows allows 32 KiB in all.
const argvPaths = 16 << 10

// stage brings what is to be committed into the scratch index.
func (s *Service) stage(ctx context.Context, sc *scratch, opts CommitOptions) error {
	// git add would declare a conflict resolved, with its markers in the file.
	unmerged, err := s.unmerged(ctx, sc.path)
	if err != nil {
		return err
	}
	if len(opts.Paths) > 0 {
		wanted := below(opts.Paths)
		unmerged = slices.DeleteFunc(unmerged, func(p string) bool { return !wanted(p) })
	}
	if len(unmerged) > 0 {
		return fmt.Errorf("%w in %s: resolve them and git add the files first", ErrConflict, strings.Join(unmerged, ", "))
	}
	if opts.Staged {
		return nil
	}
	err = s.add(ctx, sc, opts.Paths)
	if err == nil {
		return nil
	}
	const unknown, ignored = "did not match any file", "ignored by one of your .gitignore"
	said := stderrOf(err)
	if strings.Contains(said, unknown) || strings.Contains(said, ignored) {
		rest, known := s.withoutRemoved(ctx, sc, opts.Paths)
		switch {
		case known != nil:
			return known
		case len(rest) == 0:
			return nil
		case len(rest) < len(opts.Paths):
			if err = s.add(ctx, sc, rest); err == nil {
				return nil
			}
			said = stderrOf(err)
		}
	}
	switch {
	case strings.Contains(said, unknown):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case strings.Contains(said, ignored):
		return fmt.Errorf("%w: the path is ignored by .gitignore: %w", ErrRefused, err)
	}
	return err
}

// add brings files, or everything when no path is given, into the scratch index.
func (s *Service) add(ctx context.Context, sc *scratch, paths []string) error {
	c := call{args: []string{"add", "--all"}, index: sc.path, writes: true}
	if len(paths) > 0 {
		c.args = append(c.args, "--pathspec-from-file=-", "--pathspec-file-nul")
		c.stdin = nulList(paths)
	}
	_, err := s.git(ctx, c)
	return err
}

// withoutRemoved leaves out the paths that are gone and that git rm has removed from
// the index already: git add knows nothing of them.
func (s *Service) withoutRemoved(ctx context.Context, sc *scratch, paths []string) ([]string, error) {
	out, err := s.git(ctx, call{args: []string{"diff", "--cached", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--diff-filter=D"}, index: sc.path})
	if err != nil {
		return nil, err
	}
	removed := map[string]bool{}
	for _, name := range splitNul(out) {
		for ; name != "." && !s.exists(name); name = path.Dir(name) {
			removed[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return removed[p] }), nil
}

// exists reports whether there is a file or directory at a path below the root.
func (s *Service) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(s.root, filepath.FromSlash(name)))
	return err == nil
}

// below returns the test for being one of the paths or in a directory among them.
func below(paths []string) func(string) bool {
	set := make(map[string]bool, len(paths))
	for _, p := range paths {
		set[p] = true
	}
	return func(name string) bool {
		for ; name != "."; name = path.Dir(name) {
			if set[name] {
				return true
			}
		}
		return set["."]
	}
}

func nulList(paths []string) []byte {
	return []byte(strings.Join(paths, "\x00") + "\x00")
}

// stagedDiff compares what will be committed with the parent.
func (s *Service) stagedDiff(ctx context.Context, sc *scratch, opts CommitOptions, statOnly bool) (*Diff, error) {
	from := "HEAD"
	head, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	if head == "" {
		if from, err = s.emptyTree(ctx); err != nil {
			return nil, err
		}
	}
	c := diffCall{
		opts:  DiffOptions{From: from, Staged: true, Paths: opts.Paths, StatOnly: statOnly, MaxBytes: s.maxMessageDiff()},
		index: sc.path,
		skip:  func(f FileDiff) bool { return f.Binary || generated(f.Path) },
	}
	if len(nulList(opts.Paths)) > argvPaths { // git diff takes them from nowhere else
		c.opts.Paths, c.only = nil, below(opts.Paths)
	}
	return s.diff(ctx, c)
}
