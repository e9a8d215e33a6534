// Providers spreads requests over several providers: Fallback goes on to the next
// one when one fails, Balance takes turns and passes over those that failed,
// Hedge asks a second one when the first is slow. All of them are a Chat like any
// other, so the rest of a program does not know.
//
//	go run ./examples/providers
//
// The providers are scripted, each in the wire format of a real one.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	overloaded := aitest.NewServer(nil, func(aitest.Request) aitest.Reply { return aitest.Fail(529, "overloaded") })
	defer overloaded.Close()
	healthy := aitest.NewServer(nil, func(req aitest.Request) aitest.Reply { return aitest.Text("hello from " + req.Model) })
	defer healthy.Close()
	slow := aitest.NewServer(nil, func(req aitest.Request) aitest.Reply {
		return aitest.Reply{Text: "at last, from " + req.Model, Delay: 3 * time.Second}
	})
	defer slow.Close()

	claude := anthropic.New(anthropic.Options{BaseURL: overloaded.URL, APIKey: "none"}).Chat("claude")
	gemini := google.New(google.Options{BaseURL: healthy.URL, APIKey: "none"}).Chat("gemini")
	gpt := openai.New(openai.Options{BaseURL: healthy.URL + "/v1", APIKey: "none"}).Chat("gpt")
	tardy := openai.New(openai.Options{BaseURL: slow.URL + "/v1", APIKey: "none"}).Chat("tardy")

	options := aiclient.RouteOptions{OnSwitch: func(_ context.Context, from, to aiclient.Model, err error) {
		fmt.Printf("  %s fails (%s), going on with %s\n", from.ID, string(aiclient.ClassOf(err)), to.ID)
	}}
	for _, route := range []struct {
		name string
		chat aiclient.Chat
	}{
		{"fallback", aiclient.Fallback(options, claude, gemini)},
		{"balance", aiclient.Balance(options, gemini, gpt)},
		{"hedge", aiclient.Hedge(100*time.Millisecond, options, tardy, gpt)},
	} {
		fmt.Println(route.name)
		for range 2 {
			reply, err := route.chat.Generate(ctx, &aiclient.Request{Messages: []aiclient.Message{aiclient.User("Say hello.")}})
			if err != nil {
				return fmt.Errorf("%s: %w", route.name, err)
			}
			fmt.Println("  " + reply.Text())
		}
	}
	return nil
}
