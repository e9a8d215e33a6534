package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Defaults of [Options].
const (
	DefaultWindow  = time.Millisecond
	DefaultMaxSize = 100
	DefaultTimeout = 30 * time.Second
)

var (
	// ErrClosed is returned by loads after Close, and by those that Close ended.
	ErrClosed = errors.New("batch: closed")

	// ErrNotFound is the error of a key for which a function of [ByKey] has no value.
	ErrNotFound = errors.New("not found")
)

// Options configure a [Batcher]. The zero value is the documented default.
type Options struct {
	// Window is how long the first key of a batch waits for others. 0 means
	// [DefaultWindow]; negative means that each batch is loaded at once.
	Window time.Duration

	// MaxSize is the number of keys with which a batch is loaded without waiting
	// for the end of its window. 0 means [DefaultMaxSize].
	MaxSize int

	// Timeout bounds the load of one batch. 0 means [DefaultTimeout]; negative
	// means no bound.
	Timeout time.Duration
}

// Result is what was loaded for one key.
type Result[V any] struct {
	Value V
	Err   error // why there is no Value
}

// LoadFunc loads keys, which are distinct, and returns one result for each in the
// order in which it got them. An error stands for the same error for every key.
// The slice is the function's own.
type LoadFunc[K comparable, V any] func(ctx context.Context, keys []K) ([]Result[V], error)

// ByKey makes a LoadFunc of a function that returns what it has found by key. A
// key that is not in the map fails with [ErrNotFound].
func ByKey[K comparable, V any](load func(ctx context.Context, keys []K) (map[K]V, error)) LoadFunc[K, V] {
	return func(ctx context.Context, keys []K) ([]Result[V], error) {
		found, err := load(ctx, slices.Clone(keys)) // which it may sort
		if err != nil {
			return nil, err
		}
		results := make([]Result[V], len(keys))
		for i, key := range keys {
			v, ok := found[key]
			if results[i].Value = v; !ok {
				results[i].Err = ErrNotFound
			}
		}
		return results, nil
	}
}

// Batcher loads keys in batches. It is safe for concurrent use. It has no
// goroutine while nothing is asked for.
type Batcher[K comparable, V any] struct {
	load    LoadFunc[K, V]
	opts    Options
	stop    context.Context // ended by Close
	stopNow context.CancelCauseFunc
	running sync.WaitGroup

	mu      sync.Mutex
	open    *batch[K, V]      // collects keys; nil when there is none
	places  map[K]place[K, V] // keys that are collected or being loaded
	closed  bool
	loading int
}

// New returns a Batcher over load. The context that load gets carries the values
// of the caller who began the batch. It ends after Options.Timeout, by Close, and
// when all callers have gone.
func New[K comparable, V any](load LoadFunc[K, V], opts Options) *Batcher[K, V] {
	if opts.Window == 0 {
		opts.Window = DefaultWindow
	}
	if opts.MaxSize <= 0 {
		opts.MaxSize = DefaultMaxSize
	}
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	b := &Batcher[K, V]{load: load, opts: opts, places: make(map[K]place[K, V], min(opts.MaxSize, DefaultMaxSize))}
	b.stop, b.stopNow = context.WithCancelCause(context.Background())
	return b
}

// place is where the result of a key will be.
type place[K comparable, V any] struct {
	batch *batch[K, V]
	index int
}

// Load returns the value of key. When ctx ends first, it returns its error; the
// other callers are not affected.
func (b *Batcher[K, V]) Load(ctx context.Context, key K) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, fmt.Errorf("batch: load %v: %w", key, err)
	}
	b.mu.Lock()
	p, err := b.enter(ctx, key)
	b.mu.Unlock()
	if err != nil {
		return none, err
	}
	return b.wait(ctx, key, p)
}

// LoadAll returns the results of keys, in their order. Keys may be given more than
// once; there may be more than fit into one batch. When ctx ends first, what is
// missing has its error.
func (b *Batcher[K, V]) LoadAll(ctx context.Context, keys []K) []Result[V] {
	results := make([]Result[V], len(keys))
	places := make([]place[K, V], len(keys))
	b.mu.Lock()
	for i, key := range keys {
		if results[i].Err = ctx.Err(); results[i].Err == nil {
			places[i], results[i].Err = b.enter(ctx, key)
		}
	}
	b.mu.Unlock()
	for i, p := range places {
		if p.batch != nil {
			results[i].Value, results[i].Err = b.wait(ctx, keys[i], p)
		}
	}
	return results
}

// enter finds or makes the place of key, for one more caller. The lock is held.
func (b *Batcher[K, V]) enter(ctx context.Context, key K) (place[K, V], error) {
	if p, ok := b.places[key]; ok {
		p.batch.callers++
		return p, nil
	}
	if b.closed {
		return place[K, V]{}, ErrClosed
	}
	if b.open == nil {
		b.open = b.begin(ctx)
	}
	p := place[K, V]{b.open, len(b.open.keys)}
	p.batch.keys = append(p.batch.keys, key)
	p.batch.callers++
	b.places[key] = p
	if len(p.batch.keys) >= b.opts.MaxSize || b.opts.Window < 0 {
		b.dispatch(p.batch)
	}
	return p, nil
}

// wait returns the result at p once it is there.
func (b *Batcher[K, V]) wait(ctx context.Context, key K, p place[K, V]) (V, error) {
	if !p.batch.await(ctx) {
		b.leave(p.batch)
		var none V
		return none, fmt.Errorf("batch: waiting for %v: %w", key, ctx.Err())
	}
	if p.batch.err != nil {
		var none V
		return none, fmt.Errorf("batch: load %v: %w", key, p.batch.err)
	}
	result := p.batch.results[p.index]
	if result.Err != nil {
		return result.Value, fmt.Errorf("batch: load %v: %w", key, result.Err)
	}
	return result.Value, nil
}

// leave takes one caller away from bt. A batch without callers is given up.
func (b *Batcher[K, V]) leave(bt *batch[K, V]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bt.callers--; bt.callers == 0 && !bt.over {
		b.finish(bt, nil, errAbandoned)
		bt.cancel(errAbandoned)
	}
}

var errAbandoned = errors.New("all callers have gone")

// Close gives up what is collected or being loaded, with [ErrClosed] for its
// callers, and waits until ctx ends for loads that run.
func (b *Batcher[K, V]) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	if b.open != nil {
		b.finish(b.open, nil, ErrClosed)
	}
	b.mu.Unlock()
	b.stopNow(ErrClosed)

	ended := make(chan struct{})
	go func() {
		b.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Errorf("batch: close: %d loads ignore the end of their context and still run: %w", b.loading, ctx.Err())
	}
}
