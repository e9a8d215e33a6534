package testing

import (
	"sync/atomic"
	"time"
)

// Stats counts what a service did. Times are totals, in JSON in nanoseconds.
type Stats struct {
	Runs     int64         `json:"runs"` // of resources; what is neither passed nor failed was skipped or canceled
	Passed   int64         `json:"passed"`
	Failed   int64         `json:"failed"`
	TimedOut int64         `json:"timedOut"` // of those that failed
	Errored  int64         `json:"errored"`  // of those that failed: could not be run at all
	Flaky    int64         `json:"flaky"`    // of those that passed: not at once
	RunTime  time.Duration `json:"runTime"`  // re-runs included
	WaitTime time.Duration `json:"waitTime"` // for others to make room
	Cached   int64         `json:"cached"`   // results that were known for the state of the workspace
	Reports  int64         `json:"reports"`
	InFlight int64         `json:"inFlight"`

	Repairs int64 `json:"repairs"` // that AutoRepair enqueued
	GaveUp  int64 `json:"gaveUp"`  // resources that AutoRepair left to a person
}

// counters are Stats as they grow.
type counters struct {
	runs, passed, failed, timedOut, errored, flaky, runTime, waitTime, cached, reports, inFlight, repairs, gaveUp atomic.Int64
}

// add counts a run that has ended.
func (c *counters) add(r Result) {
	c.runs.Add(1)
	c.runTime.Add(int64(r.Duration))
	if r.Flaky {
		c.flaky.Add(1)
	}
	switch r.Status {
	case Passed:
		c.passed.Add(1)
		return
	case TimedOut:
		c.timedOut.Add(1)
	case Errored:
		c.errored.Add(1)
	}
	if r.Status.Bad() {
		c.failed.Add(1)
	}
}

// Stats returns the counters of the service.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		Runs: c.runs.Load(), Passed: c.passed.Load(), Failed: c.failed.Load(),
		TimedOut: c.timedOut.Load(), Errored: c.errored.Load(), Flaky: c.flaky.Load(),
		RunTime: time.Duration(c.runTime.Load()), WaitTime: time.Duration(c.waitTime.Load()),
		Cached: c.cached.Load(), Reports: c.reports.Load(), InFlight: c.inFlight.Load(),
		Repairs: c.repairs.Load(), GaveUp: c.gaveUp.Load(),
	}
}
