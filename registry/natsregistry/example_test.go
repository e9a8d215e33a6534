package natsregistry_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tokenring-ai/tokenring-go/registry"
	"github.com/tokenring-ai/tokenring-go/registry/natsregistry"
)

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

type Worker struct{ Address string }

func join(ctx context.Context, url string) (*natsregistry.Registry[Worker], *nats.Conn) {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		panic(err)
	}
	r, err := natsregistry.Open(ctx, nc, natsregistry.Options[Worker]{Kind: "worker"})
	if err != nil {
		panic(err)
	}
	return r, nc
}

// One machine offers a worker, another one waits for it.
func Example() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	here, nc := join(ctx, url)
	defer nc.Close()
	defer here.Close(ctx)
	there, nc2 := join(ctx, url)
	defer nc2.Close()
	defer there.Close(ctx)

	if _, err := there.Register(ctx, "worker-1", Worker{Address: "10.0.0.7:9000"}); err != nil {
		fmt.Println(err)
		return
	}
	w, err := here.Members().Wait(ctx, "worker-1")
	fmt.Println(w.Address, err)
	// Output: 10.0.0.7:9000 <nil>
}

// A balancer over the mirror uses whoever is alive.
func ExampleRegistry_Members() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	r, nc := join(ctx, url)
	defer nc.Close()
	defer r.Close(ctx)

	for _, name := range []string{"worker-1", "worker-2"} {
		if _, err := r.Register(ctx, name, Worker{Address: name + ":9000"}); err != nil {
			fmt.Println(err)
			return
		}
	}
	balancer := registry.NewBalancer(r.Members().All, registry.BalancerOptions[Worker]{})
	for range 2 {
		err := balancer.Do(ctx, func(_ context.Context, name string, w Worker) error {
			fmt.Println(name, w.Address)
			return nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// worker-1 worker-1:9000
	// worker-2 worker-2:9000
}
