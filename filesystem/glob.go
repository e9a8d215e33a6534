package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"

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
// directories, "{a,b}" is either; a pattern may stand for 1024 without braces.
// Directories that cannot contain a match are not read. One that cannot be read
// is yielded with an error and does not end the glob; an error that does has no
// path.
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
		switch info, err := w.tree.provider.Lstat(ctx, g.base); {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), err == nil && info.Mode().IsRegular():
			return // nothing is below it, so nothing matches
		case err != nil:
			yield("", fmt.Errorf("glob %q: %w", pattern, err))
			return
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
	patterns []string // without braces; a match of one is a match
	base     string   // the directory that contains every match
	ways     []globWay
}

// globWay tells which directories may contain a match.
type globWay struct {
	parts []string // components up to the first that may span directories
	open  bool     // what lies deeper than parts may match
}

func newPathGlob(pattern string) (*pathGlob, error) {
	if len(pattern) > MaxNameLength {
		return nil, fmt.Errorf("glob: a pattern of %d bytes is longer than %d: %w", len(pattern), MaxNameLength, doublestar.ErrBadPattern)
	}
	clean := path.Clean(strings.TrimPrefix(pattern, "./"))
	if pattern == "" || !doublestar.ValidatePattern(clean) {
		return nil, fmt.Errorf("glob %q: malformed pattern: %w", pattern, doublestar.ErrBadPattern)
	}
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		return nil, fmt.Errorf("glob %q: patterns are relative to the root: %w", pattern, ErrOutsideRoot)
	}
	g := &pathGlob{patterns: expandBraces(clean)}
	if g.patterns == nil {
		return nil, fmt.Errorf("glob %q: its braces stand for more than %d patterns; use a wildcard or several globs: %w", pattern, maxBraces, doublestar.ErrBadPattern)
	}
	g.base, _ = doublestar.SplitPattern(clean)
	for _, p := range g.patterns {
		var way globWay
		for part := range strings.SplitSeq(p, "/") {
			if way.open = strings.Contains(part, "**"); way.open {
				break
			}
			way.parts = append(way.parts, part)
		}
		g.ways = append(g.ways, way)
	}
	return g, nil
}

// maxBraces bounds the patterns that one with braces stands for: their number is
// the product of what each pair offers.
const maxBraces = 1024

// expandBraces returns the patterns without braces that a valid one stands for,
// or nil when they are too many.
func expandBraces(pattern string) []string {
	list := []string{pattern}
	for i := 0; i < len(list); {
		p := list[i]
		open := 0
		for open < len(p) && p[open] != '{' {
			open = globElement(p, open)
		}
		if open == len(p) {
			i++
			continue
		}
		var options []string
		depth, from, at := 1, open+1, open+1
		for depth > 0 && at < len(p) {
			switch p[at] {
			case '{':
				depth++
			case '}':
				depth--
			}
			next := globElement(p, at)
			if depth == 0 || depth == 1 && p[at] == ',' {
				options = append(options, p[from:at])
				from = next
			}
			at = next
		}
		if depth > 0 || len(list)+len(options) > maxBraces+1 {
			return nil
		}
		for j, option := range options {
			options[j] = p[:open] + option + p[at:]
		}
		list = slices.Replace(list, i, i+1, options...)
	}
	return list
}

// globElement returns where what begins at i ends: an escape, a set or a byte.
func globElement(pattern string, i int) int {
	switch pattern[i] {
	case '\\':
		i++
	case '[':
		for i++; i < len(pattern) && pattern[i] != ']'; i++ {
			if pattern[i] == '\\' {
				i++
			}
		}
	}
	return min(i+1, len(pattern))
}

func (g *pathGlob) match(name string) bool {
	return slices.ContainsFunc(g.patterns, func(p string) bool { return doublestar.MatchUnvalidated(p, name) })
}

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
