package filesystem

import (
	"context"
	"io/fs"
	"path"
)

// ReadOnly serves an fs.FS, such as an embed.FS or an archive, as a Provider
// that takes no changes. Symlinks of an [fs.ReadLinkFS] are followed while they
// stay inside.
func ReadOnly(fsys fs.FS) Provider { return &fsProvider{fsys} }

type fsProvider struct{ fsys fs.FS }

func (p *fsProvider) check(ctx context.Context, op, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: ErrName}
	}
	return nil
}

// resolve implements resolver.
func (p *fsProvider) resolve(name string) (string, error) {
	links, ok := p.fsys.(fs.ReadLinkFS)
	if !ok {
		return name, nil
	}
	return resolveLinks(name, links.Lstat, links.ReadLink)
}

func (p *fsProvider) readlink(name string) (string, error) { return fs.ReadLink(p.fsys, name) }

// Open implements [Provider].
func (p *fsProvider) Open(ctx context.Context, name string) (fs.File, error) {
	if _, err := p.Stat(ctx, name); err != nil {
		return nil, err
	}
	real, err := p.resolve(name)
	if err != nil {
		return nil, err
	}
	return p.fsys.Open(real)
}

// Stat implements [Provider].
func (p *fsProvider) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := p.check(ctx, "stat", name); err != nil {
		return nil, err
	}
	real, err := p.resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := fs.Stat(p.fsys, real)
	if err != nil {
		return nil, err
	}
	return info, checkKind("stat", name, info.Mode())
}

// Lstat implements [Provider].
func (p *fsProvider) Lstat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := p.check(ctx, "lstat", name); err != nil {
		return nil, err
	}
	dir, err := p.resolve(path.Dir(name))
	if err != nil {
		return nil, err
	}
	return fs.Lstat(p.fsys, join(dir, path.Base(name)))
}

// ReadDir implements [Provider].
func (p *fsProvider) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	if err := p.check(ctx, "readdir", name); err != nil {
		return nil, err
	}
	real, err := p.resolve(name)
	if err != nil {
		return nil, err
	}
	return fs.ReadDir(p.fsys, real)
}
