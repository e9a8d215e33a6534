package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// statements are the prepared statements of the writer. The tag is the text.
type statements struct {
	Begin       *sql.Stmt `sql:"BEGIN IMMEDIATE"`
	Commit      *sql.Stmt `sql:"COMMIT"`
	Rollback    *sql.Stmt `sql:"ROLLBACK"`
	LoadState   *sql.Stmt `sql:"SELECT prefix, last_seq, last_token, paused, ready, delayed, blocked, leased, dead FROM state"`
	SaveState   *sql.Stmt `sql:"UPDATE state SET last_seq = ?, last_token = ?, paused = ?, ready = ?, delayed = ?, blocked = ?, leased = ?, dead = ?"`
	Insert      *sql.Stmt `sql:"INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, '', ?, ?, ?, ?)"`
	InsertBody  *sql.Stmt `sql:"INSERT INTO bodies VALUES (?, ?, ?)"`
	Next        *sql.Stmt `sql:"SELECT ITEM FROM items WHERE state = 0 ORDER BY priority DESC, seq LIMIT 1"`
	BySeq       *sql.Stmt `sql:"SELECT ITEM FROM items WHERE seq = ?"`
	ByID        *sql.Stmt `sql:"SELECT ITEM FROM items WHERE id = ?"`
	Dead        *sql.Stmt `sql:"SELECT ITEM FROM items WHERE state = 4 ORDER BY seq"`
	Body        *sql.Stmt `sql:"SELECT payload, checkpoint FROM bodies WHERE seq = ?"`
	Lease       *sql.Stmt `sql:"UPDATE items SET state = 3, attempts = ?, token = ?, due = ?, received = ?, first_received = ? WHERE seq = ?"`
	Extend      *sql.Stmt `sql:"UPDATE items SET due = ? WHERE seq = ?"`
	Settle      *sql.Stmt `sql:"UPDATE items SET state = ?, token = 0, due = ?, available = ?, last_error = ? WHERE seq = ?"`
	Place       *sql.Stmt `sql:"UPDATE items SET state = ?, due = ?, available = ? WHERE seq = ?"`
	Renew       *sql.Stmt `sql:"UPDATE items SET seq = ?, id = ?, state = ?, due = ?, available = ?, attempts = 0 WHERE seq = ?"`
	RenewBody   *sql.Stmt `sql:"UPDATE bodies SET seq = ? WHERE seq = ?"`
	Delete      *sql.Stmt `sql:"DELETE FROM items WHERE seq = ?"`
	DeleteBody  *sql.Stmt `sql:"DELETE FROM bodies WHERE seq = ?"`
	Due         *sql.Stmt `sql:"SELECT ITEM FROM items WHERE state IN (1, 3) AND due <= ? ORDER BY due, seq LIMIT 500"`
	NextDue     *sql.Stmt `sql:"SELECT due FROM items WHERE state IN (1, 3) ORDER BY due LIMIT 1"`
	KeyBusy     *sql.Stmt `sql:"SELECT 1 FROM items WHERE key = ? AND key <> '' AND state <> 4 LIMIT 1"`
	KeyNext     *sql.Stmt `sql:"SELECT ITEM FROM items WHERE key = ? AND key <> '' AND state <> 4 ORDER BY seq LIMIT 1"`
	Oldest      *sql.Stmt `sql:"SELECT ITEM FROM items WHERE state < 3 ORDER BY seq LIMIT 1"`
	FindDedupe  *sql.Stmt `sql:"SELECT id FROM dedupe WHERE key = ?"`
	AddDedupe   *sql.Stmt `sql:"INSERT OR REPLACE INTO dedupe VALUES (?, ?, ?)"`
	EndDedupe   *sql.Stmt `sql:"DELETE FROM dedupe WHERE expires <= ?"`
	DataVersion *sql.Stmt `sql:"PRAGMA data_version"`
}

const itemColumns = `seq, id, name, key, dedupe, priority, not_before, state, available, enqueued, first_received,
	received, attempts, token, last_error, headers, big, payload, checkpoint`

func (st *statements) prepare(conn *sql.Conn) error {
	v := reflect.ValueOf(st).Elem()
	for i := range v.NumField() {
		text, ok := v.Type().Field(i).Tag.Lookup("sql")
		if !ok {
			continue
		}
		s, err := conn.PrepareContext(context.Background(), expand(text))
		if err != nil {
			return fmt.Errorf("prepare %q: %w", text, err)
		}
		v.Field(i).Set(reflect.ValueOf(s))
	}
	return nil
}

// close lets go of the statements. Those of a [sql.Conn] do not end with it, and
// SQLite keeps a connection open, with its log, as long as it has statements.
func (st *statements) close() {
	for _, s := range reflect.ValueOf(st).Elem().Fields() {
		if s, ok := s.Interface().(*sql.Stmt); ok && s != nil {
			_ = s.Close() // it was read to its end or failed before
		}
	}
}

// batch is one transaction.
type batch struct {
	w      *writer
	st     *statements
	now    int64
	before state
	state  state
	broken error // of the engine: the transaction cannot go on
	open   bool
	wrote  bool
	waits  bool // somebody will wait when it is committed
	due    int64
	plain  plain
	events []func()
	stats  queue.Stats // to be added when it is committed
}

// state is the row of the table of that name.
type state struct {
	prefix             string
	lastSeq, lastToken int64
	paused             bool
	n                  [5]int64 // items by state
}

func (s *state) len() int { return int(s.n[ready] + s.n[delayed] + s.n[blocked] + s.n[leased]) }

func (w *writer) begin() (*batch, error) {
	b := &batch{w: w, st: &w.st}
	if _, err := b.st.Begin.Exec(); err != nil {
		return nil, err
	}
	b.open = true
	b.now = time.Now().UnixNano() // after waiting for the lock
	s := &b.state
	err := b.st.LoadState.QueryRow().Scan(&s.prefix, &s.lastSeq, &s.lastToken, &s.paused,
		&s.n[ready], &s.n[delayed], &s.n[blocked], &s.n[leased], &s.n[dead])
	if err != nil {
		b.discard()
		return nil, damaged(err)
	}
	b.before = b.state
	return b, nil
}

func (b *batch) commit() error {
	if b.flush(); b.broken != nil {
		return b.broken
	}
	if b.waits {
		if err := b.st.NextDue.QueryRow().Scan(&b.due); err != nil && err != sql.ErrNoRows {
			return err
		}
	}
	if b.state != b.before {
		b.wrote = true
		s := &b.state
		if _, err := b.st.SaveState.Exec(s.lastSeq, s.lastToken, s.paused,
			s.n[ready], s.n[delayed], s.n[blocked], s.n[leased], s.n[dead]); err != nil {
			return err
		}
	}
	if _, err := b.st.Commit.Exec(); err != nil {
		return err
	}
	b.open = false
	return nil
}

// discard rolls the transaction back if it was not committed.
func (b *batch) discard() {
	if b.open {
		b.open = false
		_, _ = b.st.Rollback.Exec() // SQLite may have rolled back by itself
	}
}

// exec runs a statement; its error breaks the transaction.
func (b *batch) exec(st *sql.Stmt, args ...any) {
	if b.flush(); b.broken == nil {
		b.wrote = true
		_, b.broken = st.Exec(args...)
	}
}

// report counts and traces what was committed.
func (b *batch) report() {
	q := b.w.q
	q.mu.Lock()
	q.stats.Add(b.stats)
	q.mu.Unlock()
	for _, event := range b.events {
		event()
	}
}

func (b *batch) trace(fn func(queue.Item), it queue.Item) {
	if fn != nil {
		b.events = append(b.events, func() { fn(it) })
	}
}

func (b *batch) traceTime(fn func(queue.Item, time.Duration), it queue.Item, d time.Duration) {
	if fn != nil {
		b.events = append(b.events, func() { fn(it, d) })
	}
}
