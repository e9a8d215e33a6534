package main

import (
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
)

// openModel opens the model of that name, or the script.
func openModel(name string) (chat aiclient.Chat, release func(), err error) {
	if name != "" {
		chat, _, err = providers.Chat(name, providers.Options{})
		return chat, func() {}, err
	}
	server := aitest.NewServer(nil, func(req aitest.Request) aitest.Reply {
		if results := req.ToolResults(); len(results) > 0 {
			return aitest.Text("Three dice show at most " + strings.TrimSpace(results[0].Text) + ".")
		}
		return aitest.Call("highest", `{"count":3,"sides":6}`)
	})
	provider := openai.New(openai.Options{Name: "scripted", BaseURL: server.URL + "/v1"})
	return provider.Chat("scripted"), server.Close, nil
}
