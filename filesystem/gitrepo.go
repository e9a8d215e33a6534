package filesystem

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
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
	if _, err := files.stat(filepath.Join(gitDir, "HEAD")); err != nil {
		return nil
	}
	common := gitDir
	if data, err := files.read(filepath.Join(gitDir, "commondir")); err == nil {
		common = absIn(gitDir, string(bytes.TrimSpace(data)))
	}
	settings := userSettings(files)
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

// gitSettings are the settings that decide about ignoring.
type gitSettings struct {
	excludesFile string
	ignoreCase   bool
}

// userSettings reads the system's and the user's configuration.
func userSettings(files *hostFiles) gitSettings {
	xdg := os.Getenv("XDG_CONFIG_HOME")
	if xdg == "" {
		xdg = "~/.config"
	}
	s := gitSettings{excludesFile: xdg + "/git/ignore"}
	if skip, _ := strconv.ParseBool(os.Getenv("GIT_CONFIG_NOSYSTEM")); !skip {
		s.read(files, orDefault(os.Getenv("GIT_CONFIG_SYSTEM"), "/etc/gitconfig"), 0)
	}
	if file, ok := os.LookupEnv("GIT_CONFIG_GLOBAL"); ok {
		s.read(files, file, 0)
		return s
	}
	s.read(files, xdg+"/git/config", 0)
	s.read(files, "~/.gitconfig", 0)
	return s
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// read reads a configuration file and those that it includes without a
// condition.
func (s *gitSettings) read(files *hostFiles, file string, depth int) {
	if file == "" || depth > 10 {
		return
	}
	file = expandHome(file)
	data, err := files.read(file)
	if err != nil {
		return
	}
	for key, value := range parseGitConfig(data) {
		switch key {
		case "core.excludesfile":
			s.excludesFile = value
		case "core.ignorecase":
			s.ignoreCase = value == "" || value == "true" || value == "yes" || value == "on" || value == "1"
		case "include.path":
			s.read(files, absIn(filepath.Dir(file), value), depth+1)
		}
	}
}

// parseGitConfig yields "section.key" and value in the order of the file;
// subsections are skipped. A key without a value counts as "true".
func parseGitConfig(data []byte) func(yield func(key, value string) bool) {
	return func(yield func(string, string) bool) {
		section := ""
		lines := strings.Split(string(data), "\n")
		for i := 0; i < len(lines); i++ {
			line := strings.TrimSpace(lines[i])
			if strings.HasPrefix(line, "[") {
				end := strings.IndexByte(line, ']')
				if end < 0 {
					continue
				}
				section = strings.ToLower(line[1:end])
				line = strings.TrimSpace(line[end+1:])
			}
			if line == "" || line[0] == '#' || line[0] == ';' || strings.ContainsAny(section, " \"") {
				continue
			}
			key, value, found := strings.Cut(line, "=")
			key = section + "." + strings.ToLower(strings.TrimSpace(key))
			if !found {
				value = "true"
			}
			for strings.HasSuffix(value, `\`) && i+1 < len(lines) {
				i++
				value = strings.TrimSuffix(value, `\`) + strings.TrimRight(lines[i], "\r")
			}
			if !yield(key, unquoteConfig(value)) {
				return
			}
		}
	}
}

// unquoteConfig undoes quotes and escapes and drops a comment.
func unquoteConfig(value string) string {
	var b strings.Builder
	quoted, keep := false, 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			quoted = !quoted
			keep = b.Len()
		case c == '\\' && i+1 < len(value):
			i++
			switch value[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(value[i])
			}
			keep = b.Len()
		case (c == '#' || c == ';') && !quoted:
			return b.String()[:keep]
		case (c == ' ' || c == '\t' || c == '\r') && !quoted:
			if b.Len() > 0 {
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
			keep = b.Len()
		}
	}
	return b.String()[:keep]
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
