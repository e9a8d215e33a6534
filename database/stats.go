package database

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Trace is a set of functions that observe a service. Any may be nil. They must be
// safe for concurrent use.
type Trace struct {
	// StartCall: something is asked of a database. Whatever is done for it, the
	// approval of a write included, runs in the returned context. The returned
	// function is called once with the end, also when the call was refused or
	// answered from the cache. Either may be nil.
	StartCall func(ctx context.Context, c Call) (context.Context, func(CallEnd))
}

// Call is what is asked of a database.
type Call struct {
	Operation string // "query" (that of a plan too), "execute" or "schema"
	Provider  string
	Dialect   Dialect
	SQL       string // empty for a schema
}

// CallEnd is how a [Call] ended.
type CallEnd struct {
	Took   time.Duration
	Rows   int // or tables of a schema
	Cached bool
	Err    error // an [ErrRefused] when the database never saw the statement
}

// startCall calls StartCall, which is not nil. It returns what the call runs in and
// what to call at its end.
func (t *Trace) startCall(ctx context.Context, c Call) (context.Context, func(CallEnd)) {
	start := time.Now()
	inner, ended := t.StartCall(ctx, c)
	if inner == nil {
		inner = ctx
	}
	return inner, func(e CallEnd) {
		if ended != nil {
			e.Took = time.Since(start)
			ended(e)
		}
	}
}

// Stats are counters since the service was made. Times are nanoseconds in JSON.
type Stats struct {
	Queries       int64         `json:"queries"`       // that a database ran
	QueriesFailed int64         `json:"queriesFailed"` // of these
	QueryTime     time.Duration `json:"queryTime"`

	Writes       int64         `json:"writes"` // that a database ran
	WritesFailed int64         `json:"writesFailed"`
	WriteTime    time.Duration `json:"writeTime"` // without the approvals

	Schemas       int64         `json:"schemas"`
	SchemasFailed int64         `json:"schemasFailed"`
	SchemaTime    time.Duration `json:"schemaTime"`

	TimedOut  int64 `json:"timedOut"`  // of those that failed: Options.Timeout or the caller's
	CacheHits int64 `json:"cacheHits"` // queries that no database had to run
	Refused   int64 `json:"refused"`   // statements that no database saw
	Truncated int64 `json:"truncated"` // results that a limit cut
}

// counters are Stats as they grow.
type counters struct {
	queries, writes, schemas                meter
	timedOut, cacheHits, refused, truncated atomic.Int64
}

// meter counts calls of one kind.
type meter struct{ all, failed, took atomic.Int64 }

// add counts a call that a database has answered.
func (c *counters) add(m *meter, took time.Duration, err error) {
	m.all.Add(1)
	m.took.Add(int64(took))
	if err != nil {
		m.failed.Add(1)
		if errors.Is(err, context.DeadlineExceeded) {
			c.timedOut.Add(1)
		}
	}
}

func (m *meter) read() (all, failed int64, took time.Duration) {
	return m.all.Load(), m.failed.Load(), time.Duration(m.took.Load())
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	st := Stats{
		TimedOut: s.timedOut.Load(), CacheHits: s.cacheHits.Load(), Refused: s.refused.Load(), Truncated: s.truncated.Load(),
	}
	st.Queries, st.QueriesFailed, st.QueryTime = s.queries.read()
	st.Writes, st.WritesFailed, st.WriteTime = s.writes.read()
	st.Schemas, st.SchemasFailed, st.SchemaTime = s.schemas.read()
	return st
}
