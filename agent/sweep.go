package agent

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

// sweepTimeout bounds how long a sweep waits for an agent that it stops.
const sweepTimeout = 30 * time.Second

// sweeper finds the agents whose time is up. It keeps them in a heap by
// deadline, so that a sweep costs what expires. Deadlines in it may be early,
// never late: an agent that was busy meanwhile is put back with its new one.
// The manager's lock guards it.
type sweeper struct {
	heap   deadlines
	timer  *time.Timer
	closed bool
	wg     sync.WaitGroup
}

type sweepState struct {
	at    time.Time
	index int // in the heap plus one; 0 when it is not in it
}

type deadlines []*Agent

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].sweep.at.Before(d[j].sweep.at) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].sweep.index, d[j].sweep.index = i+1, j+1
}
func (d *deadlines) Push(x any) {
	a := x.(*Agent)
	*d = append(*d, a)
	a.sweep.index = len(*d)
}
func (d *deadlines) Pop() any {
	old := *d
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	a.sweep.index = 0
	return a
}

// schedule enters an agent that has a limit.
func (s *sweeper) schedule(m *Manager, a *Agent) {
	at, limited := a.deadline(time.Now())
	if !limited || s.closed {
		return
	}
	a.sweep.at = at
	heap.Push(&s.heap, a)
	s.arm(m)
}

func (s *sweeper) arm(m *Manager) {
	if s.timer == nil && len(s.heap) > 0 && !s.closed {
		s.wg.Add(1)
		s.timer = time.AfterFunc(m.opts.Sweep, func() {
			defer s.wg.Done()
			m.sweepNow()
		})
	}
}

func (s *sweeper) cancel(a *Agent) {
	if a.sweep.index > 0 {
		heap.Remove(&s.heap, a.sweep.index-1)
	}
}

// stop ends sweeping and waits, until ctx ends, for what is under way.
func (s *sweeper) stop(ctx context.Context, m *Manager) {
	m.mu.Lock()
	s.closed = true
	if s.timer != nil && s.timer.Stop() {
		s.wg.Done()
	}
	s.timer = nil
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// sweepNow stops the agents whose time is up.
func (m *Manager) sweepNow() {
	type expired struct {
		agent  *Agent
		reason string
		still  func() bool // asked again under the agent's lock
	}
	now := time.Now()
	var list []expired
	m.mu.Lock()
	for len(m.sweeps.heap) > 0 && !m.sweeps.heap[0].sweep.at.After(now) {
		a := heap.Pop(&m.sweeps.heap).(*Agent)
		at, _ := a.deadline(now)
		switch {
		case at.After(now):
			a.sweep.at = at
			heap.Push(&m.sweeps.heap, a)
		case a.overdue(now):
			list = append(list, expired{a, "maximum run time reached", nil})
		default:
			list = append(list, expired{a, "idle timeout", func() bool { return a.idle() && !a.idleEnd().After(now) }})
		}
	}
	m.mu.Unlock()

	ctx, cancel := context.WithTimeout(m.base, sweepTimeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, e := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := e.agent.stopIf(ctx, e.reason, true, e.still)
			if errors.Is(err, ErrBusy) {
				m.mu.Lock()
				if m.agents[e.agent.id] == e.agent { // and has not been stopped since
					m.sweeps.schedule(m, e.agent)
				}
				m.mu.Unlock()
				return
			}
			m.stats.expired.Add(1)
			if err != nil {
				m.logger.Error("stopping an agent whose time is up", "agent", e.agent.id, "reason", e.reason, "error", err)
			}
		})
	}
	wg.Wait()

	m.mu.Lock()
	m.sweeps.timer = nil
	m.sweeps.arm(m)
	m.mu.Unlock()
}

// deadline returns when the agent's time is up if nothing happens. limited is
// false when it has no limits.
func (a *Agent) deadline(now time.Time) (at time.Time, limited bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.maxRunTime > 0 {
		at, limited = a.since.Add(a.maxRunTime), true
	}
	if a.idleTimeout > 0 {
		end := a.idleEnd()
		if !a.idle() {
			end = now.Add(a.idleTimeout)
		}
		if !limited || end.Before(at) {
			at = end
		}
		limited = true
	}
	return at, limited
}

func (a *Agent) idleEnd() time.Time { return a.lastActive.Add(a.idleTimeout) }

func (a *Agent) overdue(now time.Time) bool {
	return a.maxRunTime > 0 && !a.since.Add(a.maxRunTime).After(now)
}

// touch notes that the agent did something. a.mu is held.
func (a *Agent) touch() { a.lastActive = time.Now() }
