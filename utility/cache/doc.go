// Package cache keeps the answers of slow functions: a service's list of models,
// whether a provider is online, a remote document.
//
// A [Retriever] is a function from keys to values with a memory. Any number of
// concurrent callers of one key cause one load; a caller who gives up does not
// fail the others; an error does not replace good data; what is about to expire
// is loaded again in the background before anybody has to wait. [Value] is the
// same for a function without a key. [JSON] loads JSON documents over HTTP and
// asks only for what has changed.
//
// A hit takes no lock and reads no clock. No goroutine lives while nothing is
// being loaded.
package cache
