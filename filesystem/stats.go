package filesystem

// Stats are counts since the service began.
type Stats struct {
	Reads, Writes, Searches int64

	// Failed counts operations that returned an error, such as a read of a file
	// that does not exist or an edit that does not apply.
	Failed int64

	// Of compiled ignore files.
	IgnoreHits, IgnoreMisses int64

	// Of the cache of contents.
	CacheHits, CacheMisses, CacheBytes int64

	// Of the cache of what exists.
	ExistsHits, ExistsMisses int64

	// Of the index: what it holds and takes, and how many files searches did
	// not need to open, and did. IndexWatches are directories that the system
	// watches for it.
	IndexFiles                int
	IndexBytes                int64
	IndexWatches              int
	IndexSkipped, IndexOpened int64
}

// Stats returns the counts so far.
func (s *Service) Stats() Stats {
	t := s.tree()
	st := Stats{
		Reads: s.reads.Load(), Writes: s.writes.Load(), Searches: s.searches.Load(), Failed: s.failed.Load(),
		IgnoreHits: t.ignore.hits.Load(), IgnoreMisses: t.ignore.misses.Load(),
	}
	if x := t.index; x != nil {
		st.IndexSkipped, st.IndexOpened = x.skipped.Load(), x.opened.Load()
		st.IndexWatches = x.watch.count()
		x.mu.RLock()
		st.IndexFiles, st.IndexBytes = x.files, x.bytes
		x.mu.RUnlock()
	}
	if c := t.contents; c != nil {
		st.CacheHits, st.CacheMisses = c.hits.Load(), c.misses.Load()
		c.mu.Lock()
		st.CacheBytes = c.bytes
		c.mu.Unlock()
	}
	if c := t.exists; c != nil {
		st.ExistsHits, st.ExistsMisses = c.hits.Load(), c.misses.Load()
	}
	return st
}
