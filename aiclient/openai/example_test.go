package openai_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

func ExampleProvider_Chat() {
	service := aitest.NewServer(nil, func(r aitest.Request) aitest.Reply { return aitest.Text("Olá!") })
	defer service.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	provider := openai.New(openai.Options{BaseURL: service.URL, HTTPClient: client})
	chat := provider.Chat("gpt-4o")
	req := &aiclient.Request{System: "Answer in Portuguese.", Messages: []aiclient.Message{aiclient.User("Say hi")}}
	for part, err := range chat.Stream(context.Background(), req) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch part.Kind {
		case aiclient.KindText:
			fmt.Println(part.Text)
		case aiclient.KindFinish:
			fmt.Println(part.Finish.Reason)
		}
	}
	// Output:
	// Olá!
	// stop
}

func ExampleNewPreset() {
	provider, err := openai.NewPreset("groq", openai.Options{APIKey: "gsk-…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(provider.Chat("moonshotai/kimi-k2-instruct-0905").Model())
	// Output: groq:moonshotai/kimi-k2-instruct-0905
}

// Errors have a class that says what a program can do about them.
func Example_errors() {
	service := aitest.NewServer(nil, func(r aitest.Request) aitest.Reply { return aitest.RateLimited(7 * time.Second) })
	defer service.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	chat := openai.New(openai.Options{BaseURL: service.URL, HTTPClient: client}).Chat("gpt-4o")
	_, err := chat.Generate(context.Background(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hi")}})
	if api, ok := errors.AsType[*aiclient.APIError](err); ok && errors.Is(err, aiclient.ClassRateLimit) {
		fmt.Println("wait", api.RetryAfter)
	}
	// Output: wait 7s
}
