// Command local keeps an agent in memory and answers with a model in this process.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// echo is a model that repeats what it is told.
var echo = aiclient.ChatFunc{
	Name: aiclient.Model{Provider: "local", ID: "echo"},
	Func: func(_ context.Context, req *aiclient.Request) iter.Seq2[aiclient.Part, error] {
		return func(yield func(aiclient.Part, error) bool) {
			last := req.Messages[len(req.Messages)-1]
			if yield(aiclient.Text(last.Text()), nil) {
				yield(aiclient.Part{Kind: aiclient.KindFinish, Finish: &aiclient.Finish{Reason: aiclient.FinishStop}}, nil)
			}
		}
	},
}

func run(ctx context.Context, text string) error {
	manager := agent.NewManager(agent.ManagerOptions{})
	err := manager.RegisterType(agent.Type{
		Name: "chat",
		Setup: func(_ context.Context, a *agent.Agent) error {
			return a.Attach("conversation", aiclient.NewConversation(echo, aiclient.ConversationOptions{}))
		},
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			turn, err := a.Slice("conversation").(*aiclient.Conversation).Send(ctx, in.Text)
			fmt.Println(turn.Text)
			return err
		},
	})
	if err != nil {
		return err
	}
	a, err := manager.Spawn(ctx, "chat", agent.SpawnOptions{})
	if err != nil {
		return err
	}
	run, err := a.Submit(ctx, agent.Input{Text: text})
	if err != nil {
		return err
	}
	return errors.Join(run.Wait(ctx), manager.Shutdown(ctx))
}
