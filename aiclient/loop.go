package aiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// loop runs steps until the turn is over.
func (c *Conversation) loop(ctx context.Context, r *run) error {
	t := r.turn
	began := time.Now()
	maxSteps := c.opts.MaxSteps
	if maxSteps == 0 {
		maxSteps = DefaultMaxSteps
	}
	c.mu.Lock()
	open := len(c.state.open) > 0
	c.mu.Unlock()
	if open {
		// The calls of a reply that an earlier process recorded.
		if err := c.runTools(ctx, r); err != nil {
			return err
		}
	}
	for {
		switch {
		case ctx.Err() != nil:
			return aborted(ctx)
		case maxSteps > 0 && len(t.Steps) >= maxSteps:
			return &StopError{Reason: StopMaxSteps, Detail: fmt.Sprintf("%d calls of the model", maxSteps)}
		case c.opts.MaxTokens > 0 && t.Usage.Total() >= c.opts.MaxTokens:
			return &StopError{Reason: StopMaxTokens, Detail: fmt.Sprintf("%d of %d tokens used", t.Usage.Total(), c.opts.MaxTokens)}
		case c.opts.MaxTime > 0 && time.Since(began) >= c.opts.MaxTime:
			return &StopError{Reason: StopMaxTime, Detail: c.opts.MaxTime.String()}
		}
		if err := c.takeSteering(ctx, r); err != nil {
			return err
		}
		if err := c.step(ctx, r); err != nil {
			return err
		}
		if done, err := c.finished(r); done || err != nil {
			return err
		}
	}
}

// takeSteering makes waiting messages part of the history.
func (c *Conversation) takeSteering(ctx context.Context, r *run) error {
	c.mu.Lock()
	waiting := len(c.state.steer)
	c.mu.Unlock()
	if waiting == 0 {
		return nil
	}
	return c.save(ctx, r, entry{Take: waiting})
}

// finished decides after a step whether the turn is over.
func (c *Conversation) finished(r *run) (bool, error) {
	t := r.turn
	last := &t.Steps[len(t.Steps)-1]
	if len(last.Results) == 0 && last.Response.Reason != FinishPause {
		c.mu.Lock()
		steered := len(c.state.steer) > 0
		c.mu.Unlock()
		switch {
		case last.Response.Reason == FinishContentFilter:
			return true, &StopError{Reason: StopContentFilter, Detail: last.Response.RawReason}
		case last.Response.Reason == FinishLength:
			t.Stop = StopLength
		case steered:
			return false, nil // somebody spoke while the model finished
		default:
			t.Stop = StopEnd
		}
		return true, nil
	}
	for _, res := range last.Results {
		if !res.IsError && slices.Contains(c.opts.StopTools, res.Name) {
			t.Stop = StopTool
			return true, nil
		}
	}
	if c.opts.StopWhen != nil && c.opts.StopWhen(t) {
		t.Stop = StopCondition
		return true, nil
	}
	if len(last.Results) == 0 {
		return false, nil // the reply pauses
	}
	limit := c.opts.MaxInvalid
	if limit == 0 {
		limit = DefaultMaxInvalid
	}
	if limit > 0 && r.invalid >= limit {
		return true, &StopError{Reason: StopInvalidCalls, Detail: fmt.Sprintf(
			"%d steps in a row had only calls of unknown tools or with invalid arguments, at last of %q", r.invalid, last.Results[0].Name)}
	}
	limit = c.opts.LoopLimit
	if limit == 0 {
		limit = DefaultLoopLimit
	}
	if limit > 0 && r.loops.add(last, limit) {
		return true, &StopError{Reason: StopLoop, Detail: fmt.Sprintf(
			"the same calls gave the same results %d times, at last of %q", limit, last.Results[0].Name)}
	}
	return false, nil
}

// openStep is the step in progress.
type openStep struct {
	*Step // nil between steps
	ctx   context.Context
	began time.Time
	ended func(Step, error) // tells the trace; nil when it does not want to know
}

// step calls the model once and runs the calls of its reply. The step is part
// of the turn also when it fails.
func (c *Conversation) step(ctx context.Context, r *run) error {
	t := r.turn
	t.Steps = append(t.Steps, Step{Number: len(t.Steps) + 1})
	r.step = openStep{Step: &t.Steps[len(t.Steps)-1], ctx: ctx, began: time.Now()}
	if c.opts.Trace.StartStep != nil {
		var inner context.Context
		inner, r.step.ended = c.opts.Trace.StartStep(ctx, r.step.Number)
		r.step.ctx = derived(ctx, inner)
	}
	err := c.work(r.step.ctx, r)
	c.endStep(r, err)
	return err
}

// work does what a step consists of.
func (c *Conversation) work(ctx context.Context, r *run) error {
	s := r.step.Step
	if err := c.compactIfNeeded(ctx, r); err != nil {
		return err
	}
	if err := c.ask(ctx, r, s); err != nil {
		return err
	}
	if s.Response.Message.hasCalls() {
		if err := c.runTools(ctx, r); err != nil {
			return err
		}
	}
	if c.opts.AfterStep != nil {
		s.Duration = time.Since(r.step.began)
		if err := c.opts.AfterStep(ctx, *s); err != nil {
			return fmt.Errorf("after step %d: %w", s.Number, err)
		}
	}
	return nil
}

// endStep closes the step in progress, if there is one.
func (c *Conversation) endStep(r *run, err error) {
	s := r.step
	if s.Step == nil {
		return
	}
	r.step = openStep{}
	if s.Response == nil {
		s.Response = &Response{}
	}
	s.Duration = time.Since(s.began)
	if c.opts.Trace.StepEnd != nil {
		c.opts.Trace.StepEnd(s.ctx, *s.Step, err)
	}
	if s.ended != nil {
		s.ended(*s.Step, err)
	}
}

// ask sends the history to the model and records the reply. A history that turns
// out to be too long is compacted, more and more until the model takes it: output
// that is too long must not end the conversation, however recent it is. Nor must a
// file that the provider refuses.
func (c *Conversation) ask(ctx context.Context, r *run, s *Step) error {
	keep := c.keepRecent()
	var refused []any
	for {
		err := c.askOnce(ctx, r, s)
		if s.Response != nil && len(s.Response.Message.Parts) > 0 {
			return err
		}
		switch ClassOf(err) {
		case ClassBadRequest:
			more := c.refuse()
			if len(more) == 0 {
				c.accept(refused)
				return err
			}
			c.logger.WarnContext(ctx, "asking again without files, which may be what the provider refuses", "files", len(more), "error", err)
			refused = append(refused, more...)
			continue
		case ClassContextLength:
		default:
			return err
		}
		shorter, failure := c.compact(ctx, r, keep)
		for !shorter && failure == nil && keep > 0 {
			keep /= 2
			shorter, failure = c.compact(ctx, r, keep)
		}
		if !shorter {
			return errors.Join(err, failure)
		}
	}
}

func (c *Conversation) askOnce(ctx context.Context, r *run, s *Step) error {
	req, err := c.request(ctx, s.Number)
	if err != nil {
		return err
	}
	spend, err := c.reserve(ctx, c.contextTokens(), req.MaxTokens)
	if err != nil {
		return err
	}
	defer spend.release()
	if c.opts.Trace.StepStart != nil {
		c.opts.Trace.StepStart(ctx, s.Number, req)
	}
	reply, err := c.stream(ctx, req)
	s.Response = reply
	s.Cost = c.opts.Price.of(&reply.Finish)
	spend.settle(reply, s.Cost)
	t := r.turn
	t.Usage = t.Usage.Add(reply.Usage)
	t.Cost += s.Cost
	t.Text = reply.Text()
	if err != nil {
		if ctx.Err() != nil {
			err = aborted(ctx)
		}
		if partial, ok := cutReply(reply); ok {
			return errors.Join(err, c.save(ctx, r, entry{Message: &partial, Usage: &reply.Usage, Cost: s.Cost}))
		}
		return err
	}
	c.mu.Lock()
	n := len(c.state.messages)
	c.mu.Unlock()
	reply.Message = encodable(uniqueCalls(reply.Message, n))
	e := entry{Message: &reply.Message, Usage: &reply.Usage, Cost: s.Cost}
	if reply.Message.hasCalls() {
		return c.record(r, e) // runTools saves it together with what starts first
	}
	return c.save(ctx, r, e)
}

// stream reads one reply.
func (c *Conversation) stream(ctx context.Context, req *Request) (*Response, error) {
	var reply Collector
	reply.Start()
	onPart := c.opts.Trace.OnPart
	for part, err := range c.chat.Stream(ctx, req) {
		if err != nil {
			return reply.Response(), err
		}
		reply.Add(part)
		if onPart != nil {
			onPart(ctx, part)
		}
	}
	if !reply.Finished() {
		if ctx.Err() != nil {
			return reply.Response(), aborted(ctx)
		}
		m := c.chat.Model()
		return reply.Response(), &APIError{
			Provider: m.Provider, Model: m.ID, Class: ClassTruncated,
			Message: "the stream ended without its terminal event",
		}
	}
	return reply.Response(), nil
}

// request builds the request of a step. It shares the history.
func (c *Conversation) request(ctx context.Context, step int) (*Request, error) {
	req := c.opts.Request
	req.System = c.opts.System
	req.Tools = c.opts.Tools
	req.Context = nil
	if c.opts.Context != nil {
		for text := range c.opts.Context(ctx) {
			req.Context = append(req.Context, text)
		}
	}
	c.mu.Lock()
	n := len(c.state.messages)
	req.Messages = c.state.messages[:n:n]
	if len(c.refused) > 0 {
		req.Messages = withoutFiles(req.Messages, "the model's provider refused it", func(_ int, p *Part) bool { return c.refused[refusedKey(p)] })
	}
	c.mu.Unlock()
	if c.opts.BeforeStep != nil {
		if err := c.opts.BeforeStep(ctx, step, &req); err != nil {
			return nil, fmt.Errorf("before step %d: %w", step, err)
		}
	}
	return &req, nil
}

// cutReply returns what is worth keeping of a reply that was cut off: its text.
// Calls are incomplete and reasoning lacks its signature.
func cutReply(reply *Response) (Message, bool) {
	text := reply.Text()
	if text == "" {
		return Message{}, false
	}
	return Message{Role: RoleAssistant, Parts: []Part{Text(text)}, Interrupted: true}, true
}

// encodable drops provider data that is not JSON, which would make the history
// impossible to save.
func encodable(m Message) Message {
	if m.Provider != nil && !json.Valid(m.Provider.Data) {
		m.Provider = nil
	}
	for i := range m.Parts {
		if p := m.Parts[i].Provider; p != nil && !json.Valid(p.Data) {
			m.Parts[i].Provider = nil
		}
	}
	return soundParts(m)
}
