package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Permanent marks an error that no further attempt can cure: the item becomes a
// dead letter at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// RetryAfter marks an error after which the next attempt should wait that long
// instead of the queue's backoff; 0 means at once. RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryError{err, d}
}

type retryError struct {
	err   error
	delay time.Duration
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// PanicError is the failure of a handler that panicked or called
// runtime.Goexit.
type PanicError struct {
	Value any    // what it panicked with; nil for Goexit
	Stack []byte // of the handler's goroutine
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "handler called runtime.Goexit"
	}
	return fmt.Sprintf("handler panicked: %v", e.Value)
}

// Unwrap returns the value of the panic if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Decision is what a worker does with an item whose handler failed.
type Decision struct {
	// Dead makes it a dead letter at once.
	Dead bool
	// Delay is as in [Nack]: 0 the queue's backoff, negative at once.
	Delay time.Duration
}

// DefaultRetry is the retry policy of a worker that has no other: errors marked
// by [Permanent] bury the item, those marked by [RetryAfter] name the delay, a
// handler that was interrupted because the worker stops is tried again at once,
// and everything else waits for the queue's backoff.
func DefaultRetry(_ Item, err error) Decision {
	var permanent *permanentError
	var retry *retryError
	switch {
	case errors.As(err, &permanent):
		return Decision{Dead: true}
	case errors.As(err, &retry):
		if retry.delay <= 0 {
			return Decision{Delay: -1}
		}
		return Decision{Delay: retry.delay}
	case errors.Is(err, errStopped):
		return Decision{Delay: -1}
	default:
		return Decision{}
	}
}

// errStopped is the cause of a handler's cancelled context when its worker
// stops.
var errStopped = fmt.Errorf("worker stopped: %w", context.Canceled)
