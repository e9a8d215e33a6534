package budget

import "context"

type contextKey struct{}

// With returns a context that carries b. A nil b lifts the budget.
func With(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, contextKey{}, b)
}

// From returns the budget that ctx carries, or nil, whose methods work and set no
// limit.
func From(ctx context.Context) *Budget {
	b, _ := ctx.Value(contextKey{}).(*Budget)
	return b
}
