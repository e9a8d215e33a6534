package registry

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
)

// Keyed maps names to values and remembers the order in which they were
// registered. Its zero value is empty and ready for use; it must not be copied.
//
// Get, Require and Wait for a present name take no lock. Everything that
// iterates does so over a snapshot, which is the state of one moment: the loop
// may change the registry, and changes made meanwhile are not seen.
type Keyed[T any] struct {
	// Kind says in error messages what the registry holds, such as "chat model".
	// Empty means "item". It must not be changed once the registry is in use.
	Kind string

	// Trace observes. It must not be changed once the registry is in use.
	Trace Trace

	store store[string, T]
}

// NewKeyed returns an empty registry of things of the given [Keyed.Kind].
func NewKeyed[T any](kind string) *Keyed[T] {
	return &Keyed[T]{Kind: kind}
}

var seed = maphash.MakeSeed()

// Register adds v under name, which must not be empty, at the end of the order.
// A name that is taken is an error that wraps [ErrExists].
func (r *Keyed[T]) Register(name string, v T) error {
	if err := r.check(name); err != nil {
		return err
	}
	if taken := r.store.add(item[string, T]{maphash.String(seed, name), name, v}); taken != nil {
		return r.taken(taken)
	}
	return nil
}

// RegisterAll adds all items in their order, all of them or none: when a name is
// empty, taken or given twice, nothing is registered and the error says which.
// Iteration sees all of them or none as well; Get and Wait may find the first
// while the last are still being added.
func (r *Keyed[T]) RegisterAll(items iter.Seq2[string, T]) error {
	var batch []item[string, T]
	seen := make(map[string]struct{})
	var twice []string
	for name, v := range items {
		if err := r.check(name); err != nil {
			return err
		}
		if _, dup := seen[name]; dup {
			twice = append(twice, name)
		}
		seen[name] = struct{}{}
		batch = append(batch, item[string, T]{maphash.String(seed, name), name, v})
	}
	if twice != nil {
		return fmt.Errorf("registry: %s names given twice: %s: %w", kindOr(r.Kind), quoted(twice), ErrExists)
	}
	if taken := r.store.add(batch...); taken != nil {
		return r.taken(taken)
	}
	return nil
}

// Replace registers v under name whether or not the name is taken. A name that
// is taken keeps its place in the order. The only error is an empty name.
func (r *Keyed[T]) Replace(name string, v T) error {
	if err := r.check(name); err != nil {
		return err
	}
	r.store.put(item[string, T]{maphash.String(seed, name), name, v})
	return nil
}

// Unregister removes name and reports whether it was registered.
func (r *Keyed[T]) Unregister(name string) bool {
	return r.store.remove(maphash.String(seed, name), name)
}

// Get returns the value of name and whether it is registered. It neither locks
// nor allocates.
func (r *Keyed[T]) Get(name string) (v T, ok bool) {
	if e := r.store.find(maphash.String(seed, name), name); e != nil {
		return e.value, true
	}
	return v, false
}

// Require is Get with a [*NotFoundError] for a name that is not registered,
// which lists the names that resemble it. The search for these takes time in
// proportion to the size of the registry, so use Get where a miss is normal.
func (r *Keyed[T]) Require(name string) (T, error) {
	if v, ok := r.Get(name); ok {
		return v, nil
	}
	var none T
	return none, r.missing(name)
}

// Wait returns the value of name as soon as it is registered, at once when it
// is. Any number of goroutines may wait; a value that is unregistered right
// after it came still reaches those that waited for it. When ctx ends first, the
// error wraps the context's error and its cause.
func (r *Keyed[T]) Wait(ctx context.Context, name string) (T, error) {
	if v, ok := r.Get(name); ok {
		return v, nil
	}
	ended := r.store.startWait(ctx, &r.Trace, name)
	v, err := r.store.wait(ctx, maphash.String(seed, name), name)
	if err != nil {
		err = fmt.Errorf("registry: waiting for %s %q to be registered: %w", kindOr(r.Kind), name, err)
	}
	ended(err)
	return v, err
}

// Len returns the number of registered items.
func (r *Keyed[T]) Len() int { return int(r.store.live.Load()) }

// All yields names and values in order of registration.
func (r *Keyed[T]) All() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, e := range r.store.snapshot() {
			if e != nil && !yield(e.key, e.value) {
				return
			}
		}
	}
}

// Names yields the names in order of registration.
func (r *Keyed[T]) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range r.All() {
			if !yield(name) {
				return
			}
		}
	}
}

// Values yields the values in order of registration.
func (r *Keyed[T]) Values() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, v := range r.All() {
			if !yield(v) {
				return
			}
		}
	}
}

// Match yields the items whose names match pattern, as [Match] has it, in order
// of registration. A malformed pattern is an error; no match is not.
func (r *Keyed[T]) Match(pattern string) (iter.Seq2[string, T], error) {
	p, err := compile(pattern)
	if err != nil {
		return nil, err
	}
	return func(yield func(string, T) bool) {
		if name, ok := p.literal(); ok {
			if v, ok := r.Get(name); ok {
				yield(name, v)
			}
			return
		}
		for name, v := range r.All() {
			if p.matches(name) && !yield(name, v) {
				return
			}
		}
	}, nil
}

// Clone returns a registry with the same items in the same order, Kind and Trace.
// Those who wait on or watch r do not follow the clone.
func (r *Keyed[T]) Clone() *Keyed[T] {
	clone := &Keyed[T]{Kind: r.Kind, Trace: r.Trace}
	var batch []item[string, T]
	for _, e := range r.store.snapshot() {
		if e != nil {
			batch = append(batch, item[string, T]{e.hash, e.key, e.value})
		}
	}
	clone.store.add(batch...)
	return clone
}

func (r *Keyed[T]) check(name string) error {
	if name == "" {
		return fmt.Errorf("registry: a %s needs a name that is not empty", kindOr(r.Kind))
	}
	return nil
}

func (r *Keyed[T]) taken(names []string) error {
	return fmt.Errorf("registry: %s %s: %w (Replace replaces it)", kindOr(r.Kind), quoted(names), ErrExists)
}

func (r *Keyed[T]) missing(name string) error {
	return notFound(r.Kind, name, slices.Collect(r.Names()))
}

func quoted(names []string) string {
	var b strings.Builder
	writeNames(&b, names[:min(len(names), maxHave)], ", ")
	if more := len(names) - maxHave; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
