package sqlqueue_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

func open(t testing.TB, path string, opts sqlqueue.Options) *sqlqueue.Queue {
	t.Helper()
	q, err := sqlqueue.Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// TestTwoHandles stands for two processes: each sees what the other does.
func TestTwoHandles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	a, b := open(t, path, sqlqueue.Options{}), open(t, path, sqlqueue.Options{})
	got := make(chan string, 1)
	go func() {
		d, err := b.Receive(t.Context())
		if err == nil {
			err = b.Ack(t.Context(), d.Lease)
		}
		got <- fmt.Sprint(d.Item.Name, err)
	}()
	_, err := a.Enqueue(t.Context(), queue.Item{Name: "x"})
	require.NoError(t, err)
	assert.Equal(t, "x<nil>", <-got)
	require.NoError(t, a.WaitEmpty(t.Context()))
	require.NoError(t, a.Pause(t.Context()))
	paused, err := b.Paused(t.Context())
	require.NoError(t, err)
	assert.True(t, paused)

	// Both at once, from many goroutines: no call fails and nothing gets lost.
	require.NoError(t, b.Resume(t.Context()))
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	for _, q := range []*sqlqueue.Queue{a, b} {
		for range 4 {
			wg.Go(func() {
				for range 50 {
					_, err := q.Enqueue(t.Context(), queue.Item{})
					assert.NoError(t, err)
				}
			})
			wg.Go(func() {
				for {
					d, err := q.Receive(ctx)
					if err != nil {
						assert.ErrorIs(t, err, context.Canceled)
						return
					}
					mu.Lock()
					if seen[d.Item.ID]++; len(seen) == 400 {
						cancel()
					}
					mu.Unlock()
					assert.NoError(t, q.Ack(t.Context(), d.Lease))
				}
			})
		}
	}
	wg.Wait()
	cancel()
	assert.Len(t, seen, 400)
	for id, n := range seen {
		assert.Equal(t, 1, n, id)
	}
}

// TestCloseLeavesOneFile also means that no connection stays open.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q, err := sqlqueue.Open(path, sqlqueue.Options{})
	require.NoError(t, err)
	_, err = q.Enqueue(t.Context(), queue.Item{Name: "x"})
	require.NoError(t, err)
	require.NoError(t, q.Close())
	left, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	assert.Equal(t, []string{path}, left, "the log is part of the file again")
}

// TestDiskFull lets the file grow no further, which is what a full disk is to
// SQLite: calls fail with the typed error, what was acknowledged stays, and the
// queue works on as soon as there is room.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q := open(t, path, sqlqueue.Options{MaxBytes: 800 << 10})
	payload := make([]byte, 64<<10)
	var acked []string
	var err error
	for range 100 {
		var ids []string
		if ids, err = q.Enqueue(t.Context(), queue.Item{Payload: payload}); err != nil {
			break
		}
		acked = append(acked, ids...)
	}
	require.ErrorIs(t, err, sqlqueue.ErrDiskFull)
	require.NotEmpty(t, acked)
	_, err = q.Enqueue(t.Context(), queue.Item{Payload: payload})
	require.ErrorIs(t, err, sqlqueue.ErrDiskFull)
	for _, id := range acked {
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, id, d.Item.ID)
		assert.Len(t, d.Item.Payload, len(payload))
		require.NoError(t, q.Ack(t.Context(), d.Lease))
	}
	_, err = q.Enqueue(t.Context(), queue.Item{Payload: payload})
	require.NoError(t, err, "there is room again")
}

// TestOneFailureIsNotOthers has items come that the disk has no room for, with
// others at the same time and while a receiver waits.
func TestOneFailureIsNotOthers(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "q.db"), sqlqueue.Options{MaxBytes: 800 << 10})
	got := make(chan string, 1)
	go func() {
		d, err := q.Receive(t.Context())
		got <- fmt.Sprint(d.Item.Name, err)
	}()
	large := make([]byte, 1_000_000)
	for { // until the receiver waits
		if _, err := q.Enqueue(t.Context(), queue.Item{Payload: large}); !assert.ErrorIs(t, err, sqlqueue.ErrDiskFull) {
			return
		}
		if d, err := q.Depth(t.Context()); assert.NoError(t, err) && assert.Equal(t, queue.Depth{}, d) && q.Waiting() == 1 {
			break
		}
	}
	_, err := q.Enqueue(t.Context(), queue.Item{Name: "small"})
	require.NoError(t, err)
	assert.Equal(t, "small<nil>", <-got)

	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%2 == 0 {
				_, err := q.Enqueue(t.Context(), queue.Item{Payload: large})
				assert.ErrorIs(t, err, sqlqueue.ErrDiskFull)
				return
			}
			_, err := q.Enqueue(t.Context(), queue.Item{})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	d, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{Ready: 10, Leased: 1}, d)
}

// TestNoFolder stands for a folder that may not be written, which the superuser
// always may.
func TestNoFolder(t *testing.T) {
	dir := t.TempDir()
	_, err := sqlqueue.Open(filepath.Join(dir, "no", "q.db"), sqlqueue.Options{})
	require.ErrorIs(t, err, sqlqueue.ErrReadOnly)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "no"), 0o700))
	q, err := sqlqueue.Open(filepath.Join(dir, "no", "q.db"), sqlqueue.Options{})
	require.NoError(t, err, "usable once it may be written")
	require.NoError(t, q.Close())
}

func TestDurabilityPragmas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	open(t, path, sqlqueue.Options{})
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	var mode string
	require.NoError(t, db.QueryRow("PRAGMA journal_mode").Scan(&mode))
	assert.Equal(t, "wal", mode)
}
