package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// place prepares to write a file, which with last may be named by a symlink: it
// finds what is there and checks that its parents are directories.
func (o *Overlay) place(ctx context.Context, op, name string, last bool) (real string, p Provider, err error) {
	if err := ctx.Err(); err != nil {
		return "", nil, err
	}
	if !fs.ValidPath(name) || name == "." {
		return "", nil, memError(op, name, ErrName)
	}
	if name, err = o.follow(ctx, name, last); err != nil {
		return "", nil, err
	}
	if err := o.parents(ctx, op, name); err != nil {
		return "", nil, err
	}
	return name, o.layer(ctx, name), nil
}

// parents checks that what lies above a name are directories, and makes those of
// base in the upper tree with the mode that they have.
func (o *Overlay) parents(ctx context.Context, op, name string) error {
	dir := "."
	for part := range splitPath(path.Dir(name)) {
		dir = join(dir, part)
		p := o.layer(ctx, dir)
		if p == nil {
			return nil
		}
		info, err := p.Stat(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return memError(op, name, syscall.ENOTDIR)
		}
		if err := o.upper.Mkdir(ctx, dir, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile implements [WritableProvider].
func (o *Overlay) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.write(ctx, "write", name, data, perm, false)
}

// Append implements [WritableProvider].
func (o *Overlay) Append(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.write(ctx, "append", name, data, perm, true)
}

func (o *Overlay) write(ctx context.Context, op, name string, data []byte, perm fs.FileMode, add bool) error {
	name, p, err := o.place(ctx, op, name, true)
	if err != nil {
		return err
	}
	if p != nil {
		info, err := p.Stat(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case info.IsDir():
			return memError(op, name, errors.New("it is a directory"))
		default:
			perm = info.Mode().Perm()
			if add {
				old, err := readProvider(ctx, p, name)
				if err != nil {
					return err
				}
				data = slices.Concat(old, data)
			}
		}
	}
	return o.upper.WriteFile(ctx, name, data, perm)
}

// readProvider reads a whole file.
func readProvider(ctx context.Context, p Provider, name string) ([]byte, error) {
	f, err := p.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// Mkdir implements [WritableProvider].
func (o *Overlay) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if name == "." {
		return nil
	}
	name, p, err := o.place(ctx, "mkdir", name, true)
	if err != nil {
		return err
	}
	if p != nil {
		if info, err := p.Stat(ctx, name); err == nil {
			if !info.IsDir() {
				return memError("mkdir", name, syscall.ENOTDIR)
			}
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return o.upper.Mkdir(ctx, name, perm)
}

// Remove implements [WritableProvider].
func (o *Overlay) Remove(ctx context.Context, name string) error { return o.remove(ctx, name, false) }

// RemoveAll implements [WritableProvider].
func (o *Overlay) RemoveAll(ctx context.Context, name string) error { return o.remove(ctx, name, true) }

func (o *Overlay) remove(ctx context.Context, name string, all bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.removeLocked(ctx, name, all)
}

func (o *Overlay) removeLocked(ctx context.Context, name string, all bool) error {
	if name == "." {
		return memError("remove", name, ErrProtected)
	}
	p, name, err := o.at(ctx, "remove", name, false)
	if err != nil {
		return err
	}
	info, err := p.Lstat(ctx, name)
	if err != nil {
		return err
	}
	if info.IsDir() && !all {
		if list, err := o.list(ctx, p, name); err != nil {
			return err
		} else if len(list) > 0 {
			return memError("remove", name, syscall.ENOTEMPTY)
		}
	}
	if err := o.upper.RemoveAll(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	if !o.hides(name) {
		maps.DeleteFunc(o.deleted, func(below string, _ bool) bool { return strings.HasPrefix(below, name+"/") })
		o.deleted[name] = true
	}
	return nil
}

// Rename implements [WritableProvider]. Files of base are copied, so what is
// neither a file nor a directory, such as a symlink, cannot move.
func (o *Overlay) Rename(ctx context.Context, oldName, newName string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, from, err := o.at(ctx, "rename", oldName, false)
	if err != nil {
		return err
	}
	info, err := p.Lstat(ctx, from)
	if err != nil {
		return err
	}
	to, at, err := o.place(ctx, "rename", newName, false)
	if err != nil || to == from {
		return err
	}
	if from == "." || strings.HasPrefix(to, from+"/") {
		return memError("rename", oldName, fmt.Errorf("a directory cannot move into itself: %w", ErrName))
	}
	link := false
	if at != nil {
		there, err := at.Lstat(ctx, to)
		if err == nil && (there.IsDir() || info.IsDir()) {
			return memError("rename", newName, fs.ErrExist)
		}
		link = err == nil && !there.Mode().IsRegular()
	}
	if err := o.copyUp(ctx, p, from, to); err != nil {
		if info.IsDir() { // a part of it must not be seen
			_ = o.upper.RemoveAll(context.WithoutCancel(ctx), to)
		}
		return err
	}
	if link { // it gives way and is not written through
		o.deleted[to] = true
	}
	return o.removeLocked(context.WithoutCancel(ctx), from, true)
}

// copyUp copies what the overlay shows at from to another place in memory.
func (o *Overlay) copyUp(ctx context.Context, p Provider, from, to string) error {
	info, err := p.Lstat(ctx, from)
	if err != nil {
		return err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return memError("rename", from, fmt.Errorf("a %s cannot move in an overlay; remove it first", kindName(info.Mode())))
	}
	if !info.IsDir() {
		data, err := readProvider(ctx, p, from)
		if err != nil {
			return err
		}
		return o.upper.WriteFile(ctx, to, data, info.Mode().Perm())
	}
	if err := o.upper.Mkdir(ctx, to, info.Mode().Perm()); err != nil {
		return err
	}
	list, err := o.list(ctx, p, from)
	if err != nil {
		return err
	}
	for _, e := range list {
		sub := join(from, e.Name())
		layer := o.layer(ctx, sub)
		if layer == nil {
			continue
		}
		if err := o.copyUp(ctx, layer, sub, join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Chmod implements [WritableProvider].
func (o *Overlay) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, name, err := o.at(ctx, "chmod", name, true)
	if err != nil {
		return err
	}
	info, err := p.Stat(ctx, name)
	if err != nil {
		return err
	}
	if p != Provider(o.upper) && name != "." {
		if err := o.parents(ctx, "chmod", name); err != nil {
			return err
		}
		if info.IsDir() {
			err = o.upper.Mkdir(ctx, name, info.Mode().Perm())
		} else {
			err = o.copyUp(ctx, p, name, name)
		}
		if err != nil {
			return err
		}
	}
	return o.upper.Chmod(ctx, name, mode)
}
