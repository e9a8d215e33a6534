package memory

import (
	"encoding/json"
	"fmt"
)

// state is the JSON form of a Store.
type state struct {
	Version int    `json:"version"`
	LastID  uint64 `json:"lastId,omitempty"`
	Items   []Item `json:"items,omitempty"`
}

const stateVersion = 1

// MarshalJSON returns all items.
func (s *Store) MarshalJSON() ([]byte, error) {
	st := state{Version: stateVersion}
	s.mu.Lock()
	st.LastID = s.lastID
	st.Items = make([]Item, len(s.items))
	for i, e := range s.items {
		st.Items[i] = e.Item
	}
	s.mu.Unlock()
	data, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("save memories: %w", err)
	}
	return data, nil
}

// UnmarshalJSON replaces the items by those of a saved state. Budgets apply from
// the next addition on. A state that cannot be read changes nothing.
func (s *Store) UnmarshalJSON(data []byte) error {
	var st state
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("restore memories: %w", err)
	}
	if st.Version != stateVersion {
		return fmt.Errorf("restore memories: version %d, this program reads %d", st.Version, stateVersion)
	}
	seen := make(map[string]bool, len(st.Items))
	items := make([]*entry, len(st.Items))
	for i, it := range st.Items {
		if it.ID == "" || seen[it.ID] || it.Text == "" {
			return fmt.Errorf("restore memories: item %d of %d: ID %q is empty or twice there, or the text is empty", i+1, len(st.Items), it.ID)
		}
		seen[it.ID] = true
		items[i] = &entry{Item: it, tokens: s.opts.Tokens(it.Text)}
	}
	s.mu.Lock()
	defer s.unlock()
	s.clear()
	s.lastID = max(s.lastID, st.LastID)
	s.items = items
	for _, e := range items {
		s.index(e)
	}
	s.generation++
	return nil
}

// Reset forgets everything, pinned items included, when the scope is "memory"
// or "all". Other scopes do not concern it.
func (s *Store) Reset(scope string) {
	if scope == "memory" || scope == "all" {
		s.Clear()
	}
}

// Generation changes whenever the items do.
func (s *Store) Generation() uint64 {
	s.mu.Lock()
	defer s.unlock()
	return s.generation
}

// Fork returns a store with the same options and a copy of the items: neither
// sees what the other adds. A store that is restored from the state of another, as
// when a sub-agent inherits it, is such a copy too.
func (s *Store) Fork() *Store {
	f := New(s.opts)
	s.mu.Lock()
	defer s.unlock()
	f.lastID = s.lastID
	for _, e := range s.items {
		own := &entry{Item: e.copy(), tokens: e.tokens, vector: e.vector}
		f.items = append(f.items, own)
		f.index(own)
	}
	return f
}
