// Structured has a model fill in a Go struct: the JSON schema follows from the
// type, an answer that does not fit it is sent back with what is wrong, and the
// fields can be watched while they arrive.
//
//	go run ./examples/structured
//
// A script plays the model.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// Recipe is what the model is asked for.
type Recipe struct {
	Name    string   `json:"name"`
	Minutes int      `json:"minutes" jsonschema:"time it takes, in minutes"`
	Steps   []string `json:"steps"`
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	server := aitest.NewServer(nil, script)
	defer server.Close()
	chat := openai.New(openai.Options{BaseURL: server.URL + "/v1", APIKey: "none"}).Chat("scripted")
	request := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("How do I make tea?")}}

	recipe, reply, err := aiclient.GenerateObject[Recipe](ctx, chat, request, aiclient.ObjectOptions{})
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d minutes, %d steps, %d tokens\n", recipe.Name, recipe.Minutes, len(recipe.Steps), reply.Usage.Total())

	steps := -1
	for partial, err := range aiclient.StreamObject[Recipe](ctx, chat, request, aiclient.ObjectOptions{}) {
		if err != nil {
			return err
		}
		if n := len(partial.Value.Steps); n > steps {
			steps = n
			fmt.Printf("%d steps so far\n", n)
		}
	}
	return nil
}

// script answers with a number of minutes that is no number the first time.
func script(req aitest.Request) aitest.Reply {
	if req.Index == 0 {
		return aitest.Text(`{"name":"Tea","minutes":"a few","steps":[]}`)
	}
	return aitest.Text(`{"name":"Tea","minutes":5,"steps":["Boil water.","Pour it over the leaves.","Wait."]}`)
}
