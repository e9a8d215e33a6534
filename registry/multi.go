package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"sync"
)

// MultiSelector is a view on a [Keyed] in which any number of items are
// selected. Any number of selectors share a registry without knowing of each
// other.
//
// An item that is unregistered leaves the selection and does not come back when
// its name is registered again; an item that is replaced stays selected. A
// pattern selects what is registered when it is given, not what comes later. A
// selector that is no longer used needs no closing.
//
// A selector is a state slice of an agent: it marshals to the list of selected
// names. Restored names that are not registered yet are selected once they are.
type MultiSelector[T any] struct {
	registry *Keyed[T]
	observers

	mu         sync.Mutex
	selected   map[string]uint64 // registration that was selected; 0 means whichever comes
	shown      map[string]uint64 // what observers were last told of, or may have been
	initial    []string
	generation uint64
}

// NewMultiSelector returns a view on r in which nothing is selected.
func NewMultiSelector[T any](r *Keyed[T]) *MultiSelector[T] {
	return &MultiSelector[T]{registry: r}
}

// Enable adds what the patterns match, as [Match] has it, to the selection. A
// pattern that matches nothing is a [*NotFoundError] and changes nothing.
func (s *MultiSelector[T]) Enable(patterns ...string) error {
	return s.change(patterns, func(selected, matched map[string]uint64) {
		maps.Copy(selected, matched)
	})
}

// Disable takes what the patterns match out of the selection. What is not
// selected anyway may be named; a pattern that matches nothing at all is a
// [*NotFoundError] and changes nothing.
func (s *MultiSelector[T]) Disable(patterns ...string) error {
	return s.change(patterns, func(selected, matched map[string]uint64) {
		for name := range matched {
			delete(selected, name)
		}
	})
}

// Set makes what the patterns match the whole selection. A pattern that matches
// nothing is a [*NotFoundError] and changes nothing; no patterns select nothing.
func (s *MultiSelector[T]) Set(patterns ...string) error {
	return s.change(patterns, func(selected, matched map[string]uint64) {
		clear(selected)
		maps.Copy(selected, matched)
	})
}

// Active yields the selected items in order of registration. The items are
// those that are selected when the loop begins.
func (s *MultiSelector[T]) Active() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, e := range s.entries() {
			if !yield(e.key, e.value) {
				return
			}
		}
	}
}

// ActiveNames returns the names of the selected items in order of registration.
func (s *MultiSelector[T]) ActiveNames() []string {
	entries := s.entries()
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.key
	}
	return names
}

// IsActive reports whether the item of that name is selected.
func (s *MultiSelector[T]) IsActive(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.selected[name]; !ok {
		return false
	}
	return s.resolve(name) != nil
}

// OnChange has fn called after each change of what Active yields, until stop is
// called. Calls come from the goroutine that made the change, hold no lock and
// may overlap, so fn looks at Active for the current state.
func (s *MultiSelector[T]) OnChange(fn func()) (stop func()) {
	return s.observe(fn, func() func() { return s.registry.store.listen(s.registered) })
}

// registered is told of every change in the registry while there are observers.
func (s *MultiSelector[T]) registered(name string) {
	s.mu.Lock()
	_, selected := s.selected[name]
	_, shown := s.shown[name]
	concerned := selected || shown
	if concerned {
		s.resolveAll()
		s.shown = maps.Clone(s.selected)
	}
	s.mu.Unlock()
	if concerned {
		s.notify()
	}
}

// change applies edit to a copy of the selection, with what patterns match.
func (s *MultiSelector[T]) change(patterns []string, edit func(selected, matched map[string]uint64)) error {
	s.mu.Lock()
	s.resolveAll()
	matched, err := s.match(patterns)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	next := maps.Clone(s.selected)
	if next == nil {
		next = make(map[string]uint64)
	}
	edit(next, matched)
	changed := s.store(next)
	s.mu.Unlock()
	if changed {
		s.notify()
	}
	return nil
}

// store makes next the selection and reports whether that is a change. The lock
// is held.
func (s *MultiSelector[T]) store(next map[string]uint64) bool {
	if maps.Equal(s.selected, next) {
		return false
	}
	s.selected = next
	s.shown = maps.Clone(next)
	s.generation++
	return true
}

// match returns the registrations that patterns match, each at least one. Names
// that are selected but not registered yet count as present.
func (s *MultiSelector[T]) match(patterns []string) (map[string]uint64, error) {
	matched := make(map[string]uint64)
	var entries []*entry[string, T] // a snapshot, once a pattern needs it
	for _, text := range patterns {
		p, err := compile(text)
		if err != nil {
			return nil, err
		}
		found := false
		if name, ok := p.literal(); ok {
			if e := s.find(name); e != nil {
				matched[name] = e.id
				found = true
			}
		} else {
			if entries == nil {
				entries = s.registry.store.snapshot()
			}
			for _, e := range entries {
				if e != nil && p.matches(e.key) {
					matched[e.key] = e.id
					found = true
				}
			}
		}
		for name, id := range s.selected {
			if id == 0 && p.matches(name) {
				matched[name] = 0
				found = true
			}
		}
		if !found {
			return nil, s.registry.missing(text)
		}
	}
	return matched, nil
}

func (s *MultiSelector[T]) find(name string) *entry[string, T] {
	return s.registry.store.find(maphash.String(seed, name), name)
}

// resolve returns the entry of a selected name, after it has dropped the name if
// its item is gone. The lock is held.
func (s *MultiSelector[T]) resolve(name string) *entry[string, T] {
	e, id := s.find(name), s.selected[name]
	switch {
	case e != nil && id == 0:
		s.selected[name] = e.id
	case e == nil && id == 0:
	case e == nil || e.id != id:
		delete(s.selected, name)
		s.generation++
		return nil
	}
	return e
}

// resolveAll returns the entries of all selected names that are registered, in
// no order, after it has dropped those that are gone. The lock is held.
func (s *MultiSelector[T]) resolveAll() []*entry[string, T] {
	entries := make([]*entry[string, T], 0, len(s.selected))
	for name := range s.selected {
		if e := s.resolve(name); e != nil {
			entries = append(entries, e)
		}
	}
	return entries
}

func (s *MultiSelector[T]) entries() []*entry[string, T] {
	s.mu.Lock()
	entries := s.resolveAll()
	s.mu.Unlock()
	slices.SortFunc(entries, byRegistration)
	return entries
}

func byRegistration[T any](a, b *entry[string, T]) int {
	if a.id < b.id {
		return -1
	}
	return 1
}

// MarkInitial makes the present selection the one that Reset returns to.
func (s *MultiSelector[T]) MarkInitial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolveAll()
	s.initial = slices.Collect(maps.Keys(s.selected))
}

// Reset returns to the initial selection when scope is "settings" or "all".
func (s *MultiSelector[T]) Reset(scope string) {
	if scope != "settings" && scope != "all" {
		return
	}
	s.mu.Lock()
	initial := s.initial
	s.mu.Unlock()
	s.restore(initial)
}

// Generation changes whenever the selection does.
func (s *MultiSelector[T]) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolveAll()
	return s.generation
}

// MarshalJSON returns the selected names as a JSON list: first those that are
// registered, in order of registration, then those that are not registered yet.
func (s *MultiSelector[T]) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	entries := s.resolveAll()
	var absent []string
	for name, id := range s.selected {
		if id == 0 {
			absent = append(absent, name)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(entries, byRegistration)
	slices.Sort(absent)
	names := make([]string, 0, len(entries)+len(absent))
	for _, e := range entries {
		names = append(names, e.key)
	}
	return json.Marshal(append(names, absent...))
}

// UnmarshalJSON restores what MarshalJSON returned. On an error nothing changes.
func (s *MultiSelector[T]) UnmarshalJSON(data []byte) error {
	if s.registry == nil {
		return errors.New("registry: restore a selection into a selector that NewMultiSelector made")
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return fmt.Errorf("registry: restore selected %ss: %w", kindOr(s.registry.Kind), err)
	}
	s.restore(names)
	return nil
}

// restore selects names whether or not they are registered yet.
func (s *MultiSelector[T]) restore(names []string) {
	next := make(map[string]uint64, len(names))
	for _, name := range names {
		if name == "" {
			continue
		}
		next[name] = 0
		if e := s.find(name); e != nil {
			next[name] = e.id
		}
	}
	s.mu.Lock()
	changed := s.store(next)
	s.mu.Unlock()
	if changed {
		s.notify()
	}
}
