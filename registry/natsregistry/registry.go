// Package natsregistry lets machines discover each other: it mirrors a bucket of
// a NATS JetStream key-value store into a [registry.Keyed], in which Wait and
// Watch see the members of all machines and over which a [registry.Balancer]
// spreads calls.
//
// A member that registers is written to the bucket and written again at every
// heartbeat. One that was silent for the TTL leaves the mirror of every machine.
// Silence is measured by the clock of the machine that listens, from when it
// heard the member last; no time that another machine wrote is looked at, so
// clocks that differ do no harm. While the bucket cannot be reached nobody is
// silent: members stay, and once it can be reached again they have the whole TTL
// to be heard.
//
// What is in the bucket may come from anyone who may write to it. A name or value
// that cannot be read is reported and skipped.
package natsregistry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// Options adjust a [Registry]. Its zero value serves one server.
type Options[T any] struct {
	// Bucket is the name of the key-value bucket, which is made if it does not
	// exist. Empty means "TOKENRING-REGISTRY".
	Bucket string
	// Replicas is how many servers hold the bucket when it is made: 1, 3 or 5.
	// 0 means 1.
	Replicas int

	// TTL is how long a member may be silent. All machines should have the same.
	// 0 means 15 seconds.
	TTL time.Duration
	// Heartbeat is how often members of this machine are heard, and how often it
	// looks for silent ones. 0 means a third of TTL, which is also the most.
	Heartbeat time.Duration

	// MaxMembers bounds what is kept of the bucket; what is more is rejected. 0
	// means 10,000.
	MaxMembers int
	// MaxBytes bounds the JSON of one value. 0 means 64 KiB.
	MaxBytes int
	// Check says what is wrong with a value that another machine wrote, beyond what
	// decoding it as JSON finds. Nil means nothing is.
	Check func(name string, v T) error
	// Rejected is told what was skipped: the key in the bucket and why. It must be
	// quick and must not call the registry. What was skipped is logged as well.
	Rejected func(key string, err error)

	// Kind is that of the mirror: it says in error messages what it holds.
	Kind string
	// Trace observes waits for members.
	Trace registry.Trace
	// Logger receives what no caller sees. Nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultBucket     = "TOKENRING-REGISTRY"
	defaultTTL        = 15 * time.Second
	defaultMaxMembers = 10000
	defaultMaxBytes   = 64 << 10
	maxName           = 256 // bytes of a name
	// tryTimeout bounds a single request to the servers.
	tryTimeout = 3 * time.Second
)

// Registry is a mirror of a bucket, and registers members in it. It is safe for
// concurrent use.
type Registry[T any] struct {
	opts    Options[T]
	js      jetstream.JetStream
	leader  nats.JetStreamContext // for reads that the leader must answer
	members *registry.Keyed[T]
	ctx     context.Context // of everything that runs; its end stops that
	cancel  context.CancelFunc
	running sync.WaitGroup

	rejected, silenced, rewatched atomic.Int64

	mu     sync.Mutex
	kv     jetstream.KeyValue
	heard  map[string]*heard     // by name
	gone   map[string]uint64     // by name: the last revision of members that left or fell silent
	own    map[string]*Member[T] // by name
	closed bool
	made   time.Time // when the servers say that the bucket was
	anew   int       // how often it was found to be another one
	down   time.Time // when the bucket was last found out of reach
}

// Open uses or makes the bucket and returns once the members that it holds are in
// the mirror, for which it tries for as long as ctx lets it. A member that fell
// silent before is there for up to a TTL. The connection stays the caller's; it
// should reconnect without limit. Call Close.
func Open[T any](ctx context.Context, nc *nats.Conn, opts Options[T]) (*Registry[T], error) {
	if opts.Bucket == "" {
		opts.Bucket = defaultBucket
	}
	if opts.TTL <= 0 {
		opts.TTL = defaultTTL
	}
	opts.TTL = min(opts.TTL, math.MaxInt64/4) // what is more could not be multiplied
	if opts.Heartbeat <= 0 || opts.Heartbeat > opts.TTL/3 {
		opts.Heartbeat = max(opts.TTL/3, 1)
	}
	switch opts.Replicas {
	case 0, 1, 3, 5:
	default:
		return nil, fmt.Errorf("natsregistry: %d replicas: want 1, 3 or 5", opts.Replicas)
	}
	if opts.MaxMembers <= 0 {
		opts.MaxMembers = defaultMaxMembers
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	opts.MaxBytes = min(opts.MaxBytes, 1<<30)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("natsregistry: %w", err)
	}
	leader, err := nc.JetStream()
	if err != nil {
		return nil, fmt.Errorf("natsregistry: %w", err)
	}
	r := &Registry[T]{
		opts: opts, js: js, leader: leader, members: &registry.Keyed[T]{Kind: opts.Kind, Trace: opts.Trace},
		heard: make(map[string]*heard), gone: make(map[string]uint64), own: make(map[string]*Member[T]),
	}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w, err := r.watchAgain(ctx)
	if err == nil {
		err = r.replay(ctx, w)
	}
	if err != nil {
		r.cancel()
		stop(w)
		return nil, fmt.Errorf("natsregistry: open bucket %s: %w", opts.Bucket, err)
	}
	r.running.Go(func() { r.listen(w) })
	return r, nil
}

// Members is the mirror. It is for reading: Get, Wait, Watch, All for a Balancer.
// What is changed in it is not told to other machines. Functions that a selection
// of it calls on changes must not call the Registry.
func (r *Registry[T]) Members() *registry.Keyed[T] { return r.members }

// Stats are counters of a [Registry] since it was opened.
type Stats struct {
	Members   int   `json:"members"`   // in the mirror
	Own       int   `json:"own"`       // registered here
	Rejected  int64 `json:"rejected"`  // entries of the bucket that were skipped
	Silenced  int64 `json:"silenced"`  // members that left because they were silent
	Rewatched int64 `json:"rewatched"` // times that the watch of the bucket was begun anew
}

// Stats returns the counters.
func (r *Registry[T]) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{Members: r.members.Len(), Own: len(r.own), Rejected: r.rejected.Load(),
		Silenced: r.silenced.Load(), Rewatched: r.rewatched.Load()}
}

// Close takes the members of this machine out of the bucket, as far as ctx
// allows, and ends every goroutine, which takes up to 5 seconds more when the
// servers do not answer. The mirror stays as it is. Further calls do nothing.
func (r *Registry[T]) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	own := make([]*Member[T], 0, len(r.own))
	for _, m := range r.own {
		own = append(own, m)
	}
	r.mu.Unlock()
	var errs []error
	for _, m := range own {
		errs = append(errs, m.Leave(ctx))
	}
	r.cancel()
	r.running.Wait()
	return errors.Join(errs...)
}

// bucket opens the bucket or makes it.
func (r *Registry[T]) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := r.js.KeyValue(ctx, r.opts.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		// The servers forget entries by their own clock, so that the bucket does not
		// fill. That is later than any mirror does, and nothing depends on it.
		kv, err = r.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: r.opts.Bucket, Description: "members of registries", TTL: 2 * r.opts.TTL,
			MaxValueSize: int32(r.opts.MaxBytes + 1024), Replicas: max(1, r.opts.Replicas),
		})
	}
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.kv = kv
	r.mu.Unlock()
	return kv, nil
}

func (r *Registry[T]) store() jetstream.KeyValue {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kv
}

// passing reports whether an error is one of a cluster that is looking for a
// leader or of a connection that is being made again.
func passing(err error) bool {
	for _, known := range []error{
		errRaced, errStale, context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrNoStreamResponse, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	if api, ok := errors.AsType[*nats.APIError](err); ok {
		return api.Code >= 500
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.Code >= 500 || api.ErrorCode == noPeers)
}

// noPeers is the code of a cluster that has fewer servers than replicas, as one
// that was only just started.
const noPeers = 10005

// again repeats fn while the cluster cannot answer, until ctx ends.
func again(ctx context.Context, fn func(context.Context) error) error {
	var last error
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), last)
		}
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		last = fn(try)
		cancel()
		if last == nil || ctx.Err() == nil && !passing(last) {
			return last
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// key returns the key of a name, which may hold what keys may not.
func key(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}

// nameOf is the reverse of key. It refuses what key does not make, so that no two
// keys have one name.
func nameOf(k string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(k); i++ {
		if k[i] != '=' {
			b.WriteByte(k[i])
			continue
		}
		var c byte
		if i+2 < len(k) {
			if _, err := fmt.Sscanf(k[i+1:i+3], "%02x", &c); err == nil {
				b.WriteByte(c)
			}
		}
		i += 2
	}
	name := b.String()
	if name == "" || len(name) > maxName || key(name) != k {
		return "", fmt.Errorf("key %.80q is not that of a name", k)
	}
	return name, nil
}
