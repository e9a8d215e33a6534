package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// untrustedEnv overrules what no setting can: a partial clone fetches objects that
// it lacks by any protocol which its own protocol.<name>.allow allows, from any
// host, with headers, proxies and cookie files of its choice.
var untrustedEnv = []string{"GIT_NO_REPLACE_OBJECTS=1", "GIT_ATTR_NOSYSTEM=1", "GIT_PROTOCOL_FROM_USER=0", "GIT_ALLOW_PROTOCOL="}

// untrustedConfig takes from a repository the means to run a program of its
// choice, as far as these have fixed names.
var untrustedConfig = []string{
	"-c", "core.hooksPath=" + os.DevNull,
	"-c", "core.fsmonitor=false",
	"-c", "core.sshCommand=",
	"-c", "core.alternateRefsCommand=",
	"-c", "diff.external=",
	"-c", "commit.gpgSign=false",
	"-c", "tag.gpgSign=false",
	"-c", "merge.verifySignatures=false",
	"-c", "gpg.program=" + os.DevNull,
	"-c", "gpg.x509.program=" + os.DevNull,
	"-c", "gpg.ssh.program=" + os.DevNull,
	"-c", "gpg.ssh.defaultKeyCommand=",
	"-c", "credential.helper=",
	"-c", "submodule.recurse=false",
	"-c", "gc.auto=0",
	"-c", "maintenance.auto=false",
}

// readsNoFiles are the subcommands that cannot run a filter or merge driver. All
// others may, even write-tree: whatever writes an index may look at files again.
var readsNoFiles = []string{"check-ref-format", "commit-tree", "config", "for-each-ref", "init", "merge-base", "rev-parse", "symbolic-ref", "update-ref", "version"}

// drivers turns off the filter and merge drivers that the configuration
// defines. Their names are free, and attributes in the tree choose among them,
// so they have to be looked up before each call: the configuration may have
// changed.
func (s *Service) drivers(ctx context.Context, c call) ([]string, error) {
	if !s.opts.Untrusted || slices.Contains(readsNoFiles, c.args[0]) {
		return nil, nil
	}
	if err := s.refuseSubmodules(ctx, c); err != nil {
		return nil, err
	}
	out, err := s.gitOnce(ctx, call{args: []string{"config", "-z", "--name-only", "--get-regexp", `^(filter|merge|diff)\..*\.(clean|smudge|process|required|driver|command|textconv)$`}})
	if err != nil {
		if exitCode(err) == 1 {
			return nil, nil // none
		}
		return nil, fmt.Errorf("look up the drivers of an untrusted repository: %w", err)
	}
	var env []string
	n := 0
	set := func(key, value string) {
		// Through the environment, because a driver's name may hold '='.
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, value))
		n++
	}
	for _, key := range splitNul(out) {
		switch dot := strings.LastIndexByte(key, '.'); key[dot+1:] {
		case "required":
			set(key, "false")
		case "driver":
			set(key, "false") // a conflict; an empty one would take our side
		default:
			set(key, "")
		}
	}
	return append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(n)), nil
}

// refuseSubmodules refuses an index with submodules that are checked out: git
// runs itself in them, where their own configuration applies, with drivers of
// other names.
func (s *Service) refuseSubmodules(ctx context.Context, c call) error {
	if marks, ok := s.marks(c.index); ok && !marks.submodules {
		return nil
	}
	out, err := s.gitOnce(ctx, call{args: []string{"ls-files", "--stage", "-z"}, index: c.index})
	if err != nil {
		return fmt.Errorf("look for submodules of an untrusted repository: %w", err)
	}
	for _, record := range splitNul(out) {
		mode, _, _ := strings.Cut(record, " ")
		_, name, _ := strings.Cut(record, "\t")
		if mode == "160000" && isRepository(filepath.Join(s.root, filepath.FromSlash(name))) {
			return fmt.Errorf("%w: the untrusted repository %s has the submodule %s checked out, whose own configuration can run programs: remove its files", ErrRefused, s.root, name)
		}
	}
	return nil
}

// checkRoot refuses an untrusted repository that claims a working tree
// elsewhere, such as the whole file system or that of another repository, by its
// core.worktree.
func (s *Service) checkRoot() error {
	if !s.opts.Untrusted {
		return nil
	}
	dir := filepath.Join(s.root, ".git")
	if info, err := os.Lstat(dir); err == nil && info.Mode().IsRegular() && info.Size() < 64<<10 {
		data, _ := os.ReadFile(dir)
		dir = strings.TrimSpace(strings.TrimPrefix(string(data), "gitdir:"))
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(s.root, dir)
		}
	}
	if !samePath(dir, s.gitDir) {
		return fmt.Errorf("git: open %s: %w: the repository %s claims the working tree %s, which does not refer to it", s.dir, ErrRefused, s.gitDir, s.root)
	}
	return nil
}
