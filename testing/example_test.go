package testing_test

import (
	"context"
	"fmt"

	"github.com/tokenring-ai/tokenring-go/testing"
)

func Example() {
	ctx := context.Background()
	tests := testing.New(testing.Options{})
	_ = tests.Register("unit", testing.Shell{Command: "echo all good"})
	_ = tests.Register("lint", testing.Shell{Command: "echo unused variable; exit 1"})

	report, err := tests.Run(ctx)
	if err != nil {
		panic(err)
	}
	for _, r := range report.Results {
		fmt.Printf("%s %s: %s", r.Name, r.Status, r.Output)
	}
	fmt.Println(tests.Verdict())
	// Output:
	// unit passed: all good
	// lint failed: unused variable
	// failed: lint
}

// workspace stands for filesystem.Service, which has this method.
type workspace struct{ dirty bool }

func (w *workspace) Dirty() bool { return w.dirty }

// The loop of a coding agent: after each chat the tests run, and what fails is
// enqueued for repair.
func ExampleNewAutoRepair() {
	ctx := context.Background()
	tests := testing.New(testing.Options{})
	_ = tests.Register("unit", testing.Shell{Command: "echo 'want 5, got 7'; exit 1"})

	repair := testing.NewAutoRepair(tests, testing.AutoRepairOptions{
		Enqueue: func(_ context.Context, r testing.Repair) error {
			fmt.Printf("repair %s, attempt %d: %s", r.Resource, r.Attempt, r.Output)
			return nil
		},
	})
	auto := testing.NewAutoTest(tests, testing.AutoTestOptions{
		Workspace:    &workspace{dirty: true},
		AfterTesting: repair.AfterTesting,
	})
	if err := auto.AfterChat(ctx); err != nil {
		panic(err)
	}
	// Output:
	// repair unit, attempt 1: want 5, got 7
}
