package memory

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options configure a [Store]. The zero value stores without bound.
type Options struct {
	// MaxItems, MaxBytes and MaxTokens bound what is stored. When an addition
	// exceeds one, the oldest items that are not pinned are evicted. 0 means no
	// bound.
	MaxItems, MaxBytes, MaxTokens int

	// ContextTokens bounds what [Store.Context] yields for one model call. 0
	// means [DefaultContextTokens]; negative means no bound.
	ContextTokens int

	// Tokens counts the tokens of a text. Nil means a quarter of its bytes,
	// which is about right for English.
	Tokens func(text string) int

	// AllowDuplicates keeps items with the same text apart. Otherwise adding a
	// text that is there renews that item instead: its time is set, the tags
	// are united, and it is pinned if either is.
	AllowDuplicates bool

	// Embed makes Search go by meaning: it returns a vector for each text. Nil
	// means search by words.
	Embed func(ctx context.Context, texts []string) ([][]float32, error)

	// Trace observes the store. The zero value costs nothing.
	Trace Trace

	// Logger receives what a caller cannot see, such as a failing Embed. Nil
	// means slog.Default().
	Logger *slog.Logger
}

// DefaultContextTokens is the default of Options.ContextTokens: small beside any
// current model's window, and a lot of notes.
const DefaultContextTokens = 8000

// Store holds memories in order. It is safe for concurrent use.
type Store struct {
	opts Options

	mu         sync.Mutex
	items      []*entry
	byID       map[string]*entry
	byText     map[string]*entry // unless AllowDuplicates
	lastID     uint64
	generation uint64
	stats      Stats
	pending    []func() // trace calls for when the lock is released
}

// New returns an empty store.
func New(opts Options) *Store {
	if opts.ContextTokens == 0 {
		opts.ContextTokens = DefaultContextTokens
	}
	if opts.Tokens == nil {
		opts.Tokens = func(text string) int { return (len(text) + 3) / 4 }
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s := &Store{opts: opts}
	s.clear()
	return s
}

// Add appends items, all or none, and returns their IDs. It fails with
// [ErrEmpty], [ErrExists] or a [*BudgetError]. The time is set; the text is kept
// as it is, without white space around it.
func (s *Store) Add(items ...Item) ([]string, error) {
	s.mu.Lock()
	defer s.unlock()
	ids, _, err := s.splice(len(s.items), 0, items)
	return ids, err
}

// Remember adds a plain text.
func (s *Store) Remember(text string) (id string, err error) {
	ids, err := s.Add(Item{Text: text})
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// Splice removes the given number of items from position start on and puts items
// in their place. A negative start counts from the end, and a negative or
// too large remove means all the rest. It returns the removed items. A start
// outside the store is an [ErrRange]; the other errors are those of Add. On an
// error nothing has changed.
func (s *Store) Splice(start, remove int, items ...Item) (removed []Item, err error) {
	s.mu.Lock()
	defer s.unlock()
	at := start
	if at < 0 {
		at += len(s.items)
	}
	if at < 0 || at > len(s.items) {
		return nil, fmt.Errorf("splice at %d of %d memories: %w", start, len(s.items), ErrRange)
	}
	if remove < 0 || remove > len(s.items)-at {
		remove = len(s.items) - at
	}
	_, removed, err = s.splice(at, remove, items)
	return removed, err
}

// splice does the work of Add and Splice. start and remove are in range.
func (s *Store) splice(start, remove int, items []Item) (ids []string, removed []Item, err error) {
	now := time.Now()
	gone := s.items[start : start+remove]
	leaving := make(map[*entry]bool, remove)
	for _, e := range gone {
		leaving[e] = true
	}
	ids = make([]string, len(items))
	fresh := make([]*entry, 0, len(items))
	var renew []*entry // pairs of old entry and its renewed form
	texts := map[string]*entry{}
	taken := map[string]bool{}
	for i := range items {
		it := items[i]
		it.Text = strings.TrimSpace(strings.ToValidUTF8(it.Text, "\uFFFD"))
		if it.Text == "" {
			return nil, nil, fmt.Errorf("add memory %d of %d: %w", i+1, len(items), ErrEmpty)
		}
		if !s.opts.AllowDuplicates {
			if same := texts[it.Text]; same != nil {
				same.Item = united(same.Item, it, now)
				ids[i] = same.ID
				continue
			}
			if same := s.byText[it.Text]; same != nil && !leaving[same] {
				e := &entry{Item: united(same.Item, it, now), tokens: same.tokens, vector: same.vector}
				renew = append(renew, same, e)
				texts[it.Text] = e
				ids[i] = same.ID
				continue
			}
		}
		if old := s.byID[it.ID]; it.ID != "" && (taken[it.ID] || old != nil && !leaving[old]) {
			return nil, nil, fmt.Errorf("add memory %q: %w", it.ID, ErrExists)
		}
		if it.ID == "" {
			it.ID = s.newID(taken)
		}
		taken[it.ID] = true
		it.Time = now
		it.Tags = cleanTags(it.Tags)
		e := &entry{Item: it, tokens: s.opts.Tokens(it.Text)}
		texts[it.Text] = e
		ids[i] = it.ID
		fresh = append(fresh, e)
	}
	evict, err := s.plan(fresh, gone, renew)
	if err != nil {
		return nil, nil, err
	}

	removed = make([]Item, len(gone))
	for i, e := range gone {
		removed[i] = e.copy()
		s.drop(e)
		s.stats.Removed++
		s.note(s.opts.Trace.Removed, e)
	}
	s.swap(renew...)
	for i := 0; i < len(renew); i += 2 {
		s.stats.Renewed++
		s.note(s.opts.Trace.Renewed, renew[i+1])
	}
	s.items = slices.Replace(s.items, start, start+remove, fresh...)
	for _, e := range fresh {
		s.index(e)
		s.stats.Added++
		s.note(s.opts.Trace.Added, e)
	}
	s.evict(evict)
	if len(items) > 0 || remove > 0 {
		s.generation++
	}
	return ids, removed, nil
}

func united(a, b Item, now time.Time) Item {
	a.Time = now
	a.Pinned = a.Pinned || b.Pinned
	a.Tags = cleanTags(slices.Concat(a.Tags, b.Tags))
	if b.Source != "" {
		a.Source = b.Source
	}
	return a
}

func cleanTags(tags []string) []string {
	var clean []string
	for _, t := range tags {
		if t = strings.TrimSpace(t); t != "" && !slices.Contains(clean, t) {
			clean = append(clean, t)
		}
	}
	return clean
}

func (s *Store) newID(taken map[string]bool) string {
	for {
		s.lastID++
		id := "m" + strconv.FormatUint(s.lastID, 10)
		if s.byID[id] == nil && !taken[id] {
			return id
		}
	}
}

// Edit changes one item by a function, which gets a copy and must not call the
// store. The ID cannot be changed; the time is set. It fails with [ErrNotFound],
// [ErrEmpty], [ErrExists] when the text is that of another item, or a
// [*BudgetError].
func (s *Store) Edit(id string, change func(*Item)) error {
	s.mu.Lock()
	defer s.unlock()
	old := s.byID[id]
	if old == nil {
		return fmt.Errorf("edit memory %q: %w", id, ErrNotFound)
	}
	it := old.copy()
	change(&it)
	it.ID, it.Time = id, time.Now()
	it.Tags = cleanTags(it.Tags)
	if it.Text = strings.TrimSpace(strings.ToValidUTF8(it.Text, "\uFFFD")); it.Text == "" {
		return fmt.Errorf("edit memory %q: %w", id, ErrEmpty)
	}
	if same := s.byText[it.Text]; !s.opts.AllowDuplicates && same != nil && same != old {
		return fmt.Errorf("edit memory %q: memory %q says the same: %w", id, same.ID, ErrExists)
	}
	e := &entry{Item: it, tokens: s.opts.Tokens(it.Text)}
	if it.Text == old.Text {
		e.vector = old.vector
	}
	evict, err := s.plan(nil, nil, []*entry{old, e})
	if err != nil {
		return fmt.Errorf("edit memory %q: %w", id, err)
	}
	s.swap(old, e)
	s.stats.Edited++
	s.note(s.opts.Trace.Edited, e)
	s.evict(evict)
	s.generation++
	return nil
}

// Remove takes items out, all or, when one is [ErrNotFound], none.
func (s *Store) Remove(ids ...string) error {
	s.mu.Lock()
	defer s.unlock()
	gone := make(map[*entry]bool, len(ids))
	for _, id := range ids {
		e := s.byID[id]
		if e == nil {
			return fmt.Errorf("remove memory %q: %w", id, ErrNotFound)
		}
		gone[e] = true
	}
	s.items = slices.DeleteFunc(s.items, func(e *entry) bool {
		if gone[e] {
			s.drop(e)
			s.stats.Removed++
			s.note(s.opts.Trace.Removed, e)
		}
		return gone[e]
	})
	s.generation++
	return nil
}

// Clear removes every item, pinned ones included, and returns how many.
func (s *Store) Clear() int {
	s.mu.Lock()
	defer s.unlock()
	n := len(s.items)
	s.stats.Removed += int64(n)
	for _, e := range s.items {
		s.note(s.opts.Trace.Removed, e)
	}
	s.clear()
	s.generation++
	return n
}

// Get returns one item.
func (s *Store) Get(id string) (Item, bool) {
	s.mu.Lock()
	defer s.unlock()
	if e := s.byID[id]; e != nil {
		return e.copy(), true
	}
	return Item{}, false
}

// Len is the number of items.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.unlock()
	return len(s.items)
}

// Items yields the items with their positions, as they are at the beginning of
// the loop, which may change the store.
func (s *Store) Items() iter.Seq2[int, Item] {
	return func(yield func(int, Item) bool) {
		for i, e := range s.snapshot() {
			if !yield(i, e.copy()) {
				return
			}
		}
	}
}

func (s *Store) snapshot() []*entry {
	s.mu.Lock()
	defer s.unlock()
	return slices.Clone(s.items)
}

// unlock releases the lock and makes the trace calls.
func (s *Store) unlock() {
	pending := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, call := range pending {
		call()
	}
}
