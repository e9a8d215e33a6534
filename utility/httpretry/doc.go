// Package httpretry retries HTTP requests: on 429, on 5xx answers (the 529 of
// overloaded services too) and on connection errors.
//
//	client := &http.Client{Transport: &httpretry.Transport{TryTimeout: 30 * time.Second}}
//
// It waits as long as the server asks for, by Retry-After in seconds or as a
// date, or by the reset headers of an exhausted rate limit, and otherwise backs
// off exponentially with jitter. It never waits beyond the deadline of the
// request's context: when the time does not suffice, the caller gets the answer
// that there is, at once.
//
// # What is retried
//
// A request is sent again only if that can do no harm: its method is idempotent
// (GET, HEAD, OPTIONS, TRACE, PUT, DELETE), or it has an Idempotency-Key header,
// or [Transport.NonIdempotent] allows it. A failure to connect is retried for
// every method, because nothing was sent. A body must be rewindable by GetBody,
// which http.NewRequest sets for the usual readers.
//
// An answer is either retried as a whole or handed to the caller untouched: once
// a body is returned, such as an event stream, nothing is retried any more.
package httpretry
