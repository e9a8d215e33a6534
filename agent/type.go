package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Type describes a kind of agent: how one is set up and what it does with an
// input. A Manager holds types by name and spawns agents of them.
type Type struct {
	// Name is how the type is called in [Manager.Spawn] and in checkpoints.
	Name string
	// Description says what agents of the type are for.
	Description string

	// Setup attaches state slices, hooks and commands. It runs exactly once in
	// the life of an agent in a process: when it is spawned, and when it is
	// restored, then before its saved state is put into the slices. An error
	// makes the spawn or restore fail. Nil attaches nothing.
	Setup func(ctx context.Context, a *Agent) error

	// Handle works on one input. Inputs run one after another. ctx ends when
	// the input is aborted or the agent stops; its cause says which. When the
	// input was interrupted in an earlier life of the agent and is resumed,
	// in.Resumed is true and Handle continues instead of starting over.
	// Nil makes an agent that only knows commands.
	Handle func(ctx context.Context, a *Agent, in Input) error

	// Initial lines are submitted in order when an agent is spawned, not when
	// it is restored. A line may be a command.
	Initial []string

	// Pool is how many released agents of the type wait for reuse; see
	// [Manager.Acquire]. 0 reuses none.
	Pool int

	// IdleTimeout stops an agent that has been idle this long: no input runs
	// or waits, no question is open. 0 means never.
	IdleTimeout time.Duration
	// MaxRunTime stops an agent this long after it was spawned or restored,
	// whatever it does. 0 means never.
	MaxRunTime time.Duration

	// AbortGrace is how long work may go on after it was aborted before its
	// input is finished without it. 0 means [DefaultAbortGrace].
	AbortGrace time.Duration
	// DrainTimeout is how long the next input waits for work that ignores its
	// abort, so that two inputs do not touch the same state at once. Work that
	// takes longer is left behind, and named by Delete and Shutdown. 0 means
	// [DefaultDrainTimeout].
	DrainTimeout time.Duration

	// KeepInputs saves the texts of this many newest inputs; see
	// [Agent.InputHistory]. 0 saves none.
	KeepInputs int
	// KeepEvents saves this many newest events, without those about checkpoints
	// and idleness; see [Agent.PastEvents]. 0 saves none.
	KeepEvents int

	// Log bounds the event log.
	Log LogOptions
	// AutoCheckpoint says when checkpoints are taken by themselves. The zero
	// value takes none, except the last one when the agent stops.
	AutoCheckpoint AutoCheckpoint
}

// AutoCheckpoint is a policy. Any combination is possible; at most one
// checkpoint of an agent is in flight at a time.
type AutoCheckpoint struct {
	// BeforeInput takes one when an input begins, so that it is known after a
	// crash.
	BeforeInput bool
	// AfterInput takes one when an input finished.
	AfterInput bool
	// Events takes one after this many events. 0 means no.
	Events int
	// Every takes one when this long has passed since an event without one, and
	// again after as long if that fails. An idle agent takes none. 0 means no.
	Every time.Duration
}

// Defaults of [Type].
const (
	DefaultAbortGrace   = 100 * time.Millisecond
	DefaultDrainTimeout = 10 * time.Second
)

// Config is what a host gives an agent at birth, kept with its checkpoints.
type Config = json.RawMessage

func (t *Type) check() error {
	if err := checkName("type", t.Name); err != nil {
		return err
	}
	if t.IdleTimeout < 0 || t.MaxRunTime < 0 {
		return fmt.Errorf("agent: type %q: IdleTimeout and MaxRunTime must not be negative", t.Name)
	}
	return nil
}

func (t *Type) withDefaults() *Type {
	c := *t
	if c.AbortGrace <= 0 {
		c.AbortGrace = DefaultAbortGrace
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	c.Log = c.Log.withDefaults()
	return &c
}

// checkName reports why name cannot name an agent, type or slice. The limits
// make every name fit into a file name, a database key and a NATS subject after
// escaping.
func checkName(what, name string) error {
	if name == "" || len(name) > 64 {
		return fmt.Errorf("agent: %s name %q: want 1 to 64 bytes, got %d", what, name, len(name))
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == 0xfffd || r == '@' {
			return fmt.Errorf("agent: %s name %q: %q is not allowed in it", what, name, r)
		}
	}
	return nil
}
