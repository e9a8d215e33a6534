package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// SavedCheckpoint is what a checkpoint holds, for tools that show or compare
// checkpoints; [Manager.RestoreCheckpoint] is how to go on from one.
type SavedCheckpoint struct {
	CheckpointInfo
	Type   string          `json:"type"` // of the agent
	Config json.RawMessage `json:"config,omitempty"`
	Slices []SavedSlice    `json:"slices"` // by name; the agent's own state is ".agent"
}

// SavedSlice is the saved form of one state slice: a whole state and, when the
// slice saves increments, what was appended to it, in order. Only the slice
// knows what the bytes mean; a State is JSON.
type SavedSlice struct {
	Name    string   `json:"name"`
	Version int      `json:"version"`
	State   []byte   `json:"state"`
	Deltas  [][]byte `json:"deltas,omitempty"`
}

// ReadCheckpoint reads a checkpoint without making an agent of it: no Setup
// runs, and the agent's type need not be known. It fails with [ErrNotFound] when
// there is none of that ID, and with a [*CorruptError] when it is damaged.
func (m *Manager) ReadCheckpoint(ctx context.Context, checkpointID string) (*SavedCheckpoint, error) {
	id, seq, err := splitCheckpointID(checkpointID)
	if err != nil {
		return nil, err
	}
	if m.store == nil {
		return nil, fmt.Errorf("agent %s: read checkpoint: %w", id, ErrNoStore)
	}
	h, err := readHistory(ctx, m.store, id)
	if err != nil {
		return nil, err
	}
	chain, skipped := h.pick(seq)
	if chain == nil {
		return nil, fmt.Errorf("agent: read checkpoint %s: %w", checkpointID, cmp.Or(errors.Join(skipped...), ErrNotFound))
	}
	state := merge(chain)
	core, err := readCore(id, state)
	if err != nil {
		return nil, err
	}
	saved := &SavedCheckpoint{CheckpointInfo: chain[len(chain)-1].info(id), Type: core.Type, Config: core.Config}
	for _, s := range state {
		saved.Slices = append(saved.Slices, SavedSlice{Name: s.name, Version: s.version, State: s.full, Deltas: s.deltas})
	}
	slices.SortFunc(saved.Slices, func(a, b SavedSlice) int { return cmp.Compare(a.Name, b.Name) })
	return saved, nil
}
