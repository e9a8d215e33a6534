package memory

import "slices"

// usage is what items take of the budgets.
type usage struct{ items, bytes, tokens int }

func (u *usage) add(e *entry, sign int) {
	u.items += sign
	u.bytes += sign * len(e.Text)
	u.tokens += sign * e.tokens
}

// exceeds returns the first budget that u does not keep.
func (s *Store) exceeds(u usage) *BudgetError {
	for _, b := range [...]BudgetError{
		{"items", u.items, s.opts.MaxItems},
		{"bytes", u.bytes, s.opts.MaxBytes},
		{"tokens", u.tokens, s.opts.MaxTokens},
	} {
		if b.Limit > 0 && b.Need > b.Limit {
			return &b
		}
	}
	return nil
}

// plan returns the entries to evict so that the store keeps its budgets once
// fresh were added, gone removed and swaps (old, new, old, new …) made. New and
// pinned entries are spared; if it cannot be done, that is an error.
func (s *Store) plan(fresh, gone, swaps []*entry) ([]*entry, error) {
	u := usage{len(s.items), s.stats.Bytes, s.stats.Tokens}
	for _, e := range fresh {
		u.add(e, 1)
	}
	for _, e := range gone {
		u.add(e, -1)
	}
	for i := 0; i < len(swaps); i += 2 {
		u.add(swaps[i], -1)
		u.add(swaps[i+1], 1)
	}
	over := s.exceeds(u)
	if over == nil {
		return nil, nil
	}
	spared := make(map[*entry]bool, len(gone)+len(swaps))
	for _, e := range slices.Concat(gone, swaps) {
		spared[e] = true
	}
	var evict []*entry
	for _, e := range s.items {
		if e.Pinned || spared[e] {
			continue
		}
		u.add(e, -1)
		evict = append(evict, e)
		if over = s.exceeds(u); over == nil {
			return evict, nil
		}
	}
	return nil, over
}

func (s *Store) evict(gone []*entry) {
	if len(gone) == 0 {
		return
	}
	for _, e := range gone {
		s.drop(e)
		s.stats.Evicted++
		s.note(s.opts.Trace.Evicted, e)
	}
	// Both are in the same order, so one pass suffices.
	s.items = slices.DeleteFunc(s.items, func(e *entry) bool {
		if len(gone) > 0 && gone[0] == e {
			gone = gone[1:]
			return true
		}
		return false
	})
}

// index adds an entry to everything but the order.
func (s *Store) index(e *entry) {
	s.byID[e.ID] = e
	if !s.opts.AllowDuplicates {
		s.byText[e.Text] = e
	}
	s.stats.Bytes += len(e.Text)
	s.stats.Tokens += e.tokens
	if e.Pinned {
		s.stats.Pinned++
	}
}

// drop removes an entry from everything but the order.
func (s *Store) drop(e *entry) {
	delete(s.byID, e.ID)
	if s.byText[e.Text] == e {
		delete(s.byText, e.Text)
	}
	s.stats.Bytes -= len(e.Text)
	s.stats.Tokens -= e.tokens
	if e.Pinned {
		s.stats.Pinned--
	}
}

// swap puts entries in others' places; pairs are old, new, old, new and so on.
func (s *Store) swap(pairs ...*entry) {
	fresh := make(map[*entry]*entry, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		s.drop(pairs[i])
		s.index(pairs[i+1])
		fresh[pairs[i]] = pairs[i+1]
	}
	for i, left := 0, len(fresh); left > 0; i++ {
		if e := fresh[s.items[i]]; e != nil {
			s.items[i] = e
			left--
		}
	}
}

func (s *Store) clear() {
	s.items = nil
	s.byID = map[string]*entry{}
	s.byText = map[string]*entry{}
	s.stats.Bytes, s.stats.Tokens, s.stats.Pinned = 0, 0, 0
}
