package cache

import (
	"sync/atomic"
	"time"
)

// clock spares hits the reading of the time, which costs as much as all the rest
// of a hit. While the clock is in use, a timer stores the time every tick; where
// that is not precise enough, and when the clock has stopped because nobody used
// it, the time is read. A stopped clock has no timer.
type clock struct {
	base time.Time

	// coarse is the time at the last tick in nanoseconds since base, shifted left
	// by one, and 1 if it was used since. 0 means that the clock has stopped.
	coarse atomic.Int64
}

const (
	tick = 50 * time.Millisecond

	// slack is how far the coarse time is trusted to be behind: a tick, and the
	// time by which a busy machine may delay it.
	slack = 10 * tick
)

// now returns the nanoseconds since base and keeps the clock running.
func (c *clock) now() int64 {
	now := int64(time.Since(c.base))
	switch coarse := c.coarse.Load(); {
	case coarse == 0:
		// The smallest time is 1, because 0 means stopped.
		if c.coarse.CompareAndSwap(0, max(now, 1)<<1|1) {
			var timer *time.Timer
			ready := make(chan struct{})
			timer = time.AfterFunc(tick, func() {
				<-ready
				c.tick(timer)
			})
			close(ready)
		}
	case coarse&1 == 0:
		c.coarse.CompareAndSwap(coarse, coarse|1)
	}
	return now
}

func (c *clock) tick(timer *time.Timer) {
	for {
		coarse := c.coarse.Load()
		if coarse&1 == 0 {
			if c.coarse.CompareAndSwap(coarse, 0) {
				return
			}
			continue
		}
		c.coarse.Store(max(int64(time.Since(c.base)), 1) << 1)
		timer.Reset(tick)
		return
	}
}

// before reports whether it is certainly still before t, which is given in
// nanoseconds since base less slack. It never reads the time.
func (c *clock) before(t int64) bool {
	coarse := c.coarse.Load()
	return coarse&1 != 0 && coarse>>1 < t
}

func (c *clock) time(t int64) time.Time { return c.base.Add(time.Duration(t)) }
