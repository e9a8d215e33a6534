package filesystem

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// GlobOptions choose what [Service.Glob] looks at. The zero value looks at
// every file that is not ignored.
type GlobOptions struct {
	NoIgnore bool // see WalkOptions
	NoHidden bool
	Dirs     bool // directories match too
}

// Glob yields the files whose path matches a pattern, in the order of a walk.
// '*', '?' and "[…]" stay within a component, "**" between slashes spans
// directories, "{a,b}" is either. Directories that cannot contain a match are
// not read.
func (s *Service) Glob(ctx context.Context, pattern string, opts GlobOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		g, err := newPathGlob(pattern)
		if err != nil {
			yield("", err)
			return
		}
		w := walker{tree: s.tree(), ctx: ctx, opts: WalkOptions{NoIgnore: opts.NoIgnore, NoHidden: opts.NoHidden}}
		w.want = func(e Entry) bool {
			return e.IsDir() && g.below(e.Path) || (opts.Dirs || !e.IsDir()) && g.match(e.Path)
		}
		w.yield = func(e Entry, err error) bool {
			if err != nil {
				return yield(e.Path, err)
			}
			if e.IsDir() && !opts.Dirs || !g.match(e.Path) {
				return true
			}
			return yield(e.Path, nil)
		}
		if _, err := w.tree.provider.Lstat(ctx, g.base); err != nil {
			return // nothing is there, so nothing matches
		}
		if !opts.NoIgnore {
			if _, ignored, err := w.tree.chainTo(ctx, g.base, true); err == nil && ignored {
				return
			}
		}
		w.start(g.base)
	}
}

// pathGlob is a pattern prepared for a walk.
type pathGlob struct {
	pattern string
	base    string // the directory that contains every match
	ways    []globWay
}

// globWay tells which directories may contain a match.
type globWay struct {
	parts []string // components up to the first that may span directories
	open  bool     // what lies deeper than parts may match
}

func newPathGlob(pattern string) (*pathGlob, error) {
	clean := path.Clean(strings.TrimPrefix(pattern, "./"))
	if pattern == "" || !doublestar.ValidatePattern(clean) {
		return nil, fmt.Errorf("glob %q: malformed pattern: %w", pattern, doublestar.ErrBadPattern)
	}
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		return nil, fmt.Errorf("glob %q: patterns are relative to the root: %w", pattern, ErrOutsideRoot)
	}
	g := &pathGlob{pattern: clean}
	g.base, _ = doublestar.SplitPattern(clean)
	for _, p := range expandBraces(clean) {
		var way globWay
		for part := range strings.SplitSeq(p, "/") {
			if way.open = strings.Contains(part, "**") || strings.ContainsAny(part, "{}"); way.open {
				break
			}
			way.parts = append(way.parts, part)
		}
		g.ways = append(g.ways, way)
	}
	return g, nil
}

// maxBraces bounds the patterns that one with braces stands for.
const maxBraces = 64

// expandBraces returns the patterns without braces that a valid one stands for,
// or the pattern itself when they are too many or quoting makes it hard to tell.
func expandBraces(pattern string) []string {
	if strings.ContainsAny(pattern, `[\`) {
		return []string{pattern}
	}
	list := []string{pattern}
	for i := 0; i < len(list); {
		before, rest, ok := strings.Cut(list[i], "{")
		if !ok {
			i++
			continue
		}
		var options []string
		depth, from, end := 1, 0, 0
		for ; depth > 0 && end < len(rest); end++ {
			switch rest[end] {
			case '{':
				depth++
			case '}':
				depth--
			}
			if depth == 0 || depth == 1 && rest[end] == ',' {
				options = append(options, rest[from:end])
				from = end + 1
			}
		}
		if depth > 0 || len(list)+len(options) > maxBraces {
			return []string{pattern}
		}
		for j, option := range options {
			options[j] = before + option + rest[end:]
		}
		list = slices.Replace(list, i, i+1, options...)
	}
	return list
}

func (g *pathGlob) match(name string) bool { return doublestar.MatchUnvalidated(g.pattern, name) }

// below reports whether something in the directory may match.
func (g *pathGlob) below(dir string) bool {
	return slices.ContainsFunc(g.ways, func(w globWay) bool { return w.below(dir) })
}

func (w globWay) below(dir string) bool {
	i := 0
	for part := range strings.SplitSeq(dir, "/") {
		if i == len(w.parts) {
			return w.open
		}
		if !doublestar.MatchUnvalidated(w.parts[i], part) {
			return false
		}
		i++
	}
	return i < len(w.parts) || w.open
}
