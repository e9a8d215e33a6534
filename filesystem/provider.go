package filesystem

import (
	"context"
	"errors"
	"io/fs"
)

// Errors that callers test for. They come wrapped with the name that failed.
// Missing and existing files are fs.ErrNotExist and fs.ErrExist.
var (
	// ErrOutsideRoot reports a name that leaves the root, by itself or through
	// a symlink.
	ErrOutsideRoot = errors.New("outside the root")

	// ErrName reports a name that no file should have.
	ErrName = errors.New("invalid name")

	// ErrNotRegular reports a FIFO, a socket or a device, which are never
	// opened.
	ErrNotRegular = errors.New("not a regular file")

	// ErrTooLarge reports a file over the size limit.
	ErrTooLarge = errors.New("file too large")

	// ErrReadOnly reports a change to a provider that takes none.
	ErrReadOnly = errors.New("the file tree is read-only")

	// ErrProtected reports a change to a protected file, such as one in .git.
	ErrProtected = errors.New("protected from changes")

	// ErrBinary reports a file that is not text where text is needed.
	ErrBinary = errors.New("binary file")

	// ErrStale reports an edit of a file that changed since it was read.
	ErrStale = errors.New("changed since it was read")
)

// Provider is a file tree. Names satisfy [fs.ValidPath]: slash separated,
// relative to the root, "." is the root itself. A Provider must be safe for
// concurrent use, must not let a name or a symlink lead out of its root
// (ErrOutsideRoot), and must not open what is neither a regular file nor a
// directory (ErrNotRegular).
//
// The conformance suite in package filesystemtest tells what else is expected.
type Provider interface {
	// Open opens a regular file or a directory for reading and follows
	// symlinks that stay inside the root.
	Open(ctx context.Context, name string) (fs.File, error)

	// Stat describes what name refers to after symlinks.
	Stat(ctx context.Context, name string) (fs.FileInfo, error)

	// Lstat describes name itself, which may be a symlink.
	Lstat(ctx context.Context, name string) (fs.FileInfo, error)

	// ReadDir lists a directory, sorted by name.
	ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error)
}

// WritableProvider is a Provider that takes changes.
type WritableProvider interface {
	Provider

	// WriteFile replaces or creates a file so that no reader ever sees a part
	// of it and a failure leaves the old content. Parents are created. An
	// existing file keeps its mode, a new one gets perm. A symlink is written
	// through.
	WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error

	// Append adds data to the end of a file, which is created when missing.
	Append(ctx context.Context, name string, data []byte, perm fs.FileMode) error

	// Mkdir creates a directory and its parents. An existing directory is fine.
	Mkdir(ctx context.Context, name string, perm fs.FileMode) error

	// Remove removes a file, a symlink (not what it refers to) or an empty
	// directory.
	Remove(ctx context.Context, name string) error

	// RemoveAll removes a directory with all it contains, or a file.
	RemoveAll(ctx context.Context, name string) error

	// Rename moves a file or directory and replaces a file at the new name,
	// whose parents are created.
	Rename(ctx context.Context, oldName, newName string) error

	// Chmod changes permission bits.
	Chmod(ctx context.Context, name string, mode fs.FileMode) error
}

// resolver is a Provider that knows where a name leads after symlinks.
type resolver interface {
	// resolve follows every symlink in name. What does not exist resolves to
	// itself.
	resolve(name string) (string, error)

	// readlink returns the target of a symlink as it is written.
	readlink(name string) (string, error)
}
