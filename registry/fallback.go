package registry

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// Decision is what a [Fallback] does after a member has failed.
type Decision int

const (
	NextMember Decision = iota // try the next one
	SameMember                 // try the same one again
	GiveUp                     // try no more
)

// FallbackOptions configure a [Fallback].
type FallbackOptions struct {
	// Decide is asked after each failure; attempt counts the tries of this member
	// from 1. Nil means NextMember always. It is not asked when the context has
	// ended: then no more is tried.
	Decide func(name string, attempt int, err error) Decision
}

// Fallback tries members in their order until one succeeds. It keeps no state
// between calls.
type Fallback[T any] struct {
	members func() iter.Seq2[string, T]
	opts    FallbackOptions
}

// NewFallback returns a fallback over what members yields at each call, such as
// the All method of a [Keyed], the Active method of a [MultiSelector] or the
// Healthy method of a [Balancer].
func NewFallback[T any](members func() iter.Seq2[string, T], opts FallbackOptions) *Fallback[T] {
	return &Fallback[T]{members: members, opts: opts}
}

// Do calls fn with one member after the other until it returns nil. Otherwise
// the error is a [*FallbackError] that holds every failure, an
// [*UnavailableError] when there are no members, or the context's error when it
// had ended before the first try.
func (f *Fallback[T]) Do(ctx context.Context, fn func(ctx context.Context, name string, v T) error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("registry: no member was tried: %w", contextError(ctx))
	}
	var failed FallbackError
	for name, v := range f.members() {
		for attempt := 1; ; attempt++ {
			err := fn(ctx, name, v)
			if err == nil {
				return nil
			}
			failed.Failures = append(failed.Failures, &MemberError{Name: name, Err: err})
			if ctx.Err() != nil {
				failed.Stopped = contextError(ctx)
				return &failed
			}
			decision := NextMember
			if f.opts.Decide != nil {
				decision = f.opts.Decide(name, attempt, err)
			}
			if decision == GiveUp {
				return &failed
			}
			if decision != SameMember {
				break
			}
		}
	}
	if len(failed.Failures) == 0 {
		return &UnavailableError{}
	}
	return &failed
}

// MemberError is the error of one member.
type MemberError struct {
	Name string
	Err  error
}

func (e *MemberError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns the member's own error.
func (e *MemberError) Unwrap() error { return e.Err }

// FallbackError joins the errors of all tries. errors.Is and errors.As look into
// each of them.
type FallbackError struct {
	Failures []*MemberError // in the order of the tries
	Stopped  error          // the context's error, when that ended the tries
}

func (e *FallbackError) Error() string {
	var b strings.Builder
	b.WriteString("registry: every try failed: ")
	for i, failure := range e.Failures {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(failure.Error())
	}
	if e.Stopped != nil {
		fmt.Fprintf(&b, "; stopped: %v", e.Stopped)
	}
	return b.String()
}

// Unwrap returns all errors.
func (e *FallbackError) Unwrap() []error {
	errs := make([]error, 0, len(e.Failures)+1)
	for _, failure := range e.Failures {
		errs = append(errs, failure)
	}
	if e.Stopped != nil {
		errs = append(errs, e.Stopped)
	}
	return errs
}
