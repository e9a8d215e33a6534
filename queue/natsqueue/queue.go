package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// Options configure a [Queue].
type Options struct {
	queue.Options

	// Stream is the name of the stream, which is made if it does not exist, and
	// the first token of its subjects. One that drops messages by itself is refused.
	// Empty means "TOKENRING-QUEUE".
	Stream string

	// Replicas is how many servers hold the stream when it is made: 1, 3 or 5.
	// 0 means 1.
	Replicas int

	// Memory keeps the stream in the servers' memory when it is made.
	Memory bool

	// Wait is how long a call is repeated while the cluster has no leader or the
	// connection is down. 0 means 20 seconds.
	Wait time.Duration

	// SyncInterval is how often the server of Embedded syncs to disk. 0 means
	// before each acknowledgement, which is what durable means; more loses so
	// much when the machine loses power, though nothing when the process dies.
	SyncInterval time.Duration

	free func() int64 // bytes left on the disk of Embedded
}

const (
	defaultStream = "TOKENRING-QUEUE"
	defaultWait   = 20 * time.Second
)

// Queue is a queue in a JetStream stream. It implements [queue.Queue].
type Queue struct {
	opts   Options
	log    eventlog
	budget int // bytes of payload that one transaction collects
	limit  int // bytes of a transaction
	ops    chan *op
	news   chan struct{} // there is a transaction of another handle, or a Drain
	newest atomic.Uint64 // number of the last message that the news told of
	drains atomic.Bool   // refuses new items
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
	closed sync.Once
	free   func() // releases what Connect and Embedded made

	// Of the writer's goroutine.
	state   *state
	waiting []*op
	unsure  bool // whether the state is the latest, though no news says so
	swept   int64

	mu    sync.Mutex
	stats queue.Stats
}

var _ queue.Queue = (*Queue)(nil)

// Open uses or makes the stream on a connection that stays the caller's. ctx
// bounds the opening only.
func Open(ctx context.Context, nc *nats.Conn, opts Options) (*Queue, error) {
	opts.Options = opts.Options.WithDefaults()
	if opts.Stream == "" {
		opts.Stream = defaultStream
	}
	if opts.Wait <= 0 {
		opts.Wait = defaultWait
	}
	if strings.ContainsAny(opts.Stream, " .*>/\\\t\r\n") {
		return nil, fmt.Errorf("natsqueue: stream name %q: want no space, '.', '*', '>' and slash", opts.Stream)
	}
	switch opts.Replicas {
	case 0, 1, 3, 5:
	default:
		return nil, fmt.Errorf("natsqueue: %d replicas: want 1, 3 or 5", opts.Replicas)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("natsqueue: %w", err)
	}
	q := &Queue{
		opts: opts, state: newState(), ops: make(chan *op, maxBatch), news: make(chan struct{}, 1), ended: make(chan struct{}),
		log: eventlog{nc: nc, js: js, name: opts.Stream, wait: opts.Wait, started: time.Now(), config: config(&opts)},
	}
	q.stats.Since = time.Now()
	q.ctx, q.cancel = context.WithCancel(context.Background())
	if err = q.log.open(ctx); err == nil {
		err = q.setLimit(nc.MaxPayload())
	}
	if err == nil {
		err = q.catchUp(ctx)
	}
	var sub *nats.Subscription
	if err == nil {
		sub, err = nc.Subscribe(opts.Stream+".news", func(m *nats.Msg) {
			seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err != nil {
				return
			}
			q.newest.Store(seq)
			q.wake()
		})
	}
	if err != nil {
		q.cancel()
		return nil, fmt.Errorf("natsqueue: open stream %s: %w", opts.Stream, err)
	}
	q.free = func() { _ = sub.Unsubscribe() }
	go q.loop()
	return q, nil
}

// setLimit bounds transactions by what the server takes.
func (q *Queue) setLimit(maxPayload int64) error {
	if maxPayload < 64<<10 {
		return fmt.Errorf("the server's max_payload is %d bytes: want 64 KiB at least", maxPayload)
	}
	q.limit = int(maxPayload) - 4096
	q.budget = q.limit / 2
	return nil
}

// wake has the writer look at the calls that wait.
func (q *Queue) wake() {
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// config is how a stream is made.
func config(opts *Options) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if opts.Memory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name: opts.Stream, Subjects: []string{opts.Stream + ".log"}, Storage: storage, Replicas: max(1, opts.Replicas),
		Description: "work queue", Discard: jetstream.DiscardNew, AllowDirect: true, DenyDelete: true,
		RePublish: &jetstream.RePublish{Source: opts.Stream + ".log", Destination: opts.Stream + ".news", HeadersOnly: true},
	}
}

// Connect is [Open] on a connection of its own, to one of the servers in a list
// of URLs separated by commas. It is made again whenever it breaks.
func Connect(ctx context.Context, urls string, opts Options) (*Queue, error) {
	nc, err := nats.Connect(urls, nats.Name("queue"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.IgnoreAuthErrorAbort(), logErrors(&opts))
	if err != nil {
		if bad, ok := errors.AsType[*url.Error](err); ok {
			err = bad.Err
		}
		return nil, fmt.Errorf("natsqueue: connect to %s: %w", public(urls), err)
	}
	q, err := Open(ctx, nc, opts)
	if err != nil {
		nc.Close()
		return nil, err
	}
	free := q.free
	q.free = func() { free(); nc.Close() }
	return q, nil
}

// logErrors has a connection log what nobody waits for, such as missing permissions.
func logErrors(opts *Options) nats.Option {
	log := opts.Options.WithDefaults().Logger
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		log.Warn("natsqueue: the connection reports an error", "error", err)
	})
}

// public returns a list of URLs without names, passwords and tokens.
func public(urls string) string {
	list := strings.Split(urls, ",")
	for i, u := range list {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok {
			scheme, rest = "nats", u
		}
		list[i] = scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
	}
	return strings.Join(list, ",")
}

// Close implements [queue.Queue].
func (q *Queue) Close() error {
	q.closed.Do(func() {
		q.cancel()
		<-q.ended
		q.free()
	})
	return nil
}

// Stats implements [queue.Queue]. The counters are those of this handle.
func (q *Queue) Stats() queue.Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.At = time.Now()
	return s
}
