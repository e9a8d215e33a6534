package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoStore says that the manager was made without a store.
var ErrNoStore = errors.New("the manager has no store")

// saver is what an agent knows about its checkpoints.
type saver struct {
	turn   turn        // held while one is taken: at most one is in flight
	closed atomic.Bool // the agent has ended: nothing is written any more
	seq    uint64      // highest number that was tried
	parent uint64      // number of the last one that the store has for sure

	core     attached // the agent's own state
	holdBack bool     // during Setup of a restore: state is put in afterwards
	removed  []string // slices to be removed from the saved state
	// unattached is saved state for which no slice is attached. The chain of
	// records keeps it; only a complete record must repeat it.
	unattached map[string]*sliceState
	last       CheckpointInfo
	room       room

	autoSeq atomic.Uint64 // events at the last automatic checkpoint
	autoRun atomic.Bool   // one is started already
	timerMu sync.Mutex    // nothing else is locked while it is held
	timer   *time.Timer   // of AutoCheckpoint.Every
}

// turn is a lock that is waited for no longer than a context lasts.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}: // whether or not ctx has ended
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the checkpoint that is under way: %w", context.Cause(ctx))
	}
}

func (t turn) give() { <-t }

// Checkpoint saves what changed since the last checkpoint. When it returns
// without error the state survives a crash. If nothing changed it returns the
// last checkpoint. It may be called at any time, by the agent's own handlers
// too, though not by Setup; of concurrent calls one works and the others wait. It
// fails with [ErrStopped] once the agent has stopped.
func (a *Agent) Checkpoint(ctx context.Context) (CheckpointInfo, error) {
	if a.m.store == nil {
		return CheckpointInfo{}, fmt.Errorf("agent %s: checkpoint: %w", a.id, ErrNoStore)
	}
	if ctx.Err() != nil {
		return CheckpointInfo{}, fmt.Errorf("agent %s: checkpoint: %w", a.id, context.Cause(ctx))
	}
	if err := a.takeTurn(ctx); err != nil {
		return CheckpointInfo{}, fmt.Errorf("agent %s: checkpoint: %w", a.id, err)
	}
	defer a.saver.turn.give()
	var traced func(CheckpointInfo, error)
	if f := a.m.trace.StartCheckpoint; f != nil {
		var inner context.Context
		inner, traced = f(ctx, a.id)
		ctx = derived(ctx, inner)
	}
	start := time.Now()
	info, wrote, err := a.save(ctx)
	took := time.Since(start)
	if err != nil {
		a.m.stats.checkpointErrors.Add(1)
		a.m.logger.Error("checkpoint failed", "agent", a.id, "error", err)
	}
	if wrote {
		a.m.stats.checkpoints.Add(1)
		a.m.stats.checkpointBytes.Add(info.Bytes)
		a.m.stats.checkpointTime.Add(int64(took))
		a.Emit(Checkpointed{ID: info.ID, Bytes: info.Bytes})
		a.saver.autoSeq.Add(1) // that event does not count
	}
	if f := a.m.trace.Checkpoint; f != nil && (wrote || err != nil) {
		f(a.id, info, took, err)
	}
	if wrote {
		a.tidy(ctx)
	}
	if traced != nil {
		traced(info, err)
	}
	return info, err
}

// takeTurn waits until nobody else writes checkpoints of the agent. It fails when
// the agent has ended, or has not begun.
func (a *Agent) takeTurn(ctx context.Context) error {
	a.mu.Lock()
	state := a.state
	a.mu.Unlock()
	if state == starting {
		return errStarting
	}
	if err := a.saver.turn.take(ctx); err != nil {
		return err
	}
	if state == stopped || a.saver.closed.Load() {
		a.saver.turn.give()
		return ErrStopped
	}
	return nil
}

// LastCheckpoint returns the newest checkpoint of this agent, which may be the
// one it was restored from, and false when there is none.
func (a *Agent) LastCheckpoint() (CheckpointInfo, bool) {
	_ = a.saver.turn.take(context.Background()) // which does not end
	defer a.saver.turn.give()
	return a.saver.last, a.saver.last.Seq != 0
}

// CheckpointID takes a checkpoint and returns its ID, for those who keep it
// with a piece of work.
func (a *Agent) CheckpointID(ctx context.Context) (string, error) {
	info, err := a.Checkpoint(ctx)
	return info.ID, err
}

// Step takes a checkpoint at a point where the work of ctx may also end: it
// returns the [*AbortError] when a gentle abort waited for that. It is what a
// tool loop calls after each step; without a store it is [Agent.SafePoint].
func (a *Agent) Step(ctx context.Context) error {
	if a.m.store != nil {
		if _, err := a.Checkpoint(ctx); err != nil {
			return err
		}
	}
	return a.SafePoint(ctx)
}

// save writes a record. It is a's turn.
func (a *Agent) save(ctx context.Context) (info CheckpointInfo, wrote bool, err error) {
	s := &a.saver
	rec := &record{seq: s.seq + 1, parent: s.parent, time: time.Now(), events: a.log.last.Load()}
	var notes []func()

	core := coreSlice{a}
	s.core.slice, s.core.name = core, coreName
	list := append([]*attached{&s.core}, a.sliceList()...)
	superseded := int64(0)
	for _, t := range list {
		if t.opts.Transient {
			continue
		}
		var p *part
		var note func()
		err := guard(func() (err error) { p, note, err = t.capture(); return err })
		if err != nil {
			return s.last, false, &SliceError{Agent: a.id, Slice: t.name, Err: err}
		}
		if note != nil {
			notes = append(notes, note)
		}
		if p == nil {
			continue
		}
		if p.kind == partFull && t.saved {
			superseded += t.size
		}
		rec.parts = append(rec.parts, *p)
	}
	for _, name := range s.removed {
		rec.parts = append(rec.parts, part{kind: partRemove, name: name})
	}
	if len(rec.parts) == 0 && s.parent != 0 {
		for _, note := range notes {
			note()
		}
		return s.last, false, nil
	}
	if s.parent == 0 {
		for _, state := range s.unattached {
			rec.parts = append(rec.parts, state.parts()...)
		}
	}
	data, err := rec.encode(a.m.opts.Compress)
	if err != nil {
		return s.last, false, fmt.Errorf("agent %s: %w", a.id, err)
	}
	// The number is used up even when Append fails: the record may be there.
	s.seq = rec.seq
	if err := a.m.store.Append(ctx, a.id, Record{Seq: rec.seq, Data: data}); err != nil {
		if errors.Is(err, ErrConflict) {
			s.seq-- // surely not there; this agent must not get past the other one later
			if rec.seq == 1 {
				err = fmt.Errorf("%w: Restore the agent instead of spawning it anew, or Delete what is saved of it", err)
			}
		}
		return s.last, false, fmt.Errorf("agent %s: save checkpoint %d: %w", a.id, rec.seq, err)
	}
	for _, note := range notes {
		note()
	}
	rec.bytes = int64(len(data))
	s.parent = rec.seq
	s.removed = nil
	s.last = rec.info(a.id)
	s.room.wrote(rec, superseded)
	return s.last, true, nil
}

// Forget removes the saved state of a slice that is no longer attached, which
// checkpoints otherwise keep for ever.
func (a *Agent) Forget(name string) {
	_ = a.saver.turn.take(context.Background())
	defer a.saver.turn.give()
	if a.saver.unattached[name] == nil || a.Slice(name) != nil {
		return
	}
	delete(a.saver.unattached, name)
	a.saver.removed = append(a.saver.removed, name)
}

// autoCheckpoint takes a checkpoint by policy. Its failure is an event.
func (a *Agent) autoCheckpoint(ctx context.Context) (ok bool) {
	if a.m.store == nil {
		return true
	}
	a.saver.autoSeq.Store(a.log.last.Load())
	a.saver.disarm()
	// An aborted input is saved like any other.
	if _, err := a.Checkpoint(context.WithoutCancel(ctx)); err != nil {
		a.Emit(Message{Level: slog.LevelError, Text: "automatic checkpoint failed: " + err.Error()})
		return false
	}
	return true
}

// autoEvent looks whether an event makes a checkpoint due. It is called by
// Emit, with any lock held.
func (a *Agent) autoEvent(seq uint64) {
	if a.m.store == nil || a.log.closed.Load() {
		return
	}
	if !a.autoDue(seq) && a.typ.AutoCheckpoint.Every > 0 {
		a.autoArm()
	}
}

// autoDue takes a checkpoint if there were enough events and none is being taken.
func (a *Agent) autoDue(seq uint64) bool {
	n := a.typ.AutoCheckpoint.Events
	if n <= 0 || seq < a.saver.autoSeq.Load()+uint64(n) || !a.saver.autoRun.CompareAndSwap(false, true) {
		return false
	}
	a.autoStart()
	return true
}

// autoArm sees to it that a checkpoint is taken in a while.
func (a *Agent) autoArm() {
	s := &a.saver
	s.timerMu.Lock()
	defer s.timerMu.Unlock()
	if s.timer != nil {
		return
	}
	s.timer = time.AfterFunc(a.typ.AutoCheckpoint.Every, func() {
		s.disarm()
		if s.autoRun.CompareAndSwap(false, true) {
			a.autoStart()
		} else {
			a.autoArm() // the one under way may have begun before the event
		}
	})
}

func (s *saver) disarm() {
	s.timerMu.Lock()
	defer s.timerMu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// autoStart takes a checkpoint in a goroutine of its own.
func (a *Agent) autoStart() {
	go func() {
		a.mu.Lock()
		if a.state != active {
			a.mu.Unlock()
			a.saver.autoRun.Store(false)
			return
		}
		w := a.begin("checkpoint")
		a.mu.Unlock()
		ok := a.autoCheckpoint(a.context(nil))
		a.saver.autoRun.Store(false)
		if ok {
			a.autoDue(a.log.last.Load()) // for what happened meanwhile
		}
		a.mu.Lock()
		a.end(w)
		a.mu.Unlock()
	}()
}
