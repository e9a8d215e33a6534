package filesystem

import (
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// MaxNameLength bounds names in bytes: PATH_MAX of Linux, which no system
// exceeds by default.
const MaxNameLength = 4096

// CleanName turns a name as a model writes it into the form that a [Provider]
// takes: slash separated, relative, without "." and "..". It refuses names that
// leave the root (ErrOutsideRoot) and names that cannot be files (ErrName).
// The empty name is refused; "." is the root.
func CleanName(name string) (string, error) { return cleanName(name, runtime.GOOS == "windows") }

func cleanName(name string, windows bool) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("empty file name: %w", ErrName)
	case len(name) > MaxNameLength:
		return "", fmt.Errorf("file name of %d bytes, beginning %q: longer than %d bytes: %w", len(name), name[:40], MaxNameLength, ErrName)
	case strings.IndexByte(name, 0) >= 0:
		return "", fmt.Errorf("%q contains a NUL byte: %w", name, ErrName)
	case path.IsAbs(name):
		return "", fmt.Errorf("%q is absolute; use a path relative to the root: %w", name, ErrOutsideRoot)
	case !windows && hasDrive(name):
		return "", fmt.Errorf("%q names a drive; use a path relative to the root: %w", name, ErrOutsideRoot)
	}
	clean := path.Clean(name)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("%q leads above the root: %w", name, ErrOutsideRoot)
	}
	if windows && (strings.ContainsAny(clean, `\:`) || !filepath.IsLocal(filepath.FromSlash(clean))) {
		return "", fmt.Errorf("%q: use forward slashes and no drive, stream or device name: %w", name, ErrOutsideRoot)
	}
	for part := range strings.SplitSeq(clean, "/") {
		if windows && isDevice(part) {
			return "", fmt.Errorf("%q names a device: %w", name, ErrOutsideRoot)
		}
		if len(part) > 255 {
			return "", fmt.Errorf("%.60q… has a component of %d bytes, more than 255: %w", name, len(part), ErrName)
		}
	}
	return clean, nil
}

// hasDrive reports a Windows drive or UNC prefix, which on other systems is a
// legal but surely unintended file name.
func hasDrive(name string) bool {
	if strings.HasPrefix(name, `\\`) {
		return true
	}
	return len(name) >= 3 && name[1] == ':' && (name[2] == '\\' || name[2] == '/') &&
		(name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z'
}

// isDevice reports whether Windows opens a device for a component of a name:
// it looks neither at case, nor behind a dot, nor at spaces before that.
// https://learn.microsoft.com/windows/win32/fileio/naming-a-file
func isDevice(part string) bool {
	base, _, _ := strings.Cut(part, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	digit, ok := strings.CutPrefix(base, "COM")
	if !ok {
		digit, ok = strings.CutPrefix(base, "LPT")
	}
	return ok && digit != "" && (len(digit) == 1 && isDigit(digit[0]) || strings.Contains("¹²³", digit))
}

// sameEntry reports whether some file system opens the entry that is called name
// when it is asked for part: without regard to case, to signs that HFS+ leaves
// out, and to what NTFS cuts off at the end. Git protects .git from the same.
func sameEntry(part, name string) bool {
	part = strings.Map(func(r rune) rune {
		if r >= 0x200c && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x206a && r <= 0x206f || r == 0xfeff {
			return -1
		}
		return r
	}, part)
	part, _, _ = strings.Cut(part, ":") // a stream of the file
	part = strings.TrimRight(part, " .")
	return strings.EqualFold(part, name) || name == ".git" && strings.EqualFold(part, "git~1")
}

// checkNew refuses names under which a file may lie but none should be created.
func checkNew(name string) error {
	if strings.ContainsRune(name, '\\') {
		return fmt.Errorf("%q contains a backslash; separate directories with '/': %w", name, ErrName)
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%q contains a control character: %w", name, ErrName)
		}
	}
	return nil
}

// join joins a directory and a name below it, where "." is the root.
func join(dir, name string) string {
	if dir == "." || dir == "" {
		return name
	}
	return dir + "/" + name
}

// comparePaths orders paths as a walk visits them: by component, so that the
// content of a directory stands together.
func comparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		switch {
		case x == '/':
			return -1
		case y == '/':
			return 1
		case x < y:
			return -1
		default:
			return 1
		}
	}
	return len(a) - len(b)
}

// splitPath yields the components of a clean path; the root has none.
func splitPath(name string) func(yield func(string) bool) {
	if name == "." {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(name, "/")
}
