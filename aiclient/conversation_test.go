package aiclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestConversationAnswers(t *testing.T) {
	chat := replies(says("hello"), says("again"))
	memories := []string{"one"}
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		System:  "be brief",
		Context: func(context.Context) iter.Seq[string] { return slices.Values(memories) },
		Price:   aiclient.Price{Input: 1, Output: 2},
		Request: aiclient.Request{Temperature: new(0.5)},
	})
	turn, err := c.Send(t.Context(), "hi")
	require.NoError(t, err)
	assert.Equal(t, "hello", turn.Text)
	assert.Equal(t, aiclient.StopEnd, turn.Stop)
	assert.InDelta(t, 20e-6, turn.Cost, 1e-12)
	assert.False(t, c.Pending())
	memories = []string{"two"}
	_, err = c.Send(t.Context(), "and?")
	require.NoError(t, err)

	assert.Equal(t, []string{"one"}, chat.requests[0].Context)
	assert.Equal(t, []string{"two"}, chat.requests[1].Context, "context is not stored")
	assert.Equal(t, "be brief", chat.requests[1].System)
	assert.Equal(t, 0.5, *chat.requests[1].Temperature)
	var texts []string
	for _, m := range chat.requests[1].Messages {
		texts = append(texts, string(m.Role)+": "+m.Text())
	}
	assert.Equal(t, []string{"user: hi", "assistant: hello", "user: and?"}, texts)
	assert.Equal(t, aiclient.Usage{Input: 20, Output: 10}, c.Usage())
	assert.InDelta(t, 40e-6, c.Cost(), 1e-12)

	turn, err = c.Continue(t.Context())
	require.NoError(t, err)
	assert.Equal(t, aiclient.StopNothing, turn.Stop)
	assert.Len(t, chat.requests, 2)
}

func TestToolCallsRunTogetherAndKeepTheirOrder(t *testing.T) {
	gate := make(chan struct{})
	first := tool.New("first", "waits for second", func(ctx context.Context, _ struct{}) (string, error) {
		select {
		case <-gate:
			return "one", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}, tool.Options{})
	second := tool.New("second", "frees first", func(context.Context, struct{}) (string, error) {
		close(gate)
		return "two", nil
	}, tool.Options{})
	var ends []string
	chat := replies(calls("first", "", "second", "{}"))
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		Tools: []tool.Tool{first, second},
		Trace: aiclient.ConversationTrace{ToolEnd: func(_ context.Context, call aiclient.ToolCall, _ aiclient.ToolResult, _ time.Duration) {
			ends = append(ends, call.Name)
		}},
	})
	turn, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	require.Len(t, turn.Steps, 2)
	assert.Equal(t, []aiclient.ToolResult{{CallID: "id0", Name: "first", Text: "one"}, {CallID: "id1", Name: "second", Text: "two"}}, turn.Steps[0].Results)
	assert.Equal(t, turn.Steps[0].Results, lastResults(chat.requests[1].Messages))
	assert.Len(t, ends, 2)
}

func TestParallelLimitAndExclusiveTools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, peak atomic.Int64
		var order []string
		work := func(name string, exclusive bool) tool.Tool {
			return tool.New(name, "", func(_ context.Context, in textArgs) (string, error) {
				n := running.Add(1)
				defer running.Add(-1)
				if exclusive {
					assert.EqualValues(t, 1, n, "an exclusive call runs alone")
				}
				peak.Store(max(peak.Load(), n))
				time.Sleep(time.Second) // synctest time: it passes when everything waits
				return in.Text, nil
			}, tool.Options{Annotations: tool.Annotations{Exclusive: exclusive}})
		}
		c := aiclient.NewConversation(replies(calls("read", `{"text":"1"}`, "read", `{"text":"2"}`, "read", `{"text":"3"}`, "edit", `{"text":"4"}`, "read", `{"text":"5"}`)),
			aiclient.ConversationOptions{
				Parallel: 2,
				Tools:    []tool.Tool{work("read", false), work("edit", true)},
				Trace: aiclient.ConversationTrace{ToolStart: func(_ context.Context, call aiclient.ToolCall) {
					order = append(order, call.ID)
				}},
			})
		began := time.Now()
		_, err := c.Send(t.Context(), "go")
		require.NoError(t, err)
		assert.Equal(t, []string{"id0", "id1", "id2", "id3", "id4"}, order)
		assert.EqualValues(t, 2, peak.Load())
		assert.Equal(t, 4*time.Second, time.Since(began))
	})
}

func TestMisbehavingToolsAndCalls(t *testing.T) {
	var log bytes.Buffer
	tools := []tool.Tool{
		echo(),
		tool.New("fails", "", func(context.Context, struct{}) (string, error) { return "", errors.New("no such thing") }, tool.Options{}),
		{Name: "panics", Call: func(context.Context, json.RawMessage) (tool.Result, error) { panic("boom") }},
		{Name: "binary", Call: func(context.Context, json.RawMessage) (tool.Result, error) { return tool.Text("a\xffb"), nil }},
		{Name: "odd", Call: func(context.Context, json.RawMessage) (tool.Result, error) { return tool.Text("ran"), nil },
			Effects: func(json.RawMessage) []tool.Effect { panic("effects") }},
	}
	for name, test := range map[string]struct{ tool, args, want string }{
		"a tool's error":         {"fails", "{}", "no such thing"},
		"a panic":                {"panics", "{}", "The tool failed internally: boom"},
		"a panic in Effects":     {"odd", "{}", "ran"},
		"an unknown tool":        {"ecko", "{}", `There is no tool "ecko". The tools are: echo, fails, panics, binary, odd.`},
		"an empty name":          {"", "{}", `There is no tool "".`},
		"malformed arguments":    {"echo", `{"text":`, "The arguments for tool echo cannot be read: unexpected end of JSON input. Got: {\"text\":\nSend a JSON object that fits this schema: {"},
		"an array":               {"echo", `[1]`, "The arguments for tool echo cannot be read"},
		"arguments of a type":    {"echo", `{"text":1}`, `invalid arguments for tool echo: field "text": expected string, got integer`},
		"no arguments, required": {"echo", ``, `field "text" is required`},
		"text that is not UTF-8": {"binary", "", "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			chat := replies(calls(test.tool, test.args))
			c := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: tools, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			turn, err := c.Send(t.Context(), "go")
			require.NoError(t, err, "the run goes on")
			assert.Equal(t, "done", turn.Text)
			results := lastResults(chat.requests[1].Messages)
			require.Len(t, results, 1)
			assert.Contains(t, results[0].Text, test.want)
			assert.Equal(t, test.want != "ran" && !strings.HasPrefix(test.want, "a\uFFFD"), results[0].IsError)
			_, err = json.Marshal(c)
			require.NoError(t, err)
		})
	}
	assert.Contains(t, log.String(), "panic=boom")
}

func TestRepeatedInvalidCallsStopTheTurn(t *testing.T) {
	for name, reply := range map[string][]aiclient.Part{
		"unknown tool":        calls("nope", "{}"),
		"malformed arguments": calls("echo", "{"),
		"invalid arguments":   calls("echo", `{"txt":"1"}`),
	} {
		t.Run(name, func(t *testing.T) {
			c := aiclient.NewConversation(&script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
				return reply, nil
			}}, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}})
			turn, err := c.Send(t.Context(), "go")
			stop, ok := errors.AsType[*aiclient.StopError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, aiclient.StopInvalidCalls, stop.Reason)
			assert.Equal(t, aiclient.StopInvalidCalls, turn.Stop)
			assert.Len(t, turn.Steps, aiclient.DefaultMaxInvalid)
		})
	}
}

// TestAPauseAfterInvalidCalls has a reply without calls follow as many invalid
// ones as are allowed.
func TestAPauseAfterInvalidCalls(t *testing.T) {
	c := aiclient.NewConversation(replies([]aiclient.Part{aiclient.Text("wait"), finish(aiclient.FinishPause)}), aiclient.ConversationOptions{
		History: []aiclient.Message{aiclient.User("go"), aiclient.Assistant(calls("nope", "{}")[0])}, MaxInvalid: 1,
	})
	turn, err := c.Continue(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "done", turn.Text)
}

func TestLoopsStopTheTurn(t *testing.T) {
	for period := 1; period <= 3; period++ {
		t.Run(fmt.Sprint(period), func(t *testing.T) {
			c := aiclient.NewConversation(&script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
				return calls("echo", fmt.Sprintf(`{"text":"%d"}`, n%period)), nil
			}}, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}})
			turn, err := c.Send(t.Context(), "go")
			stop, ok := errors.AsType[*aiclient.StopError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, aiclient.StopLoop, stop.Reason)
			assert.Len(t, turn.Steps, period*aiclient.DefaultLoopLimit)
		})
	}
	t.Run("varied arguments end at the step limit", func(t *testing.T) {
		c := aiclient.NewConversation(&script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
			return calls("echo", fmt.Sprintf(`{"text":"%d"}`, n)), nil
		}}, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}, MaxSteps: 7})
		turn, err := c.Send(t.Context(), "go")
		require.Error(t, err)
		assert.Equal(t, aiclient.StopMaxSteps, turn.Stop)
		assert.Len(t, turn.Steps, 7)
		assert.True(t, c.Pending(), "the host may continue")
	})
}

func TestStopConditions(t *testing.T) {
	loop := func() *script {
		return &script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
			return calls("echo", fmt.Sprintf(`{"text":"%d"}`, n)), nil
		}}
	}
	for name, test := range map[string]struct {
		opts  aiclient.ConversationOptions
		steps int
		stop  aiclient.StopReason
		fails bool
	}{
		"tool called": {aiclient.ConversationOptions{StopTools: []string{"echo"}}, 1, aiclient.StopTool, false},
		"condition":   {aiclient.ConversationOptions{StopWhen: func(t *aiclient.Turn) bool { return len(t.Steps) == 3 }}, 3, aiclient.StopCondition, false},
		"tokens":      {aiclient.ConversationOptions{MaxTokens: 31}, 3, aiclient.StopMaxTokens, true},
		"time":        {aiclient.ConversationOptions{MaxTime: time.Nanosecond}, 0, aiclient.StopMaxTime, true},
		"after step": {aiclient.ConversationOptions{AfterStep: func(_ context.Context, s aiclient.Step) error {
			if len(s.Results) != 1 || s.Number == 2 {
				return errors.New("enough")
			}
			return nil
		}}, 2, aiclient.StopFailed, true},
	} {
		t.Run(name, func(t *testing.T) {
			test.opts.Tools = []tool.Tool{echo()}
			turn, err := aiclient.NewConversation(loop(), test.opts).Send(t.Context(), "go")
			assert.Equal(t, test.fails, err != nil, "%v", err)
			assert.Equal(t, test.stop, turn.Stop)
			assert.Len(t, turn.Steps, test.steps)
		})
	}
	t.Run("length", func(t *testing.T) {
		turn, err := aiclient.NewConversation(replies([]aiclient.Part{aiclient.Text("cu"), finish(aiclient.FinishLength)}), aiclient.ConversationOptions{}).Send(t.Context(), "go")
		require.NoError(t, err)
		assert.Equal(t, aiclient.StopLength, turn.Stop)
	})
	t.Run("content filter", func(t *testing.T) {
		turn, err := aiclient.NewConversation(replies([]aiclient.Part{finish(aiclient.FinishContentFilter)}), aiclient.ConversationOptions{}).Send(t.Context(), "go")
		require.Error(t, err)
		assert.Equal(t, aiclient.StopContentFilter, turn.Stop)
	})
	t.Run("a stop tool that fails does not stop", func(t *testing.T) {
		model := replies(calls("echo", `{"txt":"a slip"}`), calls("echo", `{"text":"the answer"}`))
		turn, err := aiclient.NewConversation(model, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}, StopTools: []string{"echo"}}).Send(t.Context(), "go")
		require.NoError(t, err)
		assert.Equal(t, aiclient.StopTool, turn.Stop)
		require.Len(t, turn.Steps, 2)
		assert.Equal(t, "echo the answer", turn.Steps[1].Results[0].Text)
	})
	t.Run("a paused reply goes on", func(t *testing.T) {
		turn, err := aiclient.NewConversation(replies([]aiclient.Part{aiclient.Text("a"), finish(aiclient.FinishPause)}, says("b")), aiclient.ConversationOptions{}).Send(t.Context(), "go")
		require.NoError(t, err)
		assert.Len(t, turn.Steps, 2)
	})
}

func TestSteer(t *testing.T) {
	var c *aiclient.Conversation
	steer := tool.New("work", "", func(context.Context, struct{}) (string, error) {
		c.Steer("stop doing that")
		return "ok", nil
	}, tool.Options{})
	chat := replies(calls("work", ""))
	c = aiclient.NewConversation(chat, aiclient.ConversationOptions{
		Tools: []tool.Tool{steer},
		Trace: aiclient.ConversationTrace{OnPart: func(_ context.Context, p aiclient.Part) {
			if p.Text == "done" && len(c.Messages()) < 6 {
				c.Steer("one more thing")
			}
		}},
	})
	_, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	var texts []string
	for _, m := range c.Messages() {
		texts = append(texts, string(m.Role)+": "+m.Text())
	}
	assert.Equal(t, []string{"user: go", "assistant: ", "tool: ", "user: stop doing that", "assistant: done", "user: one more thing", "assistant: done"}, texts)

	c.Steer("later")
	assert.True(t, c.Pending())
	saved, err := json.Marshal(c)
	require.NoError(t, err)
	restored := aiclient.NewConversation(chat, aiclient.ConversationOptions{})
	require.NoError(t, json.Unmarshal(saved, restored))
	_, err = restored.Send(t.Context(), "now")
	require.NoError(t, err)
	last := chat.requests[len(chat.requests)-1].Messages
	assert.Equal(t, "later", last[len(last)-2].Text())
	assert.Equal(t, "now", last[len(last)-1].Text())
}

func TestOneTurnAtATime(t *testing.T) {
	var c *aiclient.Conversation
	again := tool.New("again", "", func(ctx context.Context, _ struct{}) (string, error) {
		_, err := c.Send(ctx, "inner")
		return "", err
	}, tool.Options{})
	chat := replies(calls("again", ""))
	c = aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{again}})
	_, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	assert.Equal(t, aiclient.ErrBusy.Error(), lastResults(c.Messages())[0].Text)
}
