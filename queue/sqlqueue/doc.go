// Package sqlqueue is the durable, embedded engine of package queue: a SQLite
// file, in pure Go, that several processes of one machine may share.
//
// What Enqueue, Ack, Nack, Dead, Remove and Redrive have confirmed is on disk:
// the file is in WAL mode with synchronous FULL, so each commit is followed by
// fsync. One goroutine writes, and commits the calls that arrive while the
// disk is busy together, so that many callers share an fsync.
//
// Receivers are woken at once by what this process does, and within
// Options.Poll by what other processes do. A lease held by a process that died
// runs out and the item is delivered again. Fairness among receivers holds
// within a process. Pausing is for all processes, and lasts; draining is for the
// handle that it was called on. Options that concern a decision, such as
// MaxAttempts or Capacity, are those of the process that makes it.
package sqlqueue
