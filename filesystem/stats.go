package filesystem

// Stats are counts since the service began.
type Stats struct {
	Reads, Writes, Searches int64

	// Of compiled ignore files.
	IgnoreHits, IgnoreMisses int64

	// Of the cache of contents.
	CacheHits, CacheMisses, CacheBytes int64

	// Of the index: what it holds and takes, and how many files searches did
	// not need to open, and did.
	IndexFiles                int
	IndexBytes                int64
	IndexSkipped, IndexOpened int64
}

// Stats returns the counts so far.
func (s *Service) Stats() Stats {
	t := s.tree()
	st := Stats{
		Reads: s.reads.Load(), Writes: s.writes.Load(), Searches: s.searches.Load(),
		IgnoreHits: t.ignore.hits.Load(), IgnoreMisses: t.ignore.misses.Load(),
	}
	if x := t.index; x != nil {
		st.IndexSkipped, st.IndexOpened = x.skipped.Load(), x.opened.Load()
		x.mu.RLock()
		st.IndexFiles, st.IndexBytes = len(x.files), x.bytes
		x.mu.RUnlock()
	}
	if c := t.contents; c != nil {
		st.CacheHits, st.CacheMisses = c.hits.Load(), c.misses.Load()
		c.mu.Lock()
		st.CacheBytes = c.bytes
		c.mu.Unlock()
	}
	return st
}
