package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Strategy says how a [Balancer] chooses among the members that are healthy.
type Strategy int

const (
	RoundRobin    Strategy = iota // each in turn
	Weighted                      // in turn, in proportion to their weights, evenly mixed
	LeastInFlight                 // the one with the fewest picks that are not done
)

// ErrUnavailable is wrapped by every error that says that no member can be used.
var ErrUnavailable = errors.New("no member available")

// UnavailableError says why no member can be used. It wraps [ErrUnavailable].
type UnavailableError struct {
	Members int       // how many there are, all of them marked unhealthy
	Until   time.Time // when the first mark expires; zero when there are no members
}

func (e *UnavailableError) Error() string {
	if e.Members == 0 {
		return "registry: no member available: there are none"
	}
	return fmt.Sprintf("registry: no member available: all %d are marked unhealthy, the first until %s",
		e.Members, e.Until.Format(time.RFC3339))
}

// Unwrap returns [ErrUnavailable].
func (e *UnavailableError) Unwrap() error { return ErrUnavailable }

// BalancerOptions configure a [Balancer]. The zero value is round robin without
// automatic marks.
type BalancerOptions[T any] struct {
	Strategy Strategy

	// Weight is the share of a member under Weighted. Members whose weight is
	// below 1 are not picked. Nil means 1 for all.
	Weight func(name string, v T) int

	// Unhealthy says for how long an error that a pick was done with marks its
	// member as unhealthy; 0 or less means not at all. Nil means never.
	Unhealthy func(err error) time.Duration
}

// Balancer spreads work over the members of a registry or selection. Members
// come and go with their source; picks in progress are not disturbed by that.
type Balancer[T any] struct {
	members func() iter.Seq2[string, T]
	opts    BalancerOptions[T]

	mu     sync.Mutex
	states map[string]*memberState
	picks  uint64
	marks  int           // states whose mark has not been seen to expire
	stats  BalancerStats // without its Members
}

type memberState struct {
	inFlight  int
	picks     int64
	failed    int64
	lead      int    // smooth weighted round robin: how far it is ahead in its claim
	lastPick  uint64 // Balancer.picks at its last pick
	round     uint64 // Balancer.picks when it was last a member
	unhealthy time.Time
}

// NewBalancer returns a balancer over what members yields at each pick, such as
// the All method of a [Keyed] or the Active method of a [MultiSelector].
func NewBalancer[T any](members func() iter.Seq2[string, T], opts BalancerOptions[T]) *Balancer[T] {
	return &Balancer[T]{members: members, opts: opts, states: make(map[string]*memberState)}
}

// Picked is a member that was chosen for one piece of work.
type Picked[T any] struct {
	Name  string
	Value T

	balancer *Balancer[T]
	state    *memberState
	done     *atomic.Bool
}

// Pick chooses a member. The caller must call Done on the result when its work
// has ended. The error is an [*UnavailableError].
func (b *Balancer[T]) Pick() (Picked[T], error) {
	candidates := b.candidates()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.picks++
	now := b.clock()

	var best *candidate[T]
	var until time.Time
	total := 0
	for i := range candidates {
		c := &candidates[i]
		c.state = b.state(c.name)
		c.state.round = b.picks
		if b.marked(c.state, now) {
			if until.IsZero() || c.state.unhealthy.Before(until) {
				until = c.state.unhealthy
			}
			continue
		}
		c.state.lead += c.weight
		total += c.weight
		if best == nil || b.better(c.state, best.state) {
			best = c
		}
	}
	b.forget(len(candidates))
	if best == nil {
		b.stats.Unavailable++
		return Picked[T]{}, &UnavailableError{Members: len(candidates), Until: until}
	}
	best.state.lead -= total
	best.state.lastPick = b.picks
	best.state.inFlight++
	best.state.picks++
	b.stats.Picks++
	return Picked[T]{Name: best.name, Value: best.value, balancer: b, state: best.state, done: new(atomic.Bool)}, nil
}

type candidate[T any] struct {
	name   string
	value  T
	weight int
	state  *memberState
}

// candidates asks for the members and their weights. No lock is held, because
// both come from the user's functions.
func (b *Balancer[T]) candidates() []candidate[T] {
	var candidates []candidate[T]
	for name, v := range b.members() {
		weight := 1
		switch {
		case b.opts.Strategy == LeastInFlight:
			weight = 0
		case b.opts.Strategy == Weighted && b.opts.Weight != nil:
			if weight = b.opts.Weight(name, v); weight < 1 {
				continue
			}
		}
		candidates = append(candidates, candidate[T]{name: name, value: v, weight: weight})
	}
	return candidates
}

func (b *Balancer[T]) better(a, than *memberState) bool {
	if b.opts.Strategy == LeastInFlight {
		if a.inFlight != than.inFlight {
			return a.inFlight < than.inFlight
		}
		return a.lastPick < than.lastPick
	}
	return a.lead > than.lead
}

// Done ends the work for which p was picked, with its error. Calls after the
// first do nothing.
func (p Picked[T]) Done(err error) {
	if p.done == nil || !p.done.CompareAndSwap(false, true) {
		return
	}
	b := p.balancer
	defer func() { // after the mark, so that nobody picks the member before it, and after a panic
		b.mu.Lock()
		defer b.mu.Unlock()
		p.state.inFlight--
		if err != nil {
			p.state.failed++
			b.stats.Failed++
		}
	}()
	if err != nil && b.opts.Unhealthy != nil {
		b.MarkUnhealthy(p.Name, b.opts.Unhealthy(err))
	}
}

// Do picks a member and calls fn with it. It returns fn's error with the name of
// the member.
func (b *Balancer[T]) Do(ctx context.Context, fn func(ctx context.Context, name string, v T) error) error {
	p, err := b.Pick()
	if err != nil {
		return err
	}
	defer p.Done(nil) // for a panic in fn
	err = fn(ctx, p.Name, p.Value)
	p.Done(err)
	if err != nil {
		return &MemberError{Name: p.Name, Err: err}
	}
	return nil
}

// MarkUnhealthy keeps the member of that name from being picked for the given
// time, or until it is marked healthy. A mark that ends later stays.
func (b *Balancer[T]) MarkUnhealthy(name string, d time.Duration) {
	if d <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	state := b.state(name)
	if state.unhealthy.IsZero() {
		b.marks++
	}
	if until := time.Now().Add(d); until.After(state.unhealthy) {
		state.unhealthy = until
	}
}

// MarkHealthy ends a mark.
func (b *Balancer[T]) MarkHealthy(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state := b.states[name]; state != nil && !state.unhealthy.IsZero() {
		state.unhealthy = time.Time{}
		b.marks--
	}
}

// Healthy yields the members that are not marked, in the order of their source.
// It serves as the source of a [Fallback] that does not try what is known to fail.
func (b *Balancer[T]) Healthy() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for name, v := range b.members() {
			b.mu.Lock()
			state := b.states[name]
			healthy := state == nil || !b.marked(state, b.clock())
			b.mu.Unlock()
			if healthy && !yield(name, v) {
				return
			}
		}
	}
}

// InFlight returns how many picks of the member of that name are not done.
func (b *Balancer[T]) InFlight(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state := b.states[name]; state != nil {
		return state.inFlight
	}
	return 0
}

func (b *Balancer[T]) state(name string) *memberState {
	state := b.states[name]
	if state == nil {
		state = &memberState{}
		b.states[name] = state
	}
	return state
}

// clock returns the time if any mark makes it matter.
func (b *Balancer[T]) clock() (now time.Time) {
	if b.marks > 0 {
		now = time.Now()
	}
	return now
}

func (b *Balancer[T]) marked(state *memberState, now time.Time) bool {
	if state.unhealthy.IsZero() {
		return false
	}
	if now.Before(state.unhealthy) {
		return true
	}
	state.unhealthy = time.Time{}
	b.marks--
	return false
}

// forget drops what is known of former members, once they are the greater part.
func (b *Balancer[T]) forget(members int) {
	if len(b.states) <= 2*members+minBuckets {
		return
	}
	for name, state := range b.states {
		if state.round != b.picks && state.inFlight == 0 {
			if !state.unhealthy.IsZero() {
				b.marks--
			}
			delete(b.states, name)
		}
	}
}
