package agent

import (
	"sync/atomic"
	"time"
)

// Trace is a set of optional functions that are told what happens, in the
// manner of net/http/httptrace. They are called by the goroutine that does the
// work: they must be quick, safe for concurrent use, and must not call back into
// the agent.
type Trace struct {
	// Spawned: an agent lives; took is the time its setup took.
	Spawned func(agentID, typeName string, restored bool, took time.Duration)
	// Stopped: an agent ended after lifetime; took is the time that took.
	Stopped func(agentID, reason string, lifetime, took time.Duration)
	// InputFinished: an input came to its end.
	InputFinished func(agentID string, ev InputFinished)
	// HookRan: a hook ran.
	HookRan func(agentID string, ev HookRan)
	// Checkpoint: a checkpoint was written, or failed.
	Checkpoint func(agentID string, info CheckpointInfo, took time.Duration, err error)
}

// Stats are totals of a manager since it was made.
type Stats struct {
	Agents          int // living now
	Spawned         int64
	Restored        int64
	Stopped         int64
	Expired         int64 // stopped by a sweep
	Inputs          int64 // finished
	HookRuns        int64
	HookTime        time.Duration
	Checkpoints     int64
	CheckpointBytes int64
	CheckpointTime  time.Duration
	// CheckpointErrors counts checkpoints that failed.
	CheckpointErrors int64
}

type counters struct {
	spawned, restored, stopped, expired, inputs, hookRuns, hookTime atomic.Int64
	checkpoints, checkpointBytes, checkpointTime, checkpointErrors  atomic.Int64
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
		HookRuns:         c.hookRuns.Load(),
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
