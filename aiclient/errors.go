package aiclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class sorts a provider's errors by what a program can do about them. It is an
// error itself, so that errors.Is(err, aiclient.ClassRateLimit) works.
type Class string

// The classes of errors.
const (
	ClassAuth          Class = "auth"           // the key is missing, wrong or not allowed to
	ClassQuota         Class = "quota"          // the account has no credit left
	ClassRateLimit     Class = "rate-limit"     // too many requests or tokens; wait
	ClassOverloaded    Class = "overloaded"     // the provider is too busy; wait or go elsewhere
	ClassServer        Class = "server"         // the provider failed
	ClassTimeout       Class = "timeout"        // no answer in time
	ClassNetwork       Class = "network"        // the provider was not reached or the connection broke
	ClassTruncated     Class = "truncated"      // the stream ended without its terminal event
	ClassContextLength Class = "context-length" // the conversation is too long for the model
	ClassContentFilter Class = "content-filter" // the provider refuses the content
	ClassNotFound      Class = "not-found"      // no such model or endpoint
	ClassBadRequest    Class = "bad-request"    // anything else that is wrong with the request
	ClassProtocol      Class = "protocol"       // the provider's answer cannot be understood
)

// Error implements error.
func (c Class) Error() string { return "model error of class " + string(c) }

// Retryable reports whether the same request may well succeed later.
func (c Class) Retryable() bool {
	switch c {
	case ClassRateLimit, ClassOverloaded, ClassServer, ClassTimeout, ClassNetwork, ClassTruncated:
		return true
	}
	return false
}

// APIError is a request that a provider refused or failed. It never contains a
// key.
type APIError struct {
	Provider   string
	Model      string
	Class      Class
	Status     int           // HTTP status, 0 when there was none
	Code       string        // the provider's own code
	Message    string        // the provider's own message, or ours
	RequestID  string        // to quote to the provider
	RetryAfter time.Duration // how long the provider asks to wait, 0 when it does not say
	Err        error         // the cause, such as a network error
}

func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString(e.Provider)
	if e.Model != "" {
		b.WriteString(":" + e.Model)
	}
	b.WriteString(": ")
	b.WriteString(string(e.Class))
	if e.Status != 0 {
		fmt.Fprintf(&b, " (HTTP %d", e.Status)
		if e.Code != "" {
			b.WriteString(", " + e.Code)
		}
		b.WriteString(")")
	} else if e.Code != "" {
		b.WriteString(" (" + e.Code + ")")
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		b.WriteString(": " + e.Err.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" [request " + e.RequestID + "]")
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; retry after %s", e.RetryAfter)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *APIError) Unwrap() error { return e.Err }

// Is reports whether target is the error's [Class].
func (e *APIError) Is(target error) bool {
	class, ok := target.(Class)
	return ok && class == e.Class
}

// ClassOf returns the class of the first [*APIError] that err wraps. It returns
// the empty class when there is none and for a cancelled context.
func ClassOf(err error) Class {
	if errors.Is(err, context.Canceled) {
		return ""
	}
	if api, ok := errors.AsType[*APIError](err); ok {
		return api.Class
	}
	return ""
}
