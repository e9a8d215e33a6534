package sqlqueue

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/internal/engine"
)

// row is an item as it is in the file.
type row struct {
	queue.Item
	seq       int64
	named     bool // the ID is the producer's
	state     int
	notBefore int64
	available int64
	received  int64
	token     int64
	big       bool
}

var stateNames = [...]queue.State{queue.Ready, queue.Delayed, queue.Blocked, queue.Leased, queue.Dead}

func expand(text string) string { return strings.Replace(text, "ITEM", itemColumns, 1) }

// scan reads a row of itemColumns.
func (r *row) scan(scan func(...any) error, prefix string) error {
	var id sql.NullString
	var enqueued, first int64
	var headers []byte
	if err := scan(&r.seq, &id, &r.Name, &r.Key, &r.Dedupe, &r.Priority, &r.notBefore, &r.state, &r.available, &enqueued, &first,
		&r.received, &r.Attempts, &r.token, &r.LastError, &headers, &r.big, &r.Payload, &r.Checkpoint); err != nil {
		return damaged(err)
	}
	r.ID, r.named = id.String, id.Valid
	if !r.named {
		r.ID = engine.AutoID(prefix, r.seq)
	}
	r.NotBefore = engine.TimeAt(r.notBefore)
	r.EnqueuedAt, r.FirstReceivedAt = engine.TimeAt(enqueued), engine.TimeAt(first)
	if r.state < 0 || r.state >= len(stateNames) {
		return fmt.Errorf("%w: item %s has state %d", ErrCorrupt, r.ID, r.state)
	}
	r.State = stateNames[r.state]
	if len(headers) > 0 {
		if err := json.Unmarshal(headers, &r.Headers); err != nil {
			return fmt.Errorf("%w: headers of item %s: %w", ErrCorrupt, r.ID, err)
		}
	}
	return nil
}

// damaged says of an error while reading a row that the file is to blame, unless
// SQLite itself knows better.
func damaged(err error) error {
	var known *sqlite.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// one returns the first row of a statement, or nil.
func (b *batch) one(st *sql.Stmt, args ...any) *row {
	rows := b.all(st, args...)
	if len(rows) == 0 {
		return nil
	}
	return rows[0]
}

// all returns the rows of a statement.
func (b *batch) all(st *sql.Stmt, args ...any) []*row {
	if b.flush(); b.broken != nil {
		return nil
	}
	rows, err := st.Query(args...)
	if err != nil {
		b.broken = err
		return nil
	}
	defer rows.Close()
	var found []*row
	for rows.Next() {
		r := &row{}
		if b.broken = r.scan(rows.Scan, b.state.prefix); b.broken != nil {
			return nil
		}
		found = append(found, r)
	}
	b.broken = rows.Err()
	return found
}

// value reads the first value of the first row of a statement, if there is one.
func (b *batch) value(dest any, st *sql.Stmt, args ...any) bool {
	if b.flush(); b.broken != nil {
		return false
	}
	err := st.QueryRow(args...).Scan(dest)
	if err != nil && !isNoRows(err) {
		b.broken = err
	}
	return err == nil
}

// load reads the large parts of an item.
func (b *batch) load(r *row) {
	if r.big && b.broken == nil {
		b.broken = damaged(b.st.Body.QueryRow(r.seq).Scan(&r.Payload, &r.Checkpoint))
	}
}

// find returns an item by its ID, or nil.
func (b *batch) find(id string) *row {
	if seq, ok := engine.ParseID(b.state.prefix, id); ok {
		if r := b.one(b.st.BySeq, seq); r != nil && !r.named {
			return r
		}
	}
	return b.one(b.st.ByID, id)
}
