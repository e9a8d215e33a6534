package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"
)

// PartialError comes with a restored agent, some of whose slices could not be
// restored: they are empty, the rest is as saved.
type PartialError struct {
	Agent  string
	Slices []*SliceError
}

func (e *PartialError) Error() string {
	texts := make([]string, len(e.Slices))
	for i, s := range e.Slices {
		texts[i] = fmt.Sprintf("slice %q: %v", s.Slice, s.Err)
	}
	return fmt.Sprintf("agent %s: restored without %s", e.Agent, strings.Join(texts, "; "))
}

func (e *PartialError) Unwrap() []error {
	errs := make([]error, len(e.Slices))
	for i, s := range e.Slices {
		errs[i] = s
	}
	return errs
}

// Restore brings an agent back from its newest good checkpoint. A torn or
// damaged checkpoint is passed over for the one before it, with a warning in
// the log and in the agent's events, see also [Agent.Skipped].
//
// Its type's Setup runs first, then the saved state is put into the slices. A
// sub-agent and its parent find each other again, whichever comes back first.
// Inputs that were not finished are listed by [Agent.Unfinished]. When some
// slices cannot be restored, Restore returns the agent together with a
// [*PartialError]. It fails with [ErrNotFound] when there is no checkpoint, and
// with [ErrDuplicate] when the agent lives.
func (m *Manager) Restore(ctx context.Context, id string) (*Agent, error) {
	return m.restore(ctx, id, 0, SpawnOptions{ID: id})
}

// RestoreCheckpoint brings the agent of a certain checkpoint back, as it was
// then. With an empty opts.ID, or another one than the checkpoint's, the result
// is a fork: a new agent that goes on from there while the old one is left as
// it is. With the same ID the agent itself is set back; its later checkpoints
// remain until retention removes them. The other options may be set as for
// [Manager.Spawn]; without opts.Config it is the saved one.
func (m *Manager) RestoreCheckpoint(ctx context.Context, checkpointID string, opts SpawnOptions) (*Agent, error) {
	id, seq, err := splitCheckpointID(checkpointID)
	if err != nil {
		return nil, err
	}
	return m.restore(ctx, id, seq, opts)
}

// restore builds an agent from checkpoint seq of agent id, 0 being the newest.
func (m *Manager) restore(ctx context.Context, id string, seq uint64, opts SpawnOptions) (*Agent, error) {
	start := time.Now()
	if m.store == nil {
		return nil, fmt.Errorf("agent %s: restore: %w", id, ErrNoStore)
	}
	h, err := readHistory(ctx, m.store, id)
	if err != nil {
		return nil, err
	}
	chain, skipped := h.pick(seq)
	if chain == nil {
		if len(skipped) > 0 {
			return nil, fmt.Errorf("agent %s: restore: no good checkpoint: %w", id, errors.Join(skipped...))
		}
		return nil, fmt.Errorf("agent %s: restore checkpoint: %w", id, ErrNotFound)
	}
	state := merge(chain)
	core, err := readCore(id, state)
	if err != nil {
		return nil, err
	}
	fork := opts.ID != id
	a, err := m.build(core.Type, opts)
	if err != nil {
		return nil, err
	}
	if parent, lives := m.Get(core.Parent); lives && !fork && a.budget == nil {
		a.budget = parent.budget
	}
	tip := chain[len(chain)-1]
	if err := m.revive(ctx, a, h, tip, state, core, fork, opts); err != nil {
		return nil, err
	}
	var failed []*SliceError
	for _, t := range a.sliceList() {
		saved := state[t.name]
		if saved == nil || t.opts.Transient {
			continue
		}
		delete(a.saver.unattached, t.name)
		var bad *SliceError
		if errors.As(a.fill(t, saved), &bad) {
			failed = append(failed, bad)
		}
		if fork {
			t.saved = false
		}
	}
	a.skipped = skipped
	a.saver.holdBack = false
	a.saver.turn.give()

	parent := opts.Parent
	if parent == nil && a.parent != "" {
		parent, _ = m.Get(a.parent)
	}
	if err := m.admit(ctx, a, parent); err != nil {
		return nil, err
	}
	for _, problem := range skipped {
		m.logger.Warn("damaged checkpoint passed over", "agent", a.id, "restored", checkpointID(id, tip.seq), "error", problem)
		a.Emit(Message{Level: slog.LevelWarn, Text: fmt.Sprintf("restored checkpoint %d; passed over: %v", tip.seq, problem)})
	}
	m.stats.restored.Add(1)
	if f := m.trace.Spawned; f != nil {
		f(a.id, core.Type, true, time.Since(start))
	}
	if len(failed) > 0 {
		partial := &PartialError{Agent: a.id, Slices: failed}
		a.Emit(Message{Level: slog.LevelError, Text: partial.Error()})
		return a, partial
	}
	return a, nil
}

// revive sets a up as what was saved. It holds a.saver.turn when it succeeds.
func (m *Manager) revive(ctx context.Context, a *Agent, h *history, tip *record, state map[string]*sliceState,
	core coreState, fork bool, opts SpawnOptions) error {
	a.config, a.born = core.Config, core.Born
	if opts.Config != nil {
		a.config = cloneRaw(opts.Config)
	}
	if fork {
		a.born = a.since
	} else if opts.Parent == nil {
		a.parent, a.depth = core.Parent, core.Depth
	}
	// The clock is ahead of the numbers that an earlier life came to after its
	// last checkpoint: no agent logs a million events a second all its life.
	begin := uint64(max(0, time.Now().UnixMicro()))
	for _, rec := range h.records {
		begin = max(begin, rec.events+1)
	}
	a.log.start(begin)
	a.saver.autoSeq.Store(begin)
	a.saver.holdBack = true
	a.saver.unattached = state
	if err := m.setUp(ctx, a); err != nil {
		return err
	}
	saved := state[coreName]
	delete(state, coreName)
	if err := (coreSlice{a}).UnmarshalJSON(saved.full); err != nil {
		m.bury(ctx, a)
		return &SliceError{Agent: a.id, Slice: coreName, Err: err}
	}
	if err := a.saver.turn.take(ctx); err != nil {
		m.bury(ctx, a)
		return fmt.Errorf("agent %s: restore: %w", a.id, err)
	}
	if !fork {
		a.saver.seq, a.saver.parent = h.last, tip.seq
		a.saver.last = tip.info(a.id)
		for i, rec := range h.records {
			superseded := int64(0)
			if i > 0 {
				superseded = rec.fullBytes()
			}
			a.saver.room.wrote(rec, superseded)
		}
	}
	return nil
}

// pick chooses the chain to restore: of checkpoint seq, or of the newest good
// one when seq is 0. It also returns what was passed over.
func (h *history) pick(seq uint64) (chain []*record, skipped []error) {
	if seq != 0 {
		if chain = h.chain(seq); chain == nil && h.bySeq[seq] != nil {
			skipped = append(h.problems, &CorruptError{Agent: h.agent, Seq: seq, Reason: "a checkpoint that it builds on is damaged"})
		}
		return chain, skipped
	}
	good := h.good()
	if len(good) == 0 {
		return nil, h.problems
	}
	tip := good[len(good)-1]
	skipped = h.problems
	lost := 0
	for _, rec := range h.records {
		if rec.seq > tip.seq {
			lost++
		}
	}
	if lost > 0 {
		skipped = append(skipped, &CorruptError{Agent: h.agent, Seq: tip.seq + 1,
			Reason: fmt.Sprintf("%d later checkpoints build on a damaged one", lost)})
	}
	return h.chain(tip.seq), skipped
}

// Skipped returns what was wrong with newer checkpoints than the one that the
// agent was restored from, or nil.
func (a *Agent) Skipped() []error { return a.skipped }

// Checkpoints lists the checkpoints of an agent that can be restored, oldest
// first, whether the agent lives or not.
func (m *Manager) Checkpoints(ctx context.Context, id string) ([]CheckpointInfo, error) {
	if m.store == nil {
		return nil, fmt.Errorf("agent %s: list checkpoints: %w", id, ErrNoStore)
	}
	h, err := readHistory(ctx, m.store, id)
	if err != nil {
		return nil, err
	}
	good := h.good()
	list := make([]CheckpointInfo, len(good))
	for i, rec := range good {
		list[i] = rec.info(id)
	}
	return list, nil
}

// Saved yields the IDs of all agents that have checkpoints.
func (m *Manager) Saved(ctx context.Context) iter.Seq2[string, error] {
	if m.store == nil {
		return func(yield func(string, error) bool) { yield("", ErrNoStore) }
	}
	return m.store.Agents(ctx)
}

// RestoreUnfinished brings back every agent that has unfinished inputs or open
// questions and does not live, as after a crash. It yields each agent as
// [Manager.Restore] returns it; one that cannot be restored is an error and
// does not keep the others from it.
func (m *Manager) RestoreUnfinished(ctx context.Context) iter.Seq2[*Agent, error] {
	return func(yield func(*Agent, error) bool) {
		for id, err := range m.Saved(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if _, lives := m.Get(id); lives {
				continue
			}
			unfinished, err := m.unfinished(ctx, id)
			if err == nil && !unfinished {
				continue
			}
			var a *Agent
			if err == nil {
				a, err = m.Restore(ctx, id)
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

func (m *Manager) unfinished(ctx context.Context, id string) (bool, error) {
	h, err := readHistory(ctx, m.store, id)
	if err != nil {
		return false, err
	}
	chain, skipped := h.pick(0)
	if chain == nil {
		if len(skipped) > 0 {
			return false, fmt.Errorf("agent %s: no good checkpoint: %w", id, errors.Join(skipped...))
		}
		return false, nil // a crash came before the first one was written
	}
	core, err := readCore(id, merge(chain))
	if err != nil {
		return false, err
	}
	return len(core.Inputs)+len(core.Requests) > 0, nil
}
