package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// DefaultDebounce is the default of [WatchOptions.Debounce].
const DefaultDebounce = 100 * time.Millisecond

// Rescan is the kind of an event that says that changes were missed, because
// there were too many at once or because the rules or the root changed: look at
// everything again.
const Rescan ChangeKind = "rescan"

// WatchOptions describe a watch.
type WatchOptions struct {
	// Debounce is how long a watch waits for further changes before it reports
	// those it has seen, at most ten times over. 0 means DefaultDebounce.
	Debounce time.Duration

	// Ready, when not nil, is called once all directories are watched: changes
	// from then on are reported.
	Ready func()
}

// WatchEvent is something that changed in the tree. Path is "." for a Rescan. A
// file that is replaced by renaming another, as editors and WriteFile do, counts
// as Created: the system does not say whether there was one.
type WatchEvent struct {
	Path string
	Kind ChangeKind
	Dir  bool
}

// ErrNoWatch reports a file tree that cannot tell what changes.
var ErrNoWatch = errors.New("the file tree cannot be watched")

// Watch yields what changes in the tree, whoever changes it, until ctx ends or
// the caller stops. What is ignored is left out. Several changes of a file
// within the debounce time are one event; events come sorted by path. The watch
// follows directories that are made and moved, and goes on when the root itself
// is renamed. The error that ends it comes last; that of ctx is one.
func (s *Service) Watch(ctx context.Context, opts WatchOptions) iter.Seq2[WatchEvent, error] {
	return func(yield func(WatchEvent, error) bool) {
		t := s.tree()
		local, ok := t.provider.(*Local)
		if !ok {
			yield(WatchEvent{}, ErrNoWatch)
			return
		}
		w, err := newWatch(ctx, t, local, opts)
		if err != nil {
			yield(WatchEvent{}, fmt.Errorf("watch: %w", err))
			return
		}
		defer w.close()
		if opts.Ready != nil {
			opts.Ready()
		}
		if err := w.run(yield); err != nil {
			yield(WatchEvent{}, err)
		}
	}
}

// watch is one watch on its way.
type watch struct {
	ctx      context.Context
	tree     *tree
	local    *Local
	notify   *fsnotify.Watcher
	addPath  func(path string) error // of notify
	base     string                  // how the root is named towards the system
	release  func()
	debounce time.Duration
	dirs     map[string]bool     // that are watched
	changed  map[string]sawState // since the last report
	rescan   bool
	failed   error // a new directory cannot be watched
}

// sawState says what happened to a path within the debounce time.
type sawState struct {
	created bool // it was not there before
	rules   bool
}

func newWatch(ctx context.Context, t *tree, local *Local, opts WatchOptions) (*watch, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watch{ctx: ctx, tree: t, local: local, notify: notify, addPath: notify.Add, debounce: opts.Debounce}
	if w.debounce <= 0 {
		w.debounce = DefaultDebounce
	}
	if w.base, w.release, err = local.watchBase(); err != nil {
		notify.Close()
		return nil, err
	}
	w.forget()
	w.dirs = make(map[string]bool)
	if err := w.add("."); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *watch) close() {
	w.notify.Close()
	w.release()
}

func (w *watch) forget() {
	w.changed, w.rescan = make(map[string]sawState), false
}

// add watches a directory and all below it that are not ignored.
func (w *watch) add(dir string) error {
	if err := w.addOne(dir); err != nil {
		return err
	}
	var failed error
	walk := walker{tree: w.tree, ctx: w.ctx}
	walk.yield = func(e Entry, err error) bool {
		if err == nil && e.IsDir() {
			if err := w.addOne(e.Path); err != nil && !outOfSight(err) {
				failed = err
			}
		}
		return failed == nil
	}
	walk.start(dir)
	return cmp.Or(failed, w.ctx.Err())
}

func (w *watch) addOne(dir string) error {
	err := w.addPath(filepath.Join(w.base, filepath.FromSlash(dir)))
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("the system watches no more directories for this user; on Linux, raise fs.inotify.max_user_watches: %w", err)
	}
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	w.dirs[dir] = true
	return nil
}

// outOfSight reports whether a directory cannot be watched because it is gone
// again or cannot be read, so that nobody misses what changes in it.
func outOfSight(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// drop ends the watch of a directory that went away, and of all below it.
func (w *watch) drop(dir string) {
	for d := range w.dirs {
		if d == dir || strings.HasPrefix(d, dir+"/") {
			_ = w.notify.Remove(filepath.Join(w.base, filepath.FromSlash(d)))
			delete(w.dirs, d)
		}
	}
}

func (w *watch) run(yield func(WatchEvent, error) bool) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	var first time.Time
	for {
		select {
		case <-w.ctx.Done():
			return w.ctx.Err()
		case event, ok := <-w.notify.Events:
			if !ok {
				return errors.New("watch: ended by the system")
			}
			if !w.see(event) {
				continue
			}
			if w.failed != nil {
				return fmt.Errorf("watch: %w", w.failed)
			}
		case err, ok := <-w.notify.Errors:
			if !ok {
				return errors.New("watch: ended by the system")
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch: %w", err)
			}
			w.rescan = true
		case <-timer.C:
			first = time.Time{}
			if !w.report(yield) {
				return nil
			}
			continue
		}
		if first.IsZero() {
			first = time.Now()
		}
		if time.Since(first) < 10*w.debounce {
			timer.Reset(w.debounce)
		}
	}
}

// see records an event and reports whether there is something to tell.
func (w *watch) see(event fsnotify.Event) bool {
	rel, err := filepath.Rel(w.base, event.Name)
	if err != nil || event.Op == fsnotify.Chmod && rel == "." {
		return false
	}
	name := filepath.ToSlash(rel)
	if name == "." {
		if event.Has(fsnotify.Rename) || event.Has(fsnotify.Remove) {
			// The root was moved. It is still open, so it can still be watched.
			delete(w.dirs, ".")
			w.rescan = true
			return true
		}
		return false
	}
	if !filepath.IsLocal(rel) || isTempName(name) {
		return false
	}
	state, known := w.changed[name]
	if event.Has(fsnotify.Create) && !known {
		state.created = true
	}
	wasDir := w.dirs[name]
	if event.Has(fsnotify.Rename) || event.Has(fsnotify.Remove) {
		w.drop(name)
	}
	info, err := w.local.Lstat(w.ctx, name)
	gone, isDir := err != nil, err == nil && info.IsDir()
	_, ignored, err := w.tree.chainTo(w.ctx, name, isDir || gone && wasDir)
	if err == nil && !ignored && gone && !wasDir {
		// It was a file, or a directory that only a rule for directories ignores,
		// such as what a build removes and makes again.
		_, ignored, err = w.tree.chainTo(w.ctx, name, true)
	}
	if err != nil || ignored {
		return false
	}
	if isDir && event.Has(fsnotify.Create) {
		w.enter(name)
	}
	last := name[strings.LastIndexByte(name, '/')+1:]
	state.rules = last == gitIgnoreName || last == aiIgnoreName
	w.changed[name] = state
	return true
}

// isTempName reports whether name is that of a file that is being written.
func isTempName(name string) bool {
	last := name[strings.LastIndexByte(name, '/')+1:]
	return strings.HasPrefix(last, tempPrefix) && strings.HasSuffix(last, tempSuffix)
}

// enter watches a new directory and records what was made in it before.
func (w *watch) enter(dir string) {
	if err := w.add(dir); err != nil {
		if !outOfSight(err) && w.ctx.Err() == nil {
			w.failed = err
		}
		return
	}
	walk := walker{tree: w.tree, ctx: w.ctx}
	walk.yield = func(e Entry, err error) bool {
		if _, known := w.changed[e.Path]; err == nil && !known {
			w.changed[e.Path] = sawState{created: true}
		}
		return true
	}
	walk.start(dir)
}

// report yields what was recorded.
func (w *watch) report(yield func(WatchEvent, error) bool) bool {
	changed, rescan := w.changed, w.rescan
	w.forget()
	for _, name := range slices.SortedFunc(maps.Keys(changed), comparePaths) {
		state := changed[name]
		event := WatchEvent{Path: name, Kind: Modified}
		info, err := w.local.Lstat(w.ctx, name)
		switch {
		case w.ctx.Err() != nil:
			return true // nobody knows any more
		case errors.Is(err, fs.ErrNotExist) && state.created:
			continue // it came and went
		case err != nil:
			event.Kind = Deleted
		case state.created:
			event.Kind = Created
		}
		event.Dir = err == nil && info.IsDir()
		rescan = rescan || state.rules
		if event.Dir && event.Kind == Modified {
			continue // what changed in it is told by itself
		}
		if !yield(event, nil) {
			return false
		}
	}
	if rescan {
		if err := w.add("."); err != nil {
			return yield(WatchEvent{}, fmt.Errorf("watch: %w", err))
		}
		return yield(WatchEvent{Path: ".", Kind: Rescan}, nil)
	}
	return true
}

// Track watches the tree until ctx ends and marks as dirty what others change.
// Changes by the service itself are not marked a second time, except what lies in
// a directory that it moved or removed. On a Rescan the root is marked, because
// nobody knows what changed.
func (s *Service) Track(ctx context.Context, opts WatchOptions) error {
	s.tracking.Add(1)
	defer func() {
		if s.tracking.Add(-1) == 0 {
			s.mu.Lock()
			clear(s.own)
			s.mu.Unlock()
		}
	}()
	for event, err := range s.Watch(ctx, opts) {
		if err != nil {
			return err
		}
		if event.Kind == Rescan || !s.isOwn(ctx, event) {
			s.wrote(ctx, event.Path)
		}
	}
	return ctx.Err()
}

// isOwn reports whether a file still is as the service last wrote it.
func (s *Service) isOwn(ctx context.Context, event WatchEvent) bool {
	s.mu.Lock()
	own, ok := s.own[event.Path]
	s.mu.Unlock()
	if !ok {
		return false
	}
	info, err := s.tree().provider.Lstat(ctx, event.Path)
	if err != nil {
		return own == fileStamp{}
	}
	return own == stampOf(info) || info.IsDir() && own != fileStamp{}
}
