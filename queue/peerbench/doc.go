// Package peerbench measures engines of package queue beside their peers: the one
// in memory beside a channel and a ring, the one on SQLite beside goqite, River,
// bbolt and a bare file, and the cost of an operation at different depths. The one
// on JetStream is measured beside nats.go in its own folder.
//
// It is a module of its own, so that nobody else sees its dependencies, and holds
// benchmarks only:
//
//	go test -bench . -benchmem ./queue/peerbench
//	cd examples/benchreport && go run . -packages ../../queue/peerbench
//
// TOKENRING_LONG=1 adds a depth of a million on disk. All that is durable syncs before it
// acknowledges. An iteration is one item of one of the producers, all of which run
// at once.
package peerbench
