// Command remote keeps an agent in files and answers with a model over HTTP.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, text string) error {
	store, err := agent.NewFileStore("state", agent.FileStoreOptions{})
	if err != nil {
		return err
	}
	chat := openai.New(openai.Options{}).Chat("gpt-4o")
	manager := agent.NewManager(agent.ManagerOptions{Store: store})
	err = manager.RegisterType(agent.Type{
		Name: "chat",
		Setup: func(_ context.Context, a *agent.Agent) error {
			return a.Attach("conversation", aiclient.NewConversation(chat, aiclient.ConversationOptions{}))
		},
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			conv := a.Slice("conversation").(*aiclient.Conversation)
			turn, err := conv.Send(ctx, in.Text)
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
