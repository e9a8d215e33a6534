// Checkpoint kills an agent in the middle of its work and lets another process
// go on where it was.
//
//	go run ./examples/checkpoint
//
// The program starts itself twice. The first child is killed (SIGKILL on Unix)
// while its model calls the third of five tools; the second restores the agent
// from its newest checkpoint: finished calls are not run again, the call whose
// result was never recorded is run again because its tool says that this is
// safe. A script plays the model.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func main() {
	state := flag.String("state", "", "directory of the checkpoints; set for the children")
	die := flag.Int("die", 0, "kill this process in the tool call of that number")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *state == "" {
		err = parent(ctx)
	} else {
		err = child(ctx, *state, *die)
	}
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// parent starts the two children.
func parent(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	start := func(args ...string) error {
		cmd := exec.CommandContext(ctx, self, append([]string{"-state", dir}, args...)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	}
	fmt.Println("first process:")
	var killed *exec.ExitError
	if err := start("-die", "3"); ctx.Err() != nil || !errors.As(err, &killed) {
		return fmt.Errorf("the first process was to be killed, it ended with %v", err)
	}
	fmt.Println("it was killed; second process:")
	return start()
}

// child works on the agent: from the start, or from where its last life ended.
func child(ctx context.Context, state string, die int) error {
	server := aitest.NewServer(nil, script)
	defer server.Close()
	chat := openai.New(openai.Options{BaseURL: server.URL + "/v1", APIKey: "none"}).Chat("scripted")
	store, err := agent.NewFileStore(state, agent.FileStoreOptions{})
	if err != nil {
		return err
	}
	manager := agent.NewManager(agent.ManagerOptions{Store: store})
	defer manager.Shutdown(context.WithoutCancel(ctx))
	err = manager.RegisterType(agent.Type{
		Name:           "painter",
		AutoCheckpoint: agent.AutoCheckpoint{BeforeInput: true, AfterInput: true},
		Setup: func(_ context.Context, a *agent.Agent) error {
			conv := aiclient.NewConversation(chat, aiclient.ConversationOptions{
				Tools:      []tool.Tool{paint(die)},
				Checkpoint: a.Step, // saved after every reply and every tool result
			})
			return a.Attach("conversation", conv)
		},
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			conv := a.Slice("conversation").(*aiclient.Conversation)
			work := func() (*aiclient.Turn, error) { return conv.Send(ctx, in.Text) }
			if in.Resumed && len(conv.Messages()) > 0 {
				work = func() (*aiclient.Turn, error) { return conv.Continue(ctx) }
			}
			turn, err := work()
			if err == nil {
				fmt.Println(" ", turn.Text)
			}
			return err
		},
	})
	if err != nil {
		return err
	}

	for a, err := range manager.RestoreUnfinished(ctx) {
		if err != nil {
			return err
		}
		for _, in := range a.Unfinished() {
			fmt.Printf("  %s goes on with %q\n", a.ID(), in.Text)
			run, err := a.Resume(ctx, in.ID)
			if err != nil {
				return err
			}
			if err := run.Wait(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	a, err := manager.Spawn(ctx, "painter", agent.SpawnOptions{ID: "painter-1"})
	if err != nil {
		return err
	}
	run, err := a.Submit(ctx, agent.Input{Text: "Paint five walls."})
	if err != nil {
		return err
	}
	return run.Wait(ctx)
}

type wall struct {
	Number int `json:"number"`
}

// paint is the tool. To paint a wall twice does no harm.
func paint(die int) tool.Tool {
	return tool.New("paint", "Paints a wall.", func(_ context.Context, in wall) (string, error) {
		fmt.Printf("  painting wall %d\n", in.Number)
		if in.Number == die {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				return "", err
			}
			select {} // until the kill arrives
		}
		return "done", nil
	}, tool.Options{Annotations: tool.Annotations{Idempotent: true}})
}

// script calls the tool for one wall after another.
func script(req aitest.Request) aitest.Reply {
	painted := 0
	for _, m := range req.Messages {
		if m.Role == "tool" && strings.Contains(m.Text, "done") {
			painted++
		}
	}
	if painted == 5 {
		return aitest.Text("All five walls are painted.")
	}
	args, _ := json.Marshal(wall{painted + 1}) // of a number
	return aitest.Call("paint", string(args))
}
