package aiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
// turn, and so does a tool that runs alone; tools that run beside others or may
// outlive their time, and the question to the person, have goroutines of their own.
type toolRun struct {
	c       *Conversation
	ctx     context.Context // of the turn
	work    context.Context // of the tools; it ends with the run
	cancel  context.CancelFunc
	r       *run
	calls   []*activeCall
	events  chan toolEvent // from goroutines beside the turn's; nil as long as there were none
	left    int            // calls without a result
	running int
	asking  bool
	grants  []grant
	entries []entry // to be recorded with the next boundary
	launch  []*activeCall
}

// runTools runs the open calls of the last reply. When it returns, every call
// has its result in the history, whatever the error.
func (c *Conversation) runTools(ctx context.Context, r *run) error {
	r.tools = c.newToolRun(ctx, r)
	return r.tools.finish(r.tools.loop())
}

// finish hands the results to the step, in the order of the calls. When an error
// ended the run, calls without a result get one first.
func (tr *toolRun) finish(err error) error {
	defer tr.cancel()
	if err != nil {
		lost := tr.abandon(err)
		if tr.ctx.Err() != nil {
			err = aborted(tr.ctx)
		}
		if lost != nil {
			err = errors.Join(err, lost)
		}
	}
	r := tr.r
	if r.step.Step != nil { // not of a reply that an earlier process recorded
		r.step.Results = make([]ToolResult, len(tr.calls))
		for i, a := range tr.calls {
			if a.result != nil {
				r.step.Results[i] = *a.result
			}
		}
	}
	r.invalid++
	if slices.ContainsFunc(tr.calls, func(a *activeCall) bool { return !a.invalid }) {
		r.invalid = 0
	}
	return err
}

// newToolRun sorts the open calls by what is to be done about them.
func (c *Conversation) newToolRun(ctx context.Context, r *run) *toolRun {
	c.mu.Lock()
	open := append([]openCall(nil), c.state.open...)
	grants := slices.Clip(c.state.grants)
	c.mu.Unlock()
	tr := &toolRun{c: c, ctx: ctx, r: r, grants: grants}
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

// results is the channel of goroutines beside the turn's. It holds all that they
// may ever send, so that none waits for a turn that is over.
func (tr *toolRun) results() chan<- toolEvent {
	if tr.events == nil {
		tr.events = make(chan toolEvent, 2*len(tr.calls))
	}
	return tr.events
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
		launch := tr.launch
		tr.launch = tr.launch[:0]
		if len(launch) == 1 && tr.running == 1 && !tr.asking && tr.timeout(launch[0]) <= 0 {
			if err := tr.runHere(launch[0]); err != nil {
				return err
			}
			continue
		}
		for _, a := range launch {
			tr.start(a)
		}
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
