// Package sqlqueue is the durable, embedded engine of package queue: a SQLite
// file, in pure Go, that several processes of one machine may share.
//
// What Enqueue, Ack, Nack, Dead, Remove and Redrive have confirmed is on disk:
// the file is in WAL mode, and the log is synced (fsync) before a call returns, as
// with synchronous FULL. One goroutine writes. It runs the calls that arrive while
// the disk is busy in one transaction, so that many callers share a sync. Should a
// sync fail, that call and all later ones fail with [ErrSync] until the file is
// opened again, because what the disk has cannot be known.
//
// Receivers are woken at once by what this process does, and within
// Options.Poll by what other processes do. A lease held by a process that died
// runs out and the item is delivered again. Fairness among receivers holds
// within a process. Pausing is for all processes, and lasts; draining is for the
// handle that it was called on. Options that concern a decision, such as
// MaxAttempts or Capacity, are those of the process that makes it.
package sqlqueue
