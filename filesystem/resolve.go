package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is the number of symlinks after which a name counts as a loop, as in
// Linux.
const maxLinks = 40

// resolveLinks follows the symlinks in a name. Those that lead out of the root
// are ErrOutsideRoot. What does not exist resolves to itself.
func resolveLinks(name string, lstat func(string) (fs.FileInfo, error), readlink func(string) (string, error)) (string, error) {
	fail := func(err error) (string, error) {
		return "", &fs.PathError{Op: "resolve", Path: name, Err: err}
	}
	done, rest := ".", name
	for links := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			if done == "." {
				return fail(fmt.Errorf("a symlink leads above the root: %w", ErrOutsideRoot))
			}
			done = path.Dir(done)
			continue
		}
		next := join(done, part)
		info, err := lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return CleanName(join(next, rest))
		case err != nil:
			return fail(err)
		case info.Mode()&fs.ModeSymlink == 0:
			done = next
			continue
		}
		if links++; links > maxLinks {
			return fail(errors.New("too many symlinks"))
		}
		link, err := readlink(next)
		if err != nil {
			return fail(err)
		}
		if filepath.IsAbs(link) {
			return fail(fmt.Errorf("the symlink %s has the absolute target %s: %w", next, link, ErrOutsideRoot))
		}
		rest = filepath.ToSlash(link) + "/" + rest
	}
	return done, nil
}
