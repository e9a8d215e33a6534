package filesystem

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// fdNode is a directory of a Local tree, held by its descriptor. Everything
// below is opened relative to it and without following symlinks, which is what
// keeps a walk inside the root, and what makes it fast: no path is looked up
// twice and no os.File is allocated.
type fdNode struct {
	fd   int
	up   *fdNode // the directory that contains it; nil for the root
	name string
	root string // where the root is on this machine

	dev, inode uint64 // set by self
	seen       uint64 // epoch of a watch
}

// path returns the path below the root, for messages.
func (n *fdNode) path() string {
	if n.up == nil {
		return "."
	}
	return join(n.up.path(), n.name)
}

func (n *fdNode) hostPath() string { return filepath.Join(n.root, n.path()) }

// openNode opens the root of a Local tree as an fdNode.
func (l *Local) openNode() (dirNode, error) {
	f, err := l.root.Open(".")
	if err != nil {
		return nil, l.explain("open", ".", err)
	}
	defer f.Close()
	fd, err := unix.Openat(int(f.Fd()), ".", dirFlags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: ".", Err: err}
	}
	return &fdNode{fd: fd, name: ".", root: l.dir}, nil
}

const (
	dirFlags  = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fileFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
)

func retry(fn func() (int, error)) (int, error) {
	for {
		n, err := fn()
		if err != unix.EINTR {
			return n, err
		}
	}
}

var direntBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

func (n *fdNode) entries(prefix string, list []Entry) ([]Entry, error) {
	buf := direntBuffers.Get().(*[]byte)
	defer direntBuffers.Put(buf)
	for {
		size, err := retry(func() (int, error) { return unix.Getdents(n.fd, *buf) })
		if err != nil {
			return list, &fs.PathError{Op: "readdir", Path: n.path(), Err: err}
		}
		if size == 0 {
			return list, nil
		}
		list = n.parse((*buf)[:size], prefix, list)
	}
}

// parse reads linux_dirent64 records.
func (n *fdNode) parse(data []byte, prefix string, list []Entry) []Entry {
	size := 0
	for name := range direntNames(data) {
		size += len(prefix) + len(name)
	}
	var paths pathBlock
	for name, kind := range direntNames(data) {
		e := Entry{Path: paths.concat(prefix, name, size), base: int32(len(prefix))}
		size -= len(e.Path)
		switch kind {
		case unix.DT_REG:
		case unix.DT_DIR:
			e.Type = fs.ModeDir
		case unix.DT_LNK:
			e.Type = fs.ModeSymlink
		case unix.DT_FIFO:
			e.Type = fs.ModeNamedPipe
		case unix.DT_SOCK:
			e.Type = fs.ModeSocket
		case unix.DT_CHR:
			e.Type = fs.ModeDevice | fs.ModeCharDevice
		case unix.DT_BLK:
			e.Type = fs.ModeDevice
		default: // some file systems do not tell
			e.Type = n.kind(e.Name())
		}
		list = append(list, e)
	}
	return list
}

// direntNames yields the name and kind of each record, which has inode and
// offset of 8 bytes, length of 2, type of 1, and the name up to a NUL.
func direntNames(data []byte) iter.Seq2[[]byte, byte] {
	return func(yield func([]byte, byte) bool) {
		for len(data) > 19 {
			length := int(binary.NativeEndian.Uint16(data[16:]))
			if length < 20 || length > len(data) {
				return
			}
			inode, kind, name := binary.NativeEndian.Uint64(data), data[18], data[19:length]
			data = data[length:]
			if end := bytes.IndexByte(name, 0); end >= 0 {
				name = name[:end]
			}
			if inode == 0 || string(name) == "." || string(name) == ".." {
				continue
			}
			if !yield(name, kind) {
				return
			}
		}
	}
}

// pathBlock makes paths that lie in memory together, which takes fewer
// allocations. Blocks are small, so that a path that is kept keeps little else.
type pathBlock struct{ strings.Builder }

const maxPathBlock = 4 << 10

// concat joins two parts of a path. left is how much is needed in all from here
// on, in bytes.
func (b *pathBlock) concat(prefix string, name []byte, left int) string {
	if need := len(prefix) + len(name); b.Cap()-b.Len() < need {
		b.Builder = strings.Builder{}
		b.Grow(max(need, min(left, maxPathBlock)))
	}
	start := b.Len()
	b.WriteString(prefix)
	b.Write(name)
	return b.String()[start:]
}

func (n *fdNode) kind(name string) fs.FileMode {
	var st unix.Stat_t
	if err := fstatat(n.fd, name, &st); err != nil {
		return fs.ModeIrregular
	}
	return modeType(st.Mode)
}

func modeType(mode uint32) fs.FileMode {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular
}

func (n *fdNode) dir(name string) (dirNode, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(n.fd, name, dirFlags, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: join(n.path(), name), Err: err}
	}
	return &fdNode{fd: fd, up: n, name: name, root: n.root}, nil
}

func (n *fdNode) open(name string) (nodeFile, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(n.fd, name, fileFlags, 0) })
	if err != nil {
		return nodeFile{}, &fs.PathError{Op: "open", Path: join(n.path(), name), Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nodeFile{}, &fs.PathError{Op: "stat", Path: join(n.path(), name), Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nodeFile{}, &fs.PathError{Op: "open", Path: join(n.path(), name), Err: fmt.Errorf("it is a %s: %w", kindName(modeType(st.Mode)), ErrNotRegular)}
	}
	return nodeFile{fd: fd, info: stampOfStat(&st)}, nil
}

func (n *fdNode) stat(name string) (fileStamp, error) {
	var st unix.Stat_t
	if err := fstatat(n.fd, name, &st); err != nil {
		return fileStamp{}, &fs.PathError{Op: "stat", Path: join(n.path(), name), Err: err}
	}
	return stampOfStat(&st), nil
}

func (n *fdNode) self() fileStamp {
	var st unix.Stat_t
	if unix.Fstat(n.fd, &st) != nil {
		return fileStamp{}
	}
	n.dev, n.inode = st.Dev, st.Ino
	return stampOfStat(&st)
}

func stampOfStat(st *unix.Stat_t) fileStamp {
	return fileStamp{Size: st.Size, MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Inode: st.Ino}
}

func (n *fdNode) probe() ignoreFiles {
	var has ignoreFiles
	for _, name := range [...]string{gitIgnoreName, aiIgnoreName, ".git"} {
		var st unix.Stat_t
		if fstatat(n.fd, name, &st) == nil {
			has.see(name, modeType(st.Mode))
		}
	}
	return has
}

func (n *fdNode) close() { unix.Close(n.fd) }

func readFD(fd int, p []byte) (int, error) {
	n, err := retry(func() (int, error) { return unix.Read(fd, p) })
	if n == 0 && err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return max(n, 0), err
}

func closeFD(fd int) { unix.Close(fd) }

func inodeOf(info fs.FileInfo) (inode uint64, changed int64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino, st.Ctim.Nano()
	}
	return 0, 0
}
