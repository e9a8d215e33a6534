package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// coreName is the name under which an agent's own state is saved.
const coreName = ".agent"

// coreState is what an agent saves of itself.
type coreState struct {
	Type     string          `json:"type"`
	Parent   string          `json:"parent,omitempty"`
	Depth    int             `json:"depth,omitempty"`
	Born     time.Time       `json:"born"`
	Config   json.RawMessage `json:"config,omitempty"`
	Inputs   []coreInput     `json:"inputs,omitempty"`
	Requests []coreRequest   `json:"requests,omitempty"`
	Disabled []string        `json:"disabledHooks,omitempty"`
	Hooks    []HookInfo      `json:"hooks,omitempty"`
}

type coreInput struct {
	Input Input `json:"input"`
	Phase phase `json:"phase"`
	order uint64
}

type coreRequest struct {
	Request  Request   `json:"request"`
	Response *Response `json:"response,omitempty"`
}

// coreSlice makes the agent's own state a slice like the others.
type coreSlice struct{ a *Agent }

func (c coreSlice) Generation() uint64 {
	c.a.mu.Lock()
	defer c.a.mu.Unlock()
	return c.a.gen
}

func (c coreSlice) Reset(string) {}

func (c coreSlice) MarshalJSON() ([]byte, error) {
	a := c.a
	s := coreState{Type: a.typ.Name, Parent: a.parent, Depth: a.depth, Born: a.born, Config: a.config}

	a.mu.Lock()
	add := func(r *Run) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.leaving && r.state != Interrupted {
			return
		}
		// One that was interrupted is final here and goes on elsewhere.
		if r.state == Interrupted || !r.state.Final() {
			s.Inputs = append(s.Inputs, coreInput{r.input, r.phase, r.order})
		}
		for _, f := range r.folded {
			if !f.State().Final() {
				s.Inputs = append(s.Inputs, coreInput{f.input, phaseAccepted, f.order})
			}
		}
	}
	for _, r := range a.interrupted {
		add(r)
	}
	if a.current != nil {
		if st := a.current.State(); st != Interrupted { // that one is in the list above
			add(a.current)
		}
	}
	for _, r := range a.steering {
		add(r)
	}
	for _, r := range a.queue {
		add(r)
	}
	a.mu.Unlock()

	slices.SortStableFunc(s.Inputs, func(x, y coreInput) int { return cmp.Compare(x.order, y.order) })

	a.asks.mu.Lock()
	for _, q := range a.asks.list {
		saved := coreRequest{Request: q.request.public()}
		if q.answered && !q.request.secret() {
			resp := q.response
			saved.Response = &resp
		}
		s.Requests = append(s.Requests, saved)
	}
	a.asks.mu.Unlock()

	s.Disabled, s.Hooks = a.hooks.save()
	return json.Marshal(s)
}

// UnmarshalJSON takes the inputs, requests and hook state over; identity is
// read before by readCore.
func (c coreSlice) UnmarshalJSON(data []byte) error {
	var s coreState
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	a := c.a
	a.mu.Lock()
	for _, in := range s.Inputs {
		a.accepted++
		a.interrupted = append(a.interrupted, &Run{agent: a, input: in.Input, order: a.accepted, phase: in.Phase, state: Interrupted,
			done: closedChan, err: ErrInterrupted})
	}
	a.mu.Unlock()

	a.asks.mu.Lock()
	for _, saved := range s.Requests {
		q := &ask{request: saved.Request, restored: true, done: make(chan struct{})}
		if saved.Response != nil {
			q.answered, q.response = true, *saved.Response
			close(q.done)
		}
		a.asks.list = append(a.asks.list, q)
	}
	a.asks.mu.Unlock()

	a.hooks.load(s.Disabled, s.Hooks)
	return nil
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// readCore reads the agent's identity from saved state.
func readCore(agentID string, state map[string]*sliceState) (coreState, error) {
	var s coreState
	saved := state[coreName]
	if saved == nil {
		return s, &SliceError{Agent: agentID, Slice: coreName, Err: fmt.Errorf("the checkpoint does not say what the agent is")}
	}
	if err := json.Unmarshal(saved.full, &s); err != nil {
		return s, &SliceError{Agent: agentID, Slice: coreName, Err: err}
	}
	return s, nil
}
