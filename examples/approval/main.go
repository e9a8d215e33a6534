// Approval has a person decide on what a model wants to do. Reading is allowed,
// writing below drafts/ is allowed, everything else is asked about on the
// terminal: with a preview, once or for ever.
//
//	go run ./examples/approval
//	yes no | go run ./examples/approval
//
// A script plays the model; the files are real, in a temporary directory.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "approval")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server := aitest.NewServer(nil, script)
	defer server.Close()
	chat := openai.New(openai.Options{BaseURL: server.URL + "/v1", APIKey: "none"}).Chat("scripted")
	files, err := filesystem.New(filesystem.Options{Root: dir})
	if err != nil {
		return err
	}
	defer files.Close()

	manager := agent.NewManager(agent.ManagerOptions{})
	defer manager.Shutdown(context.WithoutCancel(ctx))
	err = manager.RegisterType(agent.Type{
		Name: "editor",
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			conv := aiclient.NewConversation(chat, aiclient.ConversationOptions{
				Tools: files.Tools(),
				Policy: aiclient.Policy{Default: aiclient.Ask, Rules: []aiclient.Rule{
					{Kind: tool.Read, Verdict: aiclient.Allow},
					{Kind: tool.Write, Target: "drafts/*", Verdict: aiclient.Allow},
				}},
				Approve: func(ctx context.Context, q aiclient.Approval) (aiclient.Decision, error) {
					return approve(ctx, a, q)
				},
			})
			turn, err := conv.Send(ctx, in.Text)
			if err == nil {
				a.Emit(agent.Output{Text: turn.Text})
			}
			return err
		},
	})
	if err != nil {
		return err
	}
	editor, err := manager.Spawn(ctx, "editor", agent.SpawnOptions{})
	if err != nil {
		return err
	}
	if _, err := editor.Submit(ctx, agent.Input{Text: "Write the note and publish it."}); err != nil {
		return err
	}
	return talk(ctx, editor, dir, readLines(in), out)
}

// approve turns a question of the conversation into one of the agent, which
// anybody may answer: this terminal, a web page, another process.
func approve(ctx context.Context, a *agent.Agent, q aiclient.Approval) (aiclient.Decision, error) {
	text := "The model wants to " + q.Call.Name + ":\n" + q.Preview
	answer, err := a.Ask(ctx, agent.Request{Kind: agent.Choice, Text: text,
		Options: []agent.Option{{Value: "yes"}, {Value: "always"}, {Value: "no"}}})
	if err != nil {
		return aiclient.Decision{}, err
	}
	choice := "no"
	if len(answer.Choices) == 1 {
		choice = answer.Choices[0]
	}
	return aiclient.Decision{Allow: choice != "no", Remember: choice == "always", Reason: "the user says no"}, nil
}

// talk shows the agent's events and answers its questions until it is done.
func talk(ctx context.Context, a *agent.Agent, dir string, lines <-chan string, out io.Writer) error {
	for event, err := range a.Events(ctx, 0) {
		if err != nil {
			return err
		}
		switch body := event.Body.(type) {
		case agent.Asked:
			fmt.Fprintf(out, "%s\nyes, always or no? ", strings.TrimRight(body.Request.Text, "\n"))
			answer := agent.Response{Cancelled: true} // nobody is there any more
			select {
			case line, ok := <-lines:
				if ok {
					answer = agent.Response{Choices: []string{strings.TrimSpace(line)}}
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			fmt.Fprintln(out, strings.Join(answer.Choices, ""))
			if err := a.Answer(body.Request.ID, answer); err != nil {
				fmt.Fprintln(out, err)
				answer = agent.Response{Choices: []string{"no"}}
				if err := a.Answer(body.Request.ID, answer); err != nil {
					return err
				}
			}
		case agent.Output:
			fmt.Fprintln(out, body.Text)
		case agent.InputFinished:
			for _, name := range []string{"drafts/note.txt", "published.txt"} {
				_, err := os.Stat(filepath.Join(dir, name))
				fmt.Fprintf(out, "%s exists: %t\n", name, err == nil)
			}
			if body.Error != "" {
				return fmt.Errorf("the agent failed: %s", body.Error)
			}
			return nil
		}
	}
	return nil
}

// readLines hands out the lines of in. Its goroutine ends with the input, or with
// the process: nothing can stop it from reading.
func readLines(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// script writes a draft, which is allowed, and a file, which is asked about.
func script(req aitest.Request) aitest.Reply {
	write := func(path string) aitest.Reply {
		args, _ := json.Marshal(map[string]string{"path": path, "content": "Hello.\n"}) // of strings
		return aitest.Call("write", string(args))
	}
	switch len(req.Calls("write")) {
	case 0:
		return write("drafts/note.txt")
	case 1:
		return write("published.txt")
	}
	if strings.Contains(req.ToolResults()[0].Text, "the user says no") {
		return aitest.Text("I wrote the draft and did not publish it, as you wish.")
	}
	return aitest.Text("I wrote the draft and published it.")
}
