package aiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// phase is how far a call of the present step is.
type phase uint8

const (
	phaseAsk     phase = iota // waits for a person
	phaseAsking               // a person is being asked
	phaseReady                // may start
	phaseRunning              // runs
	phaseDone                 // has its result
)

// activeCall is one call of the present step.
type activeCall struct {
	index   int
	call    *ToolCall
	tool    *tool.Tool // nil when the name is unknown
	args    json.RawMessage
	effects []tool.Effect
	phase   phase

	interrupted bool // started before a crash
	invalid     bool
	result      *ToolResult

	ended    func(ToolResult) // tells the trace; nil when it does not want to know
	started  time.Time
	deadline time.Time   // when the call is given up, zero for never
	settled  atomic.Bool // whoever sets it decides on the result
}

// toolEvent is what a worker tells the turn.
type toolEvent struct {
	a        *activeCall
	result   *ToolResult // of a call that ran
	invalid  bool
	approval *Approval // of a call that a person decided on
	decision Decision
}

// toolRun runs the calls of one step. Its methods run in the goroutine of the
// turn; only the tools themselves, and the question to the person, run beside.
type toolRun struct {
	c       *Conversation
	ctx     context.Context // of the turn
	work    context.Context // of the tools; it ends with the run
	cancel  context.CancelFunc
	r       *run
	calls   []*activeCall
	events  chan toolEvent
	left    int // calls without a result
	running int
	asking  bool
	grants  []grant
	entries []entry // to be recorded with the next boundary
	launch  []*activeCall
}

// runTools runs the open calls of the last reply and returns their results in
// the order of the calls. When it returns, every call has its result in the
// history, whatever the error.
func (c *Conversation) runTools(ctx context.Context, r *run) ([]ToolResult, error) {
	tr := c.newToolRun(ctx, r)
	defer tr.cancel()
	err := tr.loop()
	if err != nil {
		err = errors.Join(err, tr.abandon(err))
		if ctx.Err() != nil {
			err = aborted(ctx)
		}
	}
	results := make([]ToolResult, len(tr.calls))
	valid := false
	for i, a := range tr.calls {
		if a.result != nil {
			results[i] = *a.result
		}
		valid = valid || !a.invalid
	}
	if r.invalid++; valid {
		r.invalid = 0
	}
	return results, err
}

// newToolRun sorts the open calls by what is to be done about them.
func (c *Conversation) newToolRun(ctx context.Context, r *run) *toolRun {
	c.mu.Lock()
	open := append([]openCall(nil), c.state.open...)
	grants := slices.Clip(c.state.grants)
	c.mu.Unlock()
	tr := &toolRun{c: c, ctx: ctx, r: r, grants: grants, events: make(chan toolEvent, 2*len(open))}
	tr.work, tr.cancel = context.WithCancel(ctx)
	tr.calls = make([]*activeCall, len(open))
	for i, o := range open {
		a := &activeCall{index: i, call: o.call, tool: c.tools[o.call.Name], result: o.Result}
		tr.calls[i] = a
		if o.Result != nil {
			a.phase = phaseDone
			continue
		}
		tr.left++
		args, ok := jsonObject(o.call.Arguments)
		switch {
		case a.tool == nil:
			a.invalid = true
			tr.settle(a, errorResult(o.call, c.unknownTool(o.call.Name)))
			continue
		case !ok:
			a.invalid = true
			tr.settle(a, errorResult(o.call, malformed(a.tool, o.call.Arguments)))
			continue
		}
		a.args = args
		a.effects = effectsOf(a.tool, args)
		a.interrupted = o.Started && !a.tool.Annotations.Repeatable()
		switch verdict := c.opts.Policy.decide(a.tool.Name, a.effects, grants, c.opts.Approve != nil); {
		case a.interrupted && (verdict == Deny || c.opts.Approve == nil):
			tr.settle(a, lostResult(o, a.tool))
		case a.interrupted:
			a.phase = phaseAsk
		case verdict == Allow:
			a.phase = phaseReady
		case verdict == Ask && c.opts.Approve != nil:
			a.phase = phaseAsk
		case verdict == Ask:
			tr.settle(a, errorResult(o.call, denied("it needs a person's approval and there is nobody to ask.")))
		default:
			tr.settle(a, errorResult(o.call, denied("the policy of this program does not allow it.")))
		}
	}
	return tr
}

// settle gives a call its result. The result is recorded at the next boundary.
func (tr *toolRun) settle(a *activeCall, result *ToolResult) {
	a.phase, a.result = phaseDone, result
	tr.left--
	tr.entries = append(tr.entries, entry{Result: result})
	if a.ended != nil {
		a.ended(*result)
	}
	if tr.c.opts.Trace.ToolEnd != nil {
		var took time.Duration
		if !a.started.IsZero() {
			took = time.Since(a.started)
		}
		tr.c.opts.Trace.ToolEnd(tr.ctx, *a.call, *result, took)
	}
}

// loop runs until every call has its result.
func (tr *toolRun) loop() error {
	for {
		tr.schedule()
		if err := tr.save(); err != nil {
			return err
		}
		if tr.left == 0 {
			return nil
		}
		if tr.ctx.Err() != nil {
			return aborted(tr.ctx)
		}
		for _, a := range tr.launch {
			tr.start(a)
		}
		tr.launch = tr.launch[:0]
		if err := tr.wait(); err != nil {
			return err
		}
	}
}

// save records what is new and reaches a boundary.
func (tr *toolRun) save() error {
	err := tr.c.record(tr.r, tr.entries...)
	tr.entries = tr.entries[:0]
	if err != nil {
		return err
	}
	return tr.c.checkpoint(tr.ctx)
}

// schedule chooses what starts now and notes the start of calls that must not
// run twice. Calls start in order; an exclusive call waits for all before it
// and holds back all behind it.
func (tr *toolRun) schedule() {
	limit := tr.c.opts.Parallel
	if limit <= 0 {
		limit = DefaultParallel
	}
	earlier := false // an earlier call has no result yet
	for _, a := range tr.calls {
		if a.phase == phaseDone {
			continue
		}
		exclusive := a.tool.Annotations.Exclusive
		if exclusive && earlier {
			return
		}
		if a.phase == phaseAsk && !tr.asking {
			tr.ask(a)
		}
		if a.phase == phaseReady && tr.running < limit {
			a.phase = phaseRunning
			tr.running++
			tr.launch = append(tr.launch, a)
			if !a.tool.Annotations.Repeatable() {
				tr.entries = append(tr.entries, entry{Start: a.call.ID})
			}
		}
		if exclusive {
			return
		}
		earlier = true
	}
}

// ask lets a person decide on a call, unless a grant that came in the meantime
// already does.
func (tr *toolRun) ask(a *activeCall) {
	c := tr.c
	if !a.interrupted && c.opts.Policy.decide(a.tool.Name, a.effects, tr.grants, true) == Allow {
		a.phase = phaseReady
		return
	}
	a.phase = phaseAsking
	tr.asking = true
	approval := &Approval{
		Call: *a.call, Annotations: a.tool.Annotations, Effects: a.effects, Interrupted: a.interrupted,
	}
	ctx, events := tr.work, tr.events
	c.workers.start()
	go func() {
		defer c.workers.end()
		decision, err := c.approve(ctx, a.tool, approval, a.args)
		if err != nil {
			decision = Decision{Reason: "nobody could be asked: " + err.Error()}
		}
		events <- toolEvent{a: a, approval: approval, decision: decision}
	}()
}

func (c *Conversation) approve(ctx context.Context, t *tool.Tool, a *Approval, args json.RawMessage) (d Decision, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.logger.ErrorContext(ctx, "approval panicked", "tool", t.Name, "panic", p, "stack", string(debug.Stack()))
			d, err = Decision{}, fmt.Errorf("the program failed: %v", p)
		}
	}()
	if t.Preview != nil {
		preview, err := t.Preview(ctx, args)
		if err != nil {
			preview = "No preview: " + err.Error()
		}
		a.Preview = preview
	}
	return c.opts.Approve(ctx, *a)
}

// start runs a call in a goroutine of its own.
func (tr *toolRun) start(a *activeCall) {
	c := tr.c
	ctx, cancel := tr.work, context.CancelFunc(nil)
	a.started = time.Now()
	timeout, ok := c.opts.ToolTimeouts[a.call.Name]
	if !ok {
		timeout = c.opts.ToolTimeout
	}
	if timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("tool %s timed out after %s", a.call.Name, timeout))
		a.deadline = a.started.Add(timeout + abortGrace)
	}
	if c.opts.Trace.StartTool != nil {
		var inner context.Context
		inner, a.ended = c.opts.Trace.StartTool(ctx, *a.call)
		ctx = derived(ctx, inner)
	}
	if c.opts.Trace.ToolStart != nil {
		c.opts.Trace.ToolStart(ctx, *a.call)
	}
	c.toolCalls.Add(1)
	events := tr.events
	c.workers.start()
	tr.r.pool.run(func() {
		defer c.workers.end()
		if cancel != nil {
			defer cancel()
		}
		result, invalid := c.execute(ctx, a)
		if !a.settled.CompareAndSwap(false, true) {
			c.logger.Warn("result of an abandoned tool call discarded", "tool", a.call.Name,
				"call", a.call.ID, "after", time.Since(a.started), "isError", result.IsError)
			return
		}
		events <- toolEvent{a: a, result: result, invalid: invalid}
	})
}

// execute makes one call. A panic becomes a result.
func (c *Conversation) execute(ctx context.Context, a *activeCall) (result *ToolResult, invalid bool) {
	defer func() {
		if p := recover(); p != nil {
			c.logger.ErrorContext(ctx, "tool panicked", "tool", a.call.Name, "panic", p, "stack", string(debug.Stack()))
			result = errorResult(a.call, fmt.Sprintf("The tool failed internally: %v", p))
		}
	}()
	if c.opts.BeforeTool != nil {
		if err := c.opts.BeforeTool(ctx, *a.call); err != nil {
			return errorResult(a.call, denied(err.Error())), false
		}
	}
	res, err := a.tool.Call(ctx, a.args)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		_, invalid = errors.AsType[*tool.ArgumentError](err)
		result = errorResult(a.call, err.Error())
	} else {
		result = &ToolResult{CallID: a.call.ID, Name: a.call.Name, Text: strings.ToValidUTF8(res.Text, "\uFFFD"), IsError: res.IsError}
		for _, m := range res.Media {
			result.Files = append(result.Files, File{MediaType: m.MediaType, Data: m.Data})
		}
	}
	if c.opts.AfterTool != nil {
		if err := c.opts.AfterTool(ctx, *a.call, result); err != nil {
			result = errorResult(a.call, err.Error())
		}
		result.CallID, result.Name = a.call.ID, a.call.Name
		result.Text = strings.ToValidUTF8(result.Text, "\uFFFD")
	}
	return result, invalid
}

// wait takes the next event, or gives up calls that are past their time.
func (tr *toolRun) wait() error {
	var expired <-chan time.Time
	if deadline := tr.nextDeadline(); !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case e := <-tr.events:
		tr.handle(e)
		return nil
	case <-expired:
		now := time.Now()
		for _, a := range tr.calls {
			if a.phase == phaseRunning && !a.deadline.IsZero() && !now.Before(a.deadline) && tr.disown(a) {
				tr.settle(a, errorResult(a.call, fmt.Sprintf(
					"The tool did not end within its time limit of %s. It may still be running; its effect is unknown.", a.deadline.Sub(a.started)-abortGrace)))
			}
		}
		return nil
	case <-tr.ctx.Done():
		return aborted(tr.ctx)
	}
}

func (tr *toolRun) nextDeadline() (next time.Time) {
	for _, a := range tr.calls {
		if a.phase == phaseRunning && !a.deadline.IsZero() && !a.settled.Load() && (next.IsZero() || a.deadline.Before(next)) {
			next = a.deadline
		}
	}
	return next
}

// disown gives a running call up, unless its result is already on the way.
func (tr *toolRun) disown(a *activeCall) bool {
	if !a.settled.CompareAndSwap(false, true) {
		return false
	}
	tr.c.late.Add(1)
	tr.running--
	return true
}

func (tr *toolRun) handle(e toolEvent) {
	if e.approval != nil {
		tr.decided(e)
		return
	}
	tr.running--
	e.a.invalid = e.invalid
	tr.settle(e.a, e.result)
}

func (tr *toolRun) decided(e toolEvent) {
	tr.asking = false
	if tr.c.opts.Trace.Asked != nil {
		tr.c.opts.Trace.Asked(tr.ctx, *e.approval, e.decision)
	}
	switch {
	case !e.decision.Allow && e.a.interrupted:
		lost := lostResult(openCall{Started: true, call: e.a.call}, e.a.tool)
		if e.decision.Reason != "" {
			lost.Text += " The person who was asked says: " + e.decision.Reason
		}
		tr.settle(e.a, lost)
	case !e.decision.Allow:
		tr.settle(e.a, errorResult(e.a.call, denied(e.decision.Reason)))
	default:
		e.a.phase = phaseReady
		if e.decision.Remember {
			effects := e.a.effects
			if len(effects) == 0 {
				effects = []tool.Effect{{}}
			}
			for _, effect := range effects {
				g := grant{Tool: e.a.tool.Name, Kind: effect.Kind, Target: effect.Target}
				tr.grants = append(tr.grants, g)
				tr.entries = append(tr.entries, entry{Grant: &g})
			}
		}
	}
}
