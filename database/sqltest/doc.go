// Package sqltest proves package database on real engines: SQLite, and a private
// PostgreSQL cluster when its programs are installed. It holds only tests, in a
// module of its own because of the drivers.
package sqltest
