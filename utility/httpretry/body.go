package httpretry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrTryTimeout reports an attempt that took longer than
// [Transport.TryTimeout]. It is a timeout in the sense of net.Error and of
// context.DeadlineExceeded.
var ErrTryTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "attempt timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// tryError is ErrTryTimeout with the limit. The error of the base transport is not
// in it: it says "context canceled", which would mislead callers that look for
// their own cancellation.
type tryError struct {
	limit time.Duration
}

func (e *tryError) Error() string {
	return fmt.Sprintf("attempt timed out: no answer within %s", e.limit)
}
func (e *tryError) Unwrap() error   { return ErrTryTimeout }
func (e *tryError) Timeout() bool   { return true }
func (e *tryError) Temporary() bool { return true }

// body releases its attempt when it is closed or has been read to its end.
type body struct {
	io.ReadCloser
	release func()
	cause   func() error
}

// newBody wraps the body of an answer that goes to the caller. The body of an
// answer that switches protocols stays an io.Writer.
func newBody(a attempt) io.ReadCloser {
	b := &body{ReadCloser: a.resp.Body}
	b.release = sync.OnceFunc(func() {
		if a.timer != nil {
			a.timer.Stop()
		}
		a.cancel(nil)
	})
	b.cause = func() error { return context.Cause(a.ctx) }
	if w, ok := a.resp.Body.(io.Writer); ok {
		return &writableBody{body: b, Writer: w}
	}
	return b
}

type writableBody struct {
	*body
	io.Writer
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(b.cause(), ErrTryTimeout) && err != io.EOF {
		err = fmt.Errorf("reading the answer: %w", ErrTryTimeout)
	}
	b.release()
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}
