// Package natsqueue is the distributed engine of package queue: a NATS JetStream
// stream that many machines share, on a cluster ([Open], [Connect]) or on a
// server inside the process ([Embedded]).
//
// # Which guarantee comes from where
//
// A JetStream consumer knows no priorities, redelivers out of order and cannot
// hold back the second item of a key, so delivery is not left to consumers. The
// stream is a replicated log of transactions instead, and each handle keeps the
// state that the log adds up to.
//
//   - Durability: a call returns once the stream acknowledged its transaction.
//     With replicas a majority of servers holds it then. Whether it is synced to
//     disk before is a setting of the server: Embedded does so unless
//     Options.SyncInterval says otherwise; other servers need
//     "sync_interval: always".
//   - Exclusive delivery, order, keys, priorities, capacity, dedupe: a transaction
//     names the sequence number of the last one that it knows
//     (Nats-Expected-Last-Sequence), so it takes effect only if it was decided on
//     the latest state. Whoever loses reads on and decides again.
//   - All or nothing: a transaction is one message. It holds the calls that came in
//     while the one before was on its way, which share its round trip and sync.
//   - Clock: the stream's timestamps, carried forward by the monotonic clock, decide
//     when leases and delays end.
//   - News of other handles: the stream republishes the heads of its messages
//     (RePublish); missing transactions are read by direct get. Nothing depends on
//     the news: what a handle missed shows in the sequence numbers.
//   - Space: what finished items left in the log is purged by sequence. Old items
//     are written again at the end, so that they do not hold the rest.
//   - Failover: a transaction is repeated as it is until it or another one is in the
//     log, whatever leaders answer. It names its predecessor, so it takes effect once.
//   - Loss: a stream that lost what a handle knew to be acknowledged is an error,
//     [ErrLost], once. Who opens it later finds what there is.
//
// Each handle holds all items in memory and reads what the others write, and all
// compete for the end of the log: use one handle for each process, and several
// streams where many machines do small work. A transaction must fit into a message,
// so items and batches are bounded by the server's max_payload. Pausing is for all
// handles, and lasts; draining is for the handle that it was called on, and so
// are counters. Options that concern a decision, such as MaxAttempts or Capacity,
// are those of the handle that makes it.
package natsqueue
