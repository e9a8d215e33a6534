package aiclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/budget"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// world counts what tools did, by call. It survives the crashes of a test.
type world struct {
	mu   sync.Mutex
	done map[string]int
}

func (w *world) tool(name string, annotations tool.Annotations) tool.Tool {
	return tool.New(name, "", func(_ context.Context, in textArgs) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.done[name+in.Text]++
		return name + in.Text, nil
	}, tool.Options{Annotations: annotations})
}

func (w *world) copy() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.done)
}

func (w *world) tools() []tool.Tool {
	return []tool.Tool{
		w.tool("read", tool.Annotations{ReadOnly: true}),
		w.tool("write", tool.Annotations{}),
		w.tool("put", tool.Annotations{Idempotent: true}),
	}
}

// crashScript is stateless, as a model is: it answers what the history holds.
func crashScript(limit int) *script {
	return &script{reply: func(_ context.Context, _ int, req *aiclient.Request) ([]aiclient.Part, error) {
		steps := 0
		for _, m := range req.Messages {
			if m.Role == aiclient.RoleTool {
				steps++
			}
		}
		if steps == limit {
			return says("finished"), nil
		}
		var list []string
		for i, name := range []string{"read", "write", "put", "write"} {
			list = append(list, name, fmt.Sprintf(`{"text":"%d.%d"}`, steps, i))
		}
		return calls(list...), nil
	}}
}

// savedPoint is what was durable at one boundary, and what the tools had done.
type savedPoint struct {
	whole []byte
	steps [][]byte
	done  map[string]int
}

func (p savedPoint) restore(t *testing.T, opts aiclient.ConversationOptions) *aiclient.Conversation {
	t.Helper()
	c := aiclient.NewConversation(crashScript(3), opts)
	require.NoError(t, c.UnmarshalJSON(p.whole))
	for _, step := range p.steps {
		require.NoError(t, c.ApplyDelta(step))
	}
	return c
}

// TestCrashAtEveryBoundary kills the program at every boundary, in the worst
// moment: everything that was going to happen before the next boundary has
// happened, and nothing of it was recorded.
func TestCrashAtEveryBoundary(t *testing.T) {
	for _, approved := range []bool{false, true} {
		t.Run(fmt.Sprintf("approval=%v", approved), func(t *testing.T) {
			w := &world{done: map[string]int{}}
			var c *aiclient.Conversation
			var points []savedPoint
			var mark uint64
			opts := aiclient.ConversationOptions{Tools: w.tools(), Parallel: 2}
			if approved {
				opts.Approve = func(_ context.Context, a aiclient.Approval) (aiclient.Decision, error) {
					return aiclient.Decision{Allow: !a.Interrupted, Reason: "leave it"}, nil
				}
			}
			opts.Checkpoint = func(context.Context) error {
				p := savedPoint{}
				if len(points) > 0 {
					p.whole, p.steps = points[len(points)-1].whole, points[len(points)-1].steps
				}
				delta, next, ok := c.Delta(mark)
				switch {
				case !ok:
					whole, err := json.Marshal(c)
					require.NoError(t, err)
					p.whole, p.steps = whole, nil
				case delta != nil:
					p.steps = append(p.steps[:len(p.steps):len(p.steps)], delta)
				}
				mark = next
				p.done = w.copy()
				points = append(points, p)
				return nil
			}
			c = aiclient.NewConversation(crashScript(3), opts)
			_, err := c.Send(t.Context(), "go")
			require.NoError(t, err)
			require.Greater(t, len(points), 14)
			all := w.copy()
			require.Len(t, all, 12)

			for i, p := range points {
				// What the tools had done when the crash came: at the latest just
				// before the next boundary.
				before := all
				if i+1 < len(points) {
					before = points[i+1].done
				}
				again := &world{done: maps.Clone(before)}
				o := opts
				o.Tools, o.Checkpoint = again.tools(), nil
				restored := p.restore(t, o)
				recorded := map[string]bool{}
				for _, m := range restored.Messages() {
					for _, part := range m.Parts {
						if part.Result != nil {
							recorded[part.Result.Text] = true
						}
					}
				}
				turn, err := restored.Continue(t.Context())
				require.NoError(t, err)
				assert.False(t, restored.Pending())
				if i+1 < len(points) {
					assert.Equal(t, "finished", turn.Text)
				}
				require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: restored.Messages(), Tools: o.Tools}, aiclient.Rules{}), "boundary %d", i)
				for name, n := range again.copy() {
					switch {
					case strings.HasPrefix(name, "write"):
						assert.Equal(t, 1, n, "boundary %d: %s must never run twice", i, name)
					case recorded[name]:
						assert.Equal(t, before[name], n, "boundary %d: %s has a recorded result", i, name)
					}
				}
				for _, m := range restored.Messages() {
					for _, part := range m.Parts {
						if part.Result != nil && part.Result.IsError {
							assert.Contains(t, part.Result.Text, "Its effect is unknown")
							assert.Equal(t, "write", part.Result.Name)
							assert.Equal(t, approved, strings.Contains(part.Result.Text, "leave it"))
						}
					}
				}
			}
		})
	}
}

func TestAPersonMayRunAnInterruptedCallAgain(t *testing.T) {
	w := &world{done: map[string]int{}}
	saved := `{"version":1,"epoch":1,"seq":2,"messages":[{"role":"user","parts":[{"kind":"text","text":"go"}]},
		{"role":"assistant","parts":[{"kind":"tool-call","call":{"id":"a","name":"write","arguments":"{\"text\":\"1\"}"}}]}],
		"open":[{"started":true}],"usage":{"input":0,"output":0}}`
	var asked []aiclient.Approval
	c := aiclient.NewConversation(replies(says("ok")), aiclient.ConversationOptions{Tools: w.tools(),
		Approve: func(_ context.Context, a aiclient.Approval) (aiclient.Decision, error) {
			asked = append(asked, a)
			return aiclient.Decision{Allow: true}, nil
		}})
	require.NoError(t, c.UnmarshalJSON([]byte(saved)))
	assert.True(t, c.Pending())
	_, err := c.Continue(t.Context())
	require.NoError(t, err)
	require.Len(t, asked, 1)
	assert.True(t, asked[0].Interrupted)
	assert.Equal(t, map[string]int{"write1": 1}, w.done)

	// A conversation that goes on with something else says that the effect is unknown.
	require.NoError(t, c.UnmarshalJSON([]byte(saved)))
	_, err = c.Send(t.Context(), "never mind")
	require.NoError(t, err)
	assert.Contains(t, lastResults(c.Messages())[0].Text, "Its effect is unknown")
	assert.Len(t, asked, 1)
}

func TestDelta(t *testing.T) {
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{Tools: []tool.Tool{echo()}})
	_, mark, ok := c.Delta(0)
	assert.False(t, ok, "the mark 0 is never known")
	whole, err := json.Marshal(c)
	require.NoError(t, err)
	g := c.Generation()
	delta, next, ok := c.Delta(mark)
	assert.True(t, ok)
	assert.Nil(t, delta)
	assert.Equal(t, mark, next)
	assert.Equal(t, g, c.Generation(), "to look changes nothing")

	_, err = c.Send(t.Context(), "one")
	require.NoError(t, err)
	assert.NotEqual(t, g, c.Generation())
	first, mark1, ok := c.Delta(mark)
	require.True(t, ok)
	_, err = c.Send(t.Context(), "two")
	require.NoError(t, err)
	second, mark2, ok := c.Delta(mark1)
	require.True(t, ok)
	both, _, _ := c.Delta(mark)
	want, err := json.Marshal(c.Messages())
	require.NoError(t, err)

	r := aiclient.NewConversation(replies(), aiclient.ConversationOptions{})
	require.NoError(t, r.UnmarshalJSON(whole))
	require.Error(t, r.ApplyDelta(second), "a step is missing")
	assert.Empty(t, r.Messages())
	require.NoError(t, r.ApplyDelta(first))
	require.NoError(t, r.ApplyDelta(first), "what is there already changes nothing")
	require.NoError(t, r.ApplyDelta(both), "overlapping steps")
	require.NoError(t, r.ApplyDelta(second))
	got, err := json.Marshal(r.Messages())
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
	assert.Equal(t, c.Usage(), r.Usage())
	_, _, ok = r.Delta(mark2)
	assert.False(t, ok, "a mark of another process is not known")

	c.Reset("history")
	_, mark3, ok := c.Delta(mark2)
	assert.False(t, ok, "rewritten since")
	require.Error(t, r.ApplyDelta([]byte(`{"version":1,"epoch":1,"from":0,"entries":[]}`)))
	_, _, ok = c.Delta(mark3)
	assert.True(t, ok)

	// Travelling back in time makes old marks useless.
	require.NoError(t, c.UnmarshalJSON(whole))
	_, _, ok = c.Delta(mark3)
	assert.False(t, ok)
}

func TestStepCheckpointsCostWhatIsNew(t *testing.T) {
	var c *aiclient.Conversation
	var mark uint64
	total := 0
	const steps = 1000
	c = aiclient.NewConversation(&script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
		if n == steps {
			return says("done"), nil
		}
		return calls("echo", fmt.Sprintf(`{"text":"%s %d"}`, strings.Repeat("x", 200), n)), nil
	}}, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}, MaxSteps: -1, Checkpoint: func(context.Context) error {
		delta, next, ok := c.Delta(mark)
		if !ok {
			delta, _ = json.Marshal(c)
		}
		mark = next
		total += len(delta)
		return nil
	}})
	_, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	transcript, err := json.Marshal(c)
	require.NoError(t, err)
	ratio := float64(total) / float64(len(transcript))
	t.Logf("%d bytes in steps, %d in one: %.2f", total, len(transcript), ratio)
	assert.LessOrEqual(t, ratio, 1.2)
}

func TestBadStatesChangeNothing(t *testing.T) {
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{})
	_, err := c.Send(t.Context(), "hi")
	require.NoError(t, err)
	want, err := json.Marshal(c)
	require.NoError(t, err)
	for _, bad := range []string{
		``, `null`, `[]`, `{}`, `{"version":99}`, `{"version":1,"messages":[{"role":"user","parts":[{"kind":"nonsense"}]}]}`,
		`{"version":1,"messages":[{"role":"assistant","parts":[{"kind":"tool-call","call":{"id":"a","name":"x"}}]}],"open":[{"result":{"callId":"b","name":"x"}}]}`,
	} {
		require.Error(t, c.UnmarshalJSON([]byte(bad)), "%s", bad)
		require.Error(t, c.ApplyDelta([]byte(bad)), "%s", bad)
	}
	got, err := json.Marshal(c)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func TestASavedCountThatIsNegative(t *testing.T) {
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{})
	require.NoError(t, c.UnmarshalJSON([]byte(`{"version":1,"messages":[],"context":-9000000}`)))
	_, err := c.Send(budget.With(t.Context(), budget.New(budget.Limits{Tokens: 1_000_000})), "hi")
	require.NoError(t, err)
}

func TestResetWhileATurnRuns(t *testing.T) {
	var c *aiclient.Conversation
	wipe := tool.New("wipe", "", func(context.Context, struct{}) (string, error) {
		c.Reset("all")
		return "wiped", nil
	}, tool.Options{})
	c = aiclient.NewConversation(replies(calls("wipe", "")), aiclient.ConversationOptions{Tools: []tool.Tool{wipe}})
	_, err := c.Send(t.Context(), "go")
	require.ErrorIs(t, err, aiclient.ErrReset)
	assert.Empty(t, c.Messages())
	_, err = c.Send(t.Context(), "again")
	require.NoError(t, err)
	assert.Len(t, c.Messages(), 2)
}

func TestCheckpointErrorEndsTheTurn(t *testing.T) {
	w := &world{done: map[string]int{}}
	n := 0
	c := aiclient.NewConversation(crashScript(3), aiclient.ConversationOptions{Tools: w.tools(), Checkpoint: func(context.Context) error {
		if n++; n == 2 {
			return fmt.Errorf("disk full")
		}
		return nil
	}})
	turn, err := c.Send(t.Context(), "go")
	require.ErrorContains(t, err, "saving the conversation: disk full")
	assert.Equal(t, aiclient.StopFailed, turn.Stop)
	assert.Empty(t, w.done, "nothing runs that was not recorded")
	for _, r := range lastResults(c.Messages()) {
		assert.Contains(t, r.Text, "was not made")
	}
}

func TestCheckpointErrorOfAnAbortedTurnIsReported(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stop := tool.New("stop", "", func(context.Context, struct{}) (string, error) {
		cancel()
		return "stopped", nil
	}, tool.Options{})
	full := errors.New("disk full")
	c := aiclient.NewConversation(replies(calls("stop", "")), aiclient.ConversationOptions{
		Tools: []tool.Tool{stop}, Checkpoint: func(context.Context) error {
			if ctx.Err() != nil {
				return full
			}
			return nil
		},
	})
	turn, err := c.Send(ctx, "go")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, full, "what was done is not saved, and the caller must know")
	assert.Equal(t, aiclient.StopAborted, turn.Stop)
}

func TestTurnsThatCannotBeSavedSaySo(t *testing.T) {
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{
		Checkpoint: func(context.Context) error { return errors.New("disk full") },
	})
	turn, err := c.Send(t.Context(), "go")
	require.ErrorContains(t, err, "disk full")
	assert.Equal(t, aiclient.StopFailed, turn.Stop)
}

func TestHostFunctionsThatEndWithTheContext(t *testing.T) {
	for name, options := range map[string]func(func(context.Context) error) aiclient.ConversationOptions{
		"checkpoint": func(f func(context.Context) error) aiclient.ConversationOptions {
			return aiclient.ConversationOptions{Checkpoint: f}
		},
		"before step": func(f func(context.Context) error) aiclient.ConversationOptions {
			return aiclient.ConversationOptions{BeforeStep: func(ctx context.Context, _ int, _ *aiclient.Request) error { return f(ctx) }}
		},
		"after step": func(f func(context.Context) error) aiclient.ConversationOptions {
			return aiclient.ConversationOptions{AfterStep: func(ctx context.Context, _ aiclient.Step) error { return f(ctx) }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c := aiclient.NewConversation(replies(), options(func(inner context.Context) error {
				cancel()
				return fmt.Errorf("waiting: %w", inner.Err())
			}))
			turn, err := c.Send(ctx, "go")
			assert.Equal(t, aiclient.StopAborted, turn.Stop, "%v", err)
			require.ErrorContains(t, err, "waiting")
		})
	}
}

// FuzzUnmarshal gives any bytes to a conversation, and states that are cut off
// or changed: either it refuses and keeps its state, or the next request is
// valid.
func FuzzUnmarshal(f *testing.F) {
	c := aiclient.NewConversation(replies(calls("echo", `{"text":"a"}`, "nope", `{`)), aiclient.ConversationOptions{Tools: []tool.Tool{echo()}})
	_, err := c.Send(f.Context(), "hi")
	require.NoError(f, err)
	whole, err := json.Marshal(c)
	require.NoError(f, err)
	f.Add(whole)
	f.Add([]byte(`{"version":1,"messages":[{"role":"assistant","parts":[{"kind":"tool-call"},{"kind":"tool-call","call":{"id":"","name":"x"}},{"kind":"tool-call","call":{"id":"","name":"x"}}]},{"role":"user","parts":[]},{"role":"tool","parts":[{"kind":"text"}]}]}`))
	f.Add([]byte(`{"version":1,"messages":[{"role":"user","parts":null},{"role":"assistant","interrupted":true,"parts":[{"kind":"tool-call","call":{"id":"1","name":"x"}}]},{"role":"assistant","parts":[{"kind":"tool-call","call":{"id":"1","name":"x"}}]},{"role":"tool","parts":[]}],"contextAt":-3,"steer":[{"role":"x","parts":[]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{Tools: []tool.Tool{echo()}})
		_ = c.UnmarshalJSON(data)
		_ = c.ApplyDelta(data)
		_, err := c.Send(t.Context(), "next")
		require.NoError(t, err)
		require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages()}, aiclient.Rules{}))
		_, err = json.Marshal(c)
		require.NoError(t, err)
	})
}

// TestKillAtEveryByte cuts a saved history at every byte, whole and in steps.
func TestKillAtEveryByte(t *testing.T) {
	var c *aiclient.Conversation
	var log []byte
	var mark uint64
	c = aiclient.NewConversation(crashScript(1), aiclient.ConversationOptions{
		Tools: (&world{done: map[string]int{}}).tools(),
		Checkpoint: func(context.Context) error {
			delta, next, ok := c.Delta(mark)
			if !ok {
				delta, _ = json.Marshal(c)
			}
			mark = next
			log = append(append(log, delta...), '\n')
			return nil
		},
	})
	_, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	for cut := range len(log) + 1 {
		r := aiclient.NewConversation(replies(), aiclient.ConversationOptions{Tools: (&world{done: map[string]int{}}).tools()})
		for i, line := range strings.Split(string(log[:cut]), "\n") {
			if i == 0 {
				err = r.UnmarshalJSON([]byte(line))
			} else {
				err = r.ApplyDelta([]byte(line))
			}
			if err != nil {
				break
			}
		}
		_, err := r.Send(t.Context(), "next")
		require.NoError(t, err)
		require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: r.Messages()}, aiclient.Rules{}), "cut at %d", cut)
	}
}
