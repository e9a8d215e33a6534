package registry

import (
	"context"
	"maps"
	"time"
)

// Trace is a set of optional functions that are told what happens, in the manner
// of net/http/httptrace. They must be quick and safe for concurrent use. For
// changes there are [Keyed.Watch] and OnChange of the selectors.
type Trace struct {
	// StartWait: a call begins to wait for the name, or type, that is not
	// registered. A call that finds it at once does not wait. The returned function,
	// which may be nil, is called when the wait has ended, with the error that the
	// call returns.
	StartWait func(ctx context.Context, name string) func(err error)
}

// Stats describe a registry. The counters start with it.
type Stats struct {
	Items    int `json:"items"`    // registered now
	Watchers int `json:"watchers"` // loops over Watch that run now

	Added    int64 `json:"added"`
	Replaced int64 `json:"replaced"`
	Removed  int64 `json:"removed"`

	// Waiting holds, for each name or type that calls wait for now, how many. It is
	// where to look when a program does not get ready.
	Waiting map[string]int `json:"waiting"`

	Waits       int64         `json:"waits"`       // that have ended
	WaitsFailed int64         `json:"waitsFailed"` // of those, the ones that their context ended
	WaitTime    time.Duration `json:"waitTime"`    // of those, in all; nanoseconds in JSON
}

// Stats returns what the registry has done so far.
func (r *Keyed[T]) Stats() Stats { return r.store.stats() }

// Stats returns what the registry has done so far.
func (t *Typed) Stats() Stats { return t.store.stats() }

func (s *store[K, V]) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.count
	st.Items, st.Watchers = int(s.live.Load()), len(s.watchers)
	st.Waiting = maps.Clone(s.count.Waiting)
	return st
}

// startWait accounts for a call that begins to wait for name. What it returns
// must be called with the call's error.
func (s *store[K, V]) startWait(ctx context.Context, trace *Trace, name string) func(error) {
	start := time.Now()
	s.mu.Lock()
	if s.count.Waiting == nil {
		s.count.Waiting = make(map[string]int)
	}
	s.count.Waiting[name]++
	s.mu.Unlock()
	var traced func(error)
	if trace.StartWait != nil {
		traced = trace.StartWait(ctx, name)
	}
	return func(err error) {
		s.mu.Lock()
		s.count.Waits++
		s.count.WaitTime += time.Since(start)
		if err != nil {
			s.count.WaitsFailed++
		}
		if s.count.Waiting[name]--; s.count.Waiting[name] == 0 {
			delete(s.count.Waiting, name)
		}
		s.mu.Unlock()
		if traced != nil {
			traced(err)
		}
	}
}

// BalancerStats describe a [Balancer]. The counters start with it.
type BalancerStats struct {
	Picks       int64 `json:"picks"`       // that chose a member
	Unavailable int64 `json:"unavailable"` // that found none
	Failed      int64 `json:"failed"`      // picks that were done with an error

	// Members are those of the present, in the order of their source.
	Members []MemberStats `json:"members"`
}

// MemberStats describe a member of a [Balancer]. The counters start when it is
// first picked, and again if it was away for long.
type MemberStats struct {
	Name      string    `json:"name"`
	InFlight  int       `json:"inFlight"` // picks that are not done
	Picks     int64     `json:"picks"`
	Failed    int64     `json:"failed"`             // picks that were done with an error
	Unhealthy time.Time `json:"unhealthy,omitzero"` // until when it is marked; zero if it is not
}

// Stats returns what the balancer has done so far.
func (b *Balancer[T]) Stats() BalancerStats {
	var names []string
	for name := range b.members() {
		names = append(names, name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	stats := b.stats
	now := b.clock()
	stats.Members = make([]MemberStats, 0, len(names))
	for _, name := range names {
		m := MemberStats{Name: name}
		if state := b.states[name]; state != nil {
			m.InFlight, m.Picks, m.Failed = state.inFlight, state.picks, state.failed
			if b.marked(state, now) {
				m.Unhealthy = state.unhealthy
			}
		}
		stats.Members = append(stats.Members, m)
	}
	return stats
}
