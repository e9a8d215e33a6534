package sqlqueue_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

func TestFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string // SQL, or text if it is none
		want    error
	}{
		"text":    {"this is not a database, whatever its name may promise to those who open it; and long enough", sqlqueue.ErrCorrupt},
		"newer":   {"PRAGMA user_version = 999", sqlqueue.ErrVersion},
		"foreign": {"CREATE TABLE accounts (id INTEGER)", sqlqueue.ErrForeign},
		"items":   {"CREATE TABLE items (id INTEGER)", sqlqueue.ErrForeign},
		"version": {"CREATE TABLE accounts (id INTEGER); PRAGMA user_version = 1", sqlqueue.ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			if name == "text" {
				require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
			} else {
				db, err := sql.Open("sqlite", path)
				require.NoError(t, err)
				_, err = db.Exec(c.content)
				require.NoError(t, err)
				require.NoError(t, db.Close())
			}
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = sqlqueue.Open(path, sqlqueue.Options{})
			require.ErrorIs(t, err, c.want)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, before, after, "it is left alone")
		})
	}
}

// TestVersion1 reads a file as version 1 of the schema left it, with an item in
// each state: what was saved once stays readable.
func TestVersion1(t *testing.T) {
	packed, err := os.ReadFile("testdata/version1.db.gz")
	require.NoError(t, err)
	unpack, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	data, err := io.ReadAll(unpack)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "queue.db")
	require.NoError(t, os.WriteFile(path, data, 0o600))

	q := open(t, path, sqlqueue.Options{})
	d, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Ready: 2, Delayed: 1, Blocked: 1, Dead: 1}, d, "the lease has long run out")
	var names []string
	for it, err := range q.List(t.Context(), queue.Filter{}) {
		require.NoError(t, err)
		names = append(names, it.Name)
	}
	assert.Equal(t, []string{"buried", "held", "behind", "large", "later"}, names)
	held, err := q.Receive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "held", held.Item.Name)
	assert.Equal(t, 2, held.Item.Attempts)
	assert.Equal(t, map[string]string{"header": "value"}, held.Item.Headers)
	assert.Equal(t, "checkpoint", string(held.Item.Checkpoint))
	require.NoError(t, q.Ack(t.Context(), held.Lease))
	for _, name := range []string{"behind", "large"} {
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, name, d.Item.Name)
		if name == "large" {
			assert.Equal(t, bytes.Repeat([]byte("x"), 5000), d.Item.Payload)
		}
	}
}

// TestDamage opens files in which bytes were changed at random. Whatever cannot be
// read is an error that says so; nothing panics or hangs.
func TestDamage(t *testing.T) {
	rounds := 20
	if os.Getenv("TOKENRING_LONG") != "" {
		rounds = 500
	}
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.db")
	q := open(t, whole, sqlqueue.Options{})
	for i := range 60 {
		_, err := q.Enqueue(t.Context(), queue.Item{Name: "n", Payload: bytes.Repeat([]byte("p"), i*100), Headers: map[string]string{"a": "b"}})
		require.NoError(t, err)
	}
	require.NoError(t, q.Close())
	data, err := os.ReadFile(whole)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	found := 0
	for round := range rounds {
		rnd := rand.New(rand.NewPCG(uint64(round), 1))
		bad := bytes.Clone(data)
		for range 1 + rnd.IntN(200) {
			at := 100 + rnd.IntN(len(bad)-100) // the header is recognised or not
			bad[at] = byte(rnd.Uint32())
		}
		path := filepath.Join(dir, "damaged.db")
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		err := drain(ctx, path)
		require.NoError(t, ctx.Err())
		if err != nil {
			found++
			// SQLite cannot see that an index and its table have come to differ.
			if !errors.Is(err, queue.ErrLeaseLost) {
				require.ErrorIs(t, err, sqlqueue.ErrCorrupt, "round %d", round)
			}
		}
		for _, name := range []string{path, path + "-wal", path + "-shm"} {
			_ = os.Remove(name) // if it is there
		}
	}
	assert.Positive(t, found)
	t.Logf("%d of %d were found to be damaged", found, rounds)
}

// drain takes out what there is and returns the first error.
func drain(ctx context.Context, path string) error {
	q, err := sqlqueue.Open(path, sqlqueue.Options{})
	if err != nil {
		return err
	}
	for range 100 {
		var d queue.Delivery
		if d, err = q.TryReceive(ctx); err == nil {
			err = q.Ack(ctx, d.Lease)
		}
		if err != nil {
			break
		}
	}
	if errors.Is(err, queue.ErrEmpty) {
		err = nil
	}
	return errors.Join(err, q.Close())
}
