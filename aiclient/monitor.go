package aiclient

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Monitor sees the requests to models and counts what becomes of them. The zero
// value is ready, and safe for concurrent use; its Trace must be set before.
//
//	var monitor aiclient.Monitor
//	chat = aiclient.Wrap(chat, aiclient.WithRetry(aiclient.RetryOptions{}), monitor.Middleware)
//
// It belongs behind retries and into each Chat of a route, where it sees every
// single request that is sent.
type Monitor struct {
	Trace ChatTrace

	mu     sync.Mutex
	models map[Model]*ModelStats
}

// ChatTrace is a set of optional functions that see requests to models, in the
// manner of net/http/httptrace. They are called by the goroutine that makes the
// request, and must be safe for concurrent use.
type ChatTrace struct {
	// StartRequest is called before a request is sent; [Attempt] tells from ctx
	// whether it is sent again. It returns a context derived from ctx, in which
	// the request runs, and a function that is called once when the reply has
	// ended. Either may be nil.
	StartRequest func(ctx context.Context, info RequestInfo) (context.Context, func(RequestEnd))
}

// RequestInfo is a request that is about to be sent.
type RequestInfo struct {
	Model    Model
	Request  *Request // must not be changed
	Streamed bool     // false for [Chat.Generate]
}

// RequestEnd is what became of a request.
type RequestEnd struct {
	// Finish is how the reply ended: its reason, usage, cost, model, ID and
	// headers. It is zero when the reply did not end by itself.
	Finish Finish

	Parts int // how many had arrived of a stream

	// Timing says how long the reply took, until its last part: of a stream it
	// includes the time that the reader took for the parts before. FirstPart is
	// zero when there was none, and without a stream.
	Timing Timing

	// Err is why the request failed, see [ClassOf]. Stopped says that the reader
	// of the stream wanted no more.
	Err     error
	Stopped bool
}

// ModelStats count the requests to one model since the program started.
type ModelStats struct {
	Model    Model
	InFlight int64 // under way now
	Requests int64 // that have ended
	Retries  int64 // of these, sent again by [WithRetry]

	// Of Requests: those that failed, by the class of their error; the empty
	// class stands for errors that are no [*APIError]. Timeouts are those of
	// [ClassTimeout], a deadline of the caller's context included.
	Failures int64
	Timeouts int64
	Classes  map[Class]int64

	// Of Requests: those whose context was cancelled or whose reader stopped.
	// They are not failures.
	Cancelled int64

	// Sums and maxima over the requests that neither failed nor were cancelled:
	// of the whole time, and of the time to the first part of those that were
	// streamed.
	Succeeded     int64
	Time          time.Duration
	MaxTime       time.Duration
	Streams       int64
	FirstPart     time.Duration
	MaxFirstPart  time.Duration
	Usage         Usage
	Cost          float64 // USD, as far as it is known; see [WithPrice]
	ContentFilter int64   // replies that the provider cut off or withheld
}

// Stats returns the counts of every model that has been asked, by name.
func (m *Monitor) Stats() []ModelStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]ModelStats, 0, len(m.models))
	for _, s := range m.models {
		one := *s
		one.Classes = maps.Clone(s.Classes)
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b ModelStats) int { return strings.Compare(a.Model.String(), b.Model.String()) })
	return out
}

// Middleware is the [Middleware] that lets the monitor see the requests of a
// Chat.
func (m *Monitor) Middleware(next Chat) Chat {
	return &wrapped{
		Chat: next,
		stream: func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
			return func(yield func(Part, error) bool) { m.stream(ctx, next, req, yield) }
		},
		generate: func(ctx context.Context, req *Request) (*Response, error) { return m.generate(ctx, next, req) },
	}
}

func (m *Monitor) stream(ctx context.Context, next Chat, req *Request, yield func(Part, error) bool) {
	o := m.start(ctx, RequestInfo{Model: next.Model(), Request: req, Streamed: true})
	defer o.end() // also when the reader panics
	o.result.Stopped = true
	for p, err := range next.Stream(o.ctx, req) {
		if err != nil {
			o.result.Err, o.result.Stopped = err, false
			yield(Part{}, err)
			return
		}
		if o.result.Parts++; o.result.Parts == 1 {
			o.result.Timing.FirstPart = max(time.Since(o.began), 1)
		}
		if p.Kind == KindFinish && p.Finish != nil {
			// Here, because what the reader does with it is not the model's time.
			o.result.Finish, o.result.Timing.Total = *p.Finish, time.Since(o.began)
		}
		if !yield(p, nil) {
			return
		}
	}
	o.result.Stopped = false
}

func (m *Monitor) generate(ctx context.Context, next Chat, req *Request) (*Response, error) {
	o := m.start(ctx, RequestInfo{Model: next.Model(), Request: req})
	defer o.end()
	reply, err := next.Generate(o.ctx, req)
	o.result.Err = err
	if reply != nil {
		o.result.Finish = reply.Finish
	}
	return reply, err
}

// observation is one request under way.
type observation struct {
	monitor *Monitor
	ctx     context.Context
	retry   bool
	info    RequestInfo
	began   time.Time
	result  RequestEnd
	ended   func(RequestEnd)
}

func (m *Monitor) start(ctx context.Context, info RequestInfo) *observation {
	o := &observation{monitor: m, ctx: ctx, retry: Attempt(ctx) > 1, info: info, began: time.Now()}
	if m.Trace.StartRequest != nil {
		var inner context.Context
		inner, o.ended = m.Trace.StartRequest(ctx, info)
		o.ctx = derived(ctx, inner)
	}
	m.mu.Lock()
	m.of(info.Model).InFlight++
	m.mu.Unlock()
	return o
}

// of returns the counts of a model. m.mu must be held.
func (m *Monitor) of(model Model) *ModelStats {
	s := m.models[model]
	if s == nil {
		if m.models == nil {
			m.models = map[Model]*ModelStats{}
		}
		s = &ModelStats{Model: model, Classes: map[Class]int64{}}
		m.models[model] = s
	}
	return s
}

func (o *observation) end() {
	r := &o.result
	if r.Finish.Reason != "" {
		r.Stopped = false // there was no more to read
	}
	if r.Timing.Total == 0 {
		r.Timing.Total = time.Since(o.began)
	}
	o.monitor.mu.Lock()
	o.monitor.of(o.info.Model).count(o)
	o.monitor.mu.Unlock()
	if o.ended != nil {
		o.ended(*r)
	}
}

func (s *ModelStats) count(o *observation) {
	r := &o.result
	s.InFlight--
	s.Requests++
	if o.retry {
		s.Retries++
	}
	s.Usage = s.Usage.Add(r.Finish.Usage)
	s.Cost += r.Finish.Cost
	class, cancelled := ClassOf(r.Err), errors.Is(r.Err, context.Canceled)
	if cause, ok := errors.AsType[*APIError](context.Cause(o.ctx)); ok && cancelled {
		class, cancelled = cause.Class, false // [WithTimeout] cancels, too
	}
	if class == ClassContentFilter || r.Finish.Reason == FinishContentFilter {
		s.ContentFilter++
	}
	switch {
	case r.Stopped, cancelled:
		s.Cancelled++
	case r.Err != nil:
		s.Failures++
		if class == "" && errors.Is(r.Err, context.DeadlineExceeded) {
			class = ClassTimeout
		}
		s.Classes[class]++
		if class == ClassTimeout {
			s.Timeouts++
		}
	default:
		s.Succeeded++
		s.Time += r.Timing.Total
		s.MaxTime = max(s.MaxTime, r.Timing.Total)
		if o.info.Streamed {
			s.Streams++
			s.FirstPart += r.Timing.FirstPart
			s.MaxFirstPart = max(s.MaxFirstPart, r.Timing.FirstPart)
		}
	}
}
