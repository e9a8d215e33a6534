package filesystem

import (
	"sync/atomic"
	"time"
)

// indexedDir is what a directory contains. It stays true for as long as the
// directory has the same stamp, because making, moving and removing an entry
// changes the modification time of the directory that contains it.
type indexedDir struct {
	stamp   fileStamp
	entries []Entry
	cost    int64 // in bytes
	seen    atomic.Uint64
}

// watchedNode is a directory that the system can watch.
type watchedNode interface {
	watch(w *dirWatch, dir string)
	epoch() uint64 // for as long as a later one is the same, no file was changed; 0 says nothing
}

// entries reads a directory, from the index when it holds what the directory
// still contains.
func (t *tree) entries(dir string, node dirNode, prefix string, list []Entry) ([]Entry, error) {
	if t.index == nil {
		return node.entries(prefix, list)
	}
	stamp, looked := node.self(), time.Now()
	if n, ok := node.(watchedNode); ok && t.index.watch != nil && stamp.valid() {
		n.watch(t.index.watch, dir)
	}
	if known := t.index.dir(dir, stamp); known != nil {
		return append(list, known.entries...), nil
	}
	begin := len(list)
	list, err := node.entries(prefix, list)
	if err == nil {
		t.index.putDir(dir, stamp, looked, list[begin:])
	}
	return list, err
}

// dir returns what a directory contains in this state, or nil.
func (x *contentIndex) dir(path string, stamp fileStamp) *indexedDir {
	x.mu.RLock()
	d := x.dirs[path]
	x.mu.RUnlock()
	if d == nil || !stamp.valid() || d.stamp != stamp {
		return nil
	}
	d.seen.Store(x.run.Load())
	return d
}

// putDir remembers what a directory contains, when there is room.
func (x *contentIndex) putDir(path string, stamp fileStamp, looked time.Time, entries []Entry) {
	if !stamp.valid() || !stamp.settledAt(looked) {
		return
	}
	d := &indexedDir{stamp: stamp, entries: append(make([]Entry, 0, len(entries)), entries...), cost: int64(len(path) + indexedOverhead)}
	for _, e := range entries {
		d.cost += int64(len(e.Path) + entryOverhead)
	}
	d.seen.Store(x.run.Load())
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.dirs[path]; old != nil {
		x.bytes -= old.cost
		delete(x.dirs, path)
	}
	if x.bytes+d.cost > x.limit {
		return
	}
	x.dirs[path] = d
	x.bytes += d.cost
}
