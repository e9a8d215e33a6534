package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
)

// Context yields what a model call should see of the store, in order: all items
// or, when they exceed Options.ContextTokens, the pinned ones and the newest
// that fit, after a line that says how many are missing. One that exceeds the bound
// alone is left out. An empty store yields nothing. Items for [AfterSystem] come before those for [BeforeInput]; a program
// that can tell the places apart uses [Store.ContextAt].
func (s *Store) Context(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, p := range [...]Position{AfterSystem, BeforeInput} {
			for text := range s.ContextAt(ctx, p) {
				if !yield(text) {
					return
				}
			}
		}
	}
}

// ContextAt yields what belongs to one position. The token bound applies to all
// positions together.
func (s *Store) ContextAt(ctx context.Context, at Position) iter.Seq[string] {
	return func(yield func(string) bool) {
		if ctx.Err() != nil {
			return
		}
		items := s.snapshot()
		shown := s.fitting(items)
		if omitted := len(items) - len(shown); omitted > 0 && at == AfterSystem {
			if !yield(fmt.Sprintf("(memories not shown: %d; search for them if needed)", omitted)) {
				return
			}
		}
		for _, e := range shown {
			if e.Position.place() == at && !yield(e.Text) {
				return
			}
		}
	}
}

// fitting returns the entries that one context holds, in order.
func (s *Store) fitting(items []*entry) []*entry {
	left := s.opts.ContextTokens
	if left < 0 {
		return items
	}
	total := 0
	for _, e := range items {
		total += e.tokens
	}
	if total <= left {
		return items
	}
	keep := make(map[*entry]bool)
	for _, pinned := range [...]bool{true, false} {
		for _, e := range slices.Backward(items) {
			if e.Pinned != pinned {
				continue
			}
			if e.tokens > left {
				if !pinned && e.tokens <= s.opts.ContextTokens {
					break // older ones would leave a gap
				}
				continue
			}
			left -= e.tokens
			keep[e] = true
		}
	}
	shown := make([]*entry, 0, len(keep))
	for _, e := range items {
		if keep[e] {
			shown = append(shown, e)
		}
	}
	return shown
}
