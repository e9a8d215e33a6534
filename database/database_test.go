package database

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCheck(t *testing.T) {
	all := []Dialect{SQLite, Postgres, MySQL}
	for _, c := range []struct {
		sql   string
		write bool
		in    []Dialect // where it is allowed
	}{
		{"SELECT 1", false, all},
		{"select a from t where b = ';' -- x", false, all},
		{"TABLE t", false, []Dialect{Postgres, MySQL}},
		{"SHOW x", false, []Dialect{Postgres, MySQL}},
		{"EXPLAIN QUERY PLAN SELECT 1", false, all},
		{"EXPLAIN FORMAT=JSON SELECT 1", false, all},
		{"EXPLAIN (ANALYZE, BUFFERS) SELECT 1", false, all},
		{"EXPLAIN ANALYZE DELETE FROM t", false, nil},
		{"SELECT 1; SELECT 2", false, nil},
		{"SELECT 'a\\'; DELETE FROM t; --'", false, nil}, // two statements in at least one reading
		{"SELECT \"a\\\"; DROP TABLE t; -- \"", false, nil},
		{"SELECT `;`", false, []Dialect{SQLite, MySQL}},
		{"SELECT [;]", false, []Dialect{SQLite}},
		{"SELECT $$;$$", false, []Dialect{Postgres}},
		{"SELECT $1, $2", false, all},
		{"SELECT a$b$;$b$", false, nil}, // $ within a word opens nothing
		{"SELECT $a, @b, :c, ?1", false, all},
		{"SELECT 1 WHERE $x(') IS NULL; DROP TABLE t --'", false, []Dialect{Postgres, MySQL}}, // one string there, and no parameter
		{"SELECT $a::b, @delete, :update, #replace, a::b", false, []Dialect{SQLite, Postgres, MySQL}},
		{"SELECT 1 WHERE @a::$b(') IS NULL; DROP TABLE t --'", false, []Dialect{Postgres, MySQL}},
		{"SELECT 1 # ; DROP TABLE t", false, []Dialect{MySQL}},
		{"SELECT 1 --1; DROP TABLE t", false, []Dialect{SQLite, Postgres}},
		{"SELECT /*! SLEEP(1) */ 1", false, []Dialect{SQLite, Postgres}},
		{"SELECT /*M! SLEEP(1) */ 1", false, []Dialect{SQLite, Postgres}},
		{"SELECT 1 /*M!100100 INTO OUTFILE '/x' */", false, []Dialect{SQLite, Postgres}},
		{"SELECT `load_file`('/etc/passwd')", false, []Dialect{SQLite, Postgres}},
		{"SELECT \"pg_read_file\"('/etc/passwd')", false, []Dialect{SQLite, MySQL}},
		{"SELECT \"count\"(*) FROM t", false, all},
		{"SELECT [load_extension] ('x')", false, []Dialect{Postgres, MySQL}},
		{"SELECT * FROM 'pragma_optimize'(-1)", false, []Dialect{Postgres, MySQL}},
		{"SELECT U&\"set!005fconfig\" UESCAPE '!' ('a', 'b', false)", false, []Dialect{SQLite, MySQL}},
		{"SELECT u & \"x\" FROM t", false, all},
		{"WITH \"x\" (\"a\") AS (SELECT 1), \"y\" (\"a\") AS (SELECT 2) SELECT * FROM \"y\"", false, all},
		{"SELECT upper(replace('a', 'b', 'c'))", false, all},
		{"WITH x AS (SELECT 1) UPDATE (t) SET a = 1", false, nil},
		{"WITH x AS (SELECT 1) REPLACE t SELECT 1", false, nil},
		{"SELECT NEXT VALUE FOR s", false, nil},
		{"SELECT @a := 1", false, []Dialect{SQLite, Postgres}},
		{"DESCRIBE t", false, []Dialect{MySQL}},
		{"DESC `a`.`t` `c%`", false, []Dialect{MySQL}},
		{"EXPLAIN t", false, []Dialect{MySQL}},
		{"DESC SELECT 1", false, []Dialect{Postgres, MySQL}},
		{"DESCRIBE ANALYZE DELETE t FROM t", false, nil},
		{"DESC UPDATE t SET a = 1", false, nil},
		{"DESCRIBE REPLACE t", false, nil},
		{"SELECT load_file('/etc/passwd')", false, []Dialect{SQLite, Postgres}},
		{"SELECT sleep /* */ (100)", false, []Dialect{SQLite, Postgres}},
		{"SELECT spider_direct_sql('DROP TABLE t', '', '')", false, []Dialect{SQLite, Postgres}},
		{"SELECT version_tokens_lock_exclusive('a', 1)", false, []Dialect{SQLite, Postgres}},
		{"SELECT a INTO DUMPFILE '/x' FROM t", false, nil},
		// Strings that one setting of the server ends earlier than another.
		{"SELECT E'a'\n'\\'' , '\\' , pg_read_file('/etc/passwd') --'", false, []Dialect{SQLite, MySQL}},
		{"SELECT E'a' -- b\n \t'\\'' , '\\' , pg_read_file('/etc/passwd') --'", false, []Dialect{SQLite, MySQL}},
		{"SELECT 'a'\n'b', 'c' -- d\n, 'e'", false, all},
		{`SELECT '\'', "\" , load_file('/etc/passwd') -- "`, false, []Dialect{SQLite, Postgres}},
		{"SELECT 1 --\x7f ' \n , load_file('/etc/passwd') -- '", false, []Dialect{SQLite, Postgres}},
		{"DELETE FROM t", true, all},
		{"WITH x AS (SELECT 1) DELETE FROM t", true, all},
		{"WITH x AS (SELECT 1) SELECT * FROM x", true, nil},
		{"WITH x AS (SELECT 1) INSERT INTO t SELECT 1 INTO OUTFILE '/x'", true, nil},
		{"INSERT INTO t SELECT pg_read_file('/etc/passwd')", true, []Dialect{SQLite, MySQL}},
		{"INSERT INTO t SELECT \"load_extension\"('x')", true, []Dialect{Postgres, MySQL}},
		{"INSERT INTO edit (a) VALUES (1)", true, all},
		{"CREATE TABLE IF NOT EXISTS edit (a int)", true, all},
		{"CREATE TABLE user (event int)", true, all},
		{"CREATE UNIQUE INDEX i ON t (a)", true, all},
		{"CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1", true, all},
		{"ALTER TABLE t ADD COLUMN b int", true, all},
		{"DROP SCHEMA x", true, []Dialect{SQLite, Postgres}}, // a database in MySQL
		{"CREATE DEFINER = root@localhost PROCEDURE p() SELECT 1", true, nil},
		{"CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", true, nil},
		{"CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')", true, nil},
		{"CREATE FOREIGN TABLE x (a int) SERVER s", true, nil},
		{"CREATE AGGREGATE x (int) (sfunc = f, stype = int)", true, nil},
		{"CREATE GROUP x", true, nil},
		{"DROP", true, nil},
		{"CREATE TABLE t (a int)", true, all},
		{"CREATE OR REPLACE FUNCTION f() RETURNS int", true, nil},
		{"LOAD DATA INFILE 'x' INTO TABLE t", true, nil},
		{"SELECT 1", true, nil},
		{"DELETE FROM t; DELETE FROM u", true, nil},
	} {
		for _, d := range all {
			_, err := d.check(c.sql, c.write)
			if slices.Contains(c.in, d) {
				assert.NoError(t, err, "%s: %s", d, c.sql)
			} else {
				assert.ErrorIs(t, err, ErrRefused, "%s: %s", d, c.sql)
			}
		}
	}
}

func TestChecksRememberOnlyWhatPassed(t *testing.T) {
	c := newChecks()
	for range 2 {
		st, err := c.check(Postgres, "SELECT ';'", false)
		require.NoError(t, err)
		assert.Equal(t, checked{sql: "SELECT ';'"}, st)
		_, err = c.check(Postgres, "SELECT ';'", true)
		require.ErrorIs(t, err, ErrRefused, "a query is no write")
		_, err = c.check(Postgres, "SELECT `;`", false)
		require.ErrorIs(t, err, ErrRefused)
		_, err = c.check(MySQL, "SELECT `;`", false)
		require.NoError(t, err, "dialects are apart")
	}
	assert.Equal(t, 2, c.passed.Len())
	for i := range 2 * maxChecks {
		_, err := c.check(SQLite, fmt.Sprintf("SELECT %d", i), false)
		require.NoError(t, err)
	}
	assert.Equal(t, maxChecks, c.passed.Len())
	c = newChecks()
	_, err := c.check(SQLite, "SELECT '"+strings.Repeat("a", maxCheckedLen)+"'", false)
	require.NoError(t, err)
	assert.Zero(t, c.passed.Len(), "a long text is not kept")
}

// TestCheckTakesLinearTime has texts whose tokens could be looked for again and
// again: a check runs before any time limit.
func TestCheckTakesLinearTime(t *testing.T) {
	for _, piece := range []string{":", "$", "@a", "$a$", "(", "/*", "' \n", "--", "[", "\\"} {
		for _, d := range []Dialect{SQLite, Postgres, MySQL} {
			sql := strings.Repeat(piece, 200_000/len(piece))
			start := time.Now()
			for _, reading := range d.readings(sql) {
				reading.scan(sql)
			}
			assert.Less(t, time.Since(start), 20*time.Second, "%s: %q: it takes milliseconds, and minutes if it is quadratic", d, piece)
		}
	}
}

// FuzzCheck looks for texts that pass although they hold a semicolon outside of
// quotes and comments for a naive reader that knows neither.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"SELECT 1", "SELECT ';'; x", "/* ' */ SELECT 1 ; '", "$a$;$a$", "E'\\';'", "[;", "`", "--", "SELECT \"\"\";\"", "/*/*/*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []Dialect{SQLite, Postgres, MySQL} {
			st, err := d.check(text, false)
			if err != nil {
				continue
			}
			trimmed := strings.TrimRight(st.sql, "; \t\r\n")
			if st.plain != !strings.Contains(trimmed, ";") {
				t.Fatalf("%s: plain is wrong for %q", d, text)
			}
			// A text without any quoting or comment signs has no hidden semicolons.
			if !strings.ContainsAny(text, "'\"`[$-/#") && !st.plain {
				t.Fatalf("%s: two statements passed: %q", d, text)
			}
		}
	})
}

func TestRegister(t *testing.T) {
	s := New(Options{})
	db := new(sql.DB)
	for _, bad := range []Provider{
		{Name: "x", Dialect: SQLite}, {Name: "x", DB: db}, {Name: "x", DB: db, Dialect: "oracle"},
		{Name: "", DB: db, Dialect: SQLite}, {Name: "x", ReadDB: db, AllowWrites: true, Dialect: SQLite},
	} {
		require.Error(t, s.Register(bad))
	}
	assert.Empty(t, slices.Collect(s.Context(t.Context())))
	require.NoError(t, s.Register(Provider{Name: "a", DB: db, Dialect: SQLite, Description: "first", Pool: Pool{Keep: true}}))
	require.ErrorIs(t, s.Register(Provider{Name: "a", DB: db, Dialect: SQLite}), registry.ErrExists)
	_, err := s.Query(t.Context(), "b", "SELECT 1")
	require.ErrorIs(t, err, registry.ErrNotFound)
	_, err = s.Query(t.Context(), "constructor", "SELECT 1")
	require.ErrorIs(t, err, registry.ErrNotFound)
	assert.Equal(t, []string{"Databases that can be queried:\n- a (sqlite, read only): first"}, slices.Collect(s.Context(t.Context())))
	require.NoError(t, s.Register(Provider{Name: "b", DB: db, Dialect: MySQL, Pool: Pool{Keep: true}}))
	_, err = s.Query(t.Context(), "", "SELECT 1")
	require.ErrorContains(t, err, "a, b")
	for _, bad := range []string{"query", "plan", "execute", "nonsense", "query DELETE FROM t"} {
		_, err := s.Command(t.Context(), bad)
		require.Error(t, err, bad)
	}
	assert.NotZero(t, s.Stats().Refused+1)
}

func TestResultRendering(t *testing.T) {
	r := &Result{
		Columns: []Column{{Name: "a"}, {Name: "b"}},
		Rows: [][]Value{
			{nil, "x\ny"}, {[]byte{1}, math.NaN()}, {int64(math.MaxInt64), uint64(math.MaxUint64)},
			{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), 1e300},
		},
	}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	assert.JSONEq(t, `{"columns":[{"name":"a"},{"name":"b"}],"rows":[[null,"x\ny"],[{"base64":"AQ=="},"NaN"],
		[9223372036854775807,18446744073709551615],["2026-01-02T03:04:05.000000006Z",1e+300]]}`, string(data))
	assert.Contains(t, string(data), "18446744073709551615")
	assert.Equal(t, "a | b", strings.Join(strings.Fields(strings.SplitN(r.String(), "\n", 2)[0]), " "))
	for want, r := range map[string]*Result{
		`{"affected":0}`:             {},
		`{"affected":-1}`:            {Affected: -1},
		`{"columns":[{"name":"a"}]}`: {Columns: []Column{{Name: "a"}}},
		`{"affected":1,"rows":[[{"base64":"Yf8="}]],"columns":[{"name":"a"}]}`: {Columns: []Column{{Name: "a"}}, Rows: [][]Value{{"a\xff"}}, Affected: 1},
	} {
		data, err := json.Marshal(r)
		require.NoError(t, err)
		assert.JSONEq(t, want, string(data))
	}
	assert.Equal(t, "3 rows changed", (&Result{Affected: 3}).String())
	assert.Equal(t, "done", (&Result{Affected: -1}).String())
}

func TestToolsDeclareTheirEffects(t *testing.T) {
	tools := New(Options{}).Tools()
	require.Len(t, tools, 3)
	assert.Empty(t, tools[0].EffectsOf(nil))
	effects := tools[2].EffectsOf(json.RawMessage(`{"database":"main","sql":"DELETE FROM t"}`))
	assert.Equal(t, "main: DELETE FROM t", effects[0].Target)
	preview, err := tools[2].Preview(t.Context(), json.RawMessage(`{"sql":"DELETE FROM t WHERE a = ? OR b = ?","args":[7,"x\n"]}`))
	require.NoError(t, err)
	assert.Equal(t, "DELETE FROM t WHERE a = ? OR b = ?\n-- value 1: 7\n-- value 2: \"x\\n\"", preview)
	_, err = tools[0].Call(t.Context(), json.RawMessage(`{"sql":"SELECT 1"}`))
	require.ErrorContains(t, err, "none is registered")
	s := New(Options{})
	require.NoError(t, s.Register(Provider{Name: "main", DB: new(sql.DB), Dialect: SQLite, Pool: Pool{Keep: true}}))
	assert.Equal(t, "main: DELETE FROM t", s.Tools()[2].EffectsOf(json.RawMessage(`{"sql":"DELETE FROM t"}`))[0].Target, "the only one is named")
}
