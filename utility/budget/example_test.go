package budget_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

// A budget for a run of which a sub-agent gets a share.
func Example() {
	run := budget.New(budget.Limits{Money: 0.50})
	ctx := budget.With(context.Background(), run.Sub(budget.Limits{Steps: 2}))

	call := func(ctx context.Context) error {
		res, err := budget.From(ctx).Reserve(budget.Amount{Money: 0.05, Steps: 1})
		if err != nil {
			return err
		}
		defer res.Release()
		res.Settle(budget.Amount{Money: 0.02, Tokens: 900, Steps: 1})
		return nil
	}
	for {
		if err := call(ctx); errors.Is(err, budget.ErrExceeded) {
			fmt.Println(err)
			break
		}
	}
	fmt.Printf("%+v\n", run.Used())
	// Output:
	// budget exceeded: the limit for steps is 2; 2 used, 0 reserved by calls in progress, 1 wanted
	// {Money:0.04 Tokens:1800 Steps:2}
}
