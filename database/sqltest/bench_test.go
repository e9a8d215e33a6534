package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
)

// BenchmarkQuery runs the service and database/sql used by hand for the same
// guarantees, see bare, by turns, which says the same on a machine that is busy
// with other things. It reports their median times and the quotient.
func BenchmarkQuery(b *testing.B) {
	for _, e := range engines()[:2] {
		for _, rows := range []int{1, 100, 10_000} {
			c := newComparison(b, e, rows)
			b.Run(fmt.Sprintf("%s/rows=%d", e.name, rows), func(b *testing.B) {
				var bare, service []time.Duration
				for b.Loop() {
					start := time.Now()
					c.bare(b)
					between := time.Now()
					c.service(b)
					bare, service = append(bare, between.Sub(start)), append(service, time.Since(between))
				}
				slices.Sort(bare)
				slices.Sort(service)
				theirs, ours := float64(bare[len(bare)/2]), float64(service[len(service)/2])
				b.ReportMetric(ours, "tokenring-ns")
				b.ReportMetric(theirs, "database/sql-ns")
				b.ReportMetric(ours/theirs, "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

type comparison struct {
	db      *sql.DB
	dialect database.Dialect
	s       *database.Service
	query   string
	rows    int
}

func newComparison(b *testing.B, e engine, rows int) comparison {
	db := e.open(b)
	s := database.New(database.Options{MaxRows: -1, MaxBytes: -1})
	require.NoError(b, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
	return comparison{db, e.dialect, s, fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, 'name ' || i, i * 2 FROM n", rows), rows}
}

func (c comparison) service(b *testing.B) {
	r, err := c.s.Query(b.Context(), "main", c.query)
	if err != nil || len(r.Rows) != c.rows {
		b.Fatal(err, r)
	}
}

// bare asks for the same by hand: in a read-only transaction, or on a connection
// that is set to query only, within a time limit, with the names and types of the
// columns, every row as values that can be shown.
func (c comparison) bare(b *testing.B) {
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), database.DefaultTimeout)
	defer cancel()
	var rows *sql.Rows
	if c.dialect == database.SQLite {
		conn, err := c.db.Conn(ctx)
		check(err)
		defer conn.Close()
		_, err = conn.ExecContext(ctx, "PRAGMA query_only = ON")
		check(err)
		defer conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only = OFF")
		rows, err = conn.QueryContext(ctx, c.query)
		check(err)
	} else {
		tx, err := c.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		check(err)
		defer tx.Rollback()
		rows, err = tx.QueryContext(ctx, c.query)
		check(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	check(err)
	columns := make([]database.Column, len(types))
	for i, t := range types {
		columns[i] = database.Column{Name: t.Name(), Type: t.DatabaseTypeName()}
	}
	var all [][]any
	targets := make([]any, len(types))
	for rows.Next() {
		row := make([]any, len(types))
		for i := range row {
			targets[i] = &row[i]
		}
		check(rows.Scan(targets...))
		for i, v := range row {
			if raw, ok := v.([]byte); ok && utf8.Valid(raw) {
				row[i] = string(raw)
			}
		}
		all = append(all, row)
	}
	check(rows.Err())
	if len(all) != c.rows || len(columns) != 3 {
		b.Fatal(len(all), columns)
	}
}
