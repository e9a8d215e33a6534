package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// plainRows are the numbers of rows that one statement inserts, the largest
// first: a row among sixteen costs SQLite about half of a row alone.
var plainRows = [...]int{16, 4, 1}

// plainColumns is how many values of each row are given; SQL has the others.
const plainColumns = 4

// plainStatements insert consecutive plain items, as many as plainRows says. They
// take the time, the first number and then name, priority, headers and payload
// of every item.
type plainStatements [len(plainRows)]*sql.Stmt

func (st *plainStatements) prepare(conn *sql.Conn) error {
	for i, rows := range plainRows {
		var text strings.Builder
		text.WriteString("INSERT INTO items VALUES ")
		for row := range rows {
			if row > 0 {
				text.WriteByte(',')
			}
			fmt.Fprintf(&text, "(?2+%d, NULL, ?, '', '', ?, 0, %d, 0, ?1, ?1, 0, 0, 0, 0, '', ?, 0, ?, NULL)", row, ready)
		}
		var err error
		if st[i], err = conn.PrepareContext(context.Background(), text.String()); err != nil {
			return fmt.Errorf("prepare the insert of %d rows: %w", rows, err)
		}
	}
	return nil
}

func (st *plainStatements) close() {
	for _, s := range st {
		if s != nil {
			_ = s.Close()
		}
	}
}

// plain are the items of a transaction that are still to be inserted.
type plain struct {
	first  int64 // the number of the first; the others follow it
	values []any // plainColumns of each
}

// isPlain reports whether all else that is to be stored of an item follows from
// its number and the time.
func (r *row) isPlain() bool {
	return !r.named && r.state == ready && r.Key == "" && r.Dedupe == "" && r.notBefore == 0 && !r.big && len(r.Checkpoint) == 0
}

// addPlain inserts an item with the next number, at the latest when another
// statement may want to see it.
func (b *batch) addPlain(r *row, headers []byte) {
	if len(b.plain.values) == 0 {
		b.plain.first = r.seq
	}
	b.plain.values = append(b.plain.values, r.Name, r.Priority, headers, r.Payload)
}

// flush inserts the plain items.
func (b *batch) flush() {
	values, seq := b.plain.values, b.plain.first
	if len(values) == 0 {
		return
	}
	b.wrote = true
	args := make([]any, 0, 2+plainRows[0]*plainColumns)
	for i, rows := range plainRows {
		for n := rows * plainColumns; len(values) >= n && b.broken == nil; values = values[n:] {
			args = append(append(args[:0], b.now, seq), values[:n]...)
			_, b.broken = b.w.plain[i].Exec(args...)
			seq += int64(rows)
		}
	}
	clear(b.plain.values)
	b.plain.values = b.plain.values[:0]
}
