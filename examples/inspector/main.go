// Inspector shows the page of package inspect on a host that is always busy:
// clerks take orders from a queue, look into a stock with a tool and write
// replies, and ask a person about large orders. The model is scripted; the
// agents, the queue and the checkpoints are real.
//
//	go run ./examples/inspector
//
// Interrupt it (Ctrl-C) to end it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/examples/inspector/inspect"
	"github.com/tokenring-ai/tokenring-go/queue"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, out, stderr io.Writer) error {
	flags := flag.NewFlagSet("inspector", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	addr := flags.String("addr", "127.0.0.1:0", "listen at this loopback `address`")
	open := flags.Bool("open", false, "open the page in a browser")
	every := flags.Duration("every", 2*time.Second, "time between two orders")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stderr)
		flags.Usage()
		return err
	case err != nil:
		return fmt.Errorf("inspector: %w; see inspector -h", err)
	case flags.NArg() > 0:
		return fmt.Errorf("inspector: it takes flags only, not %q; see inspector -h", flags.Arg(0))
	case *every <= 0:
		return fmt.Errorf("inspector: -every %s: want more than nothing", *every)
	}
	shop, err := newShop()
	if err != nil {
		return err
	}
	defer shop.close()
	server, err := inspect.Start(inspect.Options{
		Manager: shop.manager,
		Addr:    *addr,
		Sections: []inspect.Section{
			{Name: "Queue", Read: func(ctx context.Context) (any, error) { return shop.orders.Depth(ctx) }},
			{Name: "Stock", Read: func(context.Context) (any, error) { return shop.stock.list(), nil }},
		},
		Series: []inspect.Series{
			{Chart: "Orders", Name: "taken", Unit: "/s", Counter: true, Read: func() float64 { return float64(shop.orders.Stats().Enqueued) }},
			{Chart: "Orders", Name: "done", Unit: "/s", Counter: true, Read: func() float64 { return float64(shop.orders.Stats().Acked) }},
			{Chart: "Order time", Name: "waiting", Unit: "ms", Read: inspect.Milliseconds(func() time.Duration { return shop.orders.Stats().WaitTime }),
				Per: func() float64 { return float64(shop.orders.Stats().Received) }},
			{Chart: "Order time", Name: "in work", Unit: "ms", Read: inspect.Milliseconds(func() time.Duration { return shop.orders.Stats().RunTime }),
				Per: func() float64 { return float64(shop.orders.Stats().Acked) }},
		},
	})
	if err != nil {
		return err
	}
	defer func() { _ = server.Close(context.WithoutCancel(ctx)) }()
	fmt.Fprintln(out, "the model is scripted; look at", server.URL)
	if *open {
		if err := server.Open(); err != nil {
			fmt.Fprintln(out, err)
		}
	}
	return shop.work(ctx, *every)
}

// The clerks. Orders for one article are worked on one after another.
var articles = []string{"apples", "bricks", "candles"}

// work takes orders and has the clerks handle them until ctx ends.
func (s *shop) work(ctx context.Context, every time.Duration) error {
	clerks := map[string]*agent.Agent{}
	for _, article := range articles {
		a, err := s.manager.Spawn(ctx, "clerk", agent.SpawnOptions{ID: article})
		if err != nil {
			return err
		}
		clerks[article] = a
	}
	worker := queue.NewWorker(s.orders, func(ctx context.Context, item queue.Item) error {
		run, err := clerks[item.Key].Submit(ctx, agent.Input{Text: string(item.Payload), Source: "queue"})
		if err != nil {
			return err
		}
		if err := run.Wait(ctx); err != nil {
			return queue.Permanent(err) // aborted by a person: not again
		}
		return nil
	}, queue.WorkerOptions{Concurrency: len(articles)})
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()

	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 1; ; n++ {
		article := articles[n%len(articles)]
		order := fmt.Sprintf("Order %d: %d %s, please.", n, n*7%23+1, article)
		if _, err := s.orders.Enqueue(ctx, queue.Item{Name: "order", Key: article, Payload: []byte(order)}); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			<-done
			return nil
		case <-ticker.C:
		}
	}
}
