package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/examples/mcp/mcptool"
)

// behave makes the test binary, started as a subprocess, behave as a server.
const behave = "TOKENRING_MCP_SERVER"

func TestMain(m *testing.M) {
	switch os.Getenv(behave) {
	case "":
		goleak.VerifyTestMain(m)
	case "files":
		main()
	case "dies": // in its first call
		server := mcp.NewServer(&mcp.Implementation{Name: "dies", Version: "1"}, nil)
		server.AddTool(&mcp.Tool{Name: "die", InputSchema: map[string]any{"type": "object"}},
			func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { os.Exit(3); return nil, nil })
		_ = server.Run(context.Background(), &mcp.StdioTransport{})
	case "deaf": // says nothing and does not want to end
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprint(os.Stderr, os.Getpid())
		select {}
	case "fails":
		os.Exit(4)
	}
}

// outcome runs the program with args and returns what it printed.
func outcome(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return stdout.String() + stderr.String(), err
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return exe
}

func TestDemo(t *testing.T) {
	t.Setenv(behave, "files")
	out, err := outcome(t, "")
	require.NoError(t, err, out)
	for _, want := range []string{"read     read-only", "edit     destructive", "outside the root", "The tea is ticked off.", "todo.txt now holds:\nbuy tea (done)\n"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "  run ", "the tool that could leave the directory is not served")
	assert.NotContains(t, out, "ended with")
}

func TestConnectAsksThePerson(t *testing.T) {
	t.Setenv(behave, "files")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.txt"), []byte("contents\n"), 0o644))
	server := self(t) + " -serve " + dir

	out, err := outcome(t, "", "-connect", server)
	require.NoError(t, err)
	assert.Contains(t, out, "read     destructive, open world", "hints of a server that is not trusted do not count")
	assert.NotContains(t, out, "May the model")

	out, err = outcome(t, "y\n", "-connect", server, `read {"path":"a.txt"}`)
	require.NoError(t, err)
	assert.Contains(t, out, `May the model call read {"path":"a.txt"}?`)
	assert.Contains(t, out, "contents")
	for _, answer := range []string{"no\n", ""} {
		out, err = outcome(t, answer, "-connect", server, `write {"path":"a.txt","content":"new"}`)
		require.NoError(t, err)
		assert.Contains(t, out, "the person does not want it")
	}
	data, err := os.ReadFile(filepath.Join(dir, "a.txt"))
	require.NoError(t, err)
	assert.Equal(t, "contents\n", string(data))
}

func TestTerminalIsNotObeyed(t *testing.T) {
	assert.Equal(t, "a\uFFFD[2Jb\uFFFD\n\tö", plain("a\x1b[2Jb\u202e\n\tö"))
}

func TestServerDiesInACall(t *testing.T) {
	t.Setenv(behave, "dies")
	out, err := outcome(t, "y\n", "-connect", self(t), `die {}`)
	require.NoError(t, err, "the model is told, and answers")
	assert.Contains(t, out, "die {} fails:\n  the MCP server is gone")
	assert.Contains(t, out, "That was it.")
	assert.Contains(t, out, "the MCP server ended with: exit status 3")
}

func TestServerThatCannotBeUsed(t *testing.T) {
	t.Setenv(behave, "fails")
	_, err := outcome(t, "", "-connect", self(t))
	require.ErrorContains(t, err, "the MCP server "+self(t))
	_, err = outcome(t, "", "-connect", filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, args := range [][]string{{"-connect", " "}, {"-serve", "x", "-connect", "y"}, {"-serve", "x", "task"}, {"-nonsense"},
		{"-serve", filepath.Join(t.TempDir(), "missing")}} {
		out, err := outcome(t, "", args...)
		require.Error(t, err, args)
		require.Empty(t, out, "main prints the error")
	}
	out, err := outcome(t, "", "-h")
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, out, "-connect")
}

func TestDeafServerIsKilled(t *testing.T) {
	t.Setenv(behave, "deaf")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var pid bytes.Buffer
	_, err := connect(ctx, []string{self(t)}, &pid)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var n int
	_, err = fmt.Sscan(pid.String(), &n)
	require.NoError(t, err, "it had started")
	process, err := os.FindProcess(n)
	if err == nil {
		err = process.Signal(syscall.Signal(0))
	}
	require.ErrorIs(t, err, os.ErrProcessDone)
}

// The end of the context in which a server was started does not end it.
func TestSessionOutlivesItsConnecting(t *testing.T) {
	t.Setenv(behave, "files")
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	session, err := connect(ctx, []string{self(t), "-serve", t.TempDir()}, &stderr)
	require.NoError(t, err)
	cancel()
	tools, err := mcptool.Tools(t.Context(), session, mcptool.Options{})
	require.NoError(t, err)
	assert.NotEmpty(t, tools)
	require.NoError(t, session.Close())
	require.NoError(t, session.Close())
	assert.Empty(t, stderr.String())
}

func TestServingEndsWithItsContextOrClient(t *testing.T) {
	dir := t.TempDir()
	for _, how := range []string{"context", "client"} {
		ctx, cancel := context.WithCancel(t.Context())
		ours, theirs := mcp.NewInMemoryTransports()
		done := make(chan error, 1)
		go func() { done <- serveFiles(ctx, dir, theirs) }()
		session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), ours, nil)
		require.NoError(t, err)
		if how == "context" {
			cancel()
		} else {
			require.NoError(t, session.Close())
		}
		require.NoError(t, <-done, how)
		session.Close()
		cancel()
	}
}
