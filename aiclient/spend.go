package aiclient

import (
	"context"
	"errors"

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

// expectedOutput is what a reply is taken to have, in tokens, when the request
// does not bound it.
const expectedOutput = 1024

// spend is what was set aside for one request. A nil spend is nothing.
type spend struct {
	reservation *budget.Reservation
	reserved    budget.Amount
}

// reserve sets aside what a request with so many tokens may cost from the budget
// that ctx carries. A budget that has not enough left ends the turn.
func (c *Conversation) reserve(ctx context.Context, prompt, output int64) (*spend, error) {
	b := budget.From(ctx)
	if b == nil {
		return nil, nil
	}
	if output <= 0 {
		output = expectedOutput
	}
	amount := budget.Amount{
		Money:  c.opts.Price.Cost(Usage{Input: prompt, Output: output}),
		Tokens: prompt + output,
		Steps:  1,
	}
	r, err := b.Reserve(amount)
	if errors.Is(err, budget.ErrExceeded) {
		return nil, &StopError{Reason: StopBudget, Err: err}
	}
	if err != nil {
		return nil, err
	}
	return &spend{r, amount}, nil
}

// settle replaces what was set aside by what was really used. Of a reply that
// broke off before the provider counted it, what was set aside counts. A
// request that failed at once costs nothing, not even a step.
func (s *spend) settle(reply *Response, cost float64) {
	switch {
	case s == nil || reply == nil:
	case reply.Usage != Usage{} || cost != 0:
		s.reservation.Settle(budget.Amount{Money: cost, Tokens: reply.Usage.Total(), Steps: 1})
	case len(reply.Message.Parts) > 0:
		s.reservation.Settle(s.reserved)
	}
}

// release gives back what was set aside and has not been settled.
func (s *spend) release() {
	if s != nil {
		s.reservation.Release()
	}
}
