package git

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// AutoSnapshotOptions configure [NewAutoSnapshot].
type AutoSnapshotOptions struct {
	// Keep is how many snapshots and backups stay whatever their age. Default
	// 50.
	Keep int

	// MaxAge is when the others are forgotten. Default 7 days.
	MaxAge time.Duration
}

// AutoSnapshot saves the working state before the first write of each input, so
// that everything an agent does with an input can be undone, committed or not.
// It is a state slice: an input that is resumed does not save a half-done state
// over the one before it. It is safe for concurrent use.
type AutoSnapshot struct {
	s    *Service
	opts AutoSnapshotOptions

	run mutex
	mu  sync.Mutex
	st  snapshotState
	gen uint64

	input uint64 // counts calls of Begin
}

type snapshotState struct {
	Reason string    `json:"reason,omitempty"`
	Taken  bool      `json:"taken,omitempty"` // for the present input
	Last   *Snapshot `json:"last,omitempty"`
}

// NewAutoSnapshot makes the hook.
func NewAutoSnapshot(s *Service, opts AutoSnapshotOptions) *AutoSnapshot {
	if opts.Keep <= 0 {
		opts.Keep = 50
	}
	if opts.MaxAge <= 0 {
		opts.MaxAge = 7 * 24 * time.Hour
	}
	return &AutoSnapshot{s: s, opts: opts, run: newMutex()}
}

// Begin says that a new input begins; the reason, such as its text, becomes that
// of the snapshot. Do not call it when an input is resumed.
func (a *AutoSnapshot) Begin(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(reason) > 200 {
		reason = reason[:200]
	}
	a.st.Reason, a.st.Taken = reason, false
	a.input++
	a.gen++
}

// BeforeWrite saves the working state unless that has been done for the present
// input. Call it before every tool that may write. On an error nothing is saved,
// and the tool should not run.
func (a *AutoSnapshot) BeforeWrite(ctx context.Context) error {
	if err := a.run.lock(ctx); err != nil {
		return fmt.Errorf("git: auto-snapshot: %w", err)
	}
	defer a.run.unlock()
	a.mu.Lock()
	taken, reason, input := a.st.Taken, a.st.Reason, a.input
	a.mu.Unlock()
	if taken {
		return nil
	}
	snap, err := a.s.Snapshot(ctx, reason)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.st.Taken, a.st.Last = a.input == input, &snap // a new input needs its own
	a.gen++
	a.mu.Unlock()
	if _, err := a.s.PruneSnapshots(ctx, a.opts.MaxAge, a.opts.Keep); err != nil {
		a.s.opts.Logger.WarnContext(ctx, "git: old snapshots stay", "repository", a.s.root, "error", err)
	}
	return nil
}

// Last returns the latest snapshot: RestoreSnapshot(ctx, it.ID) undoes the input
// that it was taken for.
func (a *AutoSnapshot) Last() (Snapshot, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.st.Last == nil {
		return Snapshot{}, false
	}
	return *a.st.Last, true
}

// MarshalJSON returns the state.
func (a *AutoSnapshot) MarshalJSON() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return json.Marshal(a.st)
}

// UnmarshalJSON restores what MarshalJSON returned.
func (a *AutoSnapshot) UnmarshalJSON(data []byte) error {
	var st snapshotState
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("git: auto-snapshot: restore: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.st = st
	a.gen++
	return nil
}

// Reset forgets the latest snapshot for the scopes "chat", "history" and "all".
// The snapshots themselves stay in the repository.
func (a *AutoSnapshot) Reset(scope string) {
	switch scope {
	case "chat", "history", "all":
		a.mu.Lock()
		defer a.mu.Unlock()
		a.st = snapshotState{}
		a.gen++
	}
}

// Generation changes whenever the state does.
func (a *AutoSnapshot) Generation() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gen
}
