package filesystem

import (
	"context"
	"fmt"
	"strings"
)

// TreeOptions choose what [Service.Tree] shows.
type TreeOptions struct {
	MaxDepth   int  // 0 means 3; negative means no bound
	MaxEntries int  // 0 means 500; negative means no bound
	NoIgnore   bool // see WalkOptions
	NoHidden   bool
}

// Tree renders the directories and files below a directory, one per line and
// indented. When there are more than MaxEntries, the last line says how many
// are not shown.
func (s *Service) Tree(ctx context.Context, dir string, opts TreeOptions) (string, error) {
	if opts.MaxDepth == 0 {
		opts.MaxDepth = 3
	}
	if opts.MaxEntries == 0 {
		opts.MaxEntries = 500
	}
	if dir == "" {
		dir = "."
	}
	clean, err := s.clean(dir)
	if err != nil {
		return "", err
	}
	if info, err := s.Stat(ctx, clean); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", fmt.Errorf("tree %s: it is a file", clean)
	}
	depth := strings.Count(clean, "/") + 1
	if clean == "." {
		depth = 0
	}
	var b strings.Builder
	b.WriteString(clean + "/\n")
	shown, more := 0, 0
	for e, err := range s.Walk(ctx, WalkOptions{Dir: clean, NoIgnore: opts.NoIgnore, NoHidden: opts.NoHidden, MaxDepth: max(opts.MaxDepth, 0)}) {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if opts.MaxEntries >= 0 && shown >= opts.MaxEntries {
			more++
			continue
		}
		indent := strings.Repeat("  ", max(strings.Count(e.Path, "/")-depth+1, 1))
		switch {
		case err != nil:
			fmt.Fprintf(&b, "%s%s: %v\n", indent, e.Name(), err)
		case e.IsDir():
			fmt.Fprintf(&b, "%s%s/\n", indent, e.Name())
		case e.IsRegular():
			fmt.Fprintf(&b, "%s%s\n", indent, e.Name())
		default:
			fmt.Fprintf(&b, "%s%s (%s)\n", indent, e.Name(), kindName(e.Type))
		}
		shown++
	}
	if more > 0 {
		fmt.Fprintf(&b, "… and %d more; list a subdirectory or ask for less depth\n", more)
	}
	return b.String(), nil
}
