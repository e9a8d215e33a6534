package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"
)

// Entry is what a walk finds. It is a small value.
type Entry struct {
	// Path is relative to the root and slash separated.
	Path string

	// Type holds the type bits of the file's mode. A symlink is reported as
	// such and not followed.
	Type fs.FileMode

	base   int32        // where the last component of Path begins
	record *indexedFile // of a file, while the index is in use
}

// bare returns the entry for those who know nothing of an index.
func (e Entry) bare() Entry {
	e.record = nil
	return e
}

// Name returns the last component of the path.
func (e Entry) Name() string { return e.Path[e.base:] }

// IsDir reports whether the entry is a directory.
func (e Entry) IsDir() bool { return e.Type.IsDir() }

// IsRegular reports whether the entry is a regular file.
func (e Entry) IsRegular() bool { return e.Type.IsRegular() }

// dirNode is an open directory of a provider, as the walk uses it: it never
// follows a symlink, so that what is reached from the root stays inside.
type dirNode interface {
	// entries appends the directory's entries to list, in any order, with
	// prefix before their names.
	entries(prefix string, list []Entry) ([]Entry, error)

	// dir and open open a subdirectory or a regular file by a plain name.
	dir(name string) (dirNode, error)
	open(name string) (nodeFile, error)

	// stat describes a file by a plain name without following a symlink.
	stat(name string) (fileStamp, error)

	// probe looks for the files that affect ignoring.
	probe() ignoreFiles

	// self describes the directory itself, in a stamp that differs whenever
	// its entries do. Without such a stamp it is not valid.
	self() fileStamp

	close()
}

// nodeFile is an open regular file.
type nodeFile struct {
	file fs.File // portable
	fd   int     // used when file is nil
	info fileStamp
}

// fileStamp tells one state of a file from another.
type fileStamp struct {
	Size  int64
	MTime int64 // nanoseconds
	CTime int64 // when the inode changed, which no program can set back; 0 where nobody tells
	Inode uint64
}

// valid reports whether the provider dates its files at all.
func (s fileStamp) valid() bool { return s.MTime != 0 }

// settled is how old a modification must be before a stamp is trusted: within
// the clock's granularity a file can change without a new stamp.
const settled = 100 * time.Millisecond

// settledCoarse is settled where files are dated to whole seconds, or to every
// other as FAT does it.
const settledCoarse = 2100 * time.Millisecond

// settledAt reports whether the last change was so old, when the file was looked
// at, that another one would show.
func (s fileStamp) settledAt(t time.Time) bool {
	latest, age := max(s.MTime, s.CTime), settled
	if latest%int64(time.Second) == 0 {
		age = settledCoarse
	}
	return t.UnixNano()-latest >= int64(age)
}

func stampOf(info fs.FileInfo) fileStamp {
	s := fileStamp{Size: info.Size()}
	if mtime := info.ModTime(); !mtime.IsZero() && !mtime.Equal(time.Unix(0, 0)) {
		s.MTime = mtime.UnixNano()
	}
	s.Inode, s.CTime = inodeOf(info)
	return s
}

func (f *nodeFile) stamp() fileStamp { return f.info }

// Read implements io.Reader.
func (f *nodeFile) Read(p []byte) (int, error) {
	if f.file != nil {
		return f.file.Read(p)
	}
	return readFD(f.fd, p)
}

// Close closes the file.
func (f *nodeFile) Close() {
	if f.file != nil {
		f.file.Close()
	} else {
		closeFD(f.fd)
	}
}

// readAll reads the rest of the file into buf, which grows when needed.
func (f *nodeFile) readAll(buf []byte) ([]byte, error) {
	if want := f.info.Size + 1; int64(cap(buf)) < want {
		buf = make([]byte, 0, max(want, 512))
	}
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF, err == nil && n == 0:
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// plainNode serves any provider through its interface.
type plainNode struct {
	ctx      context.Context
	provider Provider
	path     string
}

func (n *plainNode) entries(prefix string, list []Entry) ([]Entry, error) {
	found, err := n.provider.ReadDir(n.ctx, n.path)
	for _, e := range found {
		list = append(list, Entry{Path: prefix + e.Name(), Type: e.Type(), base: int32(len(prefix))})
	}
	return list, err
}

func (n *plainNode) dir(name string) (dirNode, error) {
	sub := join(n.path, name)
	info, err := n.provider.Lstat(n.ctx, sub)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: sub, Err: syscall.ENOTDIR}
	}
	return &plainNode{n.ctx, n.provider, sub}, nil
}

func (n *plainNode) open(name string) (nodeFile, error) {
	sub := join(n.path, name)
	info, err := n.provider.Lstat(n.ctx, sub)
	if err != nil {
		return nodeFile{}, err
	}
	if !info.Mode().IsRegular() {
		return nodeFile{}, &fs.PathError{Op: "open", Path: sub, Err: fmt.Errorf("it is a %s: %w", kindName(info.Mode()), ErrNotRegular)}
	}
	f, err := n.provider.Open(n.ctx, sub)
	if err != nil {
		return nodeFile{}, err
	}
	return nodeFile{file: f, info: stampOf(info)}, nil
}

func (n *plainNode) stat(name string) (fileStamp, error) {
	info, err := n.provider.Lstat(n.ctx, join(n.path, name))
	if err != nil {
		return fileStamp{}, err
	}
	return stampOf(info), nil
}

func (n *plainNode) probe() ignoreFiles {
	var has ignoreFiles
	for _, name := range [...]string{gitIgnoreName, aiIgnoreName, ".git"} {
		if info, err := n.provider.Lstat(n.ctx, join(n.path, name)); err == nil {
			has.see(name, info.Mode().Type())
		}
	}
	return has
}

func (n *plainNode) self() fileStamp { return fileStamp{} }

func (n *plainNode) close() {}

var errNoNode = errors.New("no directory descriptors on this system")
