package queue

import "time"

// Trace is a set of functions that a queue calls, after the fact and without
// holding a lock, in the manner of httptrace.ClientTrace. Any may be nil. They
// must be safe for concurrent use, quick, and must not call the queue, because an
// engine may call them from the goroutine that serves it.
type Trace struct {
	// Enqueued is called for every item that was accepted.
	Enqueued func(Item)
	// Deduplicated is called for an item that was suppressed; its ID is that of the
	// first one.
	Deduplicated func(Item)
	// Received is called for every delivery, with the time since the item became
	// available.
	Received func(item Item, wait time.Duration)
	// Acked is called for every finished item, with the time since its delivery.
	Acked func(item Item, run time.Duration)
	// Retried is called when an attempt failed, with the delay of the next one.
	Retried func(item Item, delay time.Duration)
	// Expired is called when a lease ran out.
	Expired func(Item)
	// DeadLettered is called when an item became a dead letter.
	DeadLettered func(Item)
	// Dropped is called for every item that the DropOldest policy removed.
	Dropped func(Item)
}

// Stats are counters since a queue was opened. Two readings give rates.
type Stats struct {
	Since        time.Time     `json:"since"` // when the queue was opened
	At           time.Time     `json:"at"`    // when this was read
	Enqueued     int64         `json:"enqueued"`
	Deduplicated int64         `json:"deduplicated"`
	Received     int64         `json:"received"`    // deliveries
	Redelivered  int64         `json:"redelivered"` // deliveries after the first of an item
	Acked        int64         `json:"acked"`
	Retried      int64         `json:"retried"`
	Expired      int64         `json:"expired"` // leases that ran out
	DeadLettered int64         `json:"deadLettered"`
	Dropped      int64         `json:"dropped"`
	WaitTime     time.Duration `json:"waitTime"` // sum over deliveries: available until delivered
	RunTime      time.Duration `json:"runTime"`  // sum over settled deliveries, and the last of dead letters: delivered until settled
}

// Add adds the counters of d, which covers a part of the time or another queue.
func (s *Stats) Add(d Stats) {
	s.Enqueued += d.Enqueued
	s.Deduplicated += d.Deduplicated
	s.Received += d.Received
	s.Redelivered += d.Redelivered
	s.Acked += d.Acked
	s.Retried += d.Retried
	s.Expired += d.Expired
	s.DeadLettered += d.DeadLettered
	s.Dropped += d.Dropped
	s.WaitTime += d.WaitTime
	s.RunTime += d.RunTime
}

// MeanWait is the mean time that a delivered item had been available.
func (s Stats) MeanWait() time.Duration { return mean(s.WaitTime, s.Received) }

// MeanRun is the mean time that a receiver held an item.
func (s Stats) MeanRun() time.Duration {
	return mean(s.RunTime, s.Acked+s.Retried+s.DeadLettered)
}

// Rate returns the enqueued, delivered and acknowledged items per second since
// an earlier reading, or since the queue was opened if that is the zero value.
func (s Stats) Rate(earlier Stats) (enqueued, received, acked float64) {
	from := earlier.At
	if from.IsZero() {
		from = s.Since
	}
	secs := s.At.Sub(from).Seconds()
	if secs <= 0 {
		return 0, 0, 0
	}
	return float64(s.Enqueued-earlier.Enqueued) / secs,
		float64(s.Received-earlier.Received) / secs,
		float64(s.Acked-earlier.Acked) / secs
}

func mean(sum time.Duration, n int64) time.Duration {
	if n <= 0 {
		return 0
	}
	return sum / time.Duration(n)
}

type eventKind uint8

const (
	evEnqueued eventKind = iota
	evDeduplicated
	evReceived
	evAcked
	evRetried
	evExpired
	evDead
	evDropped
)

type event struct {
	kind eventKind
	item Item
	d    time.Duration
}

func (t *Trace) enabled() bool {
	return t.Enqueued != nil || t.Deduplicated != nil || t.Received != nil || t.Acked != nil ||
		t.Retried != nil || t.Expired != nil || t.DeadLettered != nil || t.Dropped != nil
}

func (t *Trace) fire(e *event) {
	call := func(f func(Item)) {
		if f != nil {
			f(e.item)
		}
	}
	callD := func(f func(Item, time.Duration)) {
		if f != nil {
			f(e.item, e.d)
		}
	}
	switch e.kind {
	case evEnqueued:
		call(t.Enqueued)
	case evDeduplicated:
		call(t.Deduplicated)
	case evReceived:
		callD(t.Received)
	case evAcked:
		callD(t.Acked)
	case evRetried:
		callD(t.Retried)
	case evExpired:
		call(t.Expired)
	case evDead:
		call(t.DeadLettered)
	case evDropped:
		call(t.Dropped)
	}
}
