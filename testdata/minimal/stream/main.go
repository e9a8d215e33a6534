// Command stream prints one reply as it is written.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

func main() {
	chat := openai.New(openai.Options{}).Chat("gpt-4o")
	request := &aiclient.Request{Messages: []aiclient.Message{aiclient.User(os.Args[1])}}
	for part, err := range chat.Stream(context.Background(), request) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if part.Kind == aiclient.KindText {
			fmt.Print(part.Text)
		}
	}
}
