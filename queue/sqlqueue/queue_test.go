package sqlqueue_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/queuetest"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

func TestMain(m *testing.M) {
	if os.Getenv("SQLQUEUE_CHILD") != "" {
		os.Exit(child(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	var paths sync.Map
	queuetest.Run(t, queuetest.Engine{
		New: func(t testing.TB, opts queue.Options) queue.Queue {
			path := filepath.Join(t.TempDir(), "odd name?#%20.db")
			q, err := sqlqueue.Open(path, sqlqueue.Options{Options: opts})
			require.NoError(t, err)
			paths.Store(q, path)
			return q
		},
		Reopen: func(t testing.TB, q queue.Queue, opts queue.Options) queue.Queue {
			path, _ := paths.Load(q)
			again, err := sqlqueue.Open(path.(string), sqlqueue.Options{Options: opts})
			require.NoError(t, err)
			return again
		},
		Steps: 300,
	})
}
