package sqltest

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
)

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
			for _, bad := range []string{"DELETE FROM book", "ANALYZE SELECT * FROM book", "(ANALYZE) SELECT * FROM book", ""} {
				_, err = s.Plan(t.Context(), "", bad)
				require.ErrorIs(t, err, database.ErrRefused, "%q: a plan runs nothing", bad)
			}
			short := database.New(database.Options{MaxRows: 1})
			require.NoError(t, short.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			plan, err = short.Plan(t.Context(), "", "SELECT title FROM book UNION SELECT name FROM author")
			require.NoError(t, err)
			assert.Contains(t, plan, "cut by the limit of rows")

			text, err := s.Command(t.Context(), "tables main book")
			require.NoError(t, err)
			assert.Contains(t, text, "-- unique index book_year (year, title)")
			for line, want := range map[string]string{
				"list": "a library", "ping": "it answers", "ping main": "it answers", "tables": "author", "query SELECT 42": "42",
				"query main SELECT 42": "42", "query\nmain\nSELECT -- the answer\n 42": "42", "plan SELECT * FROM book": "book", "stats": "connections open",
			} {
				got, err := s.Command(t.Context(), line)
				require.NoError(t, err, line)
				assert.Contains(t, got, want, line)
			}
			text, err = s.Command(t.Context(), "query SELECT '\x1b[2J' AS \"\x1b]0;a\"")
			require.NoError(t, err)
			assert.Contains(t, text, "[2J")
			assert.NotContains(t, text, "\x1b", "a terminal would obey it")
		})
	}
}

// TestDefinitions has what a table may have besides columns and keys.
func TestDefinitions(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			quote := `"`
			if e.dialect == database.MySQL {
				quote = "`"
			}
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			tables, err := s.Schema(t.Context(), "", database.SchemaFilter{})
			require.NoError(t, err)
			require.Empty(t, tables)
			_, err = db.Exec(strings.ReplaceAll(`CREATE TABLE "Odd Name" ("select" integer CHECK ("select" > 0), price numeric(10,2) UNIQUE,
				twice numeric(10,2) GENERATED ALWAYS AS (price * 2) STORED)`, `"`, quote))
			require.NoError(t, err)
			tables, err = s.Schema(t.Context(), "", database.SchemaFilter{Tables: []string{"odd*"}})
			require.NoError(t, err)
			require.Len(t, tables, 1, "seen at once")
			var names []string
			for _, c := range tables[0].Columns {
				names = append(names, c.Name)
			}
			assert.Equal(t, []string{"select", "price", "twice"}, names)
			for _, part := range []string{"CHECK", "UNIQUE", "GENERATED ALWAYS AS", quote + "Odd Name" + quote, quote + "select" + quote} {
				assert.Contains(t, tables[0].DDL, part)
			}
			// The definition is one that the database takes.
			_, err = db.Exec(strings.ReplaceAll(tables[0].DDL, "Odd Name", "Another"))
			require.NoError(t, err, tables[0].DDL)
		})
	}
}

// TestOneProblemIsNotAll has a view and a virtual table that SQLite cannot describe,
// and a view whose definition is not for the user.
func TestOneProblemIsNotAll(t *testing.T) {
	ask := func(t *testing.T, db *sql.DB, d database.Dialect) []database.Table {
		s := database.New(database.Options{})
		require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: d}))
		tables, err := s.Schema(t.Context(), "", database.SchemaFilter{})
		require.NoError(t, err)
		return tables
	}
	t.Run("sqlite", func(t *testing.T) {
		db := openSQLite(t)
		db.SetMaxOpenConns(1)
		for _, st := range []string{
			"CREATE TABLE gone (a int)", "CREATE VIEW broken AS SELECT a FROM gone", "DROP TABLE gone", "CREATE TABLE whole (a int)", "PRAGMA writable_schema = ON",
			"INSERT INTO sqlite_schema VALUES ('table', 'foreign_module', 'foreign_module', 0, 'CREATE VIRTUAL TABLE foreign_module USING no_such_module(a)')",
			"PRAGMA writable_schema = RESET",
		} {
			_, err := db.Exec(st)
			require.NoError(t, err, st)
		}
		tables := ask(t, db, database.SQLite)
		require.Len(t, tables, 3)
		assert.Contains(t, tables[0].Problem, "gone")
		assert.Contains(t, tables[1].Problem, "no_such_module")
		assert.Empty(t, tables[2].Problem)
		assert.Len(t, tables[2].Columns, 1)
		assert.Contains(t, tables[0].String(), "CREATE VIEW broken AS SELECT a FROM gone;\n-- ", "what is known is told")
	})
	t.Run("mariadb", func(t *testing.T) {
		root := mariadb.open(t, "")
		var name string
		require.NoError(t, root.QueryRow("SELECT database()").Scan(&name))
		for _, st := range []string{
			"CREATE TABLE book (title varchar(9))", "CREATE VIEW recent AS SELECT title FROM book",
			"CREATE USER reader@localhost", "GRANT SELECT ON " + name + ".* TO reader@localhost",
		} {
			_, err := root.Exec(st)
			require.NoError(t, err, st)
		}
		db, err := sql.Open(mariadb.driver, strings.Replace(mariadb.dsn(mariadb.dir, name), "root@", "reader@", 1))
		require.NoError(t, err)
		defer db.Close()
		tables := ask(t, db, database.MySQL)
		require.Len(t, tables, 2)
		assert.Contains(t, tables[0].DDL, "CREATE TABLE")
		assert.Empty(t, tables[0].Problem)
		assert.Contains(t, tables[1].Problem, "SHOW VIEW")
		assert.Contains(t, tables[1].String(), "view recent (title varchar(9))\n-- ")
	})
}
