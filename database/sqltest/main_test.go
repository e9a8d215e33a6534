package sqltest

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/tokenring-ai/tokenring-go/database"
)

func TestMain(m *testing.M) {
	code := m.Run()
	postgres.close()
	mariadb.close()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// engine opens a fresh database of one kind.
type engine struct {
	name    string
	dialect database.Dialect
	open    func(t testing.TB) *sql.DB
}

func engines() []engine {
	return []engine{
		{"sqlite", database.SQLite, openSQLite},
		{"postgres", database.Postgres, func(t testing.TB) *sql.DB { return postgres.open(t, "") }},
		{"postgres simple protocol", database.Postgres, func(t testing.TB) *sql.DB {
			return postgres.open(t, " default_query_exec_mode=simple_protocol")
		}},
		{"mariadb", database.MySQL, func(t testing.TB) *sql.DB { return mariadb.open(t, "") }},
		{"mariadb many statements", database.MySQL, func(t testing.TB) *sql.DB {
			return mariadb.open(t, "&multiStatements=true&interpolateParams=true")
		}},
	}
}

func openSQLite(t testing.TB) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
