package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Defaults of [Retention].
const (
	DefaultKeepLast = 100
	// tidyMin is how much must be reclaimable before a store is rewritten.
	tidyMin = 1 << 20
)

// Retention says which checkpoints of an agent are kept. Those that are not are
// folded into the ones after them when that frees at least as much as is kept,
// so that the cost of tidying stays below the cost of saving.
type Retention struct {
	// Last is how many of the newest are kept. 0 means [DefaultKeepLast];
	// negative means all.
	Last int
	// Daily is for how many days the last one of each day (UTC) is kept too.
	Daily int
}

// room estimates what of an agent's records could be given back.
type room struct {
	total       int64 // bytes of all records
	reclaimable int64 // of these, what no kept checkpoint needs
	window      []roomRecord
	count       int // records in the store
}

type roomRecord struct {
	seq        uint64
	superseded int64 // bytes that only checkpoints before this one need
}

func (r *room) wrote(rec *record, superseded int64) {
	r.total += rec.bytes
	r.count++
	r.window = append(r.window, roomRecord{rec.seq, superseded})
}

// slide counts what left the window of the newest keep checkpoints.
func (r *room) slide(keep int) {
	for len(r.window) > keep {
		// The oldest of the window is the first kept one: what it superseded is
		// needed by none that is kept.
		r.reclaimable += r.window[0].superseded
		r.window[0].superseded = 0
		r.window = r.window[1:]
		if len(r.window) > 0 {
			r.reclaimable += r.window[0].superseded
			r.window[0].superseded = 0
		}
	}
}

// tidy gives room back when it is worth it. Its failure costs room, nothing
// else. It is a's turn.
func (a *Agent) tidy(ctx context.Context) {
	keep := a.m.opts.Retention
	r := &a.saver.room
	if keep.Last < 0 {
		r.window = nil
		return
	}
	r.slide(keep.Last)
	if r.reclaimable < tidyMin || r.reclaimable < r.total-r.reclaimable {
		return
	}
	if err := a.prune(ctx, keep, time.Now()); err != nil {
		r.reclaimable = 0 // do not try again at every checkpoint
		a.m.logger.Warn("checkpoints not tidied", "agent", a.id, "error", err)
		a.Emit(Message{Level: slog.LevelWarn, Text: "old checkpoints could not be removed: " + err.Error()})
	}
}

// Prune applies the manager's retention to the agent's checkpoints now.
func (a *Agent) Prune(ctx context.Context) error {
	if a.m.store == nil {
		return fmt.Errorf("agent %s: prune: %w", a.id, ErrNoStore)
	}
	if err := a.takeTurn(ctx); err != nil {
		return fmt.Errorf("agent %s: prune: %w", a.id, err)
	}
	defer a.saver.turn.give()
	return a.prune(ctx, a.m.opts.Retention, time.Now())
}

func (a *Agent) prune(ctx context.Context, keep Retention, now time.Time) error {
	h, err := readHistory(ctx, a.m.store, a.id)
	if err != nil {
		return err
	}
	if tip := a.saver.parent; tip != 0 && !slices.ContainsFunc(h.good(), func(rec *record) bool { return rec.seq == tip }) {
		a.m.logger.Warn("the newest checkpoint is damaged; the next one will be complete", "agent", a.id, "checkpoint", tip)
		a.saver.startOver(a.sliceList())
	}
	kept := h.kept(keep, now, a.saver.parent)
	if len(kept) == 0 || len(kept) == len(h.records) && len(h.problems) == 0 {
		return nil
	}
	recs := make([]Record, 0, len(kept))
	next := room{}
	for i, rec := range h.fold(kept) {
		data, err := rec.encode(a.m.opts.Compress)
		if err != nil {
			return err
		}
		recs = append(recs, Record{Seq: rec.seq, Data: data})
		rec.bytes = int64(len(data))
		next.wrote(rec, 0)
		if i > 0 {
			next.window[i].superseded = rec.fullBytes()
		}
	}
	if err := a.m.store.Replace(ctx, a.id, h.last, recs); err != nil {
		return fmt.Errorf("agent %s: replace %d checkpoints by %d: %w", a.id, len(h.records), len(recs), err)
	}
	next.slide(max(keep.Last, 1))
	next.reclaimable = 0
	a.saver.room = next
	return nil
}

// startOver makes the next checkpoint a complete one. It is the agent's turn.
func (s *saver) startOver(slices []*attached) {
	s.parent = 0
	s.core.saved = false
	for _, t := range slices {
		t.saved = false
	}
}

// fullBytes estimates what a record superseded: whole states replace ones of
// about their size.
func (r *record) fullBytes() int64 {
	var n int64
	for _, p := range r.parts {
		if p.kind == partFull {
			n += int64(len(p.data))
		}
	}
	return n
}

// kept chooses, oldest first, the checkpoints that stay; tip always does.
func (h *history) kept(keep Retention, now time.Time, tip uint64) []*record {
	good := h.good()
	day := func(t time.Time) int64 { return t.UTC().Unix() / 86400 }
	var list []*record
	for i, rec := range good {
		stays := rec.seq == tip || keep.Last < 0 || i >= len(good)-keep.Last
		if !stays && keep.Daily > 0 && day(now)-day(rec.time) < int64(keep.Daily) {
			stays = i == len(good)-1 || day(good[i+1].time) != day(rec.time)
		}
		if stays {
			list = append(list, rec)
		}
	}
	return list
}

// fold rewrites the kept checkpoints so that they need no others: each holds
// what the ones between it and its nearest kept ancestor held.
func (h *history) fold(kept []*record) []*record {
	stays := make(map[uint64]bool, len(kept))
	for _, rec := range kept {
		stays[rec.seq] = true
	}
	out := make([]*record, 0, len(kept))
	for _, rec := range kept {
		var steps []*record
		parent := rec.parent
		steps = append(steps, rec)
		for parent != 0 && !stays[parent] {
			p := h.bySeq[parent]
			steps = append(steps, p)
			parent = p.parent
		}
		slices.Reverse(steps)
		out = append(out, &record{seq: rec.seq, parent: parent, time: rec.time, events: rec.events, parts: foldParts(steps)})
	}
	return out
}

// foldParts joins the parts of successive records: a whole state makes what
// came before it for its slice superfluous.
func foldParts(steps []*record) []part {
	var order []string
	bySlice := map[string][]part{}
	for _, rec := range steps {
		for _, p := range rec.parts {
			if _, known := bySlice[p.name]; !known {
				order = append(order, p.name)
			}
			if p.kind == partDelta {
				bySlice[p.name] = append(bySlice[p.name], p)
			} else {
				bySlice[p.name] = []part{p}
			}
		}
	}
	var parts []part
	for _, name := range order {
		parts = append(parts, bySlice[name]...)
	}
	return parts
}
