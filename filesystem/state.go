package filesystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Select adds files to those that are shown to the model with each request. A
// name that is selected already stays where it is.
func (s *Service) Select(ctx context.Context, names ...string) error {
	var clean []string
	for _, name := range names {
		c, err := s.clean(name)
		if err != nil {
			return err
		}
		info, err := s.tree().provider.Stat(ctx, c)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return &fs.PathError{Op: "select", Path: c, Err: errors.New("it is a directory")}
		}
		clean = append(clean, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range clean {
		if !slices.Contains(s.selected, c) {
			s.selected = append(s.selected, c)
			s.state++
		}
	}
	return nil
}

// Unselect removes files from the selection and reports how many were in it.
func (s *Service) Unselect(names ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.selected)
	s.selected = slices.DeleteFunc(s.selected, func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			clean, err := s.clean(n)
			return err == nil && clean == name
		})
	})
	if len(s.selected) != before {
		s.state++
	}
	return before - len(s.selected)
}

// Selected returns the selected files in the order in which they were selected.
func (s *Service) Selected() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.selected)
}

// maxContext is the size in bytes from which a selected file is not shown.
const maxContext = 48 << 10

// Context yields the selected files as text for a model. A file that cannot be
// read, is over 48 KiB or no text is yielded as the reason. It fits what a conversation injects.
func (s *Service) Context(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range s.Selected() {
			text := ""
			if data, err := s.readClean(ctx, s.tree(), name); err != nil {
				text = fmt.Sprintf("The selected file %s cannot be read: %v", name, err)
			} else if len(data) > maxContext || strings.IndexByte(string(data), 0) >= 0 {
				text = fmt.Sprintf("The selected file %s has %d bytes, too many to show, or is not text. Read the lines you need.", name, len(data))
			} else {
				s.know(name, data)
				text = fmt.Sprintf("<file path=%q>\n%s\n</file>", name, strings.TrimSuffix(string(data), "\n"))
			}
			if !yield(text) {
				return
			}
		}
	}
}

// savedState is the state slice's form in a checkpoint.
type savedState struct {
	Selected   []string          `json:"selected,omitempty"`
	Generation uint64            `json:"generation,omitempty"`
	Changed    map[string]uint64 `json:"changed,omitempty"`
	Seen       map[string]uint64 `json:"seen,omitempty"`
}

// MarshalJSON returns the selection, what is dirty, and which contents of files
// the model knows.
func (s *Service) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(savedState{s.selected, s.dirt.generation, s.dirt.paths, s.seen})
}

// UnmarshalJSON restores what MarshalJSON returned. Names that lead out of the
// root are refused. The generation of writes does not go back.
func (s *Service) UnmarshalJSON(data []byte) error {
	var saved savedState
	if err := json.Unmarshal(data, &saved); err != nil {
		return fmt.Errorf("restore file state: %w", err)
	}
	for _, names := range []iter.Seq[string]{slices.Values(saved.Selected), maps.Keys(saved.Changed), maps.Keys(saved.Seen)} {
		for name := range names {
			if clean, err := CleanName(name); err != nil || clean != name {
				return fmt.Errorf("restore file state: %q is not a clean name: %w", name, ErrName)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.selected = saved.Selected
	// Changes are numbered anew behind all that were handed out, so that a
	// generation taken before the restore cannot mark them clean by mistake.
	base := max(s.dirt.generation, saved.Generation)
	s.dirt = dirt{generation: base}
	for name := range saved.Changed {
		s.dirt.mark(name)
	}
	s.seen = saved.Seen
	if s.seen == nil {
		s.seen = make(map[string]uint64)
	}
	s.state++
	return nil
}

// Reset forgets state: "chat" and "history" what the model knows of files,
// "settings" the selection, "all" both. What is dirty stays dirty.
func (s *Service) Reset(scope string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch scope {
	case "chat", "history":
		clear(s.seen)
	case "settings":
		s.selected = nil
	case "all":
		clear(s.seen)
		s.selected = nil
	default:
		return
	}
	s.state++
}

// Generation changes whenever the slice's state does.
func (s *Service) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}
