package aiclient_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// spans writes down how the spans of traces nest.
type spans struct {
	mu    sync.Mutex
	lines []string
}

type spanKey struct{}

// start opens a span below the one that ctx carries, and returns what ends it.
func (s *spans) start(ctx context.Context, name string) (context.Context, func(outcome string)) {
	parent, _ := ctx.Value(spanKey{}).(string)
	path := parent + "/" + name
	return context.WithValue(ctx, spanKey{}, path), func(outcome string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lines = append(s.lines, path+" "+outcome)
	}
}

func (s *spans) conversation() aiclient.ConversationTrace {
	return aiclient.ConversationTrace{
		StartTurn: func(ctx context.Context, m aiclient.Model) (context.Context, func(*aiclient.Turn, error)) {
			ctx, end := s.start(ctx, "turn")
			return ctx, func(t *aiclient.Turn, err error) { end(fmt.Sprintf("%s %v", t.Stop, err)) }
		},
		StartStep: func(ctx context.Context, step int) (context.Context, func(aiclient.Step, error)) {
			ctx, end := s.start(ctx, fmt.Sprintf("step%d", step))
			return ctx, func(step aiclient.Step, _ error) { end(fmt.Sprintf("%d results", len(step.Results))) }
		},
		StartTool: func(ctx context.Context, call aiclient.ToolCall) (context.Context, func(aiclient.ToolResult)) {
			ctx, end := s.start(ctx, call.Name)
			return ctx, func(r aiclient.ToolResult) { end(fmt.Sprintf("%s %v", r.CallID, r.IsError)) }
		},
	}
}

func (s *spans) requests() aiclient.ChatTrace {
	return aiclient.ChatTrace{
		StartRequest: func(ctx context.Context, info aiclient.RequestInfo) (context.Context, func(aiclient.RequestEnd)) {
			ctx, end := s.start(ctx, fmt.Sprintf("chat%d", aiclient.Attempt(ctx)))
			return ctx, func(e aiclient.RequestEnd) {
				end(string(e.Finish.Reason) + " " + string(aiclient.ClassOf(e.Err)))
			}
		},
	}
}

// TestTracesNest checks that turns, steps, requests with their repetitions and
// tools are spans within each other, also in a tool's own context.
func TestTracesNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s spans
		monitor := aiclient.Monitor{Trace: s.requests()}
		chat := &script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
			switch n {
			case 0:
				return nil, apiError(aiclient.ClassOverloaded)
			case 1:
				return calls("where", `{"text":"x"}`, "nope", `{}`), nil
			}
			return says("done"), nil
		}}
		where := tool.New("where", "says in which span it runs", func(ctx context.Context, _ textArgs) (string, error) {
			return ctx.Value(spanKey{}).(string), nil
		}, tool.Options{})
		c := aiclient.NewConversation(aiclient.Wrap(chat, aiclient.WithRetry(aiclient.RetryOptions{}), monitor.Middleware),
			aiclient.ConversationOptions{Tools: []tool.Tool{where}, Trace: s.conversation()})
		_, err := c.Send(t.Context(), "hi")
		require.NoError(t, err)
		assert.Equal(t, []string{
			"/turn/step1/chat1  overloaded",
			"/turn/step1/chat2 tool-calls ",
			"/turn/step1/where id0 false",
			"/turn/step1 2 results",
			"/turn/step2/chat1 stop ",
			"/turn/step2 0 results",
			"/turn end <nil>",
		}, s.lines)
		assert.Equal(t, "/turn/step1/where", lastResults(c.Messages())[0].Text)

		stats := monitor.Stats()
		require.Len(t, stats, 1)
		assert.EqualValues(t, 3, stats[0].Requests)
		assert.EqualValues(t, 1, stats[0].Retries)
		assert.EqualValues(t, 1, stats[0].Failures)
	})
}

// TestSpansEndWhateverHappens checks that every span that was started ends, once.
func TestSpansEndWhateverHappens(t *testing.T) {
	deaf := func(name string) tool.Tool {
		return tool.New(name, "does not listen", func(ctx context.Context, _ textArgs) (string, error) {
			if name == "panics" {
				panic("oh")
			}
			<-ctx.Done()
			time.Sleep(10 * time.Second)
			return "late", nil
		}, tool.Options{})
	}
	for name, test := range map[string]struct {
		reply []aiclient.Part
		err   error
		want  []string
	}{
		"abort in a tool": {calls("deaf", `{"text":""}`), nil,
			[]string{"/turn/step1/chat1 tool-calls ", "/turn/step1/deaf id0 true", "/turn/step1 1 results",
				"/turn aborted the turn was stopped: aborted: context deadline exceeded"}},
		"panic in a tool": {calls("panics", `{"text":""}`), nil,
			[]string{"/turn/step1/chat1 tool-calls ", "/turn/step1/panics id0 true", "/turn/step1 1 results",
				"/turn/step2/chat1 tool-calls ", "/turn/step2/panics id0 true", "/turn/step2 1 results",
				"/turn max-steps the turn was stopped: max-steps: 2 calls of the model"}},
		"failing model": {nil, apiError(aiclient.ClassAuth),
			[]string{"/turn/step1/chat1  auth", "/turn/step1 0 results", "/turn failed script: auth"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s spans
				monitor := aiclient.Monitor{Trace: s.requests()}
				chat := &script{reply: func(context.Context, int, *aiclient.Request) ([]aiclient.Part, error) { return test.reply, test.err }}
				c := aiclient.NewConversation(aiclient.Wrap(chat, monitor.Middleware), aiclient.ConversationOptions{
					Tools: []tool.Tool{deaf("deaf"), deaf("panics")}, Trace: s.conversation(), MaxSteps: 2})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := c.Send(ctx, "hi")
				require.Error(t, err)
				require.NoError(t, c.Drain(t.Context()))
				assert.Equal(t, test.want, s.lines)
			})
		})
	}
}

// TestMonitorCounts checks what becomes of requests of every fate.
func TestMonitorCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowly := func(d time.Duration, list []aiclient.Part, err error) aiclient.Chat {
			return aiclient.ChatFunc{Name: aiclient.Model{Provider: "p", ID: "m"}, Func: func(ctx context.Context, _ *aiclient.Request) iter.Seq2[aiclient.Part, error] {
				return func(yield func(aiclient.Part, error) bool) {
					for _, part := range list {
						select {
						case <-time.After(d):
						case <-ctx.Done():
							yield(aiclient.Part{}, ctx.Err())
							return
						}
						if !yield(part, nil) {
							return
						}
					}
					if err != nil {
						yield(aiclient.Part{}, err)
					}
				}
			}}
		}
		var monitor aiclient.Monitor
		read := func(ctx context.Context, chat aiclient.Chat) {
			_, _ = aiclient.Collect(chat.Stream(ctx, hello()))
		}
		priced := func(chat aiclient.Chat) aiclient.Chat {
			return aiclient.Wrap(chat, monitor.Middleware, aiclient.WithPrice(aiclient.Price{Input: 1e6, Output: 2e6}))
		}
		ok := priced(slowly(time.Second, says("hello"), nil))
		read(t.Context(), ok)
		_, err := ok.Generate(t.Context(), hello())
		require.NoError(t, err)
		for range ok.Stream(t.Context(), hello()) {
			break // the reader wants no more
		}
		for range ok.Stream(t.Context(), hello()) { // reads to the end, and takes its time
			time.Sleep(time.Minute)
		}
		cancelled, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("enough"))
		read(cancelled, ok)
		cancel()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		read(gone, ok)
		read(t.Context(), aiclient.Wrap(ok, aiclient.WithTimeout(aiclient.Timeouts{FirstPart: time.Millisecond})))
		read(t.Context(), priced(slowly(0, nil, apiError(aiclient.ClassRateLimit))))
		read(t.Context(), priced(slowly(0, says("half")[:1], errors.New("odd"))))
		read(t.Context(), priced(slowly(0, []aiclient.Part{finish(aiclient.FinishContentFilter)}, nil)))

		stats := monitor.Stats()
		require.Len(t, stats, 1)
		s := stats[0]
		assert.Equal(t, aiclient.Model{Provider: "p", ID: "m"}, s.Model)
		assert.Zero(t, s.InFlight)
		assert.EqualValues(t, 10, s.Requests)
		assert.EqualValues(t, 2, s.Cancelled, "stopped, and cancelled before")
		assert.EqualValues(t, 4, s.Failures)
		assert.EqualValues(t, 2, s.Timeouts, "the deadline and WithTimeout")
		assert.Equal(t, map[aiclient.Class]int64{aiclient.ClassTimeout: 2, aiclient.ClassRateLimit: 1, "": 1}, s.Classes)
		assert.EqualValues(t, 4, s.Succeeded)
		assert.EqualValues(t, 3, s.Streams)
		assert.EqualValues(t, 1, s.ContentFilter)
		assert.Equal(t, time.Minute+2*time.Second, s.MaxTime, "what the reader does with the last part does not count")
		assert.Equal(t, time.Second, s.MaxFirstPart)
		assert.EqualValues(t, 4*15, s.Usage.Total())
		assert.Equal(t, 4*20.0, s.Cost)

		stats[0].Classes["x"] = 1
		assert.NotContains(t, monitor.Stats()[0].Classes, aiclient.Class("x"), "a copy")
	})
}

func TestMonitorOfManyModels(t *testing.T) {
	var monitor aiclient.Monitor
	var wg sync.WaitGroup
	for i := range 8 {
		chat := aiclient.Wrap(aiclient.ChatFunc{Name: aiclient.Model{Provider: "p", ID: fmt.Sprint(i % 2)}, Func: replies(says("x")).Stream}, monitor.Middleware)
		wg.Go(func() {
			for range 50 {
				_, err := chat.Generate(t.Context(), hello())
				assert.NoError(t, err)
				monitor.Stats()
			}
		})
	}
	wg.Wait()
	stats := monitor.Stats()
	require.Len(t, stats, 2)
	assert.True(t, slices.IsSortedFunc(stats, func(a, b aiclient.ModelStats) int { return int(a.Model.ID[0]) - int(b.Model.ID[0]) }))
	assert.EqualValues(t, 200, stats[0].Requests)
	assert.EqualValues(t, 200, stats[1].Requests)
}

// A monitor behind the retries sees every request that is sent.
func ExampleMonitor() {
	var monitor aiclient.Monitor
	chat := aiclient.Wrap(flaky(1, apiError(aiclient.ClassOverloaded)),
		aiclient.WithRetry(aiclient.RetryOptions{Delay: time.Millisecond}), monitor.Middleware)
	_, err := chat.Generate(context.Background(), hello())
	s := monitor.Stats()[0]
	fmt.Println(err, s.Requests, s.Retries, s.Failures, s.Classes[aiclient.ClassOverloaded])
	// Output: <nil> 2 1 1 1
}
