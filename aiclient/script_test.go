package aiclient_test

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// script is a Chat in this process: reply decides on each request.
type script struct {
	reply func(ctx context.Context, n int, req *aiclient.Request) ([]aiclient.Part, error)

	mu       sync.Mutex
	requests []aiclient.Request
}

func (s *script) Model() aiclient.Model { return aiclient.Model{Provider: "script", ID: "test"} }

func (s *script) Stream(ctx context.Context, req *aiclient.Request) iter.Seq2[aiclient.Part, error] {
	return func(yield func(aiclient.Part, error) bool) {
		s.mu.Lock()
		n := len(s.requests)
		s.requests = append(s.requests, *req)
		s.mu.Unlock()
		list, err := s.reply(ctx, n, req)
		for _, p := range list {
			if ctx.Err() != nil {
				yield(aiclient.Part{}, ctx.Err())
				return
			}
			if !yield(p, nil) {
				return
			}
		}
		if err != nil {
			yield(aiclient.Part{}, err)
		}
	}
}

func (s *script) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
	return aiclient.Collect(s.Stream(ctx, req))
}

// says is a reply of text.
func says(text string) []aiclient.Part {
	return []aiclient.Part{aiclient.Text(text), finish(aiclient.FinishStop)}
}

// calls is a reply that calls tools: name and arguments by turns.
func calls(nameArgs ...string) []aiclient.Part {
	var list []aiclient.Part
	for i := 0; i < len(nameArgs); i += 2 {
		list = append(list, aiclient.ToolCallPart(aiclient.ToolCall{
			ID: fmt.Sprintf("id%d", i/2), Name: nameArgs[i], Arguments: nameArgs[i+1],
		}))
	}
	return append(list, finish(aiclient.FinishToolCalls))
}

// replies is a script of fixed replies; behind its end the model says "done".
func replies(list ...[]aiclient.Part) *script {
	return &script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
		if n < len(list) {
			return list[n], nil
		}
		return says("done"), nil
	}}
}

type textArgs struct {
	Text string `json:"text"`
}

// echo is a read-only tool that returns its argument.
func echo() tool.Tool {
	return tool.New("echo", "returns text", func(_ context.Context, in textArgs) (string, error) {
		return "echo " + in.Text, nil
	}, tool.Options{Annotations: tool.Annotations{ReadOnly: true}})
}

// lastResults are the results of the last tool message.
func lastResults(messages []aiclient.Message) []aiclient.ToolResult {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == aiclient.RoleTool {
			var results []aiclient.ToolResult
			for _, p := range messages[i].Parts {
				results = append(results, *p.Result)
			}
			return results
		}
	}
	return nil
}
