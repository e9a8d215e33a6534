// Mcp joins agents with the Model Context Protocol, in both directions: a model
// calls the tools of an MCP server, and an MCP client calls tools of ours.
//
//	go run ./examples/mcp                      # both at once, over stdio
//	go run ./examples/mcp -serve DIR           # be a server of the files in DIR
//	go run ./examples/mcp -connect "COMMAND"   # list the tools of another server
//	go run ./examples/mcp -connect "COMMAND" 'read {"path":"a.txt"}'
//	go run ./examples/mcp -connect "COMMAND" -model anthropic:claude-sonnet-4-6 "What is in a.txt?"
//
// Without -model a script plays the model. Of servers that -connect starts no
// hint is believed: a person is asked before each call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/examples/mcp/mcptool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("mcp", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("serve", "", "serve the files below `directory` on stdin and stdout")
	command := flags.String("connect", "", "use the tools of the MCP server that `command` starts, its words separated by spaces")
	model := flags.String("model", "", "`provider:model` to use; empty means a script")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(stderr)
			flags.Usage()
		}
		return err
	}
	task := strings.Join(flags.Args(), " ")
	switch {
	case *dir != "" && (*command != "" || task != ""):
		return errors.New("-serve goes with neither -connect nor a task")
	case *dir != "":
		return serveFiles(ctx, *dir, &mcp.StdioTransport{})
	case *command != "":
		argv := strings.Fields(*command)
		if len(argv) == 0 {
			return errors.New("-connect needs a command")
		}
		return use(ctx, argv, *model, task, person(stdin, stdout), stdout, stderr)
	default:
		return demo(ctx, *model, task, stdout, stderr)
	}
}

// demo starts this program as a server of a temporary directory and uses it.
func demo(ctx context.Context, model, task string, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "mcp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	list := filepath.Join(dir, "todo.txt")
	if err := os.WriteFile(list, []byte("buy tea\nwater the plants\n"), 0o644); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if task == "" {
		task = "I have bought the tea. Note that in todo.txt."
	}
	// Its own server is believed, so that nobody need be asked.
	if err := use(ctx, []string{self, "-serve", dir}, model, task, nil, stdout, stderr); err != nil {
		return err
	}
	now, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "todo.txt now holds:\n%s", now)
	return nil
}

type approve = func(context.Context, aiclient.Approval) (aiclient.Decision, error)

// use starts an MCP server and lets a model do the task with its tools. Without
// a person to ask, the server is trusted.
func use(ctx context.Context, argv []string, model, task string, ask approve, stdout, stderr io.Writer) error {
	session, err := connect(ctx, argv, stderr)
	if err != nil {
		return err
	}
	defer func() {
		if err := session.Close(); err != nil {
			fmt.Fprintf(stderr, "the MCP server ended with: %v\n", err)
		}
	}()
	tools, err := mcptool.Tools(ctx, session, mcptool.Options{Trusted: ask == nil})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "The server has %d tools:\n", len(tools))
	for _, t := range tools {
		fmt.Fprintf(stdout, "  %-8s %s\n", t.Name, hints(t.Annotations))
	}
	if task == "" {
		return nil
	}
	chat, release, err := openModel(model)
	if err != nil {
		return err
	}
	defer release()
	conversation := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		Tools:    tools,
		Approve:  ask,
		Parallel: 1, // so that what is printed is in order
		Trace: aiclient.ConversationTrace{ToolEnd: func(_ context.Context, call aiclient.ToolCall, result aiclient.ToolResult, _ time.Duration) {
			verdict := "gives"
			if result.IsError {
				verdict = "fails"
			}
			fmt.Fprintf(stdout, "%s %s %s:\n%s\n", plain(call.Name), plain(call.Arguments), verdict, indent(plain(result.Text)))
		}},
	})
	turn, err := conversation.Send(ctx, task)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, plain(turn.Text))
	return nil
}
