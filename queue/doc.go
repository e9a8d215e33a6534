// Package queue holds work that must not be forgotten: items that a program or
// an agent adds, and workers that handle them, at least once, in order.
//
// [Queue] is the interface of every engine. This package has the engine that
// lives in memory ([NewMemory]); the nested modules queue/sqlqueue and
// queue/natsqueue keep items on disk and across machines. All of them pass the
// same conformance suite, queue/queuetest, so a program picks one by durability
// alone. [Worker] handles the items of any of them.
//
// # Semantics
//
//   - At least once. An item that Enqueue accepted is delivered until it is
//     acknowledged, becomes a dead letter or is removed. [Queue.Ack] that returned
//     nil is final. A handler may see an item twice, after a crash or when its
//     lease ran out, and must be able to bear it.
//   - Order. Among the items that are ready, those of higher priority come first,
//     and among equal ones those that were enqueued first. A retried item keeps
//     its place.
//   - Keys. Items with the same key are delivered strictly in the order in which
//     they were enqueued, one at a time, whatever their priorities: the next one is
//     blocked until the one before is acknowledged, dead or removed, its delays and
//     retries included. Items without a key do not wait for each other.
//   - Leases. Receive hands an item out under a lease. An item whose lease ran
//     out is delivered again, and the late holder is told [ErrLeaseLost].
//   - Retries. Nack returns an item for a later attempt, after the delay that it
//     names or the queue's exponential backoff. When an attempt fails or its lease
//     runs out and Options.MaxAttempts are used up, the item becomes a dead letter
//     that keeps the reason. Dead letters stay until they are removed or sent back by
//     Redrive.
//   - Dedupe. An item whose dedupe key was accepted within Options.DedupeWindow is
//     not added again: Enqueue returns the ID of the first one.
//   - Bounds. Options.Capacity bounds the items that are not dead; Options.Overflow
//     says what happens beyond it. Options.MaxItemSize bounds one item.
//   - Batches. Enqueue of several items adds all or none of them.
//   - Fairness. Blocked receivers are served in the order in which they came.
//   - Clock. Only the engine's clock counts: delays, leases and windows are durations
//     from its now, and NotBefore is compared with it. Memory reads it for every
//     call, except that untraced calls which come faster than one in 8 µs share
//     readings that are at most a millisecond old.
//
// A queue takes over the Payload, Checkpoint and Headers it is given and hands the
// same memory out again: neither side may change it.
package queue
