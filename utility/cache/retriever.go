package cache

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Retriever remembers what a load function returned for each key. It is safe for
// concurrent use. Callers share the values, which must therefore not be modified.
type Retriever[K comparable, V any] struct {
	load  func(ctx context.Context, key K) (V, error)
	opts  Options
	clock clock

	// index is what hits read, without a lock. It holds K → *slot[V], the same
	// slots as recent does.
	index sync.Map

	stop    context.Context // ended by Close
	stopNow context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	recent  *simplelru.LRU[K, *slot[V]]
	flights map[K]*flight[V]
	closed  bool
	stats   Stats // Hits are those of slots that are gone
}

// slot is the place of a key. Hits count themselves on it; a count that has
// grown also tells eviction that the slot was used, so that hits need not move it
// to the front of recent themselves.
type slot[V any] struct {
	state atomic.Pointer[state[V]]
	hits  atomic.Uint64
	seen  uint64 // hits when eviction last looked; guarded by Retriever.mu
}

// state is what is known of a key. It is immutable. Times are nanoseconds since
// the clock's base.
type state[V any] struct {
	value   V
	has     bool
	loaded  int64
	expires int64
	refresh int64 // when a hit starts a background refresh
	certain int64 // up to this coarse time it is neither expired nor to refresh
	err     error
	retry   int64 // until then err is remembered instead of loading again
}

// New returns a Retriever that loads what it does not know with load. The context
// that load gets carries the values of the caller who caused it, but neither its
// cancellation nor its deadline; it ends after Options.Timeout and by Close.
func New[K comparable, V any](load func(ctx context.Context, key K) (V, error), opts Options) *Retriever[K, V] {
	r := &Retriever[K, V]{
		load:    load,
		opts:    opts.withDefaults(),
		flights: make(map[K]*flight[V]),
	}
	r.clock.base = time.Now()
	r.stop, r.stopNow = context.WithCancel(context.Background())
	// The LRU never evicts by itself: makeRoom has done so before.
	r.recent, _ = simplelru.NewLRU[K, *slot[V]](math.MaxInt, nil)
	return r
}

// Get returns the value of key: the remembered one while it is fresh, else the
// result of a load for which all callers wait together. When the load fails and
// there is a stale value within Options.StaleFor, that is returned without an
// error; [Retriever.Peek] tells. When ctx ends first, Get returns its error and
// the load goes on for the others and for the next caller.
func (r *Retriever[K, V]) Get(ctx context.Context, key K) (V, error) {
	if found, ok := r.index.Load(key); ok {
		s := found.(*slot[V])
		if st := s.state.Load(); r.clock.before(st.certain) {
			s.hits.Add(1)
			return st.value, nil
		}
	}
	return r.get(ctx, key)
}

// get is Get for all but the simplest hits.
func (r *Retriever[K, V]) get(ctx context.Context, key K) (V, error) {
	now := r.clock.now()
	if found, ok := r.index.Load(key); ok {
		s := found.(*slot[V])
		if st := s.state.Load(); st.has && now < st.expires && now < st.refresh {
			s.hits.Add(1)
			return st.value, nil
		}
	}
	r.mu.Lock()
	if s, ok := r.recent.Peek(key); ok {
		if st := s.state.Load(); st.has && now < st.expires {
			s.hits.Add(1)
			if now >= st.refresh && !r.closed && r.flights[key] == nil {
				r.fly(ctx, key).background = true
			}
			r.mu.Unlock()
			return st.value, nil
		} else if now < st.retry {
			defer r.mu.Unlock()
			if !r.usable(st, now) {
				r.stats.Negative++
			}
			return r.fallback(key, now, st.err)
		}
	}
	if r.closed {
		r.mu.Unlock()
		var none V
		return none, ErrClosed
	}
	r.stats.Misses++
	f := r.join(ctx, key)
	r.mu.Unlock()

	value, err := f.wait(ctx, key)
	if err == nil || !f.ended() {
		return value, err
	}
	// The load failed, as opposed to the caller's patience.
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fallback(key, r.clock.now(), err)
}

// fallback returns the stale value of key, or err when there is none. The lock
// is held.
func (r *Retriever[K, V]) fallback(key K, now int64, err error) (V, error) {
	if s, ok := r.recent.Peek(key); ok {
		if st := s.state.Load(); r.usable(st, now) {
			r.stats.Stale++
			return st.value, nil
		}
	}
	var none V
	return none, err
}

// usable reports whether st has a value that may be served after a failure.
func (r *Retriever[K, V]) usable(st *state[V], now int64) bool {
	return st.has && (now < st.expires || now-st.expires < int64(r.opts.StaleFor))
}

// Refresh loads the value of key now, or joins a load that is running, whatever
// is remembered. A failure is returned even when there is a stale value, which
// stays remembered.
func (r *Retriever[K, V]) Refresh(ctx context.Context, key K) (V, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		var none V
		return none, ErrClosed
	}
	f := r.join(ctx, key)
	r.mu.Unlock()
	return f.wait(ctx, key)
}

// Peek returns what is remembered about key. It loads nothing and counts as no use.
func (r *Retriever[K, V]) Peek(key K) (entry Entry[V], ok bool) {
	found, ok := r.index.Load(key)
	if !ok {
		return entry, false
	}
	st := found.(*slot[V]).state.Load()
	entry.Err = st.err
	if st.has {
		entry.Value, entry.HasValue = st.value, true
		entry.Fresh = int64(time.Since(r.clock.base)) < st.expires
		entry.Loaded, entry.Expires = r.clock.time(st.loaded), r.clock.time(st.expires)
	}
	return entry, true
}

// Invalidate forgets what is known of key. A load that is running still answers
// those who wait for it, but is not remembered: the next Get loads anew.
func (r *Retriever[K, V]) Invalidate(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(key)
	if f := r.flights[key]; f != nil {
		f.orphan = true
		delete(r.flights, key)
	}
}

// InvalidateAll forgets everything, as Invalidate does for one key.
func (r *Retriever[K, V]) InvalidateAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range r.recent.Keys() {
		r.drop(key)
	}
	for _, f := range r.flights {
		f.orphan = true
	}
	clear(r.flights)
}

// Stats returns the counts so far. It takes time in proportion to the number of
// entries.
func (r *Retriever[K, V]) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	stats.Entries = r.recent.Len()
	for _, s := range r.recent.Values() {
		stats.Hits += s.hits.Load()
	}
	return stats
}

// Close ends running loads by their context, waits for them until ctx ends, and
// makes every further load fail with [ErrClosed]. Nothing is remembered any more.
func (r *Retriever[K, V]) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stopNow()
	r.InvalidateAll()

	ended := make(chan struct{})
	go func() {
		r.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cache: close: %d loads ignore the end of their context and still run: %w",
			r.Stats().Loading, ctx.Err())
	}
}

// remember stores the outcome of a load. The lock is held.
func (r *Retriever[K, V]) remember(key K, value V, err error, negative bool) {
	now := int64(time.Since(r.clock.base))
	s, known := r.recent.Peek(key)
	st := new(state[V])
	if err == nil {
		ttl := int64(r.opts.TTL)
		st.value, st.has = value, true
		st.loaded, st.expires, st.refresh = now, now+ttl, now+ttl
		if ahead := int64(r.opts.RefreshAhead); ahead > 0 {
			st.refresh -= ahead - rand.Int64N(ahead/2+1)
		}
	} else {
		if known {
			*st = *s.state.Load()
		}
		st.err, st.retry = err, now
		if negative {
			st.retry += int64(r.opts.NegativeTTL)
		}
		if !st.has && st.retry <= now {
			return // nothing worth remembering
		}
		// The next attempt in the background is not for the very next hit.
		st.refresh = max(st.refresh, now+max(int64(r.opts.NegativeTTL), int64(r.opts.RefreshAhead)/4))
	}
	if st.has {
		st.certain = min(st.expires, st.refresh) - int64(slack)
	}
	if known {
		s.state.Store(st)
		r.recent.Get(key) // it was asked for: the newest in recent
		return
	}
	r.makeRoom()
	s = new(slot[V])
	s.state.Store(st)
	r.recent.Add(key, s)
	r.index.Store(key, s)
}

// makeRoom evicts the least recently used slots. Hits do not reorder recent, so
// a slot that comes up for eviction and was hit since it last came up goes back to
// the front instead. The lock is held.
func (r *Retriever[K, V]) makeRoom() {
	for spared := 0; r.recent.Len() >= r.opts.MaxEntries; {
		key, s, _ := r.recent.GetOldest()
		if hits := s.hits.Load(); hits != s.seen && spared < r.opts.MaxEntries {
			s.seen = hits
			r.recent.Get(key)
			spared++
			continue
		}
		r.drop(key)
		r.stats.Evictions++
	}
}

// drop forgets a key. The lock is held.
func (r *Retriever[K, V]) drop(key K) {
	if s, ok := r.recent.Peek(key); ok {
		r.stats.Hits += s.hits.Load()
		r.recent.Remove(key)
		r.index.Delete(key)
	}
}
