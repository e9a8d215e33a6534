package sqltest

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
)

// attempts to change something through Query, on every dialect.
var attempts = []string{
	"DELETE FROM t",
	"INSERT INTO t VALUES (9, 'x')",
	"UPDATE t SET name = 'x'",
	"DROP TABLE t",
	"CREATE TABLE u (a int)",
	"SELECT 1; DROP TABLE t",
	"SELECT 1;DELETE FROM t;",
	"; DELETE FROM t",
	"SELECT ';'; DELETE FROM t",
	"SELECT 1 /* ; */ ; DELETE FROM t",
	"SELECT 1 -- ;\n; DELETE FROM t",
	"COMMIT; DELETE FROM t",
	"ROLLBACK; DELETE FROM t; BEGIN",
	"COMMIT",
	"END",
	"BEGIN",
	"/* SELECT */ DELETE FROM t",
	"-- SELECT\nDELETE FROM t",
	"(DELETE FROM t)",
	"WITH x AS (SELECT 1) DELETE FROM t",
	"WITH x AS (SELECT 1) UPDATE t SET name = 'x'",
	"WITH x AS (SELECT 1) INSERT INTO t SELECT 9, 'x'",
	"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
	"WITH x AS (UPDATE t SET name = 'x' RETURNING *) SELECT * FROM x",
	"WITH x AS (INSERT INTO t VALUES (9, 'x') RETURNING *) SELECT * FROM x",
	"SELECT * INTO u FROM t",
	"SELECT * FROM t INTO OUTFILE '/tmp/x'",
	"EXPLAIN ANALYZE DELETE FROM t",
	"EXPLAIN (ANALYZE) DELETE FROM t",
	"EXPLAIN DELETE FROM t",
	"SELECT * FROM t FOR UPDATE",
	"SELECT * FROM t FOR NO KEY UPDATE",
	"SELECT * FROM t LOCK IN SHARE MODE",
	"PRAGMA query_only = OFF",
	"PRAGMA user_version = 7",
	"SELECT 1; PRAGMA query_only = OFF; DELETE FROM t",
	"ATTACH 'other.db' AS other",
	"ATTACH DATABASE '/tmp/tokenring-escape.db' AS other",
	"DETACH main",
	"VACUUM",
	"VACUUM INTO '/tmp/tokenring-escape.db'",
	"REINDEX",
	"REPLACE INTO t VALUES (1, 'x')",
	"COPY t FROM '/etc/passwd'",
	"COPY (SELECT 1) TO '/tmp/tokenring-escape'",
	"COPY t TO PROGRAM 'touch /tmp/tokenring-escape'",
	"SET TRANSACTION READ WRITE",
	"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
	"SET default_transaction_read_only = off",
	"RESET ALL",
	"DO $$ BEGIN DELETE FROM t; END $$",
	"CALL wipe()",
	"EXECUTE wipe",
	"PREPARE p AS DELETE FROM t",
	"DECLARE c CURSOR FOR SELECT 1",
	"LOCK TABLE t",
	"NOTIFY x",
	"LISTEN x",
	"TRUNCATE t",
	"GRANT ALL ON t TO PUBLIC",
	"SELECT load_extension('x.so')",
	"SELECT \"load_extension\"('x.so')",
	"SELECT 1, \"load_extension\"('x.so')",
	"SELECT nextval('s')",
	"SELECT setval('s', 100)",
	"SELECT set_config('transaction_read_only', 'off', false)",
	"SELECT pg_catalog.set_config('default_transaction_read_only', 'off', false)",
	"SELECT pg_catalog . \"set_config\" ('default_transaction_read_only', 'off', false)",
	"SELECT U&\"set\\005fconfig\"('default_transaction_read_only', 'off', false)",
	"SELECT lo_create(4711)",
	"SELECT lo_export(1, '/tmp/tokenring-escape')",
	"SELECT pg_advisory_lock(1)",
	"SELECT pg_terminate_backend(pg_backend_pid())",
	"SELECT pg_read_file('/etc/passwd')",
	"SELECT pg_sleep(100)",
	"SELECT dblink_exec('dbname=postgres', 'DROP TABLE t')",
	"SELECT wipe()",
	"SELECT U&\"set!005fconfig\" UESCAPE '!' ('default_transaction_read_only', 'off', false)",
	"SELECT U&\"pg!005fadvisory!005flock\" UESCAPE '!' (1)",
	"SELECT \"pg_advisory_lock\"(1)",
	"SELECT pg_advisory_lock_shared(1)",
	"SELECT pg_try_advisory_lock(1)",
	"SELECT lo_from_bytea(0, 'x')",
	"SELECT lo_import('/etc/passwd')",
	"SELECT lowrite(1, 'x')",
	"SELECT pg_notify('a', 'b')",
	"SELECT pg_reload_conf()",
	"SELECT pg_ls_dir('.')",
	"SELECT * FROM ROWS FROM (pg_ls_dir('.'))",
	"VALUES (pg_read_file('/etc/passwd'))",
	"SELECT pg_stat_file('postgresql.conf')",
	"SELECT query_to_xml('SELECT pg_advisory_lock(1)', true, true, '')",
	"SELECT ts_stat('SELECT pg_advisory_lock(1)::text::tsvector')",
	"SELECT setseed(0.5), nothing",
	"SELECT txid_current()",
	"EXPLAIN ANALYZE SELECT pg_advisory_lock(1)",
	"EXPLAIN (ANALYZE) SELECT nextval('s')",
	"EXPLAIN ANALYZE WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
	"EXPLAIN ANALYZE CREATE TABLE u AS SELECT 1",
	"EXPLAIN (ANALYZE) (DELETE FROM t)",
	"WITH x AS MATERIALIZED (WITH y AS (SELECT 1) DELETE FROM t RETURNING *) SELECT * FROM x",
	"WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE",
	"SELECT * FROM t FOR /* */ SHARE",
	"CREATE TEMP TABLE u (a int)",
	"SELECT 1 INTO TEMP u",
	"SELECT 1; COMMIT; SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; DELETE FROM t",
	"REFRESH MATERIALIZED VIEW v",
	"SECURITY LABEL ON TABLE t IS 'x'",
	"DISCARD ALL",
	"CHECKPOINT",
	"SAVEPOINT x",
	"ANALYZE t",
	"SELECT 1 WHERE $x(') IS NOT NULL; PRAGMA query_only = OFF; DELETE FROM t --'",
	"SELECT 1 WHERE @x::y(\") IS NOT NULL; PRAGMA query_only = OFF; DELETE FROM t --\"",
	"SELECT [load_extension]('x.so')",
	"SELECT * FROM pragma_query_only(0)",
	"SELECT * FROM pragma_writable_schema(1)",
	"SELECT * FROM pragma_journal_mode('delete', 'main', 1)",
	"SELECT * FROM pragma_optimize(-1)",
	"SELECT * FROM 'pragma_optimize'(-1)",
	"PRAGMA writable_schema = ON",
	"UPDATE sqlite_schema SET sql = ''",
	"WITH x AS (SELECT 1) REPLACE INTO t SELECT 1, 'x'",
	"SELECT writefile('/tmp/tokenring-escape', 'x')",
	"SELECT fts3_tokenizer('x', x'00')",
	"SELECT 'x' INTO OUTFILE '/tmp/tokenring-escape1'",
	"SELECT 'x' INTO DUMPFILE '/tmp/tokenring-escape2'",
	"SELECT 1 INTO @x",
	"SELECT @x := 1",
	"SELECT GET_LOCK('tokenring', 0)",
	"SELECT `GET_LOCK`('tokenring', 0)",
	"SELECT NEXT VALUE FOR s",
	"SELECT s.nextval",
	"SELECT SETVAL(s, 100)",
	"SELECT LOAD_FILE('/etc/passwd'), nothing",
	"SELECT SLEEP(100), nothing",
	"SET SESSION TRANSACTION READ WRITE",
	"SET GLOBAL read_only = 0",
	"HANDLER t OPEN",
	"LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
	"CREATE TEMPORARY TABLE u (a int)",
	"FLUSH TABLES",
	"KILL 1",
	"DO GET_LOCK('tokenring', 0)",
	"ANALYZE DELETE FROM t",
	"ANALYZE FORMAT=JSON UPDATE t SET name = 'x'",
	"DESCRIBE DELETE FROM t",
	"INSTALL SONAME 'x'",
	"BEGIN NOT ATOMIC DELETE FROM t; END",
	"WITH x AS (SELECT 1) SELECT * FROM x INTO OUTFILE '/tmp/tokenring-escape7'",
	"(SELECT 'x' INTO OUTFILE '/tmp/tokenring-escape8')",
	"SELECT E'a\\'; DELETE FROM t; --'; DELETE FROM t; --'",
	"SELECT $a$ ; $a$; DELETE FROM t",
	"SELECT $$ ; $$ ; DELETE FROM t",
	"SELECT /*! 1 */; DELETE FROM t",
	"SELECT 1\x00; DELETE FROM t",
	"\uFEFFDELETE FROM t",
	"",
	" ; ; ",
	"-- nothing",
}

// odd texts are one harmless query or two statements, depending on the dialect:
// they may succeed, but must not change anything.
var odd = []string{
	"SELECT 1 --\r; DELETE FROM t",
	"SELECT /* /* */ ; DELETE FROM t; --*/ 1",
	"SELECT 'a\\'; DELETE FROM t; --'",
	"SELECT 'x' /*! INTO OUTFILE '/tmp/tokenring-escape3' */",
	"SELECT 'x' /*!50000 INTO OUTFILE '/tmp/tokenring-escape4' */",
	"SELECT 'x' /*M! INTO OUTFILE '/tmp/tokenring-escape5' */",
	"SELECT 'x' /*M!100100 INTO OUTFILE '/tmp/tokenring-escape6' */",
	"SELECT 'x' /*+ SET_VAR(sql_mode = '') */",
}

// allowed are queries that a check must not stop.
var allowed = []string{
	"SELECT ';' AS a",
	"SELECT 'DELETE FROM t; DROP TABLE t' AS a;",
	"SELECT count(*) FROM t -- the end; really",
	"SELECT /* a; b */ 1 ;",
	"WITH x AS (SELECT 1 AS a) SELECT a FROM x",
	"(SELECT 1)",
	"VALUES (1), (2)",
	"SELECT replace('a', 'a', 'b'), \"name\" FROM t",
	"EXPLAIN SELECT * FROM t",
}

func TestEscapes(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			prepare(t, db, e.dialect)
			before := fingerprint(t, db, e.dialect)
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect, Pool: database.Pool{MaxOpen: 2}}))
			for _, query := range attempts {
				_, err := s.Query(t.Context(), "main", query)
				assert.Error(t, err, "%q", query)
				if !errors.Is(err, database.ErrRefused) { // the engine saw it
					assert.Equal(t, before, fingerprint(t, db, e.dialect), "%q changed the database", query)
				}
			}
			for _, query := range odd {
				_, _ = s.Query(t.Context(), "main", query)
				assert.Equal(t, before, fingerprint(t, db, e.dialect), "%q changed the database", query)
			}
			for _, query := range allowed {
				if e.dialect == database.SQLite && query[0] == '(' {
					continue // not its grammar
				}
				_, err := s.Query(t.Context(), "main", query)
				assert.NoError(t, err, "%q", query)
			}
			assert.Equal(t, before, fingerprint(t, db, e.dialect))
			_, err := s.Execute(t.Context(), "main", "DELETE FROM t")
			assert.ErrorIs(t, err, database.ErrReadOnly)

			// The connections are good for writers again.
			for range 4 {
				_, err := db.Exec("INSERT INTO t VALUES (100, 'fine')")
				require.NoError(t, err)
				_, err = db.Exec("DELETE FROM t WHERE id = 100")
				require.NoError(t, err)
			}
		})
	}
	leftovers, err := filepath.Glob(filepath.Join(os.TempDir(), "tokenring-escape*"))
	require.NoError(t, err)
	assert.Empty(t, leftovers)
}

// TestEngineRefuses has what a check of the text cannot see: a function that
// writes.
func TestEngineRefuses(t *testing.T) {
	for _, e := range engines()[1:] {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			prepare(t, db, e.dialect)
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			before := fingerprint(t, db, e.dialect)
			wanted := map[string]string{
				"SELECT wipe()":     "read-only transaction",
				"SELECT escalate()": "read-write mode must be set before any query",
			}
			if e.dialect == database.MySQL {
				wanted = map[string]string{"SELECT wipe()": "READ ONLY transaction", "SELECT escalate()": "READ ONLY transaction"}
			}
			for query, want := range wanted {
				_, err := s.Query(t.Context(), "main", query)
				require.Error(t, err)
				assert.NotErrorIs(t, err, database.ErrRefused)
				assert.Contains(t, err.Error(), want)
				assert.Equal(t, before, fingerprint(t, db, e.dialect))
			}
		})
	}
}

func prepare(t testing.TB, db *sql.DB, d database.Dialect) {
	statements := []string{
		"CREATE TABLE t (id int PRIMARY KEY, name text)",
		"INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, NULL)",
	}
	switch d {
	case database.Postgres:
		statements = append(statements, "CREATE SEQUENCE s",
			"CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; RETURN 1; END $$",
			"CREATE FUNCTION escalate() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM t; RETURN 1; END $$")
	case database.MySQL:
		statements = append(statements, "CREATE SEQUENCE s",
			"CREATE FUNCTION wipe() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM t; RETURN 1; END",
			"CREATE FUNCTION escalate() RETURNS int MODIFIES SQL DATA BEGIN SET SESSION TRANSACTION READ WRITE; DELETE FROM t; RETURN 1; END")
	}
	for _, st := range statements {
		_, err := db.Exec(st)
		require.NoError(t, err)
	}
}

// fingerprint shows everything that an attempt could have changed.
func fingerprint(t testing.TB, db *sql.DB, d database.Dialect) string {
	queries := []string{"SELECT id, name FROM t ORDER BY id"}
	switch d {
	case database.SQLite:
		queries = append(queries, "SELECT name, sql FROM sqlite_schema ORDER BY name", "PRAGMA user_version", "PRAGMA database_list",
			"PRAGMA query_only", "PRAGMA writable_schema", "PRAGMA journal_mode")
	case database.Postgres:
		queries = append(queries,
			"SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
			"SELECT last_value, is_called FROM s",
			"SELECT count(*) FROM pg_largeobject_metadata",
			"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
			"SHOW default_transaction_read_only",
			"SELECT count(*) FROM pg_cursors",
		)
	case database.MySQL:
		queries = append(queries,
			"SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
			"SELECT next_not_cached_value FROM s",
			"SELECT count(*) FROM mysql.global_priv",
			"SELECT routine_name FROM information_schema.routines ORDER BY 1",
			"SELECT IS_FREE_LOCK('tokenring')",
			"SELECT @@tx_read_only, @x",
		)
	}
	var b strings.Builder
	for _, q := range queries {
		rows, err := db.Query(q)
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			row := make([]any, len(columns))
			targets := make([]any, len(columns))
			for i := range row {
				targets[i] = &row[i]
			}
			require.NoError(t, rows.Scan(targets...))
			fmt.Fprintln(&b, row...)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return b.String()
}

// TestStringsAreReadAsTheServerDoes has texts of two columns in which a check could
// take the second for a part of a string.
func TestStringsAreReadAsTheServerDoes(t *testing.T) {
	for name, c := range map[string]struct {
		server   *server
		options  string
		dialect  database.Dialect
		text     string
		function string // that is harmful
	}{
		"continued":             {postgres, "", database.Postgres, "SELECT E'a'\n'\\'' , '\\' , %s(1) --'", "pg_advisory_lock"},
		"continued, a comment":  {postgres, "", database.Postgres, "SELECT E'a' -- b\n\t'\\'' , '\\' , %s(1) --'", "pg_advisory_lock"},
		"quoted name":           {mariadb, "&sql_mode=%27ANSI_QUOTES%27", database.MySQL, `SELECT '\'', "\" , %s(1) -- "` + "\n" + `FROM (SELECT 1 AS "\") t`, "sleep"},
		"comment after control": {mariadb, "", database.MySQL, "SELECT 1 --\x7f ' \n , %s(1) -- '", "sleep"},
	} {
		t.Run(name, func(t *testing.T) {
			db := c.server.open(t, c.options)
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: c.dialect}))
			r, err := s.Query(t.Context(), "", fmt.Sprintf(c.text, "abs"))
			require.NoError(t, err)
			require.Greater(t, len(r.Columns), 1, "the server calls the function")
			_, err = s.Query(t.Context(), "", fmt.Sprintf(c.text, c.function))
			require.ErrorIs(t, err, database.ErrRefused)
		})
	}
}
