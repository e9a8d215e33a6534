package httpretry

import "time"

// Stats count what a [Transport] has done. Two readings give rates.
type Stats struct {
	Requests  int64         `json:"requests"`  // that callers made
	Retries   int64         `json:"retries"`   // attempts after a request's first one
	Failed    int64         `json:"failed"`    // requests that ended with an error, 429 or 5xx after all
	PauseTime time.Duration `json:"pauseTime"` // between attempts, in all; nanoseconds in JSON
}

// Stats returns what the transport has done so far.
func (t *Transport) Stats() Stats {
	return Stats{
		Requests:  t.requests.Load(),
		Retries:   t.retries.Load(),
		Failed:    t.failed.Load(),
		PauseTime: time.Duration(t.waited.Load()),
	}
}
