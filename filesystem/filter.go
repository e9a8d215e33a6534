package filesystem

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FileTypes maps the name of a kind of file to the globs that find it, in the
// syntax of .gitignore. Names and globs follow ripgrep's.
var FileTypes = map[string][]string{
	"asm":      {"*.asm", "*.s", "*.S"},
	"c":        {"*.c", "*.h", "*.H", "*.cats"},
	"cpp":      {"*.cpp", "*.cc", "*.cxx", "*.c++", "*.hpp", "*.hh", "*.hxx", "*.h", "*.inl"},
	"css":      {"*.css", "*.scss"},
	"docker":   {"*Dockerfile*"},
	"go":       {"*.go"},
	"html":     {"*.htm", "*.html", "*.ejs"},
	"java":     {"*.java", "*.jsp", "*.properties"},
	"js":       {"*.js", "*.jsx", "*.vue", "*.cjs", "*.mjs"},
	"json":     {"*.json", "composer.lock"},
	"kotlin":   {"*.kt", "*.kts"},
	"lua":      {"*.lua"},
	"make":     {"[Mm]akefile", "*.mk", "*.mak", "[Gg][Nn][Uu]makefile"},
	"markdown": {"*.markdown", "*.md", "*.mdown", "*.mkdn"},
	"md":       {"*.markdown", "*.md", "*.mdown", "*.mkdn"},
	"php":      {"*.php", "*.php3", "*.php4", "*.php5", "*.phtml"},
	"proto":    {"*.proto"},
	"py":       {"*.py", "*.pyi"},
	"rb":       {"*.rb", "*.gemspec", "Gemfile", "Rakefile"},
	"rust":     {"*.rs"},
	"sh":       {"*.sh", "*.bash", "*.zsh", "*.ksh", ".bashrc", ".profile"},
	"sql":      {"*.sql", "*.psql"},
	"swift":    {"*.swift"},
	"toml":     {"*.toml", "Cargo.lock"},
	"ts":       {"*.ts", "*.tsx", "*.cts", "*.mts"},
	"txt":      {"*.txt"},
	"xml":      {"*.xml", "*.xsd", "*.xsl", "*.svg"},
	"yaml":     {"*.yaml", "*.yml"},
}

// fileFilter narrows a search by globs and types.
type fileFilter struct {
	globs    *ruleList
	types    *ruleList
	positive bool // a file must match a glob
}

func newFileFilter(globs, types []string) (*fileFilter, error) {
	if len(globs) == 0 && len(types) == 0 {
		return nil, nil
	}
	f := &fileFilter{}
	for _, g := range globs {
		if compileRules([]byte(g), false) == nil {
			return nil, fmt.Errorf("search: the glob %q matches nothing: it is empty, malformed or, with a # in front, a comment", g)
		}
		f.positive = f.positive || !strings.HasPrefix(g, "!")
	}
	f.globs = compileRules([]byte(strings.Join(globs, "\n")), false)
	var kinds []string
	for _, t := range types {
		list, ok := FileTypes[t]
		if !ok {
			return nil, fmt.Errorf("search: unknown file type %q; the types are %s", t, strings.Join(slices.Sorted(maps.Keys(FileTypes)), ", "))
		}
		kinds = append(kinds, list...)
	}
	f.types = compileRules([]byte(strings.Join(kinds, "\n")), false)
	return f, nil
}

// wants reports whether an entry passes. Globs are relative to dir.
func (f *fileFilter) wants(e Entry, dir string) bool {
	rel, base := e.Path, int(e.base)
	if dir != "." {
		rel, base = rel[len(dir)+1:], base-len(dir)-1
	}
	isDir := e.IsDir()
	if f.globs != nil {
		switch f.globs.match(rel, base, isDir, false) {
		case included: // '!' leaves out
			return false
		case undecided:
			if f.positive && !isDir {
				return false
			}
		case ignored:
			if !isDir && f.types == nil {
				return true
			}
		}
	}
	return isDir || f.types == nil || f.types.match(rel, base, false, false) == ignored
}
