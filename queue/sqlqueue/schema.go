package sqlqueue

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
)

// Errors of the file. They come wrapped with what was tried.
var (
	ErrDiskFull = errors.New("disk is full")
	ErrReadOnly = errors.New("queue file cannot be written")
	ErrCorrupt  = errors.New("queue file is damaged")
	ErrSync     = errors.New("disk did not take what was written")
	ErrBusy     = errors.New("queue file is locked by another process")
	ErrVersion  = errors.New("queue file is of a newer version")
	ErrForeign  = errors.New("file is a database of something else")
)

// typed adds the sentinel that fits an error of SQLite.
func typed(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	var kind error
	switch e.Code() & 0xff { // the primary result code, see sqlite.org/rescode.html
	case 5, 6:
		kind = ErrBusy
	case 8, 14:
		kind = ErrReadOnly
	case 11, 26, 1, 19, 20: // the last three: our statements do not fit what is there
		kind = ErrCorrupt
	case 13:
		kind = ErrDiskFull
	default:
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// The states of an item in the file.
const (
	ready = iota
	delayed
	blocked
	leased
	dead
)

// migrations lead from each version of the file, which PRAGMA user_version
// holds, to the next.
var migrations = []string{
	// A state's items are found by partial indexes, so that the cost of an
	// operation does not depend on how many items there are in other states.
	// Small payloads are in the row; larger ones are in bodies, because a change
	// of state rewrites the row.
	`CREATE TABLE items (
		seq INTEGER PRIMARY KEY,
		id TEXT,                         -- NULL for IDs that follow from seq
		name TEXT NOT NULL,
		key TEXT NOT NULL,
		dedupe TEXT NOT NULL,
		priority INTEGER NOT NULL,
		not_before INTEGER NOT NULL,     -- times are Unix nanoseconds, 0 for none
		state INTEGER NOT NULL,
		due INTEGER NOT NULL,            -- end of the delay or of the lease
		available INTEGER NOT NULL,
		enqueued INTEGER NOT NULL,
		first_received INTEGER NOT NULL,
		received INTEGER NOT NULL,
		attempts INTEGER NOT NULL,
		token INTEGER NOT NULL,
		last_error TEXT NOT NULL,
		headers BLOB,
		big INTEGER NOT NULL,
		payload BLOB,
		checkpoint BLOB
	);
	CREATE UNIQUE INDEX items_id ON items (id) WHERE id IS NOT NULL;
	CREATE INDEX items_ready ON items (priority DESC, seq) WHERE state = 0;
	CREATE INDEX items_due ON items (due) WHERE state IN (1, 3);
	CREATE INDEX items_key ON items (key, seq) WHERE key <> '' AND state <> 4;
	CREATE INDEX items_dead ON items (seq) WHERE state = 4;
	CREATE TABLE bodies (seq INTEGER PRIMARY KEY, payload BLOB, checkpoint BLOB);
	CREATE TABLE dedupe (key TEXT PRIMARY KEY, id TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
	CREATE INDEX dedupe_expires ON dedupe (expires);
	CREATE TABLE state (
		one INTEGER PRIMARY KEY CHECK (one = 1),
		prefix TEXT NOT NULL,            -- of the IDs made here
		last_seq INTEGER NOT NULL,
		last_token INTEGER NOT NULL,
		paused INTEGER NOT NULL,
		ready INTEGER NOT NULL, delayed INTEGER NOT NULL, blocked INTEGER NOT NULL,
		leased INTEGER NOT NULL, dead INTEGER NOT NULL
	);`,
}

// recognise returns the version of the file, 0 for a new one, and fails for a
// file that is no queue or a later program's, without changing it.
func recognise(ctx context.Context, conn *sql.Conn) (version int, err error) {
	var tables, ours int
	err = conn.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version), count(*),
		count(iif(type = 'table' AND name IN ('items', 'bodies', 'dedupe', 'state'), 1, NULL)) FROM sqlite_schema`,
	).Scan(&version, &tables, &ours)
	switch {
	case err != nil:
		return 0, err
	case version > len(migrations):
		return 0, fmt.Errorf("%w: version %d, this program knows %d", ErrVersion, version, len(migrations))
	case version == 0 && tables > 0 || version > 0 && ours < 4:
		return 0, ErrForeign
	}
	return version, nil
}

// migrate brings the file to the current version, in one transaction.
func migrate(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := func() error {
		version, err := recognise(ctx, conn)
		if err != nil {
			return err
		}
		for ; version < len(migrations); version++ {
			if _, err := conn.ExecContext(ctx, migrations[version]); err != nil {
				return fmt.Errorf("migrate to version %d: %w", version+1, err)
			}
		}
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx, "INSERT OR IGNORE INTO state VALUES (1, ?, 0, 0, 0, 0, 0, 0, 0, 0)",
			strings.ToLower(rand.Text()[:6]))
		return err
	}()
	if err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}
