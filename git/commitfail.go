package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// gitAs runs a command that needs an identity: the configured one, never git's
// guess, and Options.Identity where nothing is configured.
func (s *Service) gitAs(ctx context.Context, c call) error {
	const remember = 60 // seconds; somebody may configure an identity meanwhile
	c.config = slices.Concat(c.config, []string{"user.useConfigOnly=true"})
	fallback := slices.Concat(c.config, []string{"user.name=" + s.opts.Identity.Name, "user.email=" + s.opts.Identity.Email})
	known := s.opts.Identity != (Identity{}) && time.Now().Unix()-s.anonymous.Load() < remember
	if known {
		c.config = fallback
	}
	_, err := s.git(ctx, c)
	if err != nil && !known && s.opts.Identity != (Identity{}) && missingIdentity(stderrOf(err)) {
		c.config = fallback
		if _, err = s.git(ctx, c); err == nil {
			s.anonymous.Store(time.Now().Unix())
		}
	}
	return err
}

func missingIdentity(said string) bool {
	for _, phrase := range []string{"Please tell me who you are", "empty ident name", "no email was given", "no name was given", "auto-detect email address", "identity unknown"} {
		if strings.Contains(said, phrase) {
			return true
		}
	}
	return false
}

// commitError finds out why git commit failed.
func (s *Service) commitError(ctx context.Context, sc *scratch, opts CommitOptions, err error) error {
	said := stderrOf(err)
	switch {
	case ctx.Err() != nil || exitCode(err) < 0:
		return err
	case missingIdentity(said):
		return fmt.Errorf("%w: set user.name and user.email with git config, or Options.Identity: %w", ErrNoIdentity, err)
	case strings.Contains(said, "unmerged files"), strings.Contains(said, "partial commit during a"):
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case opts.Amend && strings.Contains(said, "it empty"):
		return fmt.Errorf("%w: the amended commit would be empty; Rollback takes it back", ErrNothingToCommit)
	case exitCode(err) != 1 && s.signing(ctx, said): // 1 is a hook's, which may say anything
		return fmt.Errorf("%w: %w", ErrSigning, err)
	}
	if d, derr := s.stagedDiff(ctx, sc, opts, true); derr == nil && len(d.Files) == 0 && !opts.Amend {
		return s.nothing(opts)
	}
	if exitCode(err) == 1 && s.hasHook(ctx, "pre-commit", "prepare-commit-msg", "commit-msg", "pre-merge-commit") {
		return fmt.Errorf("%w: %w", ErrHook, err)
	}
	return err
}

// committed reports whether HEAD is the commit that git was to make when it failed:
// a caller that gives up at the last moment may still have committed, and then the
// index must follow. A HEAD that somebody else has moved is no commit of ours.
func (s *Service) committed(ctx context.Context, before string, amend bool) bool {
	ctx = context.WithoutCancel(ctx)
	head, err := s.head(ctx)
	if err != nil || head == before {
		return false
	}
	parents, err := s.line(ctx, "rev-parse", head+"^@")
	if err != nil {
		return false
	}
	if amend {
		old, err := s.line(ctx, "rev-parse", before+"^@")
		return err == nil && parents == old
	}
	first, _, _ := strings.Cut(parents, "\n")
	return first == before
}

// signing reports whether it was the signature that failed. Of an SSH signature git
// shows only what its program said.
func (s *Service) signing(ctx context.Context, said string) bool {
	has := func(phrase string) bool { return strings.Contains(said, phrase) }
	switch {
	case slices.ContainsFunc([]string{"failed to sign", "gpg", "user.signingkey", "ssh-keygen"}, has):
		return true
	case !has("failed to write commit object"), has("unable to"), has("insufficient permission"):
		return false
	}
	signs, err := s.line(ctx, "config", "--type=bool", "commit.gpgSign")
	return err == nil && signs == "true"
}

func (s *Service) hasHook(ctx context.Context, names ...string) bool {
	dir, err := s.line(ctx, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return false
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.root, dir)
	}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}
