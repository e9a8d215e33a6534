package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Names of the slices that a type can ask for; see [Type.KeepInputs] and
// [Type.KeepEvents].
const (
	InputsSlice = "inputs"
	EventsSlice = "events"
)

// attachBuiltin attaches what the type asks for, before its Setup.
func (a *Agent) attachBuiltin() error {
	if n := a.typ.KeepInputs; n > 0 {
		a.inputs = &inputHistory{limit: n}
		if err := a.Attach(InputsSlice, a.inputs); err != nil {
			return err
		}
	}
	if n := a.typ.KeepEvents; n > 0 {
		a.past = &pastEvents{agent: a, limit: n}
		return a.Attach(EventsSlice, a.past)
	}
	return nil
}

// InputHistory returns the texts of the newest inputs and commands, oldest
// first, over restores: what a person recalls with the up key. It is empty
// unless [Type.KeepInputs] is set.
func (a *Agent) InputHistory() []string {
	if a.inputs == nil {
		return nil
	}
	a.inputs.mu.Lock()
	defer a.inputs.mu.Unlock()
	return slices.Clone(a.inputs.lines)
}

// PastEvents returns the newest events of the agent's earlier lives, oldest
// first; [Agent.Events] replays those of this one. It is empty unless
// [Type.KeepEvents] is set.
func (a *Agent) PastEvents() []Event {
	if a.past == nil {
		return nil
	}
	a.past.mu.Lock()
	defer a.past.mu.Unlock()
	return slices.Clone(a.past.events)
}

// inputHistory is a bounded list of lines. Only the scopes "history" and "all"
// empty it.
type inputHistory struct {
	limit int

	mu    sync.Mutex
	lines []string
	added uint64 // lines ever added or lost: the mark of the state
	kept  uint64 // added when the list was last emptied
}

func (h *inputHistory) add(lines ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, lines...)
	h.added += uint64(len(lines))
	if extra := len(h.lines) - h.limit; extra > 0 {
		h.lines = slices.Delete(h.lines, 0, extra)
	}
}

func (h *inputHistory) Generation() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.added
}

func (h *inputHistory) MarshalJSON() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return json.Marshal(h.lines)
}

func (h *inputHistory) UnmarshalJSON(data []byte) error {
	var lines []string
	if err := json.Unmarshal(data, &lines); err != nil {
		return err
	}
	h.Reset("all")
	h.add(lines...)
	return nil
}

func (h *inputHistory) Reset(scope string) {
	if scope != "all" && scope != "history" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = nil
	h.added++
	h.kept = h.added
}

func (h *inputHistory) Delta(mark uint64) ([]byte, uint64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if mark < h.kept || mark > h.added || h.added-mark > uint64(len(h.lines)) {
		return nil, h.added, false
	}
	data, err := json.Marshal(h.lines[len(h.lines)-int(h.added-mark):])
	return data, h.added, err == nil
}

func (h *inputHistory) ApplyDelta(delta []byte) error {
	var lines []string
	if err := json.Unmarshal(delta, &lines); err != nil {
		return err
	}
	h.add(lines...)
	return nil
}

// pastEvents saves the newest events. It reads those of this life from the log
// and holds those of earlier ones.
type pastEvents struct {
	agent *Agent
	limit int

	mu     sync.Mutex
	events []Event
	reset  uint64 // sequence number at the last reset: nothing up to it is saved
}

// saved reports whether an event is worth keeping: not those that a checkpoint
// causes, which would make each one differ from the one before.
func saved(b Body) bool {
	switch b.(type) {
	case Checkpointed, Busy, Idle:
		return false
	}
	return true
}

// after returns what is to be saved of the log after a sequence number, and the
// number of its newest such event.
func (p *pastEvents) after(seq uint64) (list []Event, last uint64) {
	l := &p.agent.log
	last = max(seq, p.reset, l.begun)
	chunks := l.chunks.Load()
	if chunks == nil {
		return nil, last
	}
	seq = last
	for _, c := range *chunks {
		for i := range int(c.n.Load()) {
			if ev := c.event(i); ev.Seq > seq && saved(ev.Body) {
				list = append(list, ev)
				last = ev.Seq
			}
		}
	}
	if len(list) > p.limit {
		list = list[len(list)-p.limit:]
	}
	return list, last
}

func (p *pastEvents) MarshalJSON() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, _ := p.after(0)
	all := append(slices.Clone(p.events), now...)
	return json.Marshal(all[max(0, len(all)-p.limit):])
}

func (p *pastEvents) UnmarshalJSON(data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = nil
	return p.take(data)
}

func (p *pastEvents) Reset(scope string) {
	if scope != "all" && scope != "history" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = nil
	p.reset = p.agent.log.last.Load()
}

func (p *pastEvents) Delta(mark uint64) ([]byte, uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list, last := p.after(mark)
	if mark < p.reset || mark < p.agent.log.begun || mark+1 < p.agent.log.first() {
		return nil, last, false // something in between was reset or has left the log
	}
	data, err := json.Marshal(list)
	return data, last, err == nil
}

func (p *pastEvents) ApplyDelta(delta []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(delta)
}

func (p *pastEvents) take(data []byte) error {
	var list []Event
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	p.events = append(p.events, list...)
	if extra := len(p.events) - p.limit; extra > 0 {
		p.events = slices.Delete(p.events, 0, extra)
	}
	return nil
}
