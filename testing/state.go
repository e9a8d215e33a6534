package testing

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// savedOutput bounds each output within a checkpoint.
const savedOutput = 16 << 10

type savedState struct {
	Latest   map[string]Result `json:"latest,omitempty"`
	Last     Report            `json:"last"`
	History  []Report          `json:"history,omitempty"`
	Disabled []string          `json:"disabled,omitempty"` // resources that are not selected
}

// MarshalJSON returns the latest results, the history and which resources are
// not selected. Outputs are bounded to 16 KiB each.
func (s *Service) MarshalJSON() ([]byte, error) {
	var disabled []string
	for name := range s.resources.Names() {
		if !s.selection.IsActive(name) {
			disabled = append(disabled, name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.unselected {
		disabled = append(disabled, name)
	}
	slices.Sort(disabled)
	st := savedState{Latest: maps.Clone(s.latest), Last: s.last, History: s.history, Disabled: disabled}
	for name, r := range st.Latest {
		st.Latest[name] = slim(r)
	}
	st.Last.Results = slices.Clone(st.Last.Results)
	for i, r := range st.Last.Results {
		st.Last.Results[i] = slim(r)
	}
	return json.Marshal(st)
}

func slim(r Result) Result {
	r.Output, r.Dropped = bound(r.Output, r.Dropped, savedOutput)
	r.Failures = slices.Clone(r.Failures[:min(len(r.Failures), 50)])
	for i := range r.Failures {
		r.Failures[i].Output, _ = bound(r.Failures[i].Output, 0, 1<<10)
	}
	return r
}

// UnmarshalJSON restores what MarshalJSON returned. Restored results belong to
// no known state of the workspace: they are shown, but not reused.
func (s *Service) UnmarshalJSON(data []byte) error {
	var st savedState
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("testing: restore: %w", err)
	}
	if err := s.unselect(st.Disabled); err != nil {
		return fmt.Errorf("testing: restore: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = map[string]Result{}
	for name, r := range st.Latest {
		// Another process counts the generations of the workspace anew.
		r.Generation = 0
		s.latest[name] = r
	}
	s.last, s.history = st.Last, st.History
	s.last.Generation = 0
	s.changes++
	return nil
}

// unselect selects every resource but the named ones. Names that are not
// registered yet count when they are: a resource that is new to the program is
// selected, one that a person turned off stays off.
func (s *Service) unselect(names []string) error {
	off := map[string]bool{}
	for _, name := range names {
		off[name] = true
	}
	var on []string
	for name := range s.resources.Names() {
		if !off[name] {
			on = append(on, name)
		}
		delete(off, name)
	}
	s.mu.Lock()
	s.unselected = off
	s.changes++
	s.mu.Unlock()
	return s.selection.Set(on...)
}

// Reset forgets the results for the scope "all", and the history for "history"
// and "all". With "settings" and "all" every resource is selected again.
func (s *Service) Reset(scope string) {
	if scope == "settings" || scope == "all" {
		_ = s.unselect(nil) // fails only for a name that vanished meanwhile
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch scope {
	case "all":
		s.latest, s.last, s.history = map[string]Result{}, Report{}, nil
	case "history":
		s.history = nil
	default:
		return
	}
	s.changes++
}

// Generation changes whenever the state does.
func (s *Service) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes + s.selection.Generation()
}
