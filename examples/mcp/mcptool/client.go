// Package mcptool joins tools and the Model Context Protocol: [Tools] makes the
// tools of an MCP server callable by a model, [AddTools] offers tools to any MCP
// client.
package mcptool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenring-ai/tokenring-go/utility/text"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Defaults of [Options] and what is accepted of a server.
const (
	DefaultMaxMedia = 4 << 20 // below the 5 MB that providers take of an image

	maxTools       = 1000 // of one server
	maxDescription = 4096 // columns of a tool's description
)

// ErrServerGone is wrapped by the errors of calls to a server that has ended or
// whose connection broke.
var ErrServerGone = errors.New("the MCP server is gone")

// Options say how [Tools] treats a server. The zero value trusts it with nothing.
type Options struct {
	// Prefix comes before the name of each tool, to tell servers apart.
	Prefix string

	// Trusted believes the server's hints that a tool is read-only, idempotent
	// or not destructive. Of any other server every tool counts as able to do
	// anything: a policy asks, and an interrupted call is not repeated.
	Trusted bool

	// MaxResult bounds the text of a result in bytes; the middle is cut out.
	// 0 means [tool.DefaultMaxResult].
	MaxResult int

	// MaxMedia bounds the images of a result in bytes; those beyond it are named
	// in the text instead. 0 means [DefaultMaxMedia].
	MaxMedia int
}

// Tools lists the tools of the server at the other end of session. They stay
// valid as long as the session is open; what the server adds later is not among
// them. A name that models cannot use is changed, and made unique.
//
// A call fails with the server's message when the server refuses it, with
// [ErrServerGone] when the server has ended, and with the context's error when
// that ends, upon which the server is told to stop. Results that the server
// itself marks as failed have IsError set. The server validates the arguments.
func Tools(ctx context.Context, session *mcp.ClientSession, opts Options) ([]tool.Tool, error) {
	if opts.MaxResult <= 0 {
		opts.MaxResult = tool.DefaultMaxResult
	}
	if opts.MaxMedia <= 0 {
		opts.MaxMedia = DefaultMaxMedia
	}
	var tools []tool.Tool
	unique := namer{}
	for t, err := range session.Tools(ctx, nil) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("listing the tools of the MCP server: %w", explain(ctx, err))
		case t == nil:
			continue
		case len(tools) == maxTools:
			return nil, fmt.Errorf("listing the tools of the MCP server: it has more than %d", maxTools)
		}
		schema, err := json.Marshal(t.InputSchema)
		if err != nil {
			return nil, fmt.Errorf("the schema of the MCP server's tool %.80q: %w", t.Name, err)
		}
		if !bytes.HasPrefix(schema, []byte("{")) {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		tools = append(tools, tool.Tool{
			Name:        unique.name(opts.Prefix + t.Name),
			Description: text.Truncate(t.Description, maxDescription),
			Schema:      schema,
			Annotations: fromAnnotations(t, opts.Trusted),
			Call:        caller(session, t.Name, opts),
		})
	}
	return tools, nil
}

func caller(session *mcp.ClientSession, name string, opts Options) func(context.Context, json.RawMessage) (tool.Result, error) {
	return func(ctx context.Context, args json.RawMessage) (tool.Result, error) {
		params := &mcp.CallToolParams{Name: name}
		if trimmed := bytes.TrimSpace(args); len(trimmed) > 0 && !bytes.Equal(trimmed, []byte("null")) {
			if !json.Valid(trimmed) {
				return tool.Result{}, &tool.ArgumentError{Tool: name, Err: errors.New("malformed JSON")}
			}
			params.Arguments = args
		}
		res, err := session.CallTool(ctx, params)
		if err != nil {
			return tool.Result{}, explain(ctx, err)
		}
		if res.NeedsInput() {
			return tool.Result{}, errors.New("the MCP server wants input from a person, which this program cannot give; try without")
		}
		return fromResult(res, opts.MaxResult, opts.MaxMedia), nil
	}
}

// explain puts an error of a session into words for a model.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, mcp.ErrConnectionClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("%w: none of its tools can be called any more, and whether this call took effect is unknown", ErrServerGone)
	}
	if refused, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return fmt.Errorf("the MCP server refuses: %s (code %d)", clip(refused.Message), refused.Code)
	}
	return fmt.Errorf("the MCP server's answer cannot be used: %s", clip(err.Error()))
}

// clip bounds a message that a server wrote.
func clip(s string) string {
	const most = 4096
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// namer makes names that every provider accepts, each once.
type namer map[string]bool

func (n namer) name(wanted string) string {
	const most = 64 // see tool.CheckName
	clean := strings.Map(func(r rune) rune {
		if tool.CheckName(string(r)) != nil {
			return '_'
		}
		return r
	}, wanted)
	if clean == "" {
		clean = "tool"
	}
	name := clean[:min(len(clean), most)]
	for i := 2; n[name]; i++ {
		suffix := fmt.Sprintf("_%d", i)
		name = clean[:min(len(clean), most-len(suffix))] + suffix
	}
	n[name] = true
	return name
}
