// Package timing limits how often a function runs: [Throttle] runs it at most
// once per interval, [Debounce] once things have been quiet for a while. Both
// call it with the latest argument.
//
// A call costs a few dozen nanoseconds and allocates nothing. The function never
// runs twice at the same time. Between bursts of calls there is neither a timer
// nor a goroutine, so a value that is no longer used needs no Close; Close is for
// making sure that the function does not run any more.
package timing
