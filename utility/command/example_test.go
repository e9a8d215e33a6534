//go:build unix

package command_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

func ExampleRun() {
	res, err := command.Run(context.Background(), []string{"printf", "%s!", "it's me"}, command.Options{})
	fmt.Println(res.Stdout, err)
	// Output: it's me! <nil>
}

func ExampleRun_failure() {
	_, err := command.Run(context.Background(), command.Shell("echo disk is full >&2; exit 3"), command.Options{})
	var exit *command.ExitError
	if errors.As(err, &exit) {
		fmt.Println(exit.Result.ExitCode)
	}
	fmt.Println(err)
	// Output:
	// 3
	// command sh -c 'echo disk is full >&2; exit 3': exit status 3: disk is full
}

func ExampleRun_timeout() {
	res, err := command.Run(context.Background(), command.Shell("echo working; sleep 60"), command.Options{
		Timeout: 100 * time.Millisecond,
	})
	fmt.Print(res.Combined())
	fmt.Println(errors.Is(err, context.DeadlineExceeded), res.TimedOut)
	// Output:
	// working
	// true true
}
