package mcptool

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sync/semaphore"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// maxCalls bounds the calls that run at once, over all clients of a server.
const maxCalls = 8

// AddTools offers tools to the clients of server. Errors and panics of a tool
// become results that the client's model reads; a client that cancels a call or
// goes away cancels its context. Calls of tools that are [tool.Annotations]
// Exclusive run alone, the others up to 8 at once. The tools ask nobody: that is
// the client's part. A panic's stack goes to logger; nil means slog.Default().
//
// It panics when a schema is not that of an object, as [mcp.Server.AddTool] does.
func AddTools(server *mcp.Server, tools []tool.Tool, logger *slog.Logger) {
	if logger == nil {
		logger = slog.Default()
	}
	gate := semaphore.NewWeighted(maxCalls)
	for _, t := range tools {
		described := &mcp.Tool{Name: t.Name, Description: t.Description, Annotations: toAnnotations(t.Annotations)}
		if described.InputSchema = t.Schema; len(t.Schema) == 0 {
			described.InputSchema = map[string]any{"type": "object"}
		}
		server.AddTool(described, handler(t, gate, logger))
	}
}

func handler(t tool.Tool, gate *semaphore.Weighted, logger *slog.Logger) mcp.ToolHandler {
	weight := int64(1)
	if t.Annotations.Exclusive {
		weight = maxCalls
	}
	return func(ctx context.Context, req *mcp.CallToolRequest) (res *mcp.CallToolResult, _ error) {
		if err := gate.Acquire(ctx, weight); err != nil {
			return nil, err
		}
		defer gate.Release(weight)
		defer func() {
			if p := recover(); p != nil {
				logger.ErrorContext(ctx, "tool panicked", "tool", t.Name, "panic", p, "stack", string(debug.Stack()))
				res = failed(fmt.Sprintf("tool %s failed internally: %v", t.Name, p))
			}
		}()
		out, err := t.Call(ctx, req.Params.Arguments)
		if err != nil {
			return failed(err.Error()), nil
		}
		return toResult(t.Name, out), nil
	}
}

func failed(why string) *mcp.CallToolResult {
	return toResult("", tool.Result{Text: why, IsError: true})
}
