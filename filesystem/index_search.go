package filesystem

import "time"

// learning is what a search finds out about a file for the index.
type learning struct {
	file  *indexedFile // nil: nothing
	stamp fileStamp
	epoch uint64
}

// visitIndexed decides about a file by the index. Whatever is not decided is
// left to visit.
func (r *searchRun) visitIndexed(worker int, dir dirNode, e Entry) bool {
	w := &r.workers[worker]
	w.record, w.epoch = e.record, 0
	if e.record == nil {
		return r.visitRegular(worker, dir, e)
	}
	if n, ok := dir.(watchedNode); ok {
		w.epoch = n.epoch()
	}
	// A file that may match is opened in any case, which tells its state too.
	known := e.record.content.Load()
	if known == nil || r.mayMatch(known) || !unchanged(known, dir, e.Name(), w.epoch) {
		return r.visit(worker, dir, e)
	}
	if r.tooLarge(known.stamp) {
		w.tooLarge++
		return true
	}
	w.searched++
	w.skipped++
	if known.binary {
		w.binary++
	}
	return true
}

// mayMatch reports whether what is known of a file leaves open what a search
// finds in it.
func (r *searchRun) mayMatch(known *fileContent) bool {
	return !r.tooLarge(known.stamp) && !known.binary && (r.required == nil || known.contains(r.required))
}

// unchanged reports whether a file is still as it is known.
func unchanged(known *fileContent, dir dirNode, name string, epoch uint64) bool {
	if epoch != 0 && known.epoch.Load() == epoch {
		return true
	}
	stamp, err := dir.stat(name)
	if err != nil || stamp != known.stamp {
		return false
	}
	known.epoch.Store(epoch)
	return true
}

// learns returns what the index wants to know of a file that was opened in some
// state.
func (r *searchRun) learns(w *searchWorker, stamp fileStamp) learning {
	f, epoch := w.record, w.epoch
	w.record = nil
	if f == nil {
		return learning{}
	}
	if known := f.content.Load(); known != nil && known.stamp == stamp {
		known.epoch.Store(epoch)
		return learning{}
	}
	if stamp.Size > maxIndexedFile || !stamp.valid() || !stamp.settledAt(r.began) {
		return learning{}
	}
	if w.grams == nil {
		w.grams = new(gramSet)
	}
	w.grams.forget() // a file that could not be read to its end
	return learning{f, stamp, epoch}
}

// learned puts what a worker read of a file into the index.
func (r *searchRun) learned(w *searchWorker, l learning, binary bool) {
	c := &fileContent{stamp: l.stamp, binary: binary}
	c.epoch.Store(l.epoch)
	if !binary {
		c.filter = w.grams.filter()
	}
	r.tree.index.put(l.file, c)
}

// beginIndexed prepares a search that uses the index.
func (r *searchRun) beginIndexed(x *contentIndex) {
	r.required, r.began = r.matcher.required(), time.Now()
	x.run.Add(1)
	x.watch.update()
}

// endIndexed ends a search that used the index. complete says that every file
// below dir was met.
func (r *searchRun) endIndexed(x *contentIndex, complete bool) {
	searched, skipped := 0, 0
	for i := range r.workers {
		searched += r.workers[i].searched
		skipped += r.workers[i].skipped
	}
	x.skipped.Add(int64(skipped))
	x.opened.Add(int64(searched - skipped))
	if complete && r.filter == nil && r.dir == "." {
		x.prune()
	}
}
