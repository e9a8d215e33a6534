package peerbench

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"maragu.dev/goqite"
	_ "modernc.org/sqlite"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// enqueuers open a new queue for so many producers and return what enqueues.
var enqueuers = []struct {
	peer string
	open func(b *testing.B, producers int) func(payload []byte) error
}{
	{"tokenring", func(b *testing.B, _ int) func([]byte) error {
		q := openOurs(b)
		return func(payload []byte) error {
			_, err := q.Enqueue(b.Context(), queue.Item{Payload: payload})
			return err
		}
	}},
	{"append-file", openLog},
	{"bbolt", openBolt},
	{"goqite", func(b *testing.B, _ int) func([]byte) error {
		q, _ := openGoqite(b)
		return func(payload []byte) error { return q.Send(b.Context(), goqite.Message{Body: payload}) }
	}},
	{"river", openRiver},
}

func openOurs(b *testing.B) *sqlqueue.Queue {
	q, err := sqlqueue.Open(filepath.Join(b.TempDir(), "queue.db"), sqlqueue.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, q.Close()) })
	return q
}

// openSQLite opens a file for a peer: the same driver and the same promise as
// ours, and the one connection that both peers' documentation advises.
func openSQLite(b *testing.B) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "peer.db")+
		"?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	require.NoError(b, err)
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	return db
}

// openGoqite takes the schema from goqite's module, where it lies as a file.
func openGoqite(b *testing.B) (*goqite.Queue, *sql.DB) {
	dir, err := exec.CommandContext(b.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "maragu.dev/goqite").Output()
	require.NoError(b, err)
	schema, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "schema_sqlite.sql"))
	require.NoError(b, err)
	db := openSQLite(b)
	_, err = db.ExecContext(b.Context(), string(schema))
	require.NoError(b, err)
	return goqite.New(goqite.NewOpts{DB: db, Name: "bench"}), db
}

// job carries a payload through River, which encodes it as JSON.
type job struct{ Payload []byte }

func (job) Kind() string { return "job" }

func openRiver(b *testing.B, _ int) func([]byte) error {
	db := openSQLite(b)
	quiet := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(riversqlite.New(db), &rivermigrate.Config{Logger: quiet})
	require.NoError(b, err)
	_, err = migrator.Migrate(b.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(b, err)
	client, err := river.NewClient(riversqlite.New(db), &river.Config{Logger: quiet})
	require.NoError(b, err)
	return func(payload []byte) error {
		_, err := client.Insert(b.Context(), job{payload}, nil)
		return err
	}
}

var bucket = []byte("queue")

// openBolt lets a batch begin as soon as every producer has joined it.
func openBolt(b *testing.B, producers int) func([]byte) error {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bolt.db"), 0o600, nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	db.MaxBatchSize = producers
	require.NoError(b, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	}))
	return func(payload []byte) error {
		return db.Batch(func(tx *bbolt.Tx) error {
			items := tx.Bucket(bucket)
			seq, err := items.NextSequence()
			if err != nil {
				return err
			}
			return items.Put(bigEndian(seq), payload)
		})
	}
}

// BenchmarkDurableEnqueue adds items that are on disk when the call returns.
func BenchmarkDurableEnqueue(b *testing.B) {
	for _, size := range sizes {
		payload := make([]byte, size)
		for _, producers := range []int{1, 16, 64, 128} {
			for _, e := range enqueuers {
				b.Run(caseName(size, producers)+"/"+e.peer, func(b *testing.B) {
					enqueue := e.open(b, producers)
					spread(b, producers, func() error { return enqueue(payload) })
				})
			}
		}
	}
}

// BenchmarkDurableCycle is enqueue, receive and ack. The peers without it have no
// queue (bbolt, the file) or poll for work ten times a second at most (River).
func BenchmarkDurableCycle(b *testing.B) {
	payload := make([]byte, 1<<10)
	for _, producers := range []int{1, 64} {
		name := caseName(len(payload), producers)
		b.Run(name+"/tokenring", func(b *testing.B) {
			q := openOurs(b)
			spread(b, producers, func() error { return cycle(b, q, payload) })
		})
		b.Run(name+"/goqite", func(b *testing.B) {
			q, _ := openGoqite(b)
			spread(b, producers, func() error { return cycleGoqite(b.Context(), q, payload) })
		})
	}
}

// cycleGoqite finds an item whenever it asks, because it has just sent one.
func cycleGoqite(ctx context.Context, q *goqite.Queue, payload []byte) error {
	if err := q.Send(ctx, goqite.Message{Body: payload}); err != nil {
		return err
	}
	m, err := q.Receive(ctx)
	if err != nil {
		return err
	}
	return q.Delete(ctx, m.ID)
}
