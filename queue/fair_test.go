package queue_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func TestBlockedReceiversAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		served := make(chan string, 10)
		for i := range 5 {
			go func() {
				d, err := q.Receive(t.Context())
				assert.NoError(t, err)
				served <- fmt.Sprint(i, " got ", d.Item.Name)
			}()
			synctest.Wait()
		}
		for i := range 5 {
			_, err := q.Enqueue(t.Context(), queue.Item{Name: fmt.Sprint(i)})
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprint(i, " got ", i), <-served)
		}
	})
}

func TestBlockedEnqueuersAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{Capacity: 2, Overflow: queue.Block})
		_, err := q.Enqueue(t.Context(), queue.Item{}, queue.Item{})
		require.NoError(t, err)
		added := make(chan string, 10)
		for i, n := range []int{2, 1, 1} { // the first needs most room and is not overtaken
			go func() {
				_, err := q.Enqueue(t.Context(), make([]queue.Item, n)...)
				assert.NoError(t, err)
				added <- fmt.Sprint(i)
			}()
			synctest.Wait()
		}
		for _, want := range []string{"", "0", "1", "2"} {
			d, err := q.Receive(t.Context())
			require.NoError(t, err)
			require.NoError(t, q.Ack(t.Context(), d.Lease))
			synctest.Wait()
			got := ""
			for len(added) > 0 {
				got += <-added
			}
			assert.Equal(t, want, got)
		}
	})
}

// lockedOut is a log that looks into the queue, as a handler of logs might.
type lockedOut struct {
	bytes.Buffer
	q *queue.Memory
}

func (l *lockedOut) Write(p []byte) (int, error) {
	l.q.Stats()
	return l.Buffer.Write(p)
}

func TestDroppedItemsAreLogged(t *testing.T) {
	log := &lockedOut{}
	q := queue.NewMemory(queue.Options{Capacity: 1, Overflow: queue.DropOldest, Logger: slog.New(slog.NewTextHandler(log, nil))})
	log.q = q
	for i := range 3 {
		_, err := q.Enqueue(t.Context(), queue.Item{ID: fmt.Sprint("item", i)})
		require.NoError(t, err)
	}
	assert.Contains(t, log.String(), "id=item0")
	assert.Contains(t, log.String(), "id=item1")
	assert.NotContains(t, log.String(), "id=item2")
}

// TestLateAck has nobody but the late holder look at the queue.
func TestLateAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{Lease: time.Minute})
		_, err := q.Enqueue(t.Context(), queue.Item{})
		require.NoError(t, err)
		d, err := q.Receive(t.Context())
		require.NoError(t, err)
		<-time.After(time.Minute)
		require.ErrorIs(t, q.Ack(t.Context(), d.Lease), queue.ErrLeaseLost)
	})
}
