// Package database lets an agent look into databases, and change them when that
// is allowed, without being able to do more than that.
//
// A [Service] holds named providers, each a pool of database/sql with the
// dialect that the database speaks. Queries are read-only because the engine
// makes them so: they run in a read-only transaction that is rolled back
// (PostgreSQL, MySQL) or on a connection that is set to query only (SQLite). One
// call is one statement. A check of the text comes on top of that and refuses
// what an engine would let through in a read-only transaction, such as writing
// files on the server, holding locks, ending other sessions or functions that run
// statements in strings. It knows the functions of the databases and of the
// extensions that come with them, and cannot know others. For a third gate, give
// the provider a role that may do little.
//
// Writes go through [Service.Execute], and only where the provider allows them
// and Options.Approve agrees to the statement.
//
// Results are bounded in rows, bytes and time, say when they were cut, and keep
// every value exact: see [Value].
package database
