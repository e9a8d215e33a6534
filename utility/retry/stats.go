package retry

import (
	"sync/atomic"
	"time"
)

// Counter counts what [Do] and [DoValue] do for the policies that have it. Its
// zero value is ready for use; it must not be copied. It is safe for concurrent
// use. For each single failure there is [Policy.OnFailure].
type Counter struct {
	calls, retries, failures, pauseTime atomic.Int64
}

// Stats are the readings of a [Counter]. Two of them give rates.
type Stats struct {
	Calls     int64         `json:"calls"`     // that made an attempt
	Retries   int64         `json:"retries"`   // attempts after a call's first one
	Failed    int64         `json:"failed"`    // calls that returned an error after all
	PauseTime time.Duration `json:"pauseTime"` // between attempts, in all; nanoseconds in JSON
}

// Stats returns what has been counted so far.
func (c *Counter) Stats() Stats {
	return Stats{
		Calls:     c.calls.Load(),
		Retries:   c.retries.Load(),
		Failed:    c.failures.Load(),
		PauseTime: time.Duration(c.pauseTime.Load()),
	}
}

// The others do nothing for a nil c.

func (c *Counter) call() {
	if c != nil {
		c.calls.Add(1)
	}
}

func (c *Counter) retry() {
	if c != nil {
		c.retries.Add(1)
	}
}

func (c *Counter) failed() {
	if c != nil {
		c.failures.Add(1)
	}
}

// pausing begins a pause and returns what ends it.
func (c *Counter) pausing() (ended func()) {
	if c == nil {
		return func() {}
	}
	start := time.Now()
	return func() { c.pauseTime.Add(int64(time.Since(start))) }
}
