// Package tool defines the action that a model may call: a name, a description,
// a JSON schema for its arguments, what it may do to the world, and the Go
// function that does it.
//
// Every feature package hands its actions out as a []Tool and every tool loop
// takes a []Tool, so that neither needs to know the other. [New] makes one from
// a typed Go function; a Tool literal serves when the schema comes from
// elsewhere.
//
// A Tool is a plain value: to wrap one, copy it and replace Call.
package tool

import (
	"context"
	"encoding/json"
)

// Tool is an action that a model may call. Tools are values: they may be copied
// and must not be changed once they are in use. Call must be safe for
// concurrent use, because models ask for several calls at once.
type Tool struct {
	// Name is what the model calls: letters, digits, '_' and '-', at most 64
	// bytes, which is what every provider accepts.
	Name string

	// Description tells the model what the tool does, when to use it and what
	// it returns.
	Description string

	// Schema is the JSON schema of the arguments, whose top level is an object.
	// Empty means a tool without arguments.
	Schema json.RawMessage

	// Annotations describe the tool as a whole.
	Annotations Annotations

	// Effects names what one call would touch, before it is made, so that a
	// policy can allow, ask or deny it. Nil means: nothing for a read-only tool
	// and one [Unknown] effect for any other. It must not have side effects and
	// must accept arguments that are not valid.
	Effects func(args json.RawMessage) []Effect

	// Preview shows a person what one call would do, such as the diff of an
	// edit. Nil means that the arguments speak for themselves. It must not have
	// side effects.
	Preview func(ctx context.Context, args json.RawMessage) (string, error)

	// Call does the work. An error goes to the model as the call's result and
	// never ends the run, so its text should say what to do differently.
	Call func(ctx context.Context, args json.RawMessage) (Result, error)
}

// Annotations describe a tool's behaviour. The names and meanings are those of
// the Model Context Protocol's tool annotations; the zero value claims nothing.
type Annotations struct {
	// Title is a name for people. Empty means the tool's Name.
	Title string `json:"title,omitempty"`

	// ReadOnly says that a call changes nothing.
	ReadOnly bool `json:"readOnlyHint,omitempty"`

	// Destructive says that a call may remove or overwrite what was there.
	Destructive bool `json:"destructiveHint,omitempty"`

	// Idempotent says that repeating a call with the same arguments changes
	// nothing further, so that an interrupted call may be made again.
	Idempotent bool `json:"idempotentHint,omitempty"`

	// OpenWorld says that a call reaches beyond the workspace, such as the
	// network.
	OpenWorld bool `json:"openWorldHint,omitempty"`

	// Exclusive says that a call must not run beside other calls of the same
	// turn. It is not part of the Model Context Protocol.
	Exclusive bool `json:"exclusive,omitempty"`
}

// Repeatable reports whether an interrupted call may be made again without
// asking: the tool is read-only or idempotent.
func (a Annotations) Repeatable() bool { return a.ReadOnly || a.Idempotent }

// EffectKind classifies what a call does to the world.
type EffectKind string

// The kinds of effects that a policy decides on.
const (
	Read     EffectKind = "read"      // reads Target, a path
	Write    EffectKind = "write"     // creates, changes or removes Target, a path
	Exec     EffectKind = "exec"      // runs Target, a command line
	Network  EffectKind = "network"   // talks to Target, a host or URL
	SQLWrite EffectKind = "sql-write" // changes data; Target is "provider: statement"
	Unknown  EffectKind = "unknown"   // anything; the tool declares nothing
)

// Effect is one thing that a call would do.
type Effect struct {
	Kind   EffectKind `json:"kind"`
	Target string     `json:"target,omitempty"`
}

// EffectsOf returns what a call with args would do, applying the defaults that
// [Tool.Effects] documents.
func (t Tool) EffectsOf(args json.RawMessage) []Effect {
	switch {
	case t.Effects != nil:
		return t.Effects(args)
	case t.Annotations.ReadOnly:
		return nil
	default:
		return []Effect{{Kind: Unknown}}
	}
}

// Result is what a call gives back to the model.
type Result struct {
	// Text is the result as the model reads it. JSON results are rendered into
	// it.
	Text string `json:"text,omitempty"`

	// Media are images or other files that belong to the result.
	Media []Media `json:"media,omitempty"`

	// IsError says that the call failed in a way the model should see.
	IsError bool `json:"isError,omitempty"`

	// Truncated counts the bytes that the size limit removed from Text.
	Truncated int `json:"truncated,omitempty"`
}

// Media is a file in a result.
type Media struct {
	MediaType string `json:"mediaType"` // such as "image/png"
	Data      []byte `json:"data"`
}

// Text returns a Result that holds text.
func Text(text string) Result { return Result{Text: text} }
