package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/utility/text"

	"github.com/tokenring-ai/tokenring-go/examples/mcp/mcptool"
)

const (
	// A server may have to be downloaded or compiled first.
	connectTimeout = time.Minute

	// How long a server may take to end once its stdin is closed, and again
	// after SIGTERM, before it is killed.
	endTimeout = 2 * time.Second
)

// connect starts an MCP server as a subprocess. Closing the session ends it.
func connect(ctx context.Context, argv []string, stderr io.Writer) (*mcp.ClientSession, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = stderr
	cmd.WaitDelay = endTimeout // for children of the server that keep stderr open
	client := mcp.NewClient(&mcp.Implementation{Name: "tokenring-mcp", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: cmd, TerminateDuration: endTimeout}, nil)
	if err != nil {
		return nil, fmt.Errorf("the MCP server %s: %w", text.Quote(argv...), err)
	}
	return session, nil
}

// serveFiles serves tools for the files below dir until the client goes away or
// ctx ends. They cannot leave the directory; the tool that runs programs, which
// could, is not among them.
func serveFiles(ctx context.Context, dir string, transport mcp.Transport) error {
	files, err := filesystem.New(filesystem.Options{Root: dir, Run: filesystem.RunOptions{Disabled: true}})
	if err != nil {
		return err
	}
	defer files.Close()
	server := mcp.NewServer(&mcp.Implementation{Name: "tokenring-files", Version: "1"}, nil)
	mcptool.AddTools(server, files.Tools(), nil)
	if err := server.Run(ctx, transport); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving %s: %w", dir, err)
	}
	return nil
}
