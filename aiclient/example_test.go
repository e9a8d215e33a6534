package aiclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// A conversation with a tool. The model of these examples is a script; a real
// one comes from an adapter, such as openai.New(openai.Options{}).Chat("gpt-4o").
func ExampleConversation() {
	type place struct {
		City string `json:"city"`
	}
	weather := tool.New("weather", "tells the weather of a city",
		func(_ context.Context, in place) (string, error) { return "sunny in " + in.City, nil },
		tool.Options{Annotations: tool.Annotations{ReadOnly: true}})

	chat := replies(calls("weather", `{"city":"Oslo"}`), says("It is sunny in Oslo."))
	conv := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		System: "Be brief.",
		Tools:  []tool.Tool{weather},
		Trace: aiclient.ConversationTrace{
			ToolEnd: func(_ context.Context, call aiclient.ToolCall, r aiclient.ToolResult, _ time.Duration) {
				fmt.Println(call.Name, "->", r.Text)
			},
		},
	})
	turn, err := conv.Send(context.Background(), "What is the weather in Oslo?")
	fmt.Println(turn.Text, len(turn.Steps), err)
	// Output:
	// weather -> sunny in Oslo
	// It is sunny in Oslo. 2 <nil>
}

// A conversation is saved at every boundary and goes on in another process.
func ExampleConversation_Continue() {
	echo := tool.New("echo", "", func(_ context.Context, in textArgs) (string, error) {
		fmt.Println("running", in.Text)
		return in.Text, nil
	}, tool.Options{})
	chat := replies(calls("echo", `{"text":"a"}`), says("done"))

	var saved []byte
	var conv *aiclient.Conversation
	crash := fmt.Errorf("power failure")
	conv = aiclient.NewConversation(chat, aiclient.ConversationOptions{
		Tools: []tool.Tool{echo},
		Checkpoint: func(context.Context) error {
			if len(conv.Messages()) == 3 { // the result has been recorded
				saved, _ = json.Marshal(conv)
				return crash
			}
			return nil
		},
	})
	_, err := conv.Send(context.Background(), "go")
	fmt.Println(err)

	restored := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{echo}})
	if err := json.Unmarshal(saved, restored); err != nil {
		panic(err)
	}
	turn, err := restored.Continue(context.Background())
	fmt.Println(turn.Text, err)
	// Output:
	// running a
	// saving the conversation: power failure
	// done <nil>
}

// Parts arrive one by one; the last one tells how the reply ended.
func ExampleChat() {
	chat := replies([]aiclient.Part{aiclient.Text("Hello, "), aiclient.Text("world."), finish(aiclient.FinishStop)})
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("Greet.")}}
	for part, err := range chat.Stream(context.Background(), req) {
		switch {
		case err != nil:
			panic(err)
		case part.Kind == aiclient.KindText:
			fmt.Print(part.Text)
		case part.Kind == aiclient.KindFinish:
			fmt.Println("", part.Finish.Reason, part.Finish.Usage.Total())
		}
	}
	// Output: Hello, world. stop 15
}

// Models are found by name; features are checked against what the model has.
func ExampleRegistry() {
	var models aiclient.ChatRegistry
	err := models.Add(aiclient.Provider[aiclient.Chat]{
		Name:   "acme",
		Models: []aiclient.ModelSpec{{ID: "big", Reasons: true, Efforts: []string{"low", "high"}}},
		Open: func(spec aiclient.ModelSpec, f aiclient.Features) (aiclient.Chat, error) {
			return aiclient.Wrap(replies(says("hello")), aiclient.WithFeatures(f)), nil
		},
	})
	if err != nil {
		panic(err)
	}
	chat, err := models.First(context.Background(), "other:model", "acme:big?effort=high")
	if err != nil {
		panic(err)
	}
	reply, err := chat.Generate(context.Background(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hi")}})
	fmt.Println(reply.Text(), err)
	_, err = models.Get("acme:big?effort=max")
	fmt.Println(err)
	// Output:
	// hello <nil>
	// model acme:big: feature effort="max": want one of low, high
}

// Middleware wraps a Chat; routes are Chats that pass requests on to others.
func ExampleWrap() {
	chat := aiclient.Fallback(aiclient.RouteOptions{},
		aiclient.Wrap(flaky(9, apiError(aiclient.ClassAuth)), aiclient.WithRetry(aiclient.RetryOptions{})),
		replies(says("from the second")),
	)
	reply, err := chat.Generate(context.Background(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hi")}})
	fmt.Println(reply.Text(), err)
	// Output: from the second <nil>
}
