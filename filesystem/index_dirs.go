package filesystem

import (
	"strings"
	"sync/atomic"
	"time"
)

// indexedDir is what a directory contains. It stays true for as long as the
// directory has the same stamp, because making, moving and removing an entry
// changes the modification time of the directory that contains it.
type indexedDir struct {
	stamp   fileStamp
	entries []Entry // regular files with their records
	cost    int64   // in bytes, without what is known of the files
	seen    atomic.Uint64
	whole   atomic.Pointer[wholeUnder]
}

// wholeUnder says under which rules and options nothing of a directory is left
// out.
type wholeUnder struct {
	chain              *ruleChain
	noIgnore, noHidden bool
}

// watchedNode is a directory that the system can watch.
type watchedNode interface {
	watch(w *dirWatch, dir string)
	epoch() uint64 // for as long as a later one is the same, no file was changed; 0 says nothing
}

// entries reads a directory, from the index when it holds what the directory
// still contains, and returns what it holds.
func (t *tree) entries(dir string, node dirNode, prefix string, list []Entry) ([]Entry, *indexedDir, error) {
	if t.index == nil {
		list, err := node.entries(prefix, list)
		return list, nil, err
	}
	stamp, looked := node.self(), time.Now()
	if n, ok := node.(watchedNode); ok && t.index.watch != nil && stamp.valid() {
		n.watch(t.index.watch, dir)
	}
	if known := t.index.dir(dir, stamp); known != nil {
		return append(list, known.entries...), known, nil
	}
	begin := len(list)
	list, err := node.entries(prefix, list)
	if err == nil {
		if !stamp.settledAt(looked) {
			stamp = fileStamp{}
		}
		t.index.putDir(dir, stamp, list[begin:])
	}
	return list, nil, err
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

// putDir remembers what a directory contains, when there is room, and gives the
// entries their records: those that they had, or new ones. With a stamp that is
// not valid the records are all that is used of it later.
func (x *contentIndex) putDir(path string, stamp fileStamp, entries []Entry) {
	d := &indexedDir{stamp: stamp, cost: int64(len(path) + dirOverhead)}
	files := 0
	for _, e := range entries {
		d.cost += int64(len(e.Path) + entryOverhead)
		if e.IsRegular() {
			d.cost += recordOverhead
			files++
		}
	}
	d.seen.Store(x.run.Load())
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.dirs[path]
	if old != nil {
		x.carry(old.entries, entries)
		x.bytes -= old.cost
		delete(x.dirs, path)
	}
	if x.bytes+d.cost > x.limit {
		x.full = true
		for i := range entries {
			if f := entries[i].record; f != nil {
				x.forget(f)
				f.gone, entries[i].record = true, nil
			}
		}
		return
	}
	fresh := make([]indexedFile, files)
	for i := range entries {
		if entries[i].IsRegular() && entries[i].record == nil {
			entries[i].record, fresh = &fresh[0], fresh[1:]
		}
	}
	d.entries = append(make([]Entry, 0, len(entries)), entries...)
	x.dirs[path] = d
	x.bytes += d.cost
}

// carry gives entries the records that they had in an earlier listing, and
// forgets what is not in the directory any more. x.mu must be held.
func (x *contentIndex) carry(old, entries []Entry) {
	var places map[string]int // in entries, made when the order is another
	place := func(i int) (int, bool) {
		if i < len(entries) && entries[i].Path == old[i].Path {
			return i, true
		}
		if places == nil {
			places = make(map[string]int, len(entries))
			for i, e := range entries {
				places[e.Path] = i
			}
		}
		at, ok := places[old[i].Path]
		return at, ok
	}
	for i, e := range old {
		at, ok := place(i)
		switch same := ok && entries[at].Type == e.Type; {
		case same:
			entries[at].record = e.record
		case e.record != nil:
			x.forget(e.record)
			e.record.gone = true
		case e.IsDir():
			for path, d := range x.dirs {
				if rest, below := strings.CutPrefix(path, e.Path); below && (rest == "" || rest[0] == '/') {
					x.drop(path, d)
				}
			}
		}
	}
}

// drop forgets a directory with its files. x.mu must be held.
func (x *contentIndex) drop(path string, d *indexedDir) {
	for _, e := range d.entries {
		if e.record != nil {
			x.forget(e.record)
			e.record.gone = true
		}
	}
	x.bytes -= d.cost
	delete(x.dirs, path)
	x.watch.drop(path)
}
