package queue

import "time"

// Reading a clock costs as much as all else that a call does. So where calls come
// in a burst, each as long as a burst's length allows, one reading serves many of
// them, and none for longer than burstTime.
const (
	burst     = 128
	burstTime = time.Millisecond
)

// clock tells the time of a call. It is exact unless calls come in bursts. It
// reads the wall clock once a second and the cheaper monotonic one in between.
type clock struct {
	wall   time.Time // a reading of the wall clock, at most a second old
	at     time.Time // the latest reading
	now    int64     // the same in Unix nanoseconds
	served int       // how many more calls it serves, up to which the state is current
	calls  int       // since began
	began  int64
	expiry *time.Timer // ends the service
}

// read reads the clock.
func (c *clock) read() time.Time {
	d := time.Since(c.wall)
	if d >= time.Second {
		c.wall, d = time.Now(), 0
	}
	return c.wall.Round(0).Add(d)
}

// isBurst counts a call that read the clock, and reports whether as many as make
// a burst came within burstTime.
func (c *clock) isBurst() bool {
	if c.calls++; c.calls < burst {
		return false
	}
	fast := c.now-c.began < int64(burstTime)
	c.calls, c.began = 0, c.now
	return fast
}

// lock locks the queue, brings its state up to the present, and returns that.
func (m *Memory) lock() int64 {
	m.mu.Lock()
	if m.clock.served > 0 {
		m.clock.served--
	} else {
		m.present()
	}
	return m.clock.now
}

// present brings the locked queue up to the present. Traces get exact times.
func (m *Memory) present() {
	c := &m.clock
	c.at = c.read()
	c.now = c.at.UnixNano()
	c.served = 0
	m.advance(c.now)
	if !c.isBurst() || m.tracing {
		return
	}
	c.calls, c.served = burst-1, burst
	if c.expiry == nil {
		c.expiry = time.AfterFunc(burstTime, m.endService)
	} else {
		c.expiry.Reset(burstTime)
	}
}

// endService makes the next call read the clock.
func (m *Memory) endService() {
	m.mu.Lock()
	m.clock.served, m.clock.calls = 0, 0
	m.mu.Unlock()
}
