// Command queue puts items into a work queue and takes them out, to try an
// engine, to script crash experiments and to measure.
//
//	queue -engine sqlite -path q.db produce -n 1000 -size 1024 -producers 16 -v
//	queue -engine sqlite -path q.db consume -workers 8 -v
//	queue -engine sqlite -path q.db stats
//	queue -engine nats -url nats://127.0.0.1:4222 bench -producers 16
//
// With -v it prints "acked ID" once an item is enqueued for good and "done ID"
// once one is handled and acknowledged.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

// program is one run of the command.
type program struct {
	queue    queue.Queue
	out      lines // acked and done
	progress io.Writer
	verbose  bool

	n         int
	size      int
	producers int
	workers   int
	keys      int
	wait      bool
	work      time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	p := &program{out: lines{w: stdout}, progress: stderr}
	global := flag.NewFlagSet("queue", flag.ContinueOnError)
	engine := global.String("engine", "sqlite", "memory, sqlite or nats; memory lives for one run and serves only bench")
	path := global.String("path", "queue.db", "file of the sqlite engine, or folder of a NATS server inside this process")
	url := global.String("url", "", "NATS servers to connect to instead, separated by commas")
	replicas := global.Int("replicas", 1, "how many NATS servers hold a new queue: 1, 3 or 5")
	capacity := global.Int("capacity", 0, "bound of the queue; producers wait when it is reached; 0 for none")
	lease := global.Duration("lease", queue.DefaultLease, "how long a consumer that died keeps its items")
	global.Usage = func() {
		fmt.Fprintln(global.Output(), "usage: queue [flags] produce|consume|stats|list|bench [flags]")
		global.PrintDefaults()
	}
	if err := parse(global, args, stderr); err != nil {
		return err
	}
	verb := global.Arg(0)
	verbs := []string{"produce", "consume", "stats", "list", "bench"}
	if !slices.Contains(verbs, verb) {
		return fmt.Errorf("unknown command %q: want %s; see queue -h", verb, strings.Join(verbs, ", "))
	}
	local := flag.NewFlagSet(verb, flag.ContinueOnError)
	local.BoolVar(&p.verbose, "v", false, "print a line per acknowledged and per handled item")
	local.IntVar(&p.n, "n", 1000, "items to produce")
	local.IntVar(&p.size, "size", 1024, "bytes of each payload")
	local.IntVar(&p.producers, "producers", 1, "producers at once")
	local.IntVar(&p.workers, "workers", 1, "items handled at once")
	local.IntVar(&p.keys, "keys", 0, "give the items so many different keys, which are handled in order")
	local.BoolVar(&p.wait, "wait", false, "consume: go on when the queue is empty, until interrupted")
	local.DurationVar(&p.work, "work", 0, "how long handling an item takes")
	if err := parse(local, global.Args()[1:], stderr); err != nil {
		return err
	}
	if local.NArg() > 0 {
		return fmt.Errorf("%s takes flags only, not %q; see queue %s -h", verb, local.Arg(0), verb)
	}
	if p.n < 0 || p.size < 0 || p.producers < 1 || p.workers < 1 {
		return errors.New("-n and -size must not be negative, -producers and -workers at least 1")
	}
	if verb == "bench" && *capacity > 0 && *capacity < p.n {
		return fmt.Errorf("bench consumes when all is produced: -capacity %d is too small for -n %d", *capacity, p.n)
	}
	opts := queue.Options{Capacity: *capacity, Overflow: queue.Block, Lease: *lease, MaxItemSize: -1}
	switch *engine {
	case "memory":
		p.queue = queue.NewMemory(opts)
	case "sqlite":
		q, err := sqlqueue.Open(*path, sqlqueue.Options{Options: opts})
		if err != nil {
			return err
		}
		p.queue = q
	case "nats":
		q, err := openNATS(ctx, *url, *path, natsqueue.Options{Options: opts, Replicas: *replicas})
		if err != nil {
			return err
		}
		p.queue = q
	default:
		return fmt.Errorf("unknown engine %q: want memory, sqlite or nats", *engine)
	}
	err := p.command(ctx, verb, stdout)
	return errors.Join(err, p.queue.Close())
}

// parse reads flags. Help goes to stderr; of anything else that is wrong the error
// tells.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stderr)
		flags.Usage()
	}
	return err
}

func openNATS(ctx context.Context, url, path string, opts natsqueue.Options) (*natsqueue.Queue, error) {
	if url != "" {
		return natsqueue.Connect(ctx, url, opts)
	}
	return natsqueue.Embedded(ctx, path, opts)
}

func (p *program) command(ctx context.Context, verb string, stdout io.Writer) error {
	switch verb {
	case "produce":
		return p.timed("produced", func() error { return p.produce(ctx) })
	case "consume":
		return p.timed("consumed", func() error { return p.consume(ctx) })
	case "bench":
		if err := p.timed("produced", func() error { return p.produce(ctx) }); err != nil {
			return err
		}
		return p.timed("consumed", func() error { return p.consume(ctx) })
	default:
		text, err := queue.NewCommand(p.queue, nil).Command(ctx, verb)
		if err == nil {
			fmt.Fprintln(stdout, text)
		}
		return err
	}
}

// produce enqueues n items from several goroutines.
func (p *program) produce(ctx context.Context) error {
	payload := make([]byte, p.size)
	var next atomic.Int64
	var wg sync.WaitGroup
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	for range p.producers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(p.n) {
					return
				}
				item := queue.Item{Name: "item", Payload: payload}
				if p.keys > 0 {
					item.Key = fmt.Sprint("key", i%int64(p.keys))
				}
				ids, err := p.queue.Enqueue(ctx, item)
				if err != nil {
					fail(err)
					return
				}
				if p.verbose {
					p.out.print("acked ", ids[0])
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// consume handles items until the queue is empty, or for ever.
func (p *program) consume(ctx context.Context) error {
	w := queue.NewWorker(p.queue, func(ctx context.Context, it queue.Item) error {
		if p.work == 0 {
			return nil
		}
		t := time.NewTimer(p.work)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, queue.WorkerOptions{
		Concurrency: p.workers,
		Result: func(_ context.Context, it queue.Item, err error, _ time.Duration) {
			if p.verbose && err == nil {
				p.out.print("done ", it.ID)
			}
		},
	})
	if p.wait {
		return w.Run(ctx)
	}
	return w.RunUntilEmpty(ctx)
}

// timed reports progress once a second and the rate at the end.
func (p *program) timed(what string, work func() error) error {
	start := time.Now()
	count := func() int64 {
		if s := p.queue.Stats(); what == "produced" {
			return s.Enqueued
		} else {
			return s.Acked
		}
	}
	done := make(chan struct{})
	var reporting sync.WaitGroup
	reporting.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(p.progress, "%s %d, %.0f/s\n", what, count(), float64(count())/time.Since(start).Seconds())
			case <-done:
				return
			}
		}
	})
	err := work()
	close(done)
	reporting.Wait()
	took := time.Since(start)
	fmt.Fprintf(p.progress, "%s %d in %v, %.0f/s\n", what, count(), took.Round(time.Millisecond), float64(count())/took.Seconds())
	return err
}

// lines writes whole lines from many goroutines, each at once, so that a killed
// process has printed what it knew.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) print(what, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, "%s%s\n", what, id)
}
