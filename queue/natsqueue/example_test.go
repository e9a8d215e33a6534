package natsqueue_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// A program that needs no cluster runs the server inside itself. What it enqueued
// is there when it starts again.
func ExampleEmbedded() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"first run", "second run"} {
		q, err := natsqueue.Embedded(ctx, dir, natsqueue.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		depth, err := q.Depth(ctx)
		fmt.Println(name, "finds", depth.Len(), err)
		if _, err = q.Enqueue(ctx, queue.Item{Name: "mail", Payload: []byte("to Ann")}); err != nil {
			fmt.Println(err)
		}
		if err = q.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// first run finds 0 <nil>
	// second run finds 1 <nil>
}

// exampleServer stands for the cluster that the machines share.
func exampleServer() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	if err != nil {
		panic(err)
	}
	go s.Start()
	s.ReadyForConnections(20 * time.Second)
	return s.ClientURL(), func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}

// One machine enqueues, another one works.
func ExampleConnect() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	here, err := natsqueue.Connect(ctx, url, natsqueue.Options{Stream: "MAIL"}) // Replicas: 3 on a cluster
	if err != nil {
		fmt.Println(err)
		return
	}
	defer here.Close()
	there, err := natsqueue.Connect(ctx, url, natsqueue.Options{Stream: "MAIL"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer there.Close()

	for _, to := range []string{"Ann", "Bob"} { // one after the other: they have the same key
		if _, err := here.Enqueue(ctx, queue.Item{Name: "mail", Key: "outbox", Payload: []byte(to)}); err != nil {
			fmt.Println(err)
		}
	}
	w := queue.NewWorker(there, func(_ context.Context, it queue.Item) error {
		fmt.Println(it.Name, "to", string(it.Payload))
		return nil
	}, queue.WorkerOptions{Concurrency: 4})
	fmt.Println(w.RunUntilEmpty(ctx))
	fmt.Println(here.Depth(ctx))
	// Output:
	// mail to Ann
	// mail to Bob
	// <nil>
	// {0 0 0 0 0} <nil>
}
