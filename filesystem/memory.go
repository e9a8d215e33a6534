package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Memory is a file tree in memory. It has no symlinks. The zero value is not
// usable; it is safe for concurrent use.
type Memory struct {
	mu   sync.RWMutex
	root *memNode
	inos uint64
}

// memNode is a file or a directory. The content of a file is never changed,
// only replaced, so that open files keep what they opened.
type memNode struct {
	name     string
	mode     fs.FileMode
	data     []byte
	modified time.Time
	inode    uint64
	children map[string]*memNode // of a directory
}

// NewMemory returns a tree with the given files, by name. Bad names are an
// error.
func NewMemory(files map[string]string) (*Memory, error) {
	m := &Memory{root: &memNode{name: ".", mode: fs.ModeDir | 0o755, modified: time.Now(), children: make(map[string]*memNode)}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		clean, err := CleanName(name)
		if err == nil {
			err = m.WriteFile(context.Background(), clean, []byte(files[name]), 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

func memError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// find returns the node of a name. m.mu must be held.
func (m *Memory) find(op, name string) (*memNode, error) {
	if !fs.ValidPath(name) {
		return nil, memError(op, name, ErrName)
	}
	n := m.root
	for part := range splitPath(name) {
		if n.children == nil {
			return nil, memError(op, name, syscall.ENOTDIR)
		}
		if n = n.children[part]; n == nil {
			return nil, memError(op, name, fs.ErrNotExist)
		}
	}
	return n, nil
}

// parent returns the directory of a name, which it makes when missing.
func (m *Memory) parent(op, name string) (*memNode, error) {
	if !fs.ValidPath(name) || name == "." {
		return nil, memError(op, name, ErrName)
	}
	return m.mkdir(op, name, path.Dir(name), 0o755)
}

func (m *Memory) mkdir(op, name, dir string, perm fs.FileMode) (*memNode, error) {
	n := m.root
	for part := range splitPath(dir) {
		next := n.children[part]
		if next == nil {
			next = m.node(part, fs.ModeDir|perm.Perm(), nil)
			next.children = make(map[string]*memNode)
			n.children[part] = next
		}
		if next.children == nil {
			return nil, memError(op, name, syscall.ENOTDIR)
		}
		n = next
	}
	return n, nil
}

func (m *Memory) node(name string, mode fs.FileMode, data []byte) *memNode {
	m.inos++
	return &memNode{name: name, mode: mode, data: data, modified: time.Now(), inode: m.inos}
}

// Open implements [Provider].
func (m *Memory) Open(ctx context.Context, name string) (fs.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.children != nil {
		return &memDir{info: n.info(), entries: n.entries()}, nil
	}
	return &memFile{Reader: bytes.NewReader(n.data), info: n.info()}, nil
}

// Stat implements [Provider].
func (m *Memory) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n.info(), nil
}

// Lstat implements [Provider].
func (m *Memory) Lstat(ctx context.Context, name string) (fs.FileInfo, error) {
	return m.Stat(ctx, name)
}

// ReadDir implements [Provider].
func (m *Memory) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if n.children == nil {
		return nil, memError("readdir", name, syscall.ENOTDIR)
	}
	return n.entries(), nil
}

// WriteFile implements [WritableProvider].
func (m *Memory) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	return m.write(ctx, "write", name, perm, func([]byte) []byte { return bytes.Clone(data) })
}

// Append implements [WritableProvider].
func (m *Memory) Append(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	return m.write(ctx, "append", name, perm, func(old []byte) []byte { return slices.Concat(old, data) })
}

func (m *Memory) write(ctx context.Context, op, name string, perm fs.FileMode, next func(old []byte) []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, err := m.parent(op, name)
	if err != nil {
		return err
	}
	base := path.Base(name)
	old := dir.children[base]
	switch {
	case old == nil:
		dir.children[base] = m.node(base, perm.Perm(), next(nil))
	case old.children != nil:
		return memError(op, name, errors.New("it is a directory"))
	default:
		dir.children[base] = m.node(base, old.mode, next(old.data))
	}
	return nil
}

// Mkdir implements [WritableProvider].
func (m *Memory) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !fs.ValidPath(name) {
		return memError("mkdir", name, ErrName)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.mkdir("mkdir", name, name, perm)
	return err
}

// Remove implements [WritableProvider].
func (m *Memory) Remove(ctx context.Context, name string) error { return m.remove(ctx, name, false) }

// RemoveAll implements [WritableProvider].
func (m *Memory) RemoveAll(ctx context.Context, name string) error { return m.remove(ctx, name, true) }

func (m *Memory) remove(ctx context.Context, name string, all bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("remove", name)
	if err != nil {
		return err
	}
	if n == m.root {
		return memError("remove", name, ErrProtected)
	}
	if len(n.children) > 0 && !all {
		return memError("remove", name, syscall.ENOTEMPTY)
	}
	dir, _ := m.find("remove", path.Dir(name))
	delete(dir.children, n.name)
	return nil
}

// Rename implements [WritableProvider].
func (m *Memory) Rename(ctx context.Context, oldName, newName string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("rename", oldName)
	if err != nil {
		return err
	}
	if n == m.root || strings.HasPrefix(newName, oldName+"/") {
		return memError("rename", oldName, fmt.Errorf("a directory cannot move into itself: %w", ErrName))
	}
	dir, err := m.parent("rename", newName)
	if err != nil {
		return err
	}
	if at := dir.children[path.Base(newName)]; at == n {
		return nil
	} else if at != nil && (at.children != nil || n.children != nil) {
		if at.children == nil || n.children == nil || len(at.children) > 0 {
			return memError("rename", newName, fs.ErrExist)
		}
	}
	from, _ := m.find("rename", path.Dir(oldName))
	delete(from.children, n.name)
	moved := *n
	moved.name = path.Base(newName)
	dir.children[moved.name] = &moved
	return nil
}

// Chmod implements [WritableProvider].
func (m *Memory) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("chmod", name)
	if err != nil {
		return err
	}
	n.mode = n.mode.Type() | mode.Perm()
	return nil
}

func (n *memNode) entries() []fs.DirEntry {
	out := make([]fs.DirEntry, 0, len(n.children))
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		out = append(out, fs.FileInfoToDirEntry(n.children[name].info()))
	}
	return out
}

func (n *memNode) info() memInfo {
	return memInfo{n.name, n.mode, int64(len(n.data)), n.modified, n.inode}
}

type memInfo struct {
	name     string
	mode     fs.FileMode
	size     int64
	modified time.Time
	inode    uint64
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.modified }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }

// memFile is an open file.
type memFile struct {
	*bytes.Reader
	info memInfo
}

func (f *memFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memFile) Close() error               { return nil }

// memDir is an open directory.
type memDir struct {
	info    memInfo
	entries []fs.DirEntry
}

func (d *memDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *memDir) Close() error               { return nil }

func (d *memDir) Read([]byte) (int, error) {
	return 0, memError("read", d.info.name, errors.New("it is a directory"))
}

// ReadDir implements fs.ReadDirFile.
func (d *memDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	out := d.entries[:min(n, len(d.entries))]
	d.entries = d.entries[len(out):]
	return out, nil
}
