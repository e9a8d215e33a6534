// Quickstart is an agent with a typed tool.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -model anthropic:claude-sonnet-4-6   # with ANTHROPIC_API_KEY
//
// Without -model a script plays the model, over a real connection.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

type dice struct {
	Count int `json:"count" jsonschema:"how many dice to roll"`
	Sides int `json:"sides" jsonschema:"how many sides each has"`
}

func main() {
	model := flag.String("model", "", "`provider:model` to use; empty means a script")
	flag.Parse()
	ctx := context.Background()
	chat, closeModel, err := openModel(*model)
	check(err)
	defer closeModel()

	// A tool is a function; its schema follows from its types.
	highest := tool.New("highest", "Returns the highest sum that dice can show.",
		func(_ context.Context, in dice) (int, error) { return in.Count * in.Sides, nil },
		tool.Options{Annotations: tool.Annotations{ReadOnly: true}})
	conversation := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{highest}})

	// An agent gives the conversation an address, a queue of inputs and a log.
	manager := agent.NewManager(agent.ManagerOptions{})
	defer manager.Shutdown(ctx)
	check(manager.RegisterType(agent.Type{Name: "gambler", Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
		turn, err := conversation.Send(ctx, in.Text)
		if err == nil {
			a.Emit(agent.Output{Text: turn.Text})
		}
		return err
	}}))
	gambler, err := manager.Spawn(ctx, "gambler", agent.SpawnOptions{})
	check(err)
	run, err := gambler.Submit(ctx, agent.Input{Text: "What is the most that three dice can show?"})
	check(err)
	check(run.Wait(ctx))
	for event, err := range gambler.Events(ctx, 0) {
		check(err)
		switch body := event.Body.(type) {
		case agent.Output:
			fmt.Println(body.Text)
		case agent.InputFinished:
			return
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
