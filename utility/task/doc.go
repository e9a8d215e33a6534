// Package task runs work that nobody waits for without losing sight of it: no
// panic kills the program, no error vanishes, no goroutine leaks.
//
// A [Group] owns its tasks. It bounds how many run, knows them by name, reports
// their errors and panics, and ends them at Close:
//
//	tasks := task.NewGroup(task.Options{})
//	defer tasks.Close(shutdownCtx)
//	…
//	err := tasks.Detach(ctx, "index "+path, func(ctx context.Context) error {
//		return index(ctx, path)
//	})
//
// A task outlives the context of the call that started it but keeps the values
// of that context; its own context is cancelled by Close.
//
// [Abandon] is for work that may ignore its context. It returns as soon as the
// caller's context ends; the result that arrives too late goes to a cleanup
// function, and the group keeps account of the goroutine until it is gone.
package task
