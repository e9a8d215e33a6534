package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// A worker handles everything there is to do, and what cannot be done is kept
// with the reason.
func Example() {
	ctx := context.Background()
	q := queue.NewMemory(queue.Options{})
	defer q.Close()
	_, err := q.Enqueue(ctx,
		queue.Item{Name: "mail", Payload: []byte("to Ann")},
		queue.Item{Name: "mail", Payload: []byte("to nobody")},
		queue.Item{Name: "alarm", Priority: 10, Payload: []byte("fire")},
	)
	if err != nil {
		fmt.Println(err)
	}
	w := queue.NewWorker(q, func(ctx context.Context, it queue.Item) error {
		if string(it.Payload) == "to nobody" {
			return queue.Permanent(errors.New("no such address"))
		}
		fmt.Println(it.Name, string(it.Payload))
		return nil
	}, queue.WorkerOptions{Logger: slog.New(slog.DiscardHandler)})
	if err := w.RunUntilEmpty(ctx); err != nil {
		fmt.Println(err)
	}
	for it := range q.List(ctx, queue.Filter{States: []queue.State{queue.Dead}}) {
		fmt.Println("dead:", string(it.Payload), "because:", it.LastError)
	}
	// Output:
	// alarm fire
	// mail to Ann
	// dead: to nobody because: no such address
}

// Without a worker, a program settles each delivery itself.
func ExampleMemory_Receive() {
	ctx := context.Background()
	q := queue.NewMemory(queue.Options{})
	q.Enqueue(ctx, queue.Item{Key: "agent-1", Payload: []byte("first")}, queue.Item{Key: "agent-1", Payload: []byte("second")})
	d, _ := q.Receive(ctx)
	fmt.Println(string(d.Item.Payload))
	_, err := q.TryReceive(ctx)
	fmt.Println(err) // the second waits for the first
	q.Ack(ctx, d.Lease)
	d, _ = q.Receive(ctx)
	fmt.Println(string(d.Item.Payload))
	// Output:
	// first
	// queue has no item to deliver
	// second
}
