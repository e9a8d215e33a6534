package memory

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Item is one memory. Items are values; to change one, use [Store.Edit].
type Item struct {
	// ID names the item: "m1", "m2" and so on, if the adder gives none.
	ID string `json:"id"`

	// Text is the memory itself.
	Text string `json:"text"`

	// Time is when it was added, or last edited or repeated.
	Time time.Time `json:"time"`

	// Source says where it comes from, such as "user", a tool or an agent.
	Source string `json:"source,omitempty"`

	// Pinned items are never evicted and come first when the context is tight.
	Pinned bool `json:"pinned,omitempty"`

	// Tags group items.
	Tags []string `json:"tags,omitempty"`

	// Position says where in the context the item is injected. Whatever is not
	// [BeforeInput] means [AfterSystem], so that every item is shown.
	Position Position `json:"position,omitempty"`
}

// Position is a place in the context of a model call.
type Position string

const (
	// AfterSystem puts a memory at the beginning, before the conversation,
	// where it changes least and a provider's prompt cache serves best.
	AfterSystem Position = "after-system"
	// BeforeInput puts a memory at the end, just before the newest input, where
	// a model heeds it most.
	BeforeInput Position = "before-input"
)

func (p Position) place() Position {
	if p == BeforeInput {
		return BeforeInput
	}
	return AfterSystem
}

// Errors of a store.
var (
	ErrNotFound = errors.New("no such memory")
	ErrEmpty    = errors.New("memory has no text")
	ErrBudget   = errors.New("memory budget exceeded")
	ErrRange    = errors.New("position is outside the memories")
	ErrExists   = errors.New("memory ID is taken")
)

// BudgetError reports that items do not fit beside the pinned ones. It is an
// [ErrBudget].
type BudgetError struct {
	What        string // "items", "bytes" or "tokens"
	Need, Limit int    // what the pinned and the new items need together
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("%v: pinned and new memories need %d %s of %d; shorten, unpin or remove some",
		ErrBudget, e.Need, e.What, e.Limit)
}

func (e *BudgetError) Is(target error) bool { return target == ErrBudget }

// entry is an item in the store. Entries do not change, so that readers may go
// on without the lock; an edit puts a new one in the old one's place.
type entry struct {
	Item
	tokens int
	vector []float32 // of Options.Embed; guarded by Store.mu
}

// copy returns the item with tags of its own.
func (e *entry) copy() Item {
	it := e.Item
	it.Tags = slices.Clone(it.Tags)
	return it
}
