package sqltest

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
)

// BenchmarkQuery compares the service with database/sql used by hand for the
// same guarantee: a read-only transaction, or a connection set to query only,
// and every row scanned.
func BenchmarkQuery(b *testing.B) {
	for _, e := range engines()[:2] {
		for _, rows := range []int{1, 100, 10_000} {
			db := e.open(b)
			prepare(b, db, e.dialect)
			query := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, 'name ' || i, i * 2 FROM n", rows)
			b.Run(fmt.Sprintf("%s/rows=%d/bare", e.name, rows), func(b *testing.B) {
				for b.Loop() {
					require.Equal(b, rows, bare(b, db, e.dialect, query))
				}
			})
			s := database.New(database.Options{MaxRows: -1, MaxBytes: -1})
			require.NoError(b, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			b.Run(fmt.Sprintf("%s/rows=%d/service", e.name, rows), func(b *testing.B) {
				for b.Loop() {
					r, err := s.Query(b.Context(), "main", query)
					require.NoError(b, err)
					require.Len(b, r.Rows, rows)
				}
			})
		}
	}
}

func bare(b *testing.B, db *sql.DB, d database.Dialect, query string) int {
	var rows *sql.Rows
	var err error
	if d == database.SQLite {
		conn, err := db.Conn(b.Context())
		require.NoError(b, err)
		defer conn.Close()
		_, err = conn.ExecContext(b.Context(), "PRAGMA query_only = ON")
		require.NoError(b, err)
		defer conn.ExecContext(b.Context(), "PRAGMA query_only = OFF")
		rows, err = conn.QueryContext(b.Context(), query)
		require.NoError(b, err)
	} else {
		tx, err := db.BeginTx(b.Context(), &sql.TxOptions{ReadOnly: true})
		require.NoError(b, err)
		defer tx.Rollback()
		rows, err = tx.QueryContext(b.Context(), query)
		require.NoError(b, err)
	}
	defer rows.Close()
	var all [][]any
	for rows.Next() {
		row := make([]any, 3)
		if err = rows.Scan(&row[0], &row[1], &row[2]); err != nil {
			b.Fatal(err)
		}
		all = append(all, row)
	}
	require.NoError(b, rows.Err())
	return len(all)
}
