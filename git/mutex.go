package git

import (
	"context"
	"fmt"
)

// mutex is a lock that a context can end the wait for.
type mutex chan struct{}

func newMutex() mutex { return make(mutex, 1) }

func (m mutex) lock(ctx context.Context) error {
	select {
	case m <- struct{}{}:
		return nil
	default:
	}
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("while another call was changing the repository: %w", ended(ctx))
	}
}

func (m mutex) unlock() { <-m }

// ended is why the context has: its error and, where that says more, its cause.
func ended(ctx context.Context) error {
	if err, cause := ctx.Err(), context.Cause(ctx); cause != err {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return ctx.Err()
}
