package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

func ExampleDo() {
	calls := 0
	err := retry.Do(context.Background(), retry.Policy{Initial: time.Millisecond}, func(context.Context) error {
		if calls++; calls < 3 {
			return errors.New("busy")
		}
		return nil
	})
	fmt.Println(calls, err)
	// Output: 3 <nil>
}

func ExamplePermanent() {
	err := retry.Do(context.Background(), retry.Policy{}, func(context.Context) error {
		return retry.Permanent(errors.New("no such user"))
	})
	fmt.Println(err)
	// Output: no such user
}
