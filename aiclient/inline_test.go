package aiclient_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// deaf is a tool that ignores its context for a while.
func deaf(ignores time.Duration, opts tool.Options) tool.Tool {
	return tool.New("deaf", "", func(context.Context, struct{}) (string, error) {
		time.Sleep(ignores)
		return "too late", nil
	}, opts)
}

// TestAbortOfALoneToolThatIgnoresItsContext is about calls that run in the turn's
// own goroutine: the first alone in its step, the second alone because it is exclusive.
func TestAbortOfALoneToolThatIgnoresItsContext(t *testing.T) {
	for name, reply := range map[string][]aiclient.Part{
		"one call": calls("deaf", ""), "exclusive": calls("deaf", "", "echo", `{"text":"behind"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var stepEnds, stepsEnded, toolEnds, afterTool, turnsEnded, saves int
				c := aiclient.NewConversation(replies(calls("echo", `{"text":"first"}`), reply), aiclient.ConversationOptions{
					Tools:      []tool.Tool{deaf(2*time.Second, tool.Options{Annotations: tool.Annotations{Exclusive: true}}), echo()},
					Checkpoint: func(ctx context.Context) error { saves++; return ctx.Err() },
					AfterTool:  func(context.Context, aiclient.ToolCall, *aiclient.ToolResult) error { afterTool++; return nil },
					Logger:     slog.New(slog.NewTextHandler(&log, nil)),
					Trace: aiclient.ConversationTrace{
						StartTurn: func(ctx context.Context, _ aiclient.Model) (context.Context, func(*aiclient.Turn, error)) {
							return ctx, func(turn *aiclient.Turn, err error) {
								turnsEnded++
								assert.Equal(t, aiclient.StopAborted, turn.Stop)
							}
						},
						StartStep: func(ctx context.Context, _ int) (context.Context, func(aiclient.Step, error)) {
							return ctx, func(aiclient.Step, error) { stepsEnded++ }
						},
						StepEnd: func(_ context.Context, step aiclient.Step, err error) {
							stepEnds++
							assert.Equal(t, step.Number == 2, err != nil)
							assert.Len(t, step.Results, len(step.Response.Calls()))
						},
						ToolEnd: func(context.Context, aiclient.ToolCall, aiclient.ToolResult, time.Duration) { toolEnds++ },
					},
				})
				ctx, cancel := context.WithCancel(t.Context())
				var aborted time.Time
				time.AfterFunc(time.Second, func() { aborted = time.Now(); cancel() })
				turn, err := c.Send(ctx, "go")
				assert.LessOrEqual(t, time.Since(aborted), 150*time.Millisecond)
				require.ErrorIs(t, err, context.Canceled)
				assert.Equal(t, aiclient.StopAborted, turn.Stop)
				require.Len(t, turn.Steps, 2)
				results := turn.Steps[1].Results
				require.Len(t, results, len(reply)-1)
				assert.Contains(t, results[0].Text, "cancelled while it ran. Its effect is unknown")
				for _, r := range results[1:] {
					assert.Contains(t, r.Text, "was not made")
				}
				assert.Equal(t, 1100*time.Millisecond, turn.Steps[1].Duration)

				// What the late call does changes nothing.
				before, generation, saved := snapshot(t, c), c.Generation(), saves
				require.NoError(t, c.Drain(t.Context()))
				assert.Equal(t, 2*time.Second, time.Since(aborted)+time.Second)
				assert.Equal(t, before, snapshot(t, c))
				assert.Equal(t, generation, c.Generation())
				assert.Equal(t, saved, saves)
				assert.Equal(t, []int{2, 2, len(results) + 1, 1}, []int{stepEnds, stepsEnded, toolEnds, turnsEnded}, "each ended once")
				assert.Equal(t, 2, afterTool, "the late result passes AfterTool, as a parallel one does")
				assert.Contains(t, log.String(), "result of an abandoned tool call discarded")
				assert.EqualValues(t, 1, c.Stats().Abandoned)

				require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages()}, aiclient.Rules{}))
			})
		})
	}
}

func snapshot(t *testing.T, c *aiclient.Conversation) string {
	data, err := c.MarshalJSON()
	require.NoError(t, err)
	return string(data)
}

// TestAbortAtAnyMoment aborts turns of lone and parallel calls, often at the very
// moment at which a call ends or is given up, and goes on at once beside the late
// calls.
func TestAbortAtAnyMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tick = 50 * time.Millisecond
		ended := 0
		c := aiclient.NewConversation(&script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
			return [][]aiclient.Part{
				calls("deaf", ""),
				calls("deaf", "", "deaf", ""),
				calls("echo", `{"text":"x"}`),
				calls("echo", `{"text":"x"}`, "deaf", "", "echo", `{"text":"y"}`),
			}[n%4], nil
		}}, aiclient.ConversationOptions{
			Tools:    []tool.Tool{deaf(4*tick, tool.Options{}), echo()},
			MaxSteps: -1, LoopLimit: -1, Logger: slog.New(slog.DiscardHandler),
			Trace: aiclient.ConversationTrace{StepEnd: func(context.Context, aiclient.Step, error) { ended++ }},
		})
		rng := rand.New(rand.NewPCG(1, 2))
		steps := 0
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rng.IntN(20))*tick)
			turn, err := c.Send(ctx, "go")
			deadline, _ := ctx.Deadline()
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.LessOrEqual(t, time.Since(deadline), 150*time.Millisecond)
			steps += len(turn.Steps)
			require.Equal(t, steps, ended, "every step ends once")
			for _, step := range turn.Steps {
				if step.Response.Reason != "" { // the reply was complete
					require.Len(t, step.Results, len(step.Response.Calls()))
				}
			}
			require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages()}, aiclient.Rules{}))
		}
		require.NoError(t, c.Drain(t.Context()))
		assert.Positive(t, c.Stats().Abandoned)
	})
}

// TestToolsThatExit ends the goroutines of tools that run beside each other.
func TestToolsThatExit(t *testing.T) {
	exit := tool.New("exit", "", func(context.Context, struct{}) (string, error) {
		runtime.Goexit()
		return "", nil
	}, tool.Options{})
	c := aiclient.NewConversation(replies(calls("exit", "", "exit", "")), aiclient.ConversationOptions{Tools: []tool.Tool{exit}})
	turn, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	assert.Equal(t, "done", turn.Text)
	for _, r := range lastResults(c.Messages()) {
		assert.Contains(t, r.Text, "ended its goroutine")
	}
}

// TestHostFunctionsThatPanicOrExit calls host functions that do not return. The
// panic goes to the caller of Send, who may recover, and the conversation goes on.
func TestHostFunctionsThatPanicOrExit(t *testing.T) {
	broken := true
	boom := errors.New("boom")
	var log bytes.Buffer
	var open int
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		BeforeStep: func(context.Context, int, *aiclient.Request) error {
			if broken {
				panic(boom)
			}
			return nil
		},
		AfterStep: func(context.Context, aiclient.Step) error {
			runtime.Goexit()
			return nil
		},
		Trace: aiclient.ConversationTrace{StartStep: func(ctx context.Context, _ int) (context.Context, func(aiclient.Step, error)) {
			open++
			return ctx, func(_ aiclient.Step, err error) {
				open--
				assert.ErrorContains(t, err, "did not return")
			}
		}},
	})
	require.PanicsWithValue(t, boom, func() { _, _ = c.Send(t.Context(), "go") })
	assert.Contains(t, log.String(), "TestHostFunctionsThatPanicOrExit", "the log has the stack")
	assert.Zero(t, open, "the step has ended")

	broken = false
	exited := make(chan bool)
	go func() {
		returned := false
		defer func() { exited <- !returned }()
		_, _ = c.Send(t.Context(), "go")
		returned = true
	}()
	assert.True(t, <-exited, "runtime.Goexit ends the goroutine that called Send")
	require.NoError(t, c.Drain(t.Context()))
	assert.Zero(t, open)
	assert.Len(t, c.Messages(), 3, "two questions and the answer")
}
