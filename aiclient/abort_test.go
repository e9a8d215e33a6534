package aiclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestAbortWhileAToolIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		sleep := func(name string, obey bool) tool.Tool {
			return tool.New(name, "", func(ctx context.Context, _ struct{}) (string, error) {
				if obey {
					<-ctx.Done()
					return "stopped in time", nil
				}
				time.Sleep(2 * time.Second)
				return "too late", nil
			}, tool.Options{})
		}
		saves := 0
		c := aiclient.NewConversation(replies(calls("deaf", "", "obedient", "", "queued", "")), aiclient.ConversationOptions{
			Tools:      []tool.Tool{sleep("deaf", false), sleep("obedient", true), sleep("queued", true)},
			Parallel:   2,
			Checkpoint: func(ctx context.Context) error { saves++; return ctx.Err() },
			Logger:     slog.New(slog.NewTextHandler(&log, nil)),
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		var aborted time.Time
		time.AfterFunc(time.Second, func() { aborted = time.Now(); cancel(errors.New("ctrl-c")) })
		turn, err := c.Send(ctx, "go")
		assert.LessOrEqual(t, time.Since(aborted), 150*time.Millisecond)
		stop, ok := errors.AsType[*aiclient.StopError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, aiclient.StopAborted, stop.Reason)
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "ctrl-c")
		assert.Equal(t, aiclient.StopAborted, turn.Stop)
		assert.Equal(t, 3, saves)

		results := lastResults(c.Messages())
		require.Len(t, results, 3, "every call has a result")
		assert.Contains(t, results[0].Text, "cancelled while it ran. Its effect is unknown")
		assert.Equal(t, "stopped in time", results[1].Text)
		assert.Contains(t, results[2].Text, "was not made")
		require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages(), Tools: []tool.Tool{sleep("deaf", true)}}, aiclient.Rules{}))

		require.NoError(t, c.Drain(t.Context()))
		assert.Contains(t, log.String(), "result of an abandoned tool call discarded")
		assert.EqualValues(t, 1, c.Stats().Abandoned)
		assert.Contains(t, lastResults(c.Messages())[0].Text, "unknown", "the late result changes nothing")

		turn, err = c.Send(t.Context(), "go on")
		require.NoError(t, err, "one abort does not poison the conversation")
		assert.Equal(t, "done", turn.Text)
	})
}

func TestAbortWhileAPersonIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := aiclient.NewConversation(replies(calls("work", "")), aiclient.ConversationOptions{
			Tools: []tool.Tool{tool.New("work", "", func(context.Context, struct{}) (string, error) {
				t.Error("a denied call must not run")
				return "", nil
			}, tool.Options{})},
			Approve: func(context.Context, aiclient.Approval) (aiclient.Decision, error) {
				<-release
				return aiclient.Decision{Allow: true}, nil
			},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Send(ctx, "go")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Contains(t, lastResults(c.Messages())[0].Text, "was not made")
		waiting, cancelWait := context.WithTimeout(t.Context(), time.Second)
		defer cancelWait()
		require.Error(t, c.Drain(waiting))
		close(release)
		require.NoError(t, c.Drain(t.Context()))
	})
}

func TestToolTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := func(ctx context.Context, in struct {
			Deaf bool `json:"deaf"`
		}) (string, error) {
			if in.Deaf {
				time.Sleep(time.Hour)
				return "late", nil
			}
			<-ctx.Done()
			return "", ctx.Err()
		}
		c := aiclient.NewConversation(replies(calls("slow", `{"deaf":false}`, "slow", `{"deaf":true}`, "slower", `{"deaf":false}`)), aiclient.ConversationOptions{
			Tools:        []tool.Tool{tool.New("slow", "", work, tool.Options{}), tool.New("slower", "", work, tool.Options{})},
			ToolTimeout:  time.Second,
			ToolTimeouts: map[string]time.Duration{"slower": time.Minute},
			Logger:       slog.New(slog.DiscardHandler),
		})
		began := time.Now()
		_, err := c.Send(t.Context(), "go")
		require.NoError(t, err)
		assert.Equal(t, time.Minute, time.Since(began))
		results := lastResults(c.Messages())
		assert.Equal(t, "context deadline exceeded (tool slow timed out after 1s)", results[0].Text)
		assert.Contains(t, results[1].Text, "did not end within its time limit of 1s. It may still be running")
		assert.Contains(t, results[2].Text, "after 1m0s")
		require.NoError(t, c.Drain(t.Context()))
	})
}

func TestBrokenReplies(t *testing.T) {
	overloaded := &aiclient.APIError{Provider: "script", Class: aiclient.ClassOverloaded}
	for name, test := range map[string]struct {
		reply []aiclient.Part
		err   error
		kept  string
	}{
		"before anything":   {nil, overloaded, ""},
		"after some text":   {[]aiclient.Part{aiclient.Text("half")}, io.ErrUnexpectedEOF, "half"},
		"without an end":    {[]aiclient.Part{aiclient.Text("half")}, nil, "half"},
		"in a call":         {calls("echo", `{}`)[:1], overloaded, ""},
		"unsigned thinking": {[]aiclient.Part{aiclient.Reasoning("hm")}, overloaded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			chat := &script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
				if n == 0 {
					return test.reply, test.err
				}
				return says("whole"), nil
			}}
			c := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}})
			turn, err := c.Send(t.Context(), "go")
			want := test.err
			if want == nil {
				want = aiclient.ClassTruncated
			}
			require.ErrorIs(t, err, want)
			assert.Equal(t, aiclient.StopFailed, turn.Stop)
			assert.Equal(t, test.kept, turn.Text, "what was received is not lost")
			messages := c.Messages()
			if test.kept != "" {
				require.Len(t, messages, 2)
				assert.True(t, messages[1].Interrupted)
			} else {
				require.Len(t, messages, 1)
			}
			assert.True(t, c.Pending())

			turn, err = c.Continue(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "whole", turn.Text)
			require.Len(t, chat.requests[1].Messages, 1, "the cut reply is asked for anew")
			require.Len(t, c.Messages(), 2)
			assert.False(t, c.Pending())
		})
	}
}
