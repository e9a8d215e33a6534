// Package sqlstore keeps agents' checkpoints in an SQL database.
//
// [Open] keeps them in an SQLite file, through a driver in pure Go, in the
// write-ahead-log mode: an acknowledged checkpoint is synced to the disk, and
// several processes may use one file. [New] takes an SQLite database that is
// open already.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"os"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// Options adjust a [Store]. The zero value is what [Open] uses.
type Options struct {
	// Table is the name of the table, which is made if it does not exist. Empty
	// means "tokenring_checkpoints". It is written into statements as it is and
	// must be a plain identifier.
	Table string
	// BusyTimeout is how long a change waits for another process. 0 means ten
	// seconds. It is used by Open.
	BusyTimeout time.Duration
	// NoSync leaves it to the operating system when data reaches the disk. It
	// is used by Open.
	NoSync bool
}

const (
	defaultTable = "tokenring_checkpoints"
	defaultBusy  = 10 * time.Second
)

// Store is an [agent.Store] in an SQL database. It is safe for concurrent use.
type Store struct {
	db    *sql.DB
	owned bool
	table string
}

var _ agent.Store = (*Store)(nil)

// Open opens or makes the SQLite database in the file at path; one that is made
// is readable by its owner only. The caller closes it.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	if path == "" || path == ":memory:" { // each connection would have one of its own
		return nil, fmt.Errorf("sqlstore: open %q: want a file; agent.MemoryStore keeps checkpoints in memory", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite gives its other files the same mode
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	busy := opts.BusyTimeout
	if busy <= 0 {
		busy = defaultBusy
	}
	sync := "FULL" // in WAL mode, each commit is synced
	if opts.NoSync {
		sync = "OFF"
	}
	// A transaction takes the write lock at its beginning: it waits for others
	// there, and never fails for having read too early.
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()), "journal_mode(WAL)", "synchronous(" + sync + ")"}}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open %s: %w", path, err)
	}
	s, err := New(ctx, db, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: open %s: %w", path, err), db.Close())
	}
	s.owned = true
	return s, nil
}

// New makes a store in an SQLite database, which stays the caller's to close. Its
// journal mode and synchronous pragma decide what an acknowledgement is worth.
func New(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	s := &Store{db: db, table: opts.Table}
	if s.table == "" {
		s.table = defaultTable
	}
	if err := checkIdentifier(s.table); err != nil {
		return nil, err
	}
	err := again(ctx, func() error {
		_, err := db.ExecContext(ctx, s.statement(`CREATE TABLE IF NOT EXISTS %s (
			agent TEXT NOT NULL, seq BIGINT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (agent, seq))`))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: make table %s: %w", s.table, err)
	}
	return s, nil
}

func checkIdentifier(name string) error {
	for i, r := range name {
		if r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9' {
			continue
		}
		return fmt.Errorf("sqlstore: table name %q: want letters, digits and '_'", name)
	}
	return nil
}

func (s *Store) statement(format string) string { return fmt.Sprintf(format, s.table) }

// Close closes the database if [Open] opened it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	return s.db.Close()
}

// again repeats fn while the database is locked by a process that does not
// honour the busy timeout, such as one that changes the journal mode.
func again(ctx context.Context, fn func() error) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := fn()
		var lite *sqlite.Error
		if err == nil || !errors.As(err, &lite) || lite.Code()&0xff != sqlite3.SQLITE_BUSY || wait >= 100*time.Millisecond {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Append implements [agent.Store].
func (s *Store) Append(ctx context.Context, agentID string, rec agent.Record) error {
	if rec.Seq == 0 || rec.Seq > math.MaxInt64 {
		return fmt.Errorf("agent %s: append checkpoint: number %d is not one", agentID, rec.Seq)
	}
	data := rec.Data
	if data == nil {
		data = []byte{}
	}
	err := s.change(ctx, func(tx *sql.Tx) error {
		var last sql.NullInt64
		row := tx.QueryRowContext(ctx, s.statement("SELECT MAX(seq) FROM %s WHERE agent = $1"), agentID)
		if err := row.Scan(&last); err != nil {
			return err
		}
		if last.Valid && last.Int64 >= int64(rec.Seq) {
			return fmt.Errorf("the newest is %d: %w", last.Int64, agent.ErrConflict)
		}
		_, err := tx.ExecContext(ctx, s.statement("INSERT INTO %s (agent, seq, data) VALUES ($1, $2, $3)"), agentID, int64(rec.Seq), data)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: agent %s: append checkpoint %d: %w", agentID, rec.Seq, err)
	}
	return nil
}

// change runs fn in a transaction.
func (s *Store) change(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return again(ctx, func() error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return errors.Join(err, ignoreDone(tx.Rollback()))
		}
		return tx.Commit()
	})
}

// ignoreDone drops the error of rolling back what the context ended already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// readPage is how many records are read at a time. No transaction is open while
// the consumer works, so a slow one holds up nobody.
const readPage = 64

// Records implements [agent.Store].
func (s *Store) Records(ctx context.Context, agentID string) iter.Seq2[agent.Record, error] {
	return func(yield func(agent.Record, error) bool) {
		after := int64(-1)
		for {
			page, err := s.page(ctx, agentID, after)
			if err != nil {
				yield(agent.Record{}, fmt.Errorf("sqlstore: agent %s: read checkpoints: %w", agentID, err))
				return
			}
			for _, rec := range page {
				if !yield(rec, nil) {
					return
				}
				after = int64(rec.Seq)
			}
			if len(page) < readPage {
				return
			}
		}
	}
}

func (s *Store) page(ctx context.Context, agentID string, after int64) (page []agent.Record, err error) {
	rows, err := s.db.QueryContext(ctx, s.statement("SELECT seq, data FROM %s WHERE agent = $1 AND seq > $2 ORDER BY seq LIMIT $3"),
		agentID, after, readPage)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var seq int64
		var data []byte
		if err := rows.Scan(&seq, &data); err != nil {
			return nil, err
		}
		page = append(page, agent.Record{Seq: uint64(seq), Data: data})
	}
	return page, rows.Err()
}

// Replace implements [agent.Store].
func (s *Store) Replace(ctx context.Context, agentID string, upTo uint64, recs []agent.Record) error {
	last := uint64(0)
	for _, rec := range recs {
		if rec.Seq <= last || rec.Seq > upTo || rec.Seq > math.MaxInt64 {
			return fmt.Errorf("sqlstore: agent %s: replace checkpoints up to %d: number %d after %d is out of order", agentID, upTo, rec.Seq, last)
		}
		last = rec.Seq
	}
	err := s.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.statement("DELETE FROM %s WHERE agent = $1 AND seq <= $2"), agentID, int64(min(upTo, math.MaxInt64))); err != nil {
			return err
		}
		for _, rec := range recs {
			data := rec.Data
			if data == nil {
				data = []byte{}
			}
			if _, err := tx.ExecContext(ctx, s.statement("INSERT INTO %s (agent, seq, data) VALUES ($1, $2, $3)"), agentID, int64(rec.Seq), data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlstore: agent %s: replace checkpoints up to %d: %w", agentID, upTo, err)
	}
	return nil
}

// Delete implements [agent.Store].
func (s *Store) Delete(ctx context.Context, agentID string) error {
	err := s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, s.statement("DELETE FROM %s WHERE agent = $1"), agentID)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: agent %s: delete checkpoints: %w", agentID, err)
	}
	return nil
}

// Agents implements [agent.Store].
func (s *Store) Agents(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		// Key by key through the primary key's index: no transaction stays open
		// and no record is read.
		last := ""
		for {
			var next sql.NullString
			row := s.db.QueryRowContext(ctx, s.statement("SELECT MIN(agent) FROM %s WHERE agent > $1"), last)
			if err := row.Scan(&next); err != nil {
				yield("", fmt.Errorf("sqlstore: list agents: %w", err))
				return
			}
			if !next.Valid || !yield(next.String, nil) {
				return
			}
			last = next.String
		}
	}
}
