package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// DefaultMaxFileSize is the default of [Options.MaxFileSize].
const DefaultMaxFileSize = 64 << 20

// Options describe a [Service]. The zero value serves the current directory.
type Options struct {
	// Root is the directory to serve. Empty means the current directory. It is
	// not used when there is a Provider.
	Root string

	// Provider serves another file tree than a local directory.
	Provider Provider

	// Providers, instead of Provider, serves the one that is selected at the
	// time of each call; one must be selected now. When none is selected any
	// more, the last one stays in use.
	Providers *registry.SingleSelector[Provider]

	// Ignore chooses what walks, globs and searches leave out.
	Ignore IgnoreOptions

	// Index keeps an index of file contents in memory, which makes the second
	// and later searches much faster. The first search builds it.
	Index bool

	// IndexBytes bounds the index. 0 means DefaultIndexBytes; files for which
	// there is no room are searched as without an index.
	IndexBytes int64

	// IndexWatch spares the index from looking at every file again: on Linux the
	// system says in which directories something was written. It says so before
	// the program that writes goes on, so no search misses a finished write,
	// except one through shared memory (mmap), through a hard link elsewhere, or
	// by another machine that mounts the same files.
	IndexWatch bool

	// CacheBytes bounds a cache of contents of files that were read as a whole.
	// 0 means none: the operating system keeps contents too, and a cache pays
	// only where reading is slow.
	CacheBytes int64

	// ExistsTTL is how long Exists may answer from memory, unless the service
	// learns of a change before: its own, one of a program that it ran, or any
	// while Track watches. 0 means not at all, which is right for local files: a
	// look is cheaper there than a wrong answer.
	ExistsTTL time.Duration

	// MaxFileSize bounds, in bytes, files that are read or written as a whole.
	// 0 means DefaultMaxFileSize, negative means no bound.
	MaxFileSize int64

	// Protect are names of directories and files that must not be changed or
	// removed, wherever they lie; case does not count. Nil means {".git"}: a hook
	// in there would run outside of any approval. A directory that contains one
	// may be moved. A symlink to one is seen through in the providers of this
	// package; others must refuse to write through it themselves.
	Protect []string

	// Run bounds the run tool.
	Run RunOptions

	// Validators check the new content of files before it is written by an
	// edit, by extension with its dot. Nil means [DefaultValidators]; an empty
	// map means none.
	Validators map[string]Validator

	// Trace observes. Logger takes what goes wrong in the background; nil means
	// slog.Default().
	Trace  Trace
	Logger *slog.Logger
}

// Service gives access to one file tree. It is safe for concurrent use.
type Service struct {
	opts    Options
	logger  *slog.Logger
	current atomic.Pointer[tree]
	opened  io.Closer // the provider, when the service opened it

	edits sync.Mutex // held from reading a file to writing its next content

	mu       sync.Mutex
	dirt     dirt
	selected []string
	seen     map[string]uint64    // hash of the content that the model knows
	state    uint64               // generation of the slice's state
	own      map[string]fileStamp // what the service itself wrote while tracking

	tracking atomic.Int32

	reads, writes, searches, failed atomic.Int64
}

// New opens a file tree. Close it when it is no longer needed.
func New(opts Options) (*Service, error) {
	s := &Service{opts: opts, logger: opts.Logger, seen: make(map[string]uint64), own: make(map[string]fileStamp)}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	provider := opts.Provider
	if opts.Providers != nil {
		var err error
		if provider, err = opts.Providers.Require(); err != nil {
			return nil, fmt.Errorf("open file tree: %w", err)
		}
	}
	if provider == nil {
		local, err := NewLocal(orDefault(opts.Root, "."))
		if err != nil {
			return nil, err
		}
		provider, s.opened = local, local
	}
	s.current.Store(newTree(provider, opts))
	return s, nil
}

// Close releases what New opened.
func (s *Service) Close() error {
	s.current.Load().close()
	if s.opened == nil {
		return nil
	}
	return s.opened.Close()
}

// tree returns what is served now.
func (s *Service) tree() *tree {
	t := s.current.Load()
	if s.opts.Providers == nil {
		return t
	}
	_, p, ok := s.opts.Providers.Active()
	if !ok || p == nil || sameProvider(p, t.provider) {
		return t
	}
	next := newTree(p, s.opts)
	if !s.current.CompareAndSwap(t, next) {
		return s.tree()
	}
	return next
}

func sameProvider(a, b Provider) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// Provider returns the file tree that is served.
func (s *Service) Provider() Provider { return s.tree().provider }

// clean turns a name as a model writes it into a name of the provider. An
// absolute path of this machine that lies in the root is accepted.
func (s *Service) clean(name string) (string, error) {
	if h, ok := s.tree().provider.(hosted); ok && filepath.IsAbs(name) {
		if rel, err := filepath.Rel(h.Dir(), name); err == nil && filepath.IsLocal(rel) {
			name = filepath.ToSlash(rel)
		} else {
			return "", fmt.Errorf("%q is not below %s; use a path relative to it: %w", name, h.Dir(), ErrOutsideRoot)
		}
	}
	return CleanName(name)
}

// Stat describes what name refers to after symlinks.
func (s *Service) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	clean, err := s.clean(name)
	if err != nil {
		return nil, err
	}
	return s.tree().provider.Stat(ctx, clean)
}

// Exists reports whether name is a file or directory. Names that cannot be, or
// cannot be looked at, are errors.
func (s *Service) Exists(ctx context.Context, name string) (bool, error) {
	clean, err := s.clean(name)
	if err != nil {
		return false, err
	}
	t := s.tree()
	if t.exists == nil {
		return exists(t.provider.Stat(ctx, clean))
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	generation, asked := s.WriteGeneration()+t.exists.runs.Load(), time.Now()
	if found, ok := t.exists.get(clean, generation); ok {
		return found, nil
	}
	found, err := exists(t.provider.Stat(ctx, clean))
	if err == nil {
		t.exists.names.Add(clean, existsAnswer{found, generation, asked})
	}
	return found, err
}

// exists takes the answer of a Stat.
func exists(_ fs.FileInfo, err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ReadDir lists a directory, sorted by name, ignored entries included.
func (s *Service) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	clean, err := s.clean(name)
	if err != nil {
		return nil, err
	}
	return s.tree().provider.ReadDir(ctx, clean)
}

// ReadFile returns the content of a file. A file over Options.MaxFileSize is
// ErrTooLarge: read a part of it with ReadRange or ReadLines.
func (s *Service) ReadFile(ctx context.Context, name string) (data []byte, err error) {
	began := s.begin()
	defer func() { s.done(ctx, began, "read", name, int64(len(data)), err) }()
	clean, err := s.clean(name)
	if err != nil {
		return nil, err
	}
	return s.readClean(ctx, s.tree(), clean)
}

func (s *Service) readClean(ctx context.Context, t *tree, name string) ([]byte, error) {
	opened := time.Now()
	f, err := t.openFile(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.reads.Add(1)
	limit := s.maxFileSize()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if limit >= 0 && info.Size() > limit {
		return nil, tooLarge("read", name, info.Size(), limit)
	}
	if data, ok := t.cached(ctx, name, info); ok {
		return slices.Clone(data), nil
	}
	data := make([]byte, 0, max(info.Size()+1, 512))
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case limit >= 0 && int64(len(data)) > limit:
			return nil, tooLarge("read", name, int64(len(data)), limit)
		case err == io.EOF:
			if c := t.contents; c != nil && int64(len(data)) == info.Size() {
				c.put(name, stampOf(info), opened, slices.Clone(data))
			}
			return data, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, err)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
}

func tooLarge(op, name string, size, limit int64) error {
	return &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%d bytes are more than the limit of %d: %w", size, limit, ErrTooLarge)}
}

func (s *Service) maxFileSize() int64 {
	if s.opts.MaxFileSize == 0 {
		return DefaultMaxFileSize
	}
	return s.opts.MaxFileSize
}

// openFile opens a file, not a directory.
func (t *tree) openFile(ctx context.Context, name string) (fs.File, error) {
	f, err := t.provider.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		f.Close()
		if err == nil {
			err = &fs.PathError{Op: "read", Path: name, Err: errors.New("it is a directory")}
		}
		return nil, err
	}
	return f, nil
}
