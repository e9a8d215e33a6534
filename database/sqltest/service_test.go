package sqltest

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"modernc.org/sqlite"

	"github.com/tokenring-ai/tokenring-go/database"
	"github.com/tokenring-ai/tokenring-go/utility/task"
)

func TestWrites(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			prepare(t, db, e.dialect)
			var asked []database.Write
			var answer error
			s := database.New(database.Options{
				CacheTTL: time.Hour,
				Approve: func(_ context.Context, w database.Write) (bool, error) {
					asked = append(asked, w)
					return !strings.Contains(w.SQL, "'no'"), answer
				},
			})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect, AllowWrites: true}))
			count := func() any {
				r, err := s.Query(t.Context(), "", "SELECT count(*) FROM t")
				require.NoError(t, err)
				return r.Rows[0][0]
			}
			require.EqualValues(t, 3, count())
			_, err := db.Exec("INSERT INTO t VALUES (50, 'behind its back')")
			require.NoError(t, err)
			require.EqualValues(t, 3, count(), "cached")

			r, err := s.Execute(t.Context(), "", "INSERT INTO t VALUES (10, 'a;b')")
			require.NoError(t, err)
			assert.EqualValues(t, 1, r.Affected)
			assert.EqualValues(t, 5, count(), "a write ends the cache")
			returning := "UPDATE t SET name = 'x' WHERE id < 3 RETURNING id, name"
			if e.dialect == database.MySQL {
				returning = "REPLACE INTO t VALUES (1, 'x'), (2, 'x') RETURNING id, name"
			}
			r, err = s.Execute(t.Context(), "", returning)
			require.NoError(t, err)
			assert.Len(t, r.Rows, 2)
			assert.EqualValues(t, 2, r.Affected)
			_, err = s.Execute(t.Context(), "", "CREATE INDEX by_id ON t (id)")
			require.NoError(t, err)

			_, err = s.Execute(t.Context(), "", "DELETE FROM t WHERE name = 'no'")
			require.ErrorIs(t, err, database.ErrNotApproved)
			answer = errors.New("the person left")
			_, err = s.Execute(t.Context(), "", "DELETE FROM t")
			require.ErrorIs(t, err, database.ErrNotApproved)
			require.ErrorIs(t, err, answer)
			answer = nil
			n := len(asked)
			for _, bad := range []string{
				"DELETE FROM t; DROP TABLE t", "COMMIT", "PRAGMA user_version = 1", "ATTACH 'x' AS y", "VACUUM INTO 'x'", "COPY t FROM '/etc/passwd'",
				"SELECT 1", "BEGIN", "SET x = 1", "CREATE TRIGGER x", "CREATE OR REPLACE FUNCTION f() RETURNS int", "DROP DATABASE x", "ALTER SYSTEM SET x = 1",
			} {
				_, err := s.Execute(t.Context(), "", bad)
				require.ErrorIs(t, err, database.ErrRefused, bad)
			}
			assert.Len(t, asked, n, "nobody is asked about what is refused anyway")
			_, err = s.Execute(t.Context(), "", "INSERT INTO t VALUES (10, 'again')")
			require.Error(t, err)
			assert.EqualValues(t, 5, count())
			st := s.Stats()
			assert.EqualValues(t, 4, st.Writes)
			assert.EqualValues(t, 1, st.CacheHits)
		})
	}
}

type spanKey struct{}

func TestTraceAndStats(t *testing.T) {
	for _, e := range engines()[:2] {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			prepare(t, db, e.dialect)
			var calls []database.Call
			var ends []database.CallEnd
			var approvedIn any
			s := database.New(database.Options{
				CacheTTL: time.Hour, MaxRows: 2,
				Approve: func(ctx context.Context, w database.Write) (bool, error) {
					approvedIn = ctx.Value(spanKey{})
					return w.SQL != "DELETE FROM t", nil
				},
				Trace: database.Trace{StartCall: func(ctx context.Context, c database.Call) (context.Context, func(database.CallEnd)) {
					calls = append(calls, c)
					if c.SQL == "SELECT 1" {
						return nil, nil // either may be nil
					}
					return context.WithValue(ctx, spanKey{}, c.SQL), func(end database.CallEnd) { ends = append(ends, end) }
				}},
			})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect, AllowWrites: true}))
			last := func() database.CallEnd { return ends[len(ends)-1] }

			_, err := s.Query(t.Context(), "", "SELECT 1")
			require.NoError(t, err)
			require.Empty(t, ends)
			_, err = s.Query(t.Context(), "", "SELECT id FROM t")
			require.NoError(t, err)
			require.Equal(t, database.Call{Operation: "query", Provider: "main", Dialect: e.dialect, SQL: "SELECT id FROM t"}, calls[1])
			require.Positive(t, last().Took)
			require.Equal(t, database.CallEnd{Took: last().Took, Rows: 2}, last())
			_, err = s.Query(t.Context(), "", "SELECT id FROM t")
			require.NoError(t, err)
			require.True(t, last().Cached)
			_, err = s.Query(t.Context(), "", "SELECT nothing FROM t")
			require.Equal(t, err, last().Err)
			_, err = s.Query(t.Context(), "", "DROP TABLE t")
			require.ErrorIs(t, last().Err, database.ErrRefused)
			require.Equal(t, err, last().Err)
			ctx, cancel := context.WithTimeout(t.Context(), 0)
			defer cancel()
			_, err = s.Query(ctx, "", "SELECT 2")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = s.Execute(t.Context(), "", "UPDATE t SET name = 'x' WHERE id = 1")
			require.NoError(t, err)
			require.Equal(t, "UPDATE t SET name = 'x' WHERE id = 1", approvedIn)
			require.Equal(t, "execute", calls[len(calls)-1].Operation)
			_, err = s.Execute(t.Context(), "", "INSERT INTO t (id) VALUES (1)")
			require.Error(t, err)
			_, err = s.Execute(t.Context(), "", "DELETE FROM t")
			require.ErrorIs(t, last().Err, database.ErrNotApproved)
			require.Equal(t, err, last().Err)
			tables, err := s.Schema(t.Context(), "", database.SchemaFilter{})
			require.NoError(t, err)
			require.Equal(t, database.Call{Operation: "schema", Provider: "main", Dialect: e.dialect}, calls[len(calls)-1])
			require.Equal(t, len(tables), last().Rows)
			_, err = s.Schema(t.Context(), "", database.SchemaFilter{Tables: []string{"["}})
			require.Equal(t, err, last().Err)
			require.Error(t, err)

			st := s.Stats()
			for _, took := range []*time.Duration{&st.QueryTime, &st.WriteTime, &st.SchemaTime} {
				require.Positive(t, *took)
				*took = 0
			}
			require.Equal(t, database.Stats{
				Queries: 4, QueriesFailed: 2, Writes: 2, WritesFailed: 1, Schemas: 2, SchemasFailed: 1,
				TimedOut: 1, CacheHits: 1, Refused: 2, Truncated: 1,
			}, st)
		})
	}
}

func TestValues(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			when := time.Date(2026, 11, 24, 3, 4, 5, 123456000, time.UTC)
			create := "CREATE TABLE v (n text, i bigint, big numeric(40,10), f double precision, b boolean, at timestamptz, raw bytea, j jsonb, txt text)"
			insert := `INSERT INTO v VALUES (NULL, 9007199254740993, '123456789012345678901234567890.0123456789', 0.1, true, '2026-11-24T03:04:05.123456Z', '\x00ff10', '{"a":12345678901234567890}', 'zeile 1
☃')`
			if e.dialect == database.SQLite {
				create = "CREATE TABLE v (n text, i bigint, big text, f double, b boolean, at datetime, raw blob, j text, txt text)"
				insert = `INSERT INTO v VALUES (NULL, 9007199254740993, '123456789012345678901234567890.0123456789', 0.1, true, '2026-11-24 03:04:05.123456+00:00', x'00ff10', '{"a":12345678901234567890}', 'zeile 1
☃')`
			}
			if e.dialect == database.MySQL {
				create = "CREATE TABLE v (n text, i bigint, big decimal(40,10), f double, b boolean, at datetime(6), raw blob, j json, txt text)"
				insert = `INSERT INTO v VALUES (NULL, 9007199254740993, '123456789012345678901234567890.0123456789', 0.1, true, '2026-11-24 03:04:05.123456', x'00ff10', '{"a":12345678901234567890}', 'zeile 1
☃')`
			}
			_, err := db.Exec(create)
			require.NoError(t, err)
			_, err = db.Exec(insert)
			require.NoError(t, err)
			r, err := s.Query(t.Context(), "", "SELECT n, i, big, f, b, at, raw, j, txt FROM v")
			require.NoError(t, err)
			require.Len(t, r.Rows, 1)
			row := r.Rows[0]
			assert.Nil(t, row[0])
			assert.Equal(t, int64(9007199254740993), row[1])
			assert.Equal(t, "123456789012345678901234567890.0123456789", row[2])
			assert.Equal(t, 0.1, row[3])
			if e.dialect == database.MySQL {
				assert.Equal(t, int64(1), row[4], "a boolean is a number there")
			} else {
				assert.Equal(t, true, row[4])
			}
			at, ok := row[5].(time.Time)
			require.True(t, ok, "%T", row[5])
			assert.True(t, when.Equal(at), "%v", at)
			assert.Equal(t, []byte{0, 0xff, 0x10}, row[6])
			assert.JSONEq(t, `{"a":12345678901234567890}`, row[7].(string))
			assert.Contains(t, row[7], "12345678901234567890")
			data, err := json.Marshal(r)
			require.NoError(t, err)
			assert.Contains(t, string(data), "9007199254740993")
			assert.Contains(t, string(data), `{"base64":"AP8Q"}`)
			assert.Contains(t, r.String(), "x'00ff10'")
			assert.Contains(t, r.String(), "NULL")

			if e.dialect == database.MySQL {
				for _, st := range []string{"CREATE TABLE w (b bit(8))", "INSERT INTO w VALUES (b'1000001')"} {
					_, err := db.Exec(st)
					require.NoError(t, err)
				}
				r, err = s.Query(t.Context(), "", "SELECT b FROM w")
				require.NoError(t, err)
				assert.Equal(t, []byte("A"), r.Rows[0][0])
				for _, args := range [][]any{nil, {"x"}} { // as text and, with arguments, in binary
					query := "SELECT cast(18446744073709551615 AS unsigned), b'101', cast(0.1 AS float), cast('-838:59:59' AS time), 1.10"
					if args != nil {
						query += ", ?"
					}
					r, err = s.Query(t.Context(), "", query, args...)
					require.NoError(t, err)
					assert.Equal(t, "18446744073709551615", fmt.Sprint(r.Rows[0][0]))
					assert.Equal(t, []database.Value{[]byte{5}, 0.1, "-838:59:59", "1.10"}, r.Rows[0][1:5])
				}
			}
			if e.dialect == database.Postgres {
				r, err = s.Query(t.Context(), "", "SELECT 'NaN'::float8, 'Infinity'::float8, ARRAY[1,2], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '1 day'::interval, 0.1::float4, 'NaN'::numeric")
				require.NoError(t, err)
				row = r.Rows[0]
				assert.True(t, math.IsNaN(row[0].(float64)))
				assert.Equal(t, "{1,2}", row[2])
				assert.Equal(t, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", row[3])
				assert.Equal(t, 0.1, row[5])
				assert.Equal(t, "NaN", row[6])
				_, err = json.Marshal(r)
				require.NoError(t, err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			endless := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0"
			if e.dialect == database.MySQL { // which bounds recursion
				endless = "SELECT count(*) FROM seq_1_to_1000000000 WHERE seq < 0 OR sha1(seq) = 'x'"
			}
			db := e.open(t)
			s, hasty := database.New(database.Options{MaxRows: 10}), database.New(database.Options{Timeout: 300 * time.Millisecond})
			for _, s := range []*database.Service{s, hasty} {
				require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			}
			r, err := s.Query(t.Context(), "", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n")
			require.NoError(t, err)
			assert.Len(t, r.Rows, 10)
			assert.Equal(t, "rows", r.Truncated)
			assert.Contains(t, r.String(), "cut by the limit of rows")
			r, err = s.Query(t.Context(), "", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n")
			require.NoError(t, err)
			assert.Empty(t, r.Truncated, "exactly the limit")
			_, err = hasty.Query(t.Context(), "", endless)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = s.Query(ctx, "", "SELECT 1")
			require.ErrorIs(t, err, context.Canceled)
			_, err = s.Query(t.Context(), "", "SELECT 1")
			require.NoError(t, err, "usable after all that")

			small := database.New(database.Options{MaxBytes: 100})
			require.NoError(t, small.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			r, err = small.Query(t.Context(), "", "SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' UNION ALL SELECT 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'")
			require.NoError(t, err)
			assert.Len(t, r.Rows, 1)
			assert.Equal(t, "bytes", r.Truncated)
		})
	}
}

// TestTimeIsUpBetweenRows has a statement that shows a row at once and then works on,
// which the driver of SQLite does not stop.
func TestTimeIsUpBetweenRows(t *testing.T) {
	db := openSQLite(t)
	s, hasty := database.New(database.Options{}), database.New(database.Options{Timeout: 100 * time.Millisecond})
	for _, s := range []*database.Service{s, hasty} {
		require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: database.SQLite}))
	}
	const endless = "SELECT 1 UNION ALL SELECT tokenring_wait()"
	w := &waiting{entered: make(chan struct{}, 2), release: make(chan struct{})}
	waits.Store(w)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-w.entered
		cancel()
	}()
	_, err := s.Query(ctx, "", endless)
	require.ErrorIs(t, err, context.Canceled)
	pool, err := s.PoolStats("")
	require.NoError(t, err)
	require.Equal(t, 1, pool.InUse, "the statement still runs")
	_, err = hasty.Query(t.Context(), "", endless)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no result after 1")
	r, err := s.Query(t.Context(), "", "SELECT 3")
	require.NoError(t, err, "others go on")
	require.Equal(t, int64(3), r.Rows[0][0])

	close(w.release)
	require.NoError(t, task.Default().Wait(t.Context()))
	pool, err = s.PoolStats("")
	require.NoError(t, err)
	require.Zero(t, pool.InUse)
	_, err = db.Exec("CREATE TABLE t (a int)")
	require.NoError(t, err, "and the connections are good for writers")
}

// waiting is what the SQL function tokenring_wait tells and waits for.
type waiting struct{ entered, release chan struct{} }

var waits atomic.Pointer[waiting]

func init() {
	sqlite.MustRegisterScalarFunction("tokenring_wait", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		w := waits.Load()
		w.entered <- struct{}{}
		<-w.release
		return int64(2), nil
	})
}

func TestSchemaAndPlan(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			for _, st := range []string{
				"CREATE TABLE author (id integer PRIMARY KEY, name varchar(99) NOT NULL DEFAULT 'nobody')",
				"CREATE TABLE book (author_id integer REFERENCES author (id), title varchar(99), year integer, PRIMARY KEY (author_id, title))",
				"CREATE UNIQUE INDEX book_year ON book (year, title)",
				"CREATE VIEW recent AS SELECT title FROM book WHERE year > 2020",
			} {
				_, err := db.Exec(st)
				require.NoError(t, err)
			}
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect, Description: "a library"}))
			tables, err := s.Schema(t.Context(), "", database.SchemaFilter{})
			require.NoError(t, err)
			require.Len(t, tables, 3)
			author, book, recent := tables[0], tables[1], tables[2]
			assert.Equal(t, []string{"author", "book", "recent"}, []string{author.Name, book.Name, recent.Name})
			assert.Equal(t, []string{"table", "table", "view"}, []string{author.Kind, book.Kind, recent.Kind})
			require.Len(t, author.Columns, 2)
			assert.Equal(t, 1, author.Columns[0].PrimaryKey)
			assert.False(t, author.Columns[1].Nullable)
			assert.Contains(t, author.Columns[1].Default, "nobody")
			assert.Equal(t, 2, book.Columns[1].PrimaryKey)
			assert.True(t, book.Columns[2].Nullable)
			assert.Equal(t, []database.ForeignKey{{Columns: []string{"author_id"}, Table: "author", References: []string{"id"}}}, book.ForeignKeys)
			assert.Contains(t, book.Indexes, database.Index{Name: "book_year", Columns: []string{"year", "title"}, Unique: true})
			assert.Contains(t, book.DDL, "CREATE TABLE")
			assert.Contains(t, strings.ToUpper(recent.DDL), " VIEW ")
			require.Len(t, recent.Columns, 1)

			tables, err = s.Schema(t.Context(), "", database.SchemaFilter{Tables: []string{"BO*"}, NamesOnly: true})
			require.NoError(t, err)
			require.Len(t, tables, 1)
			assert.Empty(t, tables[0].Columns)
			_, err = s.Schema(t.Context(), "", database.SchemaFilter{Tables: []string{"["}})
			require.Error(t, err)
			plan, err := s.Plan(t.Context(), "", "SELECT * FROM book WHERE year = 2021")
			require.NoError(t, err)
			assert.Contains(t, plan, "book")
			_, err = s.Plan(t.Context(), "", "DELETE FROM book")
			require.ErrorIs(t, err, database.ErrRefused)

			text, err := s.Command(t.Context(), "tables main book")
			require.NoError(t, err)
			assert.Contains(t, text, "-- unique index book_year (year, title)")
			for line, want := range map[string]string{
				"list": "a library", "ping": "it answers", "ping main": "it answers", "tables": "author", "query SELECT 42": "42",
				"query main SELECT 42": "42", "plan SELECT * FROM book": "book", "stats": "connections open",
			} {
				got, err := s.Command(t.Context(), line)
				require.NoError(t, err, line)
				assert.Contains(t, got, want, line)
			}
		})
	}
}
