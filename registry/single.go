package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
)

// ErrNoSelection is wrapped by errors about a selection that is empty. It is
// itself an [ErrNotFound].
var ErrNoSelection = fmt.Errorf("nothing selected: %w", ErrNotFound)

// SingleSelector is a view on a [Keyed] in which at most one item is selected.
// Any number of selectors share a registry without knowing of each other.
//
// An item that is unregistered leaves the selection and does not come back when
// its name is registered again; an item that is replaced stays selected. A
// selector that is no longer used needs no closing.
//
// A selector is a state slice of an agent: it marshals to the selected name, or
// null. A restored name that is not registered yet is selected once it is.
type SingleSelector[T any] struct {
	registry *Keyed[T]
	observers

	mu         sync.Mutex
	name       string // "" means none
	id         uint64 // registration that was selected; 0 means whichever comes
	shown      string // what observers were last told of, or may have been
	initial    string
	generation uint64
}

// NewSingleSelector returns a view on r in which nothing is selected.
func NewSingleSelector[T any](r *Keyed[T]) *SingleSelector[T] {
	return &SingleSelector[T]{registry: r}
}

// Select selects the item of that name in the place of any other. A name that
// is not registered is a [*NotFoundError] and changes nothing.
func (s *SingleSelector[T]) Select(name string) error {
	e := s.registry.store.find(maphash.String(seed, name), name)
	if e == nil {
		return s.registry.missing(name)
	}
	s.set(name, e.id)
	return nil
}

// Clear selects nothing.
func (s *SingleSelector[T]) Clear() { s.set("", 0) }

// Active returns the selected item and its name; ok is false when there is none.
func (s *SingleSelector[T]) Active() (name string, v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.resolve(); e != nil {
		return e.key, e.value, true
	}
	return "", v, false
}

// Require is Active with an error that wraps [ErrNoSelection].
func (s *SingleSelector[T]) Require() (T, error) {
	_, v, ok := s.Active()
	if !ok {
		hint := "register one first"
		if names := slices.Collect(s.registry.Names()); len(names) > 0 {
			hint = "select one of " + quoted(names) + " first"
		}
		return v, fmt.Errorf("registry: %s: %w; %s", kindOr(s.registry.Kind), ErrNoSelection, hint)
	}
	return v, nil
}

// OnChange has fn called after each change of what Active returns, until stop is
// called. Calls come from the goroutine that made the change, hold no lock and
// may overlap, so fn looks at Active for the current state.
func (s *SingleSelector[T]) OnChange(fn func()) (stop func()) {
	return s.observe(fn, func() func() { return s.registry.store.listen(s.registered) })
}

// registered is told of every change in the registry while there are observers.
func (s *SingleSelector[T]) registered(name string) {
	s.mu.Lock()
	concerned := name == s.name || name == s.shown
	if concerned {
		s.resolve()
		s.shown = s.name
	}
	s.mu.Unlock()
	if concerned {
		s.notify()
	}
}

func (s *SingleSelector[T]) set(name string, id uint64) {
	s.mu.Lock()
	changed := s.name != name || s.id != id
	if changed {
		s.name, s.id, s.shown = name, id, name
		s.generation++
	}
	s.mu.Unlock()
	if changed {
		s.notify()
	}
}

// resolve returns the entry that is selected, after it has dropped a selection
// whose item is gone. The lock is held.
func (s *SingleSelector[T]) resolve() *entry[string, T] {
	if s.name == "" {
		return nil
	}
	e := s.registry.store.find(maphash.String(seed, s.name), s.name)
	switch {
	case e != nil && s.id == 0:
		s.id = e.id
	case e == nil && s.id == 0:
	case e == nil || e.id != s.id:
		s.name, s.id = "", 0
		s.generation++
		return nil
	}
	return e
}

// MarkInitial makes the present selection the one that Reset returns to.
func (s *SingleSelector[T]) MarkInitial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolve()
	s.initial = s.name
}

// Reset returns to the initial selection when scope is "settings" or "all".
func (s *SingleSelector[T]) Reset(scope string) {
	if scope != "settings" && scope != "all" {
		return
	}
	s.mu.Lock()
	initial := s.initial
	s.mu.Unlock()
	s.restore(initial)
}

// Generation changes whenever the selection does.
func (s *SingleSelector[T]) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolve()
	return s.generation
}

// MarshalJSON returns the selected name as a JSON string, or null.
func (s *SingleSelector[T]) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolve()
	if s.name == "" {
		return []byte("null"), nil
	}
	return json.Marshal(s.name)
}

// UnmarshalJSON restores what MarshalJSON returned. On an error nothing changes.
func (s *SingleSelector[T]) UnmarshalJSON(data []byte) error {
	if s.registry == nil {
		return errors.New("registry: restore a selection into a selector that NewSingleSelector made")
	}
	var name *string
	if err := json.Unmarshal(data, &name); err != nil {
		return fmt.Errorf("registry: restore selected %s: %w", kindOr(s.registry.Kind), err)
	}
	if name == nil {
		s.Clear()
	} else {
		s.restore(*name)
	}
	return nil
}

// restore selects name whether or not it is registered yet.
func (s *SingleSelector[T]) restore(name string) {
	var id uint64
	if e := s.registry.store.find(maphash.String(seed, name), name); e != nil {
		id = e.id
	}
	s.set(name, id)
}
