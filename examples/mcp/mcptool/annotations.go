package mcptool

import (
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// fromAnnotations fills in the defaults of the protocol: a tool that says
// nothing may destroy and may reach the open world. The hints that make a call
// look harmless count only when the server is trusted.
func fromAnnotations(t *mcp.Tool, trusted bool) tool.Annotations {
	hints := t.Annotations
	if hints == nil {
		hints = &mcp.ToolAnnotations{}
	}
	a := tool.Annotations{
		Title:       hints.Title,
		ReadOnly:    hints.ReadOnlyHint && trusted,
		Idempotent:  hints.IdempotentHint && trusted,
		Destructive: orTrue(hints.DestructiveHint) && !hints.ReadOnlyHint,
		OpenWorld:   orTrue(hints.OpenWorldHint),
	}
	if t.Title != "" {
		a.Title = t.Title
	}
	if !trusted {
		a.Destructive, a.OpenWorld = true, true
	}
	return a
}

// toAnnotations says everything, because what is left out means true in parts.
func toAnnotations(a tool.Annotations) *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{
		Title:           a.Title,
		ReadOnlyHint:    a.ReadOnly,
		IdempotentHint:  a.Idempotent,
		DestructiveHint: new(a.Destructive && !a.ReadOnly),
		OpenWorldHint:   new(a.OpenWorld),
	}
}

func orTrue(hint *bool) bool { return hint == nil || *hint }
