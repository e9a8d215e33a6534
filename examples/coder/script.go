package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
)

// script plays the model of the demonstration. It looks only at the
// conversation that it is sent, as a real model does, so it goes on correctly
// after an interruption. Its first attempt finds one bug of two, so that the
// tests have something to say.
func script(req aitest.Request) aitest.Reply {
	reply := scriptedReply(req)
	reply.Pause = 8 * time.Millisecond // shows that the text is streamed
	return reply
}

const basketFile = "basket/basket.go"

func scriptedReply(req aitest.Request) aitest.Reply {
	if strings.HasPrefix(req.System(), messagePrompt) {
		return aitest.Text("Give the discount from ten pieces on and round it\n\nThe bulk discount began one piece too late and was cut off instead of\nrounded to the nearest cent.")
	}
	repair := req.LastUser() != demoTask
	source := lastRead(req)
	switch {
	case source == "" && repair:
		return call("One test is left. Let me look at the rounding again.", "read", map[string]any{"path": basketFile})
	case source == "" && len(sinceUser(req)) > 1:
		return call("", "read", map[string]any{"path": basketFile})
	case source == "":
		reply := call("I will look at the tests and at the code that they test.", "search", map[string]any{"pattern": "discount"})
		reply.ToolCalls = append(reply.ToolCalls,
			toolCall("read", map[string]any{"path": "basket/basket_test.go"}),
			toolCall("read", map[string]any{"path": basketFile}))
		return reply
	case strings.Contains(source, "line.Quantity > BulkQuantity") && !edited(req):
		return call("Ten pieces should earn the discount, but the comparison leaves them out.", "edit", edit(
			"line.Quantity > BulkQuantity", "line.Quantity >= BulkQuantity"))
	case repair && strings.Contains(source, "return amount * BulkPercent / 100") && !edited(req):
		return call("Integer division cuts the fraction off; adding half of the divisor rounds it.", "edit", edit(
			"return amount * BulkPercent / 100", "return (amount*BulkPercent + 50) / 100"))
	case repair:
		return aitest.Text("The discount was cut off to whole cents. It is now rounded to the nearest cent, half a cent in favour of the customer.")
	default:
		return aitest.Text("The discount began at eleven pieces instead of ten because of a wrong comparison. I corrected it.")
	}
}

// lastRead returns what the model knows of the basket's source: what it read
// since the user last spoke, or "" when an edit since then went wrong or its
// effect is unknown.
func lastRead(req aitest.Request) string {
	source := ""
	calls := map[string]string{}
	for _, m := range sinceUser(req) {
		for _, c := range m.ToolCalls {
			calls[c.ID] = c.Name
		}
		switch {
		case m.Role != "tool":
		case strings.Contains(m.Text, "func Total("):
			source = m.Text
		case calls[m.ToolCallID] == "edit" && !strings.Contains(m.Text, "+++ "):
			source = ""
		}
	}
	return source
}

// edited reports whether an edit has succeeded since the user last spoke.
func edited(req aitest.Request) bool {
	for _, m := range sinceUser(req) {
		if m.Role == "tool" && strings.Contains(m.Text, "+++ ") {
			return true
		}
	}
	return false
}

func sinceUser(req aitest.Request) []aitest.Message {
	for i := len(req.Messages) - 1; i >= 0; i-- {
		if req.Messages[i].Role == "user" {
			return req.Messages[i:]
		}
	}
	return req.Messages
}

func edit(before, after string) map[string]any {
	return map[string]any{"path": basketFile, "edits": []map[string]string{{"old": before, "new": after}}}
}

func call(text, name string, args map[string]any) aitest.Reply {
	return aitest.Reply{Text: text, ToolCalls: []aitest.ToolCall{toolCall(name, args)}}
}

func toolCall(name string, args map[string]any) aitest.ToolCall {
	arguments, err := json.Marshal(args)
	if err != nil {
		panic(err) // maps of strings can be encoded
	}
	return aitest.ToolCall{Name: name, Arguments: string(arguments)}
}
