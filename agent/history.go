package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CheckpointInfo describes a checkpoint.
type CheckpointInfo struct {
	// ID names it everywhere: "agent@seq".
	ID    string    `json:"id"`
	Agent string    `json:"agent"`
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	// Bytes is what its record takes in the store: what changed since the one
	// before it.
	Bytes int64 `json:"bytes"`
}

func checkpointID(agentID string, seq uint64) string {
	return agentID + "@" + strconv.FormatUint(seq, 10)
}

// splitCheckpointID takes "agent@seq" apart.
func splitCheckpointID(id string) (agentID string, seq uint64, err error) {
	agentID, number, ok := strings.Cut(id, "@")
	if ok {
		seq, err = strconv.ParseUint(number, 10, 64)
	}
	if !ok || err != nil || seq == 0 || agentID == "" {
		return "", 0, fmt.Errorf("checkpoint %q: want an ID like agent@17: %w", id, ErrNotFound)
	}
	return agentID, seq, nil
}

func (r *record) info(agentID string) CheckpointInfo {
	return CheckpointInfo{ID: checkpointID(agentID, r.seq), Agent: agentID, Seq: r.seq, Time: r.time, Bytes: r.bytes}
}

// history is what a store knows of an agent.
type history struct {
	agent    string
	records  []*record // ascending, the readable ones
	bySeq    map[uint64]*record
	last     uint64  // highest number seen, readable or not
	problems []error // *CorruptError
}

func readHistory(ctx context.Context, store Store, agentID string) (*history, error) {
	h := &history{agent: agentID, bySeq: map[uint64]*record{}}
	for raw, err := range store.Records(ctx, agentID) {
		var broken *CorruptError
		switch {
		case errors.As(err, &broken):
			h.last = max(h.last, broken.Seq)
			h.problems = append(h.problems, err)
			continue
		case err != nil:
			return nil, fmt.Errorf("agent %s: read checkpoints: %w", agentID, err)
		}
		h.last = max(h.last, raw.Seq)
		rec, err := decodeRecord(raw.Data)
		if err == nil && rec.seq != raw.Seq {
			err = damaged("it says it is %d", rec.seq)
		}
		if err != nil {
			h.problems = append(h.problems, &CorruptError{Agent: agentID, Seq: raw.Seq, Reason: err.Error()})
			continue
		}
		if h.bySeq[rec.seq] == nil {
			h.records = append(h.records, rec)
			h.bySeq[rec.seq] = rec
		}
	}
	slices.SortFunc(h.records, func(a, b *record) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	return h, nil
}

// chain returns the records that make up checkpoint seq, the complete one
// first, or nil when one of them is missing.
func (h *history) chain(seq uint64) []*record {
	var chain []*record
	for {
		rec := h.bySeq[seq]
		if rec == nil {
			return nil
		}
		chain = append(chain, rec)
		if rec.parent == 0 {
			slices.Reverse(chain)
			return chain
		}
		seq = rec.parent
	}
}

// good returns the checkpoints that can be restored, oldest first.
func (h *history) good() []*record {
	whole := make(map[uint64]bool, len(h.records))
	var list []*record
	for _, rec := range h.records {
		if rec.parent == 0 || whole[rec.parent] {
			whole[rec.seq] = true
			list = append(list, rec)
		}
	}
	return list
}

// sliceState is a slice's saved form: a whole state and what was appended to it.
type sliceState struct {
	name    string
	version int
	full    []byte
	deltas  [][]byte
}

func (s *sliceState) size() int64 {
	n := int64(len(s.full))
	for _, d := range s.deltas {
		n += int64(len(d))
	}
	return n
}

// parts returns the parts that a complete record needs for the slice.
func (s *sliceState) parts() []part {
	list := []part{{kind: partFull, name: s.name, version: s.version, data: s.full}}
	for _, d := range s.deltas {
		list = append(list, part{kind: partDelta, name: s.name, version: s.version, data: d})
	}
	return list
}

// merge applies the records of a chain one after another.
func merge(chain []*record) map[string]*sliceState {
	state := map[string]*sliceState{}
	for _, rec := range chain {
		for _, p := range rec.parts {
			switch p.kind {
			case partFull:
				state[p.name] = &sliceState{name: p.name, version: p.version, full: p.data}
			case partDelta:
				if s := state[p.name]; s != nil {
					s.deltas = append(s.deltas, p.data)
				} else {
					// Cannot be written by us; what follows it is all there is.
					state[p.name] = &sliceState{name: p.name, version: p.version, deltas: [][]byte{p.data}}
				}
			case partRemove:
				delete(state, p.name)
			}
		}
	}
	return state
}
