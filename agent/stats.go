package agent

import (
	"sync/atomic"
	"time"
)

// Stats are totals of a manager since it was made.
type Stats struct {
	Agents   int // living now
	Spawned  int64
	Restored int64
	Stopped  int64
	Expired  int64 // stopped by a sweep

	Inputs        int64 // finished, in whatever way
	InputsFailed  int64
	InputsAborted int64
	InputTime     time.Duration // from begin to end

	Tools       int64 // calls that AfterTool saw
	ToolsFailed int64
	ToolTime    time.Duration

	Requests         int64 // to people, that ended
	RequestsAnswered int64 // of these, by a person
	RequestTime      time.Duration

	HookRuns     int64
	HookFailures int64
	HookTime     time.Duration

	Checkpoints     int64
	CheckpointBytes int64
	CheckpointTime  time.Duration
	// CheckpointErrors counts checkpoints that failed.
	CheckpointErrors int64
}

type counters struct {
	spawned, restored, stopped, expired                            atomic.Int64
	inputs, inputsFailed, inputsAborted, inputTime                 atomic.Int64
	tools, toolsFailed, toolTime                                   atomic.Int64
	requests, requestsAnswered, requestTime                        atomic.Int64
	hookRuns, hookFailures, hookTime                               atomic.Int64
	checkpoints, checkpointBytes, checkpointTime, checkpointErrors atomic.Int64
}

// Stats returns the totals.
func (m *Manager) Stats() Stats {
	c := &m.stats
	return Stats{
		Agents:           m.Len(),
		Spawned:          c.spawned.Load(),
		Restored:         c.restored.Load(),
		Stopped:          c.stopped.Load(),
		Expired:          c.expired.Load(),
		Inputs:           c.inputs.Load(),
		InputsFailed:     c.inputsFailed.Load(),
		InputsAborted:    c.inputsAborted.Load(),
		InputTime:        time.Duration(c.inputTime.Load()),
		Tools:            c.tools.Load(),
		ToolsFailed:      c.toolsFailed.Load(),
		ToolTime:         time.Duration(c.toolTime.Load()),
		Requests:         c.requests.Load(),
		RequestsAnswered: c.requestsAnswered.Load(),
		RequestTime:      time.Duration(c.requestTime.Load()),
		HookRuns:         c.hookRuns.Load(),
		HookFailures:     c.hookFailures.Load(),
		HookTime:         time.Duration(c.hookTime.Load()),
		Checkpoints:      c.checkpoints.Load(),
		CheckpointBytes:  c.checkpointBytes.Load(),
		CheckpointTime:   time.Duration(c.checkpointTime.Load()),
		CheckpointErrors: c.checkpointErrors.Load(),
	}
}

// AgentStats describe one agent.
type AgentStats struct {
	Events      uint64  // logged in this life
	EventRate   float64 // per second of this life
	LogEvents   int     // held by the log
	LogBytes    int     // about what they weigh
	Subscribers int
	// Lag is how many events the slowest subscriber is behind, Missed how many
	// were dropped before subscribers came to them.
	Lag       uint64
	Missed    uint64
	Abandoned int // inputs whose work ignored its abort
	Age       time.Duration
}

// Stats describes the agent.
func (a *Agent) Stats() AgentStats {
	l := &a.log
	l.mu.Lock()
	s := AgentStats{LogEvents: l.count, LogBytes: l.bytes, Subscribers: len(l.readers), Missed: l.lagged.Load()}
	last := l.last.Load()
	for _, r := range l.readers {
		if c := r.cursor.Load(); c < last {
			s.Lag = max(s.Lag, last-c)
		}
	}
	s.Events = last - l.begun
	l.mu.Unlock()
	a.mu.Lock()
	s.Abandoned = a.abandoned
	a.mu.Unlock()
	s.Age = time.Since(a.since)
	if secs := s.Age.Seconds(); secs > 0 {
		s.EventRate = float64(s.Events) / secs
	}
	return s
}

func (c *counters) finished(ev InputFinished) {
	c.inputs.Add(1)
	c.inputTime.Add(int64(ev.Duration))
	switch ev.State {
	case Failed:
		c.inputsFailed.Add(1)
	case Aborted:
		c.inputsAborted.Add(1)
	}
}

func (c *counters) hookRan(ev HookRan) {
	c.hookRuns.Add(1)
	c.hookTime.Add(int64(ev.Duration))
	if ev.Error != "" {
		c.hookFailures.Add(1)
	}
}

func (c *counters) toolFinished(ev ToolFinished) {
	c.tools.Add(1)
	c.toolTime.Add(int64(ev.Duration))
	if ev.Failed {
		c.toolsFailed.Add(1)
	}
}
