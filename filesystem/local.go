package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Local is a directory of this machine. It is safe for concurrent use.
//
// Every access goes through an [os.Root], so that neither a name nor a symlink,
// not even one that is swapped during the call, leads out of the directory.
// Symlinks inside the directory are followed when their target is relative and
// stays inside.
type Local struct {
	dir  string
	root *os.Root
	left leftovers
}

// NewLocal opens dir, which must exist. Close it to release the directory.
func NewLocal(dir string) (*Local, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open file tree %q: %w", dir, err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("open file tree %q: %w", dir, err)
	}
	return &Local{dir: abs, root: root}, nil
}

// Dir returns the absolute path of the root.
func (l *Local) Dir() string { return l.dir }

// Close releases the root. The Local must not be used afterwards.
func (l *Local) Close() error { return l.root.Close() }

// Open implements [Provider].
func (l *Local) Open(ctx context.Context, name string) (fs.File, error) {
	return l.open(ctx, name)
}

func (l *Local) open(ctx context.Context, name string) (*os.File, error) {
	if err := checkCall(ctx, "open", name); err != nil {
		return nil, err
	}
	// Looking first keeps a device from being opened at all; looking again at
	// what was opened, without blocking, defeats a swap in between.
	if _, err := l.Stat(ctx, name); err != nil {
		return nil, err
	}
	f, err := l.root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, l.explain("open", name, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, l.explain("open", name, err)
	}
	if err := checkKind("open", name, info.Mode()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkCall checks what every call begins with.
func checkCall(ctx context.Context, op string, names ...string) error {
	for _, name := range names {
		if !fs.ValidPath(name) {
			return &fs.PathError{Op: op, Path: name, Err: ErrName}
		}
	}
	return ctx.Err()
}

// checkKind refuses what is neither a regular file nor a directory.
func checkKind(op, name string, mode fs.FileMode) error {
	if mode.IsRegular() || mode.IsDir() {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("it is a %s: %w", kindName(mode), ErrNotRegular)}
}

func kindName(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symlink"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// Stat implements [Provider]. What is neither a file nor a directory is an
// error; [Local.Lstat] describes it.
func (l *Local) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := checkCall(ctx, "stat", name); err != nil {
		return nil, err
	}
	info, err := l.root.Stat(name)
	if err != nil {
		return nil, l.explain("stat", name, err)
	}
	if err := checkKind("stat", name, info.Mode()); err != nil {
		return nil, err
	}
	return info, nil
}

// Lstat implements [Provider].
func (l *Local) Lstat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := checkCall(ctx, "lstat", name); err != nil {
		return nil, err
	}
	info, err := l.root.Lstat(name)
	if err != nil {
		return nil, l.explain("lstat", name, err)
	}
	return info, nil
}

// ReadDir implements [Provider].
func (l *Local) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	f, err := l.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, l.explain("readdir", name, err)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// WriteFile implements [WritableProvider]. The new content is on the disk
// before it takes the name, so a full disk or a crash leaves the old file.
func (l *Local) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) (err error) {
	if err := checkCall(ctx, "write", name); err != nil {
		return err
	}
	target, err := l.resolve(name)
	if err != nil {
		return err
	}
	mode := perm.Perm()
	switch info, err := l.root.Lstat(target); {
	case err == nil && info.IsDir():
		return &fs.PathError{Op: "write", Path: name, Err: errors.New("it is a directory")}
	case err == nil:
		if err := checkKind("write", name, info.Mode()); err != nil {
			return err
		}
		mode = info.Mode().Perm()
		// A file that cannot be written must not be replaceable by renaming.
		f, err := l.root.OpenFile(target, os.O_WRONLY|openNonblock, 0)
		if err != nil {
			return l.explain("write", name, err)
		}
		f.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return l.explain("write", name, err)
	default:
		if err := l.parents(target); err != nil {
			return err
		}
	}
	l.left.clear(l.root, path.Dir(target))
	temp := tempName(path.Dir(target))
	f, err := l.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return l.explain("write", name, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			l.root.Remove(temp)
			err = l.explain("write", name, err)
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.root.Rename(temp, target)
}

// Append implements [WritableProvider].
func (l *Local) Append(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	if err := checkCall(ctx, "append", name); err != nil {
		return err
	}
	if _, err := l.Stat(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	target, err := l.resolve(name)
	if err != nil {
		return err
	}
	if err := l.parents(target); err != nil {
		return err
	}
	f, err := l.root.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_APPEND|openNonblock, perm.Perm())
	if err != nil {
		return l.explain("append", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return l.explain("append", name, err)
	}
	if err := checkKind("append", name, info.Mode()); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		// A disk that fills up must not leave half an entry behind.
		if cut := f.Truncate(info.Size()); cut != nil {
			err = errors.Join(err, cut)
		}
		return l.explain("append", name, err)
	}
	return l.explain("append", name, f.Close())
}

// Mkdir implements [WritableProvider].
func (l *Local) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	if err := checkCall(ctx, "mkdir", name); err != nil {
		return err
	}
	target, err := l.resolve(name)
	if err != nil {
		return err
	}
	return l.explain("mkdir", name, l.root.MkdirAll(target, perm.Perm()))
}

func (l *Local) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	return l.explain("mkdir", dir, l.root.MkdirAll(dir, 0o755))
}

// Remove implements [WritableProvider].
func (l *Local) Remove(ctx context.Context, name string) error {
	if err := checkCall(ctx, "remove", name); err != nil {
		return err
	}
	return l.explain("remove", name, l.root.Remove(name))
}

// RemoveAll implements [WritableProvider].
func (l *Local) RemoveAll(ctx context.Context, name string) error {
	if err := checkCall(ctx, "remove", name); err != nil {
		return err
	}
	if _, err := l.root.Lstat(name); err != nil {
		return l.explain("remove", name, err)
	}
	return l.explain("remove", name, l.root.RemoveAll(name))
}

// Rename implements [WritableProvider].
func (l *Local) Rename(ctx context.Context, oldName, newName string) error {
	if err := checkCall(ctx, "rename", oldName, newName); err != nil {
		return err
	}
	if _, err := l.root.Lstat(oldName); err != nil {
		return l.explain("rename", oldName, err)
	}
	if err := l.parents(newName); err != nil {
		return err
	}
	return l.explain("rename", oldName, l.root.Rename(oldName, newName))
}

// Chmod implements [WritableProvider].
func (l *Local) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	if _, err := l.Stat(ctx, name); err != nil {
		return err
	}
	return l.explain("chmod", name, l.root.Chmod(name, mode.Perm()))
}

// resolve implements resolver. The root itself decides what may be followed:
// this only finds out where a write through symlinks has to go.
func (l *Local) resolve(name string) (string, error) {
	return resolveLinks(name, l.root.Lstat, l.root.Readlink)
}

func (l *Local) readlink(name string) (string, error) { return l.root.Readlink(name) }

// explain makes an error of the operating system one of this package: named,
// and recognisable when the root refused it.
func (l *Local) explain(op, name string, err error) error {
	if err == nil {
		return nil
	}
	cause := err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		cause = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		cause = le.Err
	}
	// os.Root reports an escape with an error that it does not export.
	if strings.Contains(cause.Error(), "escapes from parent") {
		cause = fmt.Errorf("a symlink leads out of the root: %w", ErrOutsideRoot)
	}
	return &fs.PathError{Op: op, Path: name, Err: cause}
}
