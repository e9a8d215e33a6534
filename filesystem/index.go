package filesystem

import (
	"bytes"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultIndexBytes is the default of [Options.IndexBytes].
const DefaultIndexBytes = 256 << 20

// contentIndex remembers of each file which trigrams (three bytes in a row) it
// contains, so that a search opens only the files that can match. A file is
// known by its size, times and inode; each search looks at those of every file,
// reads what has changed, and so needs no notification. With a watch it looks
// only at files of directories in which something was changed.
//
// Per file the trigrams are kept as a filter that answers "perhaps" or "no": a
// bit array in which each trigram sets one bit. That is small, can be replaced
// when the file changes, and is exact enough: a text of n bytes is looked up by
// n-2 bits, of which one in seven is set by chance.
type contentIndex struct {
	limit int64

	mu    sync.RWMutex
	files map[string]*indexedFile
	dirs  map[string]*indexedDir
	bytes int64

	skipped, opened atomic.Int64
	run             atomic.Uint64
	watch           *dirWatch // nil: every file is looked at
}

type indexedFile struct {
	stamp  fileStamp
	binary bool
	filter []uint64
	size   uint64 // of the filter in bits
	seen   atomic.Uint64
	epoch  atomic.Uint64 // of the directory's watch when the stamp was right
}

const (
	// bitsPerTrigram is the room that a filter has for each trigram.
	bitsPerTrigram = 7

	// indexedOverhead is what a file costs besides its filter, in bytes, and
	// entryOverhead what an entry of a directory costs besides its path.
	indexedOverhead = 120
	entryOverhead   = 24

	// maxIndexedFile is the size from which files are always searched.
	maxIndexedFile = 16 << 20
)

func newContentIndex(limit int64, watch bool) *contentIndex {
	if limit <= 0 {
		limit = DefaultIndexBytes
	}
	x := &contentIndex{limit: limit, files: make(map[string]*indexedFile), dirs: make(map[string]*indexedDir)}
	if watch {
		x.watch = newDirWatch()
	}
	return x
}

// find returns what is known of a file in some state, or nil.
func (x *contentIndex) find(path string) *indexedFile {
	x.mu.RLock()
	f := x.files[path]
	x.mu.RUnlock()
	if f != nil {
		f.seen.Store(x.run.Load())
	}
	return f
}

// put remembers a file, when there is room.
func (x *contentIndex) put(path string, f *indexedFile, now time.Time) {
	if !f.stamp.valid() || !f.stamp.settledAt(now) {
		return
	}
	f.seen.Store(x.run.Load())
	x.mu.Lock()
	defer x.mu.Unlock()
	grow := f.cost(path)
	if old := x.files[path]; old != nil {
		x.bytes -= old.cost(path)
		delete(x.files, path)
	}
	if x.bytes+grow > x.limit {
		return
	}
	x.files[path] = f
	x.bytes += grow
}

func (f *indexedFile) cost(path string) int64 {
	return int64(8*len(f.filter) + len(path) + indexedOverhead)
}

// prune forgets the files that a search of the whole tree did not meet.
func (x *contentIndex) prune() {
	now := x.run.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	for path, f := range x.files {
		if f.seen.Load() != now {
			x.bytes -= f.cost(path)
			delete(x.files, path)
		}
	}
	for path, d := range x.dirs {
		if d.seen.Load() != now {
			x.bytes -= d.cost
			delete(x.dirs, path)
		}
	}
	x.watch.prune(func(dir string) bool { return x.dirs[dir] != nil })
}

// contains reports whether a file may contain one of the texts, of which each is
// given by the hashes of its trigrams.
func (f *indexedFile) contains(texts [][]uint32) bool {
	for _, grams := range texts {
		all := true
		for _, g := range grams {
			at, _ := bits.Mul64(uint64(g)<<32, f.size)
			if f.filter[at>>6]&(1<<(at&63)) == 0 {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

// hashTrigram spreads a trigram over 32 bits.
func hashTrigram(g uint32) uint32 { return g * 0x9e3779b1 }

// trigramsOf returns the hashes of a text's trigrams. Letters count in lower
// case, so that one index serves both kinds of searches.
func trigramsOf(text []byte) []uint32 {
	var out []uint32
	for i := 0; i+2 < len(text); i++ {
		a, b, c := lowered[text[i]], lowered[text[i+1]], lowered[text[i+2]]
		if a != '\n' && b != '\n' && c != '\n' {
			out = append(out, hashTrigram(uint32(a)|uint32(b)<<8|uint32(c)<<16))
		}
	}
	return out
}

var lowered = func() (t [256]byte) {
	for i := range t {
		t[i] = foldByte(byte(i), true)
	}
	return t
}()

// required returns the texts of which one must be in a file that matches, or nil
// when any file may.
func (m *matcher) required() [][]uint32 {
	var out [][]uint32
	for _, f := range m.finders {
		grams := trigramsOf(f.text)
		if len(grams) == 0 {
			return nil
		}
		out = append(out, grams)
	}
	return out
}

// gramSet collects the different trigrams of one file after the other.
type gramSet struct {
	seen [1 << 24 / 64]uint64 // a bit for each trigram
	list []uint32
}

// add collects the trigrams of whole lines.
func (g *gramSet) add(text []byte) {
	for line := range bytes.Lines(text) {
		if line[len(line)-1] == '\n' {
			line = line[:len(line)-1]
		}
		if len(line) < 3 {
			continue
		}
		gram := uint32(lowered[line[0]])<<8 | uint32(lowered[line[1]])<<16
		for _, c := range line[2:] {
			gram = gram>>8 | uint32(lowered[c])<<16
			if word, bit := &g.seen[gram>>6], uint64(1)<<(gram&63); *word&bit == 0 {
				*word |= bit
				g.list = append(g.list, gram)
			}
		}
	}
}

// filter makes the filter of what was collected and forgets it.
func (g *gramSet) filter(f *indexedFile) {
	f.size = uint64(max(64, (len(g.list)*bitsPerTrigram+63)&^63))
	f.filter = make([]uint64, f.size/64)
	for _, gram := range g.list {
		at, _ := bits.Mul64(uint64(hashTrigram(gram))<<32, f.size)
		f.filter[at>>6] |= 1 << (at & 63)
		g.seen[gram>>6] &^= 1 << (gram & 63)
	}
	g.list = g.list[:0]
}

func (w *searchWorker) forgetGrams() {
	if w.grams != nil && len(w.grams.list) > 0 {
		w.grams.filter(new(indexedFile))
	}
}

// visitIndexed decides about a file by the index. Whatever is not decided is
// left to visit.
func (r *searchRun) visitIndexed(worker int, dir dirNode, e Entry) bool {
	x, w := r.tree.index, &r.workers[worker]
	var epoch uint64
	if n, ok := dir.(watchedNode); ok {
		epoch = n.epoch()
	}
	known := x.find(e.Path)
	if known == nil || epoch == 0 || known.epoch.Load() != epoch {
		stamp, err := dir.stat(e.Name())
		if err != nil {
			return r.visit(worker, dir, e) // which reports it
		}
		if known == nil || known.stamp != stamp {
			if stamp.Size <= maxIndexedFile {
				w.learn = &indexedFile{stamp: stamp}
				w.learn.epoch.Store(epoch)
			}
			ok := r.visit(worker, dir, e)
			w.learn = nil
			return ok
		}
		known.epoch.Store(epoch)
	}
	switch {
	case r.q.MaxFileSize > 0 && known.stamp.Size > r.q.MaxFileSize:
		w.tooLarge++
	case known.binary:
		w.searched++
		w.binary++
		w.skipped++
	case r.required != nil && !known.contains(r.required):
		w.searched++
		w.skipped++
	default:
		return r.visit(worker, dir, e)
	}
	return true
}

// learned puts what a worker read of a file into the index.
func (r *searchRun) learned(w *searchWorker, path string, binary bool) {
	f := w.learn
	if f.binary = binary; !binary {
		w.grams.filter(f)
	}
	r.tree.index.put(path, f, r.began)
}
