package sqltest

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/tokenring-ai/tokenring-go/database"
	"github.com/tokenring-ai/tokenring-go/utility/task"
)

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
			ctx, cancel := context.WithCancelCause(t.Context())
			stopped := errors.New("the person stopped it")
			cancel(stopped)
			_, err = s.Query(ctx, "", "SELECT 1")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, stopped)
			_, err = s.Query(t.Context(), "", "SELECT 1")
			require.NoError(t, err, "usable after all that")

			small := database.New(database.Options{MaxBytes: 100, Timeout: -1})
			require.NoError(t, small.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			r, err = small.Query(t.Context(), "", "SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' UNION ALL SELECT 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'")
			require.NoError(t, err)
			assert.Len(t, r.Rows, 1)
			assert.Equal(t, "bytes", r.Truncated)
		})
	}
}

// TestTheRestIsNotRead has more rows than anybody would wait for.
func TestTheRestIsNotRead(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			endless := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
			if e.dialect == database.MySQL { // which bounds recursion
				endless = "SELECT seq FROM seq_1_to_1000000000000"
			}
			db := e.open(t)
			s := database.New(database.Options{MaxRows: 3, Timeout: time.Hour})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect, Pool: database.Pool{MaxOpen: 1}}))
			for _, sql := range []string{endless, endless + " -- ;"} { // prepared, too
				r, err := s.Query(t.Context(), "", sql)
				require.NoError(t, err)
				require.Len(t, r.Rows, 3)
				require.Equal(t, "rows", r.Truncated)
				_, err = s.Query(t.Context(), "", "SELECT 1")
				require.NoError(t, err)
			}
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
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("the person stopped it")
	go func() {
		<-w.entered
		cancel(stopped)
	}()
	_, err := s.Query(ctx, "", endless)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, stopped)
	pool, err := s.PoolStats("")
	require.NoError(t, err)
	require.Equal(t, 1, pool.InUse, "the statement still runs")
	_, err = hasty.Query(t.Context(), "", endless)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Regexp(t, `no result after \d+`, err.Error())
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
