package filesystem

import (
	"sync"
	"sync/atomic"
)

// DefaultIndexBytes is the default of [Options.IndexBytes].
const DefaultIndexBytes = 256 << 20

// contentIndex remembers of each file which grams (three or four bytes in a row)
// it contains, so that a search opens only the files that can match. A file is
// known by its size, times and inode; each search looks at those of every file,
// reads what has changed, and so needs no notification. With a watch it looks
// only at files of directories in which something was changed.
//
// Directories are kept with what they contain: a file's record hangs on the
// entry that names it, so that a search that finds a directory unchanged has
// the records of its files at hand.
type contentIndex struct {
	limit int64

	mu    sync.RWMutex
	dirs  map[string]*indexedDir
	files int // whose content is known
	bytes int64
	full  bool // something found no room

	skipped, opened atomic.Int64
	run             atomic.Uint64
	watch           *dirWatch // nil: every file is looked at
}

// indexedFile is the record of one file.
type indexedFile struct {
	content atomic.Pointer[fileContent] // nil: nothing is known
	gone    bool                        // no directory has the record any more; guarded by contentIndex.mu
}

// fileContent is what is known of a file in one state. Grams are kept as a
// filter that answers "perhaps" or "no": a bit array in which each of them sets
// one bit. That is small, can be replaced when the file changes, and is exact
// enough: a text of n bytes is looked up by 2n-5 bits, of which not quite one in
// five is set by chance. Grams of four tell more files apart, those of three
// serve texts that have no more.
type fileContent struct {
	stamp  fileStamp
	epoch  atomic.Uint64 // of the directory's watch when the stamp was right
	binary bool
	filter []uint64
}

const (
	// What things cost besides paths and filters, in bytes: a directory, an
	// entry of it, a record, and what is known of a file.
	dirOverhead     = 160
	entryOverhead   = 32
	recordOverhead  = 16
	contentOverhead = 88

	// maxIndexedFile is the size from which files are always searched.
	maxIndexedFile = 16 << 20
)

func newContentIndex(limit int64, watch bool) *contentIndex {
	if limit <= 0 {
		limit = DefaultIndexBytes
	}
	x := &contentIndex{limit: limit, dirs: make(map[string]*indexedDir)}
	if watch {
		x.watch = newDirWatch()
	}
	return x
}

func (c *fileContent) cost() int64 {
	if c == nil {
		return 0
	}
	return int64(8*len(c.filter) + contentOverhead)
}

// put remembers what a file contains, when there is room.
func (x *contentIndex) put(f *indexedFile, c *fileContent) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f.gone {
		return
	}
	x.forget(f)
	if x.bytes+c.cost() > x.limit {
		x.full = true
		return
	}
	f.content.Store(c)
	x.bytes += c.cost()
	x.files++
}

// forget drops what is known of a file. x.mu must be held.
func (x *contentIndex) forget(f *indexedFile) {
	if old := f.content.Swap(nil); old != nil {
		x.bytes -= old.cost()
		x.files--
	}
}

// prune makes room, when there was none, by what a search of the whole tree did
// not meet.
func (x *contentIndex) prune() {
	now := x.run.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.full {
		return
	}
	x.full = false
	for path, d := range x.dirs {
		if d.seen.Load() != now {
			x.drop(path, d)
		}
	}
}
