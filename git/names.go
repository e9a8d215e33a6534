package git

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkRevision refuses what git could take for an option or for more than one
// revision. Whether the revision exists is git's to say.
func checkRevision(rev string) error {
	switch {
	case rev == "":
		return fmt.Errorf("revision: %w: it is empty", ErrInvalidName)
	case rev[0] == '-':
		return fmt.Errorf("revision %q: %w: it starts with '-'", rev, ErrInvalidName)
	case rev[0] == '^' || rev[0] == ':' || strings.Contains(rev, ".."):
		return fmt.Errorf("revision %q: %w: name one commit", rev, ErrInvalidName)
	}
	for _, r := range rev {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("revision %q: %w: control character", rev, ErrInvalidName)
		}
	}
	return nil
}

// shown is a path in a line of text: quoted when it would break the line or is
// not text.
func shown(path string) string {
	if utf8.ValidString(path) && !strings.ContainsFunc(path, unicode.IsControl) {
		return path
	}
	return strconv.Quote(path)
}

// resolve returns the hash of the commit that rev names.
func (s *Service) resolve(ctx context.Context, rev string) (string, error) {
	if err := checkRevision(rev); err != nil {
		return "", err
	}
	out, err := s.line(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		if exitCode(err) >= 0 {
			return "", fmt.Errorf("revision %q: %w", rev, ErrNotFound)
		}
		return "", err
	}
	return out, nil
}

// checkBranchName asks git whether a branch may have the name.
func (s *Service) checkBranchName(ctx context.Context, name string) error {
	if name == "" || name[0] == '-' || name == "HEAD" || strings.HasPrefix(name, "@{-") || strings.ContainsAny(name, "\n\x00") {
		return fmt.Errorf("branch name %q: %w", name, ErrInvalidName)
	}
	if _, err := s.git(ctx, call{args: []string{"check-ref-format", "refs/heads/" + name}}); err != nil {
		if exitCode(err) == 1 {
			return fmt.Errorf("branch name %q: %w (see git help check-ref-format)", name, ErrInvalidName)
		}
		return err
	}
	return nil
}

// checkPaths turns the paths of a caller into paths below the root, with
// slashes. Paths that leave the working tree or lie in a git directory are
// refused.
func (s *Service) checkPaths(paths []string) ([]string, error) {
	clean := make([]string, 0, len(paths))
	for _, p := range paths {
		if p == "" || strings.ContainsRune(p, 0) {
			return nil, fmt.Errorf("path %q: %w", p, ErrInvalidName)
		}
		rel := p
		if filepath.IsAbs(p) {
			var err error
			if rel, err = filepath.Rel(s.root, p); err != nil || !filepath.IsLocal(rel) {
				// git resolves the symbolic links that lead to the root.
				rel, err = filepath.Rel(s.root, resolveParents(p))
			}
			if err != nil {
				return nil, fmt.Errorf("path %q: %w: %v", p, ErrInvalidName, err)
			}
		}
		rel = filepath.Clean(rel)
		if !filepath.IsLocal(rel) {
			return nil, fmt.Errorf("path %q: %w: it is outside of %s", p, ErrInvalidName, s.root)
		}
		for part := range strings.SplitSeq(filepath.ToSlash(rel), "/") {
			if strings.EqualFold(part, ".git") {
				return nil, fmt.Errorf("path %q: %w: it is in a git directory", p, ErrInvalidName)
			}
		}
		clean = append(clean, filepath.ToSlash(rel))
	}
	return clean, nil
}

// resolveParents resolves the symbolic links that lead to a path, which may be one
// itself, or not exist.
func resolveParents(p string) string {
	for dir := filepath.Dir(p); ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, strings.TrimPrefix(p, dir))
		}
		if dir == filepath.Dir(dir) {
			return p
		}
	}
}
