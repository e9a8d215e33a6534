// Package sqltest proves package database on real engines: SQLite, and private
// servers of PostgreSQL and MariaDB when their programs are installed. It holds
// only tests, in a module of its own because of the drivers.
package sqltest
