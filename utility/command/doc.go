// Package command runs programs for people and models that do not know what the
// programs will do: they may never end, fill memory with output, wait for input
// or leave processes behind.
//
// [Run] takes an argv, never a line of shell code unless [Shell] made it. It
// keeps the beginning and the end of the output and counts the rest, passes only
// an allow-list of the environment, and ends the whole process group when the
// context or the time limit says so: SIGTERM first, SIGKILL after
// [Options.KillDelay], which reaches a grandchild that ignores SIGTERM as well.
// A process that keeps the output open after the command has exited cannot hang
// Run.
//
//	res, err := command.Run(ctx, []string{"go", "test", "./..."}, command.Options{
//		Dir:     dir,
//		Timeout: 10 * time.Minute,
//	})
//	var exit *command.ExitError
//	switch {
//	case err == nil: // exit status 0
//	case errors.Is(err, context.DeadlineExceeded): // res.Combined() is what it wrote until then
//	case errors.As(err, &exit): // exit.Result is res
//	}
//
// On systems without process groups (Windows) only the command itself is ended
// on cancel; its descendants are disconnected.
package command
