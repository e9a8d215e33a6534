package cache

import (
	"context"
	"time"
)

// Trace is a set of optional functions that are told what happens, in the manner
// of net/http/httptrace. They must be quick and safe for concurrent use. Hits have
// none, because a hit costs less than a call of a function would: [Stats] counts
// them.
type Trace struct {
	// StartLoad: a load of key begins, in a goroutine of its own. ctx has the values
	// of the caller who caused it; the key of a [Value] is struct{}{}. It returns a
	// context derived from ctx, in which the load then runs, and a function that is
	// called once with the outcome. Either may be nil.
	StartLoad func(ctx context.Context, key any) (context.Context, func(Load))
}

// Load is how a load ended.
type Load struct {
	Took       time.Duration
	Err        error // what callers get when there is no stale value
	Background bool  // nobody waited for it
}

// Stats counts what has happened since the start.
type Stats struct {
	Hits      uint64        `json:"hits"`      // a fresh value was there
	Misses    uint64        `json:"misses"`    // callers that had to wait for a load, including Coalesced
	Coalesced uint64        `json:"coalesced"` // callers that joined a load that was running
	Stale     uint64        `json:"stale"`     // callers that got a value past its TTL because loading failed
	Negative  uint64        `json:"negative"`  // callers that got a remembered error
	Loads     uint64        `json:"loads"`     // loads that have ended, also in the background
	Errors    uint64        `json:"errors"`    // loads that failed
	Timeouts  uint64        `json:"timeouts"`  // of those, the ones that Options.Timeout ended
	Evictions uint64        `json:"evictions"` // keys that made room for others
	LoadTime  time.Duration `json:"loadTime"`  // total of all loads; nanoseconds in JSON
	Entries   int           `json:"entries"`   // keys that are remembered now
	Loading   int           `json:"loading"`   // loads that run now, including those that overran their Timeout
}

// HitRate returns, of the calls that found a fresh value or had to wait for a
// load, the fraction of the former, between 0 and 1. It goes back to an earlier
// reading, or to the start if that is the zero value, and is 0 without calls.
func (s Stats) HitRate(earlier Stats) float64 {
	hits, misses := s.Hits-earlier.Hits, s.Misses-earlier.Misses
	if hits+misses == 0 {
		return 0
	}
	return float64(hits) / float64(hits+misses)
}
