package aiclient_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

// TestCancelAtEveryEvent cancels a turn at every event that a host can see: each
// part of a reply, each boundary, each hook. The history is valid after it, every
// step and tool has ended, and the conversation goes on.
func TestCancelAtEveryEvent(t *testing.T) {
	for at := 1; ; at++ {
		w := &world{done: map[string]int{}}
		var events atomic.Int64 // tool hooks run beside the others
		open := 0
		ctx, cancel := context.WithCancel(t.Context())
		event := func() {
			if events.Add(1) == int64(at) {
				cancel()
			}
		}
		chat := &script{reply: func(_ context.Context, _ int, req *aiclient.Request) ([]aiclient.Part, error) {
			switch last := req.Messages[len(req.Messages)-1]; {
			case last.Text() == "and now?":
				return says("done"), nil
			case last.Role == aiclient.RoleUser:
				return append([]aiclient.Part{aiclient.Reasoning("hm"), aiclient.Text("I "), aiclient.Text("will")},
					calls("read", `{"text":"1"}`, "write", `{"text":"1"}`)...), nil
			case len(req.Messages) < 4:
				return calls("write", `{"text":"2"}`), nil
			}
			return says("done"), nil
		}}
		c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
			Tools: w.tools(), Parallel: 1,
			Approve: func(context.Context, aiclient.Approval) (aiclient.Decision, error) {
				return aiclient.Decision{Allow: true}, nil
			},
			Checkpoint: func(context.Context) error { event(); return nil },
			BeforeStep: func(context.Context, int, *aiclient.Request) error { event(); return nil },
			AfterStep:  func(context.Context, aiclient.Step) error { event(); return nil },
			BeforeTool: func(context.Context, aiclient.ToolCall) error { event(); return nil },
			AfterTool:  func(context.Context, aiclient.ToolCall, *aiclient.ToolResult) error { event(); return nil },
			Trace: aiclient.ConversationTrace{
				StartStep: func(ctx context.Context, _ int) (context.Context, func(aiclient.Step, error)) {
					open++
					event()
					return ctx, func(aiclient.Step, error) { open--; event() }
				},
				StartTool: func(ctx context.Context, _ aiclient.ToolCall) (context.Context, func(aiclient.ToolResult)) {
					open++
					event()
					return ctx, func(aiclient.ToolResult) { open--; event() }
				},
				StepStart: func(context.Context, int, *aiclient.Request) { event() },
				OnPart:    func(context.Context, aiclient.Part) { event() },
				StepEnd:   func(context.Context, aiclient.Step, error) { event() },
				ToolStart: func(context.Context, aiclient.ToolCall) { event() },
				ToolEnd:   func(context.Context, aiclient.ToolCall, aiclient.ToolResult, time.Duration) { event() },
				Asked:     func(context.Context, aiclient.Approval, aiclient.Decision) { event() },
			},
		})
		turn, err := c.Send(ctx, "go")
		cancelled := events.Load() >= int64(at)
		cancel()
		require.Zero(t, open, "cancelled at event %d", at)
		messages := c.Messages()
		require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: append(messages, aiclient.User("x"))}, aiclient.Rules{}), "cancelled at event %d", at)
		if err == nil {
			assert.Equal(t, "done", turn.Text)
		} else {
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, aiclient.StopAborted, turn.Stop)
			if c.Pending() {
				turn, err = c.Continue(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "done", turn.Text, "cancelled at event %d", at)
			}
		}
		turn, err = c.Send(t.Context(), "and now?")
		require.NoError(t, err)
		assert.Equal(t, "done", turn.Text)
		for name, n := range w.copy() {
			assert.Equal(t, 1, n, "%s ran %d times, cancelled at event %d", name, n, at)
		}
		for _, m := range c.Messages() {
			for _, p := range m.Parts {
				if p.Result != nil && !p.Result.IsError {
					assert.Equal(t, 1, w.done[p.Result.Text], "a result of what did not happen")
				}
			}
		}
		if !cancelled {
			require.Greater(t, at, 50)
			return
		}
	}
}
