package sqlqueue_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// inTurn starts calls that wait, one after the other.
func inTurn(t *testing.T, q *sqlqueue.Queue, n int, call func(i int)) {
	for i := range n {
		go call(i)
		for q.Waiting() <= i {
			require.NoError(t, t.Context().Err())
		}
	}
}

func TestBlockedReceiversAreServedInTurn(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "q.db"), sqlqueue.Options{})
	served := make(chan string, 10)
	inTurn(t, q, 5, func(i int) {
		d, err := q.Receive(t.Context())
		assert.NoError(t, err)
		served <- fmt.Sprint(i, " got ", d.Item.Name)
	})
	for i := range 5 {
		_, err := q.Enqueue(t.Context(), queue.Item{Name: fmt.Sprint(i)})
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint(i, " got ", i), <-served)
	}
}

func TestBlockedEnqueuersAreServedInTurn(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "q.db"), sqlqueue.Options{Options: queue.Options{Capacity: 1, Overflow: queue.Block}})
	_, err := q.Enqueue(t.Context(), queue.Item{})
	require.NoError(t, err)
	added := make(chan string, 10)
	inTurn(t, q, 3, func(i int) {
		_, err := q.Enqueue(t.Context(), queue.Item{})
		assert.NoError(t, err)
		added <- fmt.Sprint(i)
	})
	for i := range 3 {
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, q.Ack(t.Context(), d.Lease))
		assert.Equal(t, fmt.Sprint(i), <-added)
	}
}
