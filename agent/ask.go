package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ask is one open or answered-but-not-collected request.
type ask struct {
	request  Request
	restored bool // nobody waits for it; it comes from a checkpoint
	answered bool
	response Response
	done     chan struct{} // closed when answered or ended
	err      error         // why it ended without an answer
}

// askSet holds an agent's requests in the order in which they were asked.
type askSet struct {
	mu   sync.Mutex
	list []*ask
}

func (s *askSet) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.list, func(q *ask) bool { return !q.answered })
}

func (s *askSet) find(id string) *ask {
	for _, q := range s.list {
		if q.request.ID == id {
			return q
		}
	}
	return nil
}

func (s *askSet) drop(q *ask) {
	s.list = slices.DeleteFunc(s.list, func(other *ask) bool { return other == q })
}

// Ask asks a person and waits for the first answer that fits. It ends early
// with the cause of ctx, with an [*AbortError] when the input that asks is
// aborted, and with an error that wraps [ErrStopped] when the agent stops: the
// request is then still in the last checkpoint, is pending again after a
// restore, and an answer that it receives there is given to the next Ask with
// its ID, if it is the same question, or with the same question for the same
// input when it has none.
func (a *Agent) Ask(ctx context.Context, req Request) (Response, error) {
	if err := req.check(); err != nil {
		return Response{}, fmt.Errorf("agent %s: request %q: %w", a.id, req.Title, err)
	}
	if ctx.Err() != nil {
		return Response{}, context.Cause(ctx)
	}
	if r := CurrentRun(ctx); r != nil && r.agent == a {
		req.Input = r.input.ID
	}
	q, resp, err := a.open(req)
	if err != nil || q == nil {
		return resp, err
	}
	defer a.traceAsk(ctx, q)()

	var expired <-chan time.Time
	if req.Timeout > 0 {
		timer := time.NewTimer(req.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-q.done:
	case <-expired:
		a.expire(q)
	case <-ctx.Done():
		a.endAsk(q, context.Cause(ctx))
	}
	return q.response, q.err
}

// open enters a request. It returns a nil ask when the answer is known already.
func (a *Agent) open(req Request) (*ask, Response, error) {
	s := a.asks
	a.mu.Lock() // over all of it: the agent is neither saved nor stopped in between
	defer a.mu.Unlock()
	if err := a.refuses(); err != nil {
		return nil, Response{}, fmt.Errorf("agent %s: request %q: %w", a.id, req.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.find(req.ID); old != nil {
		if !old.restored {
			return nil, Response{}, fmt.Errorf("agent %s: request %q is open already: %w", a.id, req.ID, ErrDuplicate)
		}
		if !old.request.same(req) || old.answered && req.accept(old.response) != nil {
			s.drop(old) // an answer to another question is none to this one
		}
	}
	a.gen++
	if old := s.restored(req); old != nil {
		if old.answered {
			s.drop(old)
			return nil, old.response, nil
		}
		req.ID, req.Time = old.request.ID, old.request.Time
		old.request, old.restored = req, false // what was saved lacks secrets
		return old, Response{}, nil
	}
	if req.ID == "" {
		req.ID = newID()
	}
	req.Time = time.Now()
	q := &ask{request: req, done: make(chan struct{})}
	s.list = append(s.list, q)
	a.Emit(Asked{Request: req.public()})
	return q, Response{}, nil
}

// restored finds the request of an earlier life that asks the same.
func (s *askSet) restored(req Request) *ask {
	for _, q := range s.list {
		if q.restored && (req.ID == "" || q.request.ID == req.ID) && q.request.same(req) &&
			(!q.answered || req.accept(q.response) == nil) {
			return q
		}
	}
	return nil
}

// Pending lists the requests that wait for an answer, oldest first.
func (a *Agent) Pending() []Request {
	a.asks.mu.Lock()
	defer a.asks.mu.Unlock()
	var list []Request
	for _, q := range a.asks.list {
		if !q.answered {
			list = append(list, q.request.public())
		}
	}
	return list
}

// Answer answers a pending request. The first answer wins: a later one, like
// one to a request that does not exist, fails with [ErrNotFound]. An answer
// that does not fit the question fails and leaves the request open. Once the
// agent stops it takes no answers and fails with [ErrStopped]: the request is
// pending again after a restore.
func (a *Agent) Answer(id string, resp Response) error {
	q, err := a.answer(id, resp)
	if err != nil {
		return err
	}
	a.Emit(q.outcome())
	return nil
}

func (a *Agent) answer(id string, resp Response) (*ask, error) {
	s := a.asks
	a.mu.Lock()
	defer a.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.find(id)
	if q == nil || q.answered {
		return nil, fmt.Errorf("agent %s: no pending request %q: %w", a.id, id, ErrNotFound)
	}
	if err := a.refuses(); err != nil {
		return nil, fmt.Errorf("agent %s: answer to request %q: %w", a.id, id, err)
	}
	if err := q.request.accept(resp); err != nil {
		return nil, fmt.Errorf("agent %s: answer to request %q: %w", a.id, id, err)
	}
	resp.TimedOut = false
	s.settle(q, resp, nil)
	a.gen++
	a.touch()
	return q, nil
}

// settle ends q. One that nobody waits for stays until it is asked again. s.mu
// is held.
func (s *askSet) settle(q *ask, resp Response, err error) {
	q.answered, q.response, q.err = true, resp, err
	close(q.done)
	if !q.restored || err != nil {
		s.drop(q)
	}
}

// outcome is the event that ends q, without secrets.
func (q *ask) outcome() Answered {
	ev := Answered{ID: q.request.ID, Response: q.request.redact(q.response)}
	if q.err != nil {
		ev.Error = q.err.Error()
	}
	return ev
}

// expire ends a request whose time is up.
func (a *Agent) expire(q *ask) {
	if q.request.Default == nil {
		a.endAsk(q, fmt.Errorf("agent %s: request %q: no answer within %s: %w",
			a.id, q.request.ID, q.request.Timeout, context.DeadlineExceeded))
		return
	}
	resp := *q.request.Default
	resp.TimedOut = true
	a.settle(q, resp, nil)
}

func (a *Agent) endAsk(q *ask, err error) { a.settle(q, Response{}, err) }

// settle ends q unless someone was faster. A request that ends because the
// agent stops stays in the list, so that the last checkpoint has it.
func (a *Agent) settle(q *ask, resp Response, err error) {
	s := a.asks
	a.mu.Lock()
	s.mu.Lock()
	ended := false
	switch {
	case q.answered || q.err != nil:
	case a.state != active && errors.Is(err, ErrStopped):
		q.err = err
		close(q.done)
	default:
		s.settle(q, resp, err)
		a.gen++
		a.touch()
		ended = true
	}
	s.mu.Unlock()
	a.mu.Unlock()
	if ended {
		a.Emit(q.outcome())
	}
}

// cancelRequests ends the open requests of an input, or all when it is "".
func (a *Agent) cancelRequests(input string, cause error) {
	a.asks.mu.Lock()
	var mine []*ask
	for _, q := range a.asks.list {
		if !q.answered && !q.restored && (input == "" || q.request.Input == input) {
			mine = append(mine, q)
		}
	}
	a.asks.mu.Unlock()
	for _, q := range mine {
		a.endAsk(q, cause)
	}
}

// endRestored ends the requests of an earlier life that an input, which has come
// to its end, did not ask again.
func (a *Agent) endRestored(input string) {
	s := a.asks
	s.mu.Lock()
	var mine []*ask
	for _, q := range slices.Clone(s.list) {
		if !q.restored || q.request.Input != input {
			continue
		}
		if q.answered {
			s.drop(q)
		} else {
			mine = append(mine, q)
		}
	}
	s.mu.Unlock()
	for _, q := range mine {
		a.endAsk(q, fmt.Errorf("agent %s: request %q: input %s ended without asking it again", a.id, q.request.ID, input))
	}
}
