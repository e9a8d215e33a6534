package git

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// protectIgnored fails with ErrLocalChanges when going from one tree to another
// would overwrite or remove a file that is ignored now: such files are in no
// commit and in no snapshot, and git itself treats them as expendable. index
// names the index in use, "" the real one.
func (s *Service) protectIgnored(ctx context.Context, index, from, to string) error {
	out, err := s.git(ctx, call{args: []string{"diff-tree", "-r", "-z", "--no-renames", "--name-only", "--diff-filter=A", from, to}})
	if err != nil {
		return err
	}
	var files, dirs []string
	seen := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if name == "" {
			continue
		}
		for p := name; p != "." && !seen[p]; p = path.Dir(p) {
			seen[p] = true
			info, err := os.Lstat(filepath.Join(s.root, filepath.FromSlash(p)))
			switch {
			case err != nil:
			case !info.IsDir():
				files = append(files, "./"+p) // no pathspec magic begins with a dot
			case p == name:
				dirs = append(dirs, p)
			}
		}
	}
	var hit []string
	if len(files) > 0 {
		out, err := s.git(ctx, call{args: []string{"check-ignore", "-z", "--stdin"}, stdin: nulList(files), index: index, notLiteral: true})
		if err != nil && exitCode(err) != 1 {
			return err
		}
		for _, p := range splitNul(out) {
			hit = append(hit, strings.TrimPrefix(p, "./"))
		}
	}
	for len(dirs) > 0 {
		some := dirs[:min(len(dirs), 100)]
		dirs = dirs[len(some):]
		out, err := s.git(ctx, call{args: append([]string{"ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--"}, some...), index: index})
		if err != nil {
			return err
		}
		hit = append(hit, splitNul(out)...)
	}
	if len(hit) > 0 {
		return fmt.Errorf("%w: ignored files would be overwritten, and nothing else holds them: %s", ErrLocalChanges, strings.Join(hit[:min(len(hit), 10)], ", "))
	}
	return nil
}

func splitNul(out string) []string {
	if out = strings.TrimSuffix(out, "\x00"); out == "" {
		return nil
	}
	return strings.Split(out, "\x00")
}
