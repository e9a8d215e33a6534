package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
	"github.com/tokenring-ai/tokenring-go/registry"
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
			r, err = s.Execute(t.Context(), "", "UPDATE t SET name = 'returning' WHERE id < 3")
			require.NoError(t, err)
			assert.EqualValues(t, 2, r.Affected, "the word is no clause here")
			assert.Zero(t, r.LastInsertID, "nothing was inserted")
			r, err = s.Execute(t.Context(), "", "CREATE INDEX by_id ON t (id)")
			require.NoError(t, err)
			assert.Equal(t, "done", r.String(), "it changed no rows, whatever the statement before it did")
			r, err = s.Execute(t.Context(), "", "DELETE FROM t WHERE id < 0")
			require.NoError(t, err)
			assert.Equal(t, "0 rows changed", r.String())

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
			assert.EqualValues(t, 6, st.Writes)
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

// TestQueryOnlyStays has a program that opened its database so that it cannot write.
func TestQueryOnlyStays(t *testing.T) {
	for _, limits := range []database.Options{{}, {MaxBytes: 1}} {
		file := filepath.Join(t.TempDir(), "test.db")
		writer, err := sql.Open("sqlite", file)
		require.NoError(t, err)
		defer writer.Close()
		_, err = writer.Exec("CREATE TABLE t (a int)")
		require.NoError(t, err)
		reader, err := sql.Open("sqlite", "file:"+file+"?_pragma=query_only(1)")
		require.NoError(t, err)
		defer reader.Close()
		s := database.New(limits)
		require.NoError(t, s.Register(database.Provider{Name: "writer", DB: writer, Dialect: database.SQLite, Pool: database.Pool{MaxOpen: 1}}))
		require.NoError(t, s.Register(database.Provider{Name: "reader", ReadDB: reader, Dialect: database.SQLite, Pool: database.Pool{MaxOpen: 1}}))
		for range 3 {
			for _, name := range []string{"writer", "reader"} {
				_, err := s.Query(t.Context(), name, "SELECT a FROM t")
				require.NoError(t, err)
			}
			_, err = writer.Exec("INSERT INTO t VALUES (1)")
			require.NoError(t, err)
			_, err = reader.Exec("INSERT INTO t VALUES (2)")
			require.ErrorContains(t, err, "readonly")
		}
	}
}

func TestPools(t *testing.T) {
	db, other, kept, memory := openSQLite(t), openSQLite(t), openSQLite(t), openSQLite(t)
	kept.SetMaxOpenConns(30)
	memory.SetMaxOpenConns(1)
	s := database.New(database.Options{})
	require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, ReadDB: other, Dialect: database.SQLite}))
	require.NoError(t, s.Register(database.Provider{Name: "small", DB: openSQLite(t), Dialect: database.SQLite, Pool: database.Pool{MaxOpen: 1}}))
	require.NoError(t, s.Register(database.Provider{Name: "kept", DB: kept, Dialect: database.SQLite, Pool: database.Pool{Keep: true}}))
	require.NoError(t, s.Register(database.Provider{Name: "memory", DB: memory, Dialect: database.SQLite}))
	for _, db := range []*sql.DB{db, other} {
		assert.Equal(t, 8, db.Stats().MaxOpenConnections)
	}
	for name, want := range map[string]int{"main": 8, "small": 1, "kept": 30, "memory": 1} {
		require.NoError(t, s.Ping(t.Context(), name))
		st, err := s.PoolStats(name)
		require.NoError(t, err)
		assert.Equal(t, want, st.MaxOpenConnections)
		assert.Equal(t, 1, st.OpenConnections, "%s: the ping's", name)
	}
	_, err := other.Exec("CREATE TABLE replica (a int)")
	require.NoError(t, err)
	_, err = s.Query(t.Context(), "main", "SELECT a FROM replica")
	require.NoError(t, err, "queries go to ReadDB")

	require.NoError(t, other.Close())
	err = s.Ping(t.Context(), "main")
	require.ErrorContains(t, err, `ping database "main"`)
	s.Providers().Unregister("main")
	require.ErrorIs(t, s.Ping(t.Context(), "main"), registry.ErrNotFound)
	_, err = s.PoolStats("main")
	require.ErrorIs(t, err, registry.ErrNotFound)
	_, err = s.Query(t.Context(), "main", "SELECT 1")
	require.ErrorIs(t, err, registry.ErrNotFound)
}
