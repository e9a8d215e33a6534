package filesystem

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// gitSettings are the settings of a repository that decide about ignoring.
type gitSettings struct {
	excludesFile string
	ignoreCase   bool

	gitDir string // what conditions of includes are about
	head   string
}

// readUser reads the system's and the user's configuration.
func (s *gitSettings) readUser(files *hostFiles) {
	xdg := orDefault(os.Getenv("XDG_CONFIG_HOME"), "~/.config")
	s.excludesFile = xdg + "/git/ignore"
	if skip, _ := strconv.ParseBool(os.Getenv("GIT_CONFIG_NOSYSTEM")); !skip {
		s.read(files, orDefault(os.Getenv("GIT_CONFIG_SYSTEM"), "/etc/gitconfig"), 0)
	}
	if file, ok := os.LookupEnv("GIT_CONFIG_GLOBAL"); ok {
		s.read(files, file, 0)
		return
	}
	s.read(files, xdg+"/git/config", 0)
	s.read(files, "~/.gitconfig", 0)
}

// read reads a configuration file and those that it includes.
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
		if condition, ok := strings.CutPrefix(key, includeIf); ok {
			if condition, ok = strings.CutSuffix(condition, `".path`); ok && s.holds(condition, filepath.Dir(file)) {
				s.read(files, absIn(filepath.Dir(file), value), depth+1)
			}
			continue
		}
		switch key {
		case "core.excludesfile":
			s.excludesFile = value
		case "core.ignorecase":
			s.ignoreCase = gitBool(value)
		case "include.path":
			s.read(files, absIn(filepath.Dir(file), value), depth+1)
		}
	}
}

// gitBool reads a boolean as git does: a word in either case, or a number.
func gitBool(value string) bool {
	switch strings.ToLower(value) {
	case "true", "yes", "on":
		return true
	}
	n, err := strconv.Atoi(value)
	return err == nil && n != 0
}

const includeIf = `includeif "`

// holds reports whether the condition of an include holds: where the repository
// is, or which branch is checked out. Others do not.
func (s *gitSettings) holds(condition, dir string) bool {
	kind, pattern, _ := strings.Cut(condition, ":")
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	switch kind {
	case "gitdir", "gitdir/i":
		if rest, ok := strings.CutPrefix(pattern, "./"); ok {
			pattern = filepath.ToSlash(dir) + "/" + rest
		} else if pattern = expandHome(pattern); !filepath.IsAbs(pattern) {
			pattern = "**/" + pattern
		}
		fold := kind == "gitdir/i"
		glob := compileGlob(filepath.ToSlash(pattern), true, fold)
		real, err := filepath.EvalSymlinks(s.gitDir)
		return glob.match(filepath.ToSlash(s.gitDir)) || err == nil && glob.match(filepath.ToSlash(real))
	case "onbranch":
		branch, ok := strings.CutPrefix(strings.TrimSpace(s.head), "ref: refs/heads/")
		return ok && compileGlob(pattern, true, false).match(branch)
	}
	return false
}

// parseGitConfig yields "section.key" and value in the order of the file;
// subsections are skipped, except those of includeIf. A key without a value
// counts as "true".
func parseGitConfig(data []byte) func(yield func(key, value string) bool) {
	return func(yield func(string, string) bool) {
		section := ""
		lines := strings.Split(string(data), "\n")
		for i := 0; i < len(lines); i++ {
			line := strings.TrimSpace(lines[i])
			if strings.HasPrefix(line, "[") {
				end := strings.IndexByte(line, ']')
				if quoted := strings.Index(line, `"]`); quoted >= 0 {
					end = quoted + 1
				}
				if end < 0 {
					continue
				}
				section = line[1:end]
				if name, condition, ok := strings.Cut(section, ` "`); ok {
					section = strings.ToLower(name) + ` "` + condition
				} else {
					section = strings.ToLower(section)
				}
				line = strings.TrimSpace(line[end+1:])
			}
			if line == "" || line[0] == '#' || line[0] == ';' || strings.ContainsAny(section, " \"") && !strings.HasPrefix(section, includeIf) {
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
