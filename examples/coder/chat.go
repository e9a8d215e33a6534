package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// systemPrompt tells the model what it is for.
func systemPrompt(cfg config) string {
	return `You are a careful software engineer who works on a git repository through tools.
Look before you change: search and read the code that matters, then edit it with the smallest change that does the job.
Follow the style of the code around it. Never change a test to make it pass unless the task asks for that.
After your answer the tests run by themselves with: ` + cfg.Test + `
If they fail you will see their output and can repair. If they pass your changes are committed by themselves: do not commit.
Answer in a few sentences: what was wrong, what you changed.`
}

// messagePrompt asks for a commit message.
const messagePrompt = `Write the message of a git commit for the diff that follows: one line in the imperative of at most 72 characters that says what the change achieves, and only if needed a blank line and a short explanation of why. Answer with the message alone.`

// maxMessageTokens bounds the reply with a commit message.
const maxMessageTokens = 2000

// commitMessage has the model describe a diff.
func (w *workshop) commitMessage(ctx context.Context, diff string) (string, error) {
	reply, err := w.chat.Generate(ctx, &aiclient.Request{
		System:    messagePrompt,
		Messages:  []aiclient.Message{aiclient.User(diff)},
		MaxTokens: maxMessageTokens,
	})
	if err != nil {
		return "", err
	}
	return strings.Trim(strings.TrimSpace(reply.Text()), "`\""), nil
}

// workspacePolicy allows what the confined file tools do, and asks about
// everything that can reach further, unless the user has approved it all.
func workspacePolicy(yes bool) aiclient.Policy {
	policy := aiclient.Policy{Default: aiclient.Ask, Rules: []aiclient.Rule{
		{Kind: tool.Read, Verdict: aiclient.Allow},
		{Kind: tool.Write, Verdict: aiclient.Allow},
		{Tool: "memory*", Verdict: aiclient.Allow},
	}}
	if yes {
		policy.Default = aiclient.Allow
	}
	return policy
}

// saveBefore returns a function that saves the working tree, uncommitted files of
// the user included, before the first tool call of an input that may change it.
func (w *workshop) saveBefore(tools []tool.Tool) func(context.Context, aiclient.ToolCall) error {
	harmless := map[string]bool{}
	for _, t := range tools {
		harmless[t.Name] = t.Annotations.ReadOnly
	}
	return func(ctx context.Context, call aiclient.ToolCall) error {
		if harmless[call.Name] {
			return nil
		}
		return w.snapshot.BeforeWrite(ctx)
	}
}

// errNobody is why a question ends when the terminal is closed.
var errNobody = errors.New("nobody is there to approve this, and only -yes allows it: go on without")

// approve asks the person at the terminal.
func (w *workshop) approve(ctx context.Context, question aiclient.Approval) (aiclient.Decision, error) {
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(w.person, func() { stop(context.Cause(w.person)) })()
	if w.person.Err() != nil {
		return aiclient.Decision{Reason: errNobody.Error()}, nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "The model wants to use %s", question.Call.Name)
	for _, effect := range question.Effects {
		fmt.Fprintf(&text, "\n  %s %s", effect.Kind, effect.Target)
	}
	if question.Preview != "" {
		text.WriteString("\n" + question.Preview)
	}
	if question.Interrupted {
		text.WriteString("\nIt had started when the last run ended; its effect is unknown.")
	}
	answer, err := w.agent.Ask(asking, agent.Request{
		ID:      "approve-" + question.Call.ID,
		Kind:    agent.Choice,
		Text:    text.String(),
		Options: []agent.Option{{Value: "yes"}, {Value: "always"}, {Value: "no"}},
	})
	if errors.Is(err, errNobody) {
		return aiclient.Decision{Reason: errNobody.Error()}, nil
	}
	if err != nil {
		return aiclient.Decision{}, err
	}
	if answer.Cancelled || len(answer.Choices) != 1 || answer.Choices[0] == "no" {
		return aiclient.Decision{Reason: "the user declined"}, nil
	}
	return aiclient.Decision{Allow: true, Remember: answer.Choices[0] == "always"}, nil
}

// conversationTrace reports the chat as events of the agent.
func (w *workshop) conversationTrace() aiclient.ConversationTrace {
	return aiclient.ConversationTrace{
		OnPart: func(_ context.Context, p aiclient.Part) {
			switch p.Kind {
			case aiclient.KindText:
				w.agent.Emit(agent.Output{Text: p.Text})
			case aiclient.KindReasoning:
				if p.Text != "" {
					w.agent.Emit(agent.Reasoning{Text: p.Text})
				}
			}
		},
		StepEnd: w.timing.stepEnd,
		ToolStart: func(_ context.Context, call aiclient.ToolCall) {
			w.agent.Emit(agent.ToolStarted{Call: agentCall(call)})
		},
		ToolEnd: func(_ context.Context, call aiclient.ToolCall, result aiclient.ToolResult, took time.Duration) {
			w.agent.Emit(agent.ToolFinished{Call: agentCall(call), Result: result.Text, Failed: result.IsError, Duration: took})
		},
		Compacted: func(_ context.Context, before, after int64) {
			w.agent.Emit(agent.Message{Level: slog.LevelInfo, Text: fmt.Sprintf("the conversation was shortened from %d to %d tokens", before, after)})
		},
	}
}

func agentCall(call aiclient.ToolCall) agent.ToolCall {
	args := json.RawMessage(call.Arguments)
	if !json.Valid(args) {
		args, _ = json.Marshal(call.Arguments) // keep what a model wrote, as a string
	}
	return agent.ToolCall{ID: call.ID, Name: call.Name, Args: args}
}

func warning(text string) agent.Message {
	return agent.Message{Level: slog.LevelWarn, Text: text}
}
