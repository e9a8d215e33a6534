package cache

import "context"

// Value is a [Retriever] of a single value. It is safe for concurrent use.
type Value[V any] struct {
	r *Retriever[struct{}, V]
}

// NewValue returns a Value that load provides. See [New] for the context that
// load gets. Options.MaxEntries has no meaning here.
func NewValue[V any](load func(ctx context.Context) (V, error), opts Options) *Value[V] {
	return &Value[V]{New(func(ctx context.Context, _ struct{}) (V, error) { return load(ctx) }, opts)}
}

// Get returns the value as [Retriever.Get] does.
func (v *Value[V]) Get(ctx context.Context) (V, error) { return v.r.Get(ctx, struct{}{}) }

// Refresh loads the value now, as [Retriever.Refresh] does.
func (v *Value[V]) Refresh(ctx context.Context) (V, error) { return v.r.Refresh(ctx, struct{}{}) }

// Peek returns what is remembered; ok is false when that is nothing.
func (v *Value[V]) Peek() (entry Entry[V], ok bool) { return v.r.Peek(struct{}{}) }

// Invalidate forgets the value, as [Retriever.Invalidate] does.
func (v *Value[V]) Invalidate() { v.r.Invalidate(struct{}{}) }

// Stats returns the counts so far.
func (v *Value[V]) Stats() Stats { return v.r.Stats() }

// Close ends a running load, as [Retriever.Close] does.
func (v *Value[V]) Close(ctx context.Context) error { return v.r.Close(ctx) }
