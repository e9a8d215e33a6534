package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Provider is a database under a name.
type Provider struct {
	// Name is what models and people call it.
	Name string

	// Description says in a line what is in it.
	Description string

	// DB is the pool. The program that opened it closes it.
	DB *sql.DB

	// ReadDB, if set, serves the queries instead of DB: a replica, or the same
	// file opened read-only. Queries are made read-only there too.
	ReadDB *sql.DB

	// Dialect says what the database speaks. It must be set.
	Dialect Dialect

	// AllowWrites makes Execute possible, subject to Options.Approve.
	AllowWrites bool

	// Pool sets limits on DB and ReadDB when the provider is registered.
	Pool Pool

	known *known // nil if it was not added by Service.Register
}

// known is what a service gets to know of a provider.
type known struct {
	writes    atomic.Uint64 // raised by each, which ends what is cached
	queryOnly atomic.Int32  // of SQLite, see isQueryOnly; 0 is unknown
}

// Dialect is a kind of database.
type Dialect string

// The dialects that a service knows.
const (
	// SQLite reads more than one statement from a text, so that only the check of
	// the text keeps a call to one. A ReadDB that is opened read-only (mode=ro)
	// cannot write whatever it is told. It runs in this process: when the time of a
	// query is up and its driver does not stop it, which modernc.org/sqlite does
	// before the first row only, it goes on with its connection until it ends.
	SQLite Dialect = "sqlite"

	// Postgres is PostgreSQL 12 or newer.
	Postgres Dialect = "postgres"

	// MySQL is MySQL or MariaDB. Its server goes on with a statement when the
	// client has left, as after Options.Timeout: bound it there too, by
	// max_execution_time (MySQL, in milliseconds) or max_statement_time (MariaDB,
	// in seconds) in the data source name.
	MySQL Dialect = "mysql"
)

// Pool are the limits of a connection pool. Zero fields mean the defaults.
type Pool struct {
	MaxOpen  int           // connections; default 8, so that an agent cannot use up a server, or fewer if the program has set fewer
	MaxIdle  int           // default 4
	Lifetime time.Duration // default 30 minutes, never for SQLite, where it may be in memory
	IdleTime time.Duration // default 5 minutes, never for SQLite
	Keep     bool          // leave the pool as the program has set it
}

func (p *Provider) read() *sql.DB {
	if p.ReadDB != nil {
		return p.ReadDB
	}
	return p.DB
}

// Register adds a provider and sets its pool's limits. It does not connect.
func (s *Service) Register(p Provider) error {
	switch {
	case p.DB == nil && p.ReadDB == nil:
		return fmt.Errorf("register database %q: it has no DB", p.Name)
	case p.Dialect != SQLite && p.Dialect != Postgres && p.Dialect != MySQL:
		return fmt.Errorf("register database %q: unknown dialect %q: want %s, %s or %s", p.Name, p.Dialect, SQLite, Postgres, MySQL)
	case p.AllowWrites && p.DB == nil:
		return fmt.Errorf("register database %q: writes are allowed but there is only a ReadDB", p.Name)
	}
	p.known = new(known)
	if err := s.providers.Register(p.Name, &p); err != nil {
		return err
	}
	for _, db := range []*sql.DB{p.DB, p.ReadDB} {
		if db == nil || p.Pool.Keep {
			continue
		}
		open := orDefault(p.Pool.MaxOpen, 8)
		if set := db.Stats().MaxOpenConnections; set > 0 && p.Pool.MaxOpen == 0 {
			open = min(open, set) // a database in memory may need its only connection
		}
		db.SetMaxOpenConns(open)
		db.SetMaxIdleConns(min(open, orDefault(p.Pool.MaxIdle, 4)))
		if p.Dialect != SQLite {
			db.SetConnMaxLifetime(orDefault(p.Pool.Lifetime, 30*time.Minute))
			db.SetConnMaxIdleTime(orDefault(p.Pool.IdleTime, 5*time.Minute))
		}
	}
	return nil
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// provider finds one by name. An empty name means the only one there is.
func (s *Service) provider(name string) (*Provider, error) {
	if name == "" {
		if s.providers.Len() == 1 {
			for p := range s.providers.Values() {
				return p, nil
			}
		}
		return nil, errors.New("name the database: " + s.names())
	}
	return s.providers.Require(name)
}

// Ping checks that a provider's database answers.
func (s *Service) Ping(ctx context.Context, name string) error {
	p, err := s.provider(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	for _, db := range []*sql.DB{p.DB, p.ReadDB} {
		if db == nil {
			continue
		}
		if err := db.PingContext(ctx); err != nil {
			return fmt.Errorf("ping database %q: %w", p.Name, err)
		}
	}
	return nil
}

// PoolStats returns the state of a provider's pool for queries.
func (s *Service) PoolStats(name string) (sql.DBStats, error) {
	p, err := s.provider(name)
	if err != nil {
		return sql.DBStats{}, err
	}
	return p.read().Stats(), nil
}
