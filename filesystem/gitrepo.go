package filesystem

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What git keeps outside of the tree and still decides about it: the directory
// of the repository, its configuration and the user's. Only ignore rules and
// two settings are read from there.

// hostFiles reads files of this machine and remembers in which state they were,
// those that were missing included.
type hostFiles struct{ stamps map[string]fileStamp }

func newHostFiles() *hostFiles { return &hostFiles{stamps: make(map[string]fileStamp)} }

// unchanged reports whether reading all again would give the same.
func (h *hostFiles) unchanged() bool {
	looked := time.Now()
	for name, old := range h.stamps {
		var now fileStamp
		if info, err := os.Stat(name); err == nil {
			now = stampOf(info)
		}
		if now != old || now.valid() && !now.settledAt(looked) {
			return false
		}
	}
	return true
}

// stat describes a file.
func (h *hostFiles) stat(name string) (os.FileInfo, error) {
	info, err := os.Stat(name)
	h.stamps[name] = fileStamp{}
	if err == nil {
		h.stamps[name] = stampOf(info)
	}
	return info, err
}

// read reads a regular file of at most 16 MiB.
func (h *hostFiles) read(name string) ([]byte, error) {
	info, err := h.stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 16<<20 {
		return nil, ErrNotRegular
	}
	return os.ReadFile(name)
}

// repoOf reads the rules of the repository whose .git entry is in dir, a path of
// this machine. It returns nil when there is no repository.
func repoOf(dir string, files *hostFiles) *repoRules {
	gitDir := filepath.Join(dir, ".git")
	info, err := files.stat(gitDir)
	if err != nil {
		return nil
	}
	if info.Mode().IsRegular() { // a linked worktree or a submodule
		data, err := files.read(gitDir)
		target, ok := bytes.CutPrefix(data, []byte("gitdir:"))
		if err != nil || !ok {
			return nil
		}
		gitDir = absIn(dir, string(bytes.TrimSpace(target)))
	}
	head, err := files.read(filepath.Join(gitDir, "HEAD"))
	if err != nil {
		return nil
	}
	common := gitDir
	if data, err := files.read(filepath.Join(gitDir, "commondir")); err == nil {
		common = absIn(gitDir, string(bytes.TrimSpace(data)))
	}
	settings := gitSettings{gitDir: gitDir, head: string(head)}
	settings.readUser(files)
	settings.read(files, filepath.Join(common, "config"), 0)

	rules := &repoRules{fold: settings.ignoreCase}
	if data, err := files.read(filepath.Join(common, "info", "exclude")); err == nil {
		rules.exclude = compileRules(data, rules.fold)
	}
	if file := settings.excludesFile; file != "" {
		if data, err := files.read(expandHome(absIn(dir, file))); err == nil {
			rules.global = compileRules(data, rules.fold)
		}
	}
	return rules
}

func absIn(dir, name string) string {
	if filepath.IsAbs(name) || strings.HasPrefix(name, "~/") {
		return name
	}
	return filepath.Join(dir, name)
}

func expandHome(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return name
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// outerRules returns what holds in dir because of the directories above it: the
// ignore files from the top of the working tree down to dir's parent, and the
// repository's own rules. Without a repository above there are none.
func outerRules(dir string, files *hostFiles) *ruleChain {
	top := dir
	var repo *repoRules
	for {
		if repo = repoOf(top, files); repo != nil {
			break
		}
		parent := filepath.Dir(top)
		if parent == top {
			return nil
		}
		top = parent
	}
	above := ""
	if rel, err := filepath.Rel(top, dir); err == nil && rel != "." {
		above = filepath.ToSlash(rel) + "/"
	}
	chain := &ruleChain{above: above, repo: repo}
	for at := top; above != ""; {
		if data, err := files.read(filepath.Join(at, gitIgnoreName)); err == nil {
			if rules := compileRules(data, repo.fold); rules != nil {
				if at == top {
					chain.git = rules
				} else {
					chain = &ruleChain{parent: chain, above: above, git: rules}
				}
			}
		}
		var part string
		part, above, _ = strings.Cut(above, "/")
		at = filepath.Join(at, part)
	}
	return chain
}

// nestedRepo reads the rules of a repository inside the tree.
func (ig *ignorer) nestedRepo(node dirNode) *repoRules {
	if n, ok := node.(interface{ hostPath() string }); ok {
		return repoOf(n.hostPath(), newHostFiles())
	}
	// Elsewhere there is no configuration of git, only the repository itself.
	sub, err := node.dir(".git")
	if err != nil {
		return nil
	}
	defer sub.close()
	if f, err := sub.open("HEAD"); err != nil {
		return nil
	} else {
		f.Close()
	}
	rules := &repoRules{}
	if info, err := sub.dir("info"); err == nil {
		defer info.close()
		rules.exclude = ig.load(info, ".git/info", "exclude", false)
	}
	return rules
}
