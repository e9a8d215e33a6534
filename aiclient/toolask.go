package aiclient

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

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
	ctx, events := tr.work, tr.results()
	c.workers.start()
	go func() {
		defer c.workers.end()
		decision := Decision{Reason: "nobody could be asked: the program ended the goroutine that asked."}
		defer func() { // also after runtime.Goexit
			events <- toolEvent{a: a, approval: approval, decision: decision}
		}()
		answer, err := c.approve(ctx, a.tool, approval, a.args)
		if err != nil {
			answer = Decision{Reason: "nobody could be asked: " + err.Error()}
		}
		decision = answer
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

// decided acts on what the person said.
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
