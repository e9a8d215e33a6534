package memory

import (
	"context"
	"time"
)

// Trace is a set of functions that observe a store. Any may be nil. They must be
// safe for concurrent use. What happens to items is told after the fact and without
// holding a lock.
type Trace struct {
	Added   func(Item)
	Edited  func(Item) // as it is now
	Removed func(Item)
	Evicted func(Item) // to make room
	Renewed func(Item) // its text was added again

	// StartSearch: a search begins. It runs in the returned context, Options.Embed
	// included. The returned function is called once with the end. Either may be
	// nil.
	StartSearch func(ctx context.Context, query string) (context.Context, func(SearchEnd))
}

// SearchEnd is how a search ended.
type SearchEnd struct {
	Took      time.Duration
	Found     int
	ByMeaning bool  // otherwise by words
	Err       error // of the context
}

// startSearch calls StartSearch, which is not nil. It returns what the search runs
// in and what to call with the end, or nil.
func (t *Trace) startSearch(ctx context.Context, query string) (context.Context, func(SearchEnd)) {
	inner, ended := t.StartSearch(ctx, query)
	if inner == nil {
		inner = ctx
	}
	return inner, ended
}

// Stats describe a store. The counters start with it.
type Stats struct {
	Items  int `json:"items"`
	Pinned int `json:"pinned"`
	Bytes  int `json:"bytes"`
	Tokens int `json:"tokens"`

	Added   int64 `json:"added"`
	Edited  int64 `json:"edited"`
	Renewed int64 `json:"renewed"`
	Removed int64 `json:"removed"` // other than to make room
	Evicted int64 `json:"evicted"`

	Searches    int64         `json:"searches"`
	EmbedFailed int64         `json:"embedFailed"` // of these, by words because Options.Embed failed
	SearchTime  time.Duration `json:"searchTime"`  // nanoseconds in JSON
}

// Stats returns counters and sizes.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.unlock()
	st := s.stats
	st.Items = len(s.items)
	return st
}

// note makes a trace call when the lock is released.
func (s *Store) note(fn func(Item), e *entry) {
	if fn != nil {
		s.pending = append(s.pending, func() { fn(e.copy()) })
	}
}
