package queue_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	queuetest.Run(t, queuetest.Engine{
		New: func(t testing.TB, opts queue.Options) queue.Queue { return queue.NewMemory(opts) },
		Reopen: func(t testing.TB, old queue.Queue, opts queue.Options) queue.Queue {
			data, err := old.(*queue.Memory).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			m := queue.NewMemory(opts)
			if err := m.UnmarshalJSON(data); err != nil {
				t.Fatal(err)
			}
			return m
		},
		Steps: 3_000,
	})
}
