// Package budget limits what an agent may spend: money, tokens and steps.
//
// A [Budget] is a hard limit, not a statistic: before a call, its expected cost
// is reserved, and a call that would go beyond a limit is not made. Calls that
// run at the same time cannot overspend together, because a reservation counts
// until it is settled with the actual cost.
//
//	res, err := budget.From(ctx).Reserve(budget.Amount{Steps: 1, Tokens: 4000, Money: 0.02})
//	if err != nil {
//		return err // errors.Is(err, budget.ErrExceeded)
//	}
//	defer res.Release() // when the call fails before it costs anything
//	reply, err := call(ctx)
//	…
//	res.Settle(budget.Amount{Steps: 1, Tokens: reply.Tokens, Money: reply.Cost})
//
// The context carries the budget ([With], [From]), so that it reaches sub-agents.
// [Budget.Sub] gives one of them a share: what it spends is charged to its own
// limits and to every budget above. All methods work on a nil *Budget, which has
// no limits, so code need not ask whether there is one.
package budget
