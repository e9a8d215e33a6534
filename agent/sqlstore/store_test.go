package sqlstore_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/agent/sqlstore"
	"github.com/tokenring-ai/tokenring-go/agent/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionCleaner"))
}

var sqlite = storetest.Options{
	Open: func(place string) (agent.Store, error) {
		return sqlstore.Open(context.Background(), filepath.Join(place, "check points?%.db"), sqlstore.Options{})
	},
	Durable: true,
	Shared:  true,
}

func TestSQLite(t *testing.T) { storetest.Run(t, sqlite) }

func TestSQLiteKilled(t *testing.T) { storetest.Kill(t, sqlite) }

func TestTableNamesAreChecked(t *testing.T) {
	_, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlstore.Options{Table: "a; DROP TABLE b"})
	require.ErrorContains(t, err, "table name")
	s, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlstore.Options{Table: "mine"})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "missing", "x.db"), sqlstore.Options{})
	require.Error(t, err)
}

// What agents saw is for their owner only, and a database that is gone when a
// connection closes keeps nothing.
func TestWhoMayReadTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
	require.NoError(t, err)
	require.NoError(t, s.Append(t.Context(), "a", agent.Record{Seq: 1}))
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			require.Zero(t, info.Mode().Perm()&0o077, file)
		}
	}
	require.NoError(t, s.Close())
	for _, path := range []string{"", ":memory:"} {
		_, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
		require.ErrorContains(t, err, "want a file")
	}
}

func Example() {
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, "agents.db", sqlstore.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	m := agent.NewManager(agent.ManagerOptions{Store: store})
	defer m.Shutdown(ctx)
}
