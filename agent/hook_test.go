package agent

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHookChain(t *testing.T) {
	bad := errors.New("bad")
	for name, c := range map[string]struct {
		policy HookPolicy
		ran    []string
		state  RunState
	}{
		"report":      {Report, []string{"a", "b", "c"}, Done},
		"stop chain":  {StopChain, []string{"a", "b"}, Done},
		"abort input": {AbortInput, []string{"a", "b"}, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			var ran []string
			hook := func(name string, err error) func(context.Context) error {
				return func(context.Context) error { ran = append(ran, name); return err }
			}
			m := newManager(t, ManagerOptions{}, handle(func(context.Context, *Agent, Input) error { return nil }))
			a := spawn(t, m, SpawnOptions{})
			require.NoError(t, a.Hook(AfterChat, "a", hook("a", nil)))
			require.NoError(t, a.Hook(AfterChat, "b", hook("b", bad), HookOptions{Policy: c.policy}))
			require.NoError(t, a.Hook(AfterChat, "c", hook("c", nil)))
			require.ErrorIs(t, a.Hook(AfterChat, "c", hook("c", nil)), ErrDuplicate)
			r, err := a.Submit(t.Context(), Input{})
			require.NoError(t, err)
			err = r.Wait(t.Context())
			assert.Equal(t, c.ran, ran)
			assert.Equal(t, c.state, r.State())
			if c.policy == AbortInput {
				require.ErrorIs(t, err, bad)
			}
			infos := a.Hooks()
			assert.Equal(t, "bad", infos[1].LastError)
			assert.EqualValues(t, 1, infos[1].Failures)
			assert.EqualValues(t, 1, infos[0].Runs)
		})
	}
}

func TestPanicsInHooksAreReported(t *testing.T) {
	m := newManager(t, ManagerOptions{}, handle(func(context.Context, *Agent, Input) error { return nil }))
	a := spawn(t, m, SpawnOptions{})
	idle := 0
	require.NoError(t, a.Hook(AfterChat, "p", func(context.Context) error { panic("ouch") }))
	require.NoError(t, a.Hook(OnIdle, "i", func(context.Context) error { idle++; return nil }))
	for range 2 {
		r, err := a.Submit(t.Context(), Input{})
		require.NoError(t, err)
		require.NoError(t, r.Wait(t.Context()))
	}
	require.NoError(t, a.Stop(t.Context()))
	ran := bodiesOf[HookRan](events(a))
	assert.Equal(t, "panic: ouch", ran[0].Error)
	assert.LessOrEqual(t, idle, 2)
}

func TestDisablingAHookLeavesTheOthers(t *testing.T) {
	store := &MemoryStore{}
	var ran []string
	typ := Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
		var errs []error
		for _, n := range []string{"a", "b", "c"} {
			errs = append(errs, a.Hook("mine", n, func(context.Context) error { ran = append(ran, n); return nil }))
		}
		return errors.Join(errs...)
	}}
	m := newManager(t, ManagerOptions{Store: store}, typ)
	a := spawn(t, m, SpawnOptions{ID: "a"})
	n, err := a.DisableHooks("b", "nothing*")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	_, err = a.DisableHooks("[")
	require.Error(t, err)
	require.NoError(t, a.RunHooks(t.Context(), "mine"))
	assert.Equal(t, []string{"a", "c"}, ran)
	require.NoError(t, a.Stop(t.Context()))

	// Saved hooks that no longer exist fail nothing.
	bare := newManager(t, ManagerOptions{Store: store}, handle(func(context.Context, *Agent, Input) error { return nil }))
	none, err := bare.Restore(t.Context(), "a")
	require.NoError(t, err)
	for range 2 {
		r, err := none.Submit(t.Context(), Input{})
		require.NoError(t, err)
		require.NoError(t, r.Wait(t.Context()))
		require.NoError(t, none.RunHooks(t.Context(), "mine"))
	}
	require.NoError(t, none.Stop(t.Context()))

	// The choice survives, even there.
	b, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	ran = nil
	require.NoError(t, b.RunHooks(t.Context(), "mine"))
	assert.Equal(t, []string{"a", "c"}, ran)
	assert.EqualValues(t, 2, b.Hooks()[0].Runs, "counts survive too")
	_, err = b.EnableHooks("*")
	require.NoError(t, err)
	ran = nil
	require.NoError(t, b.RunHooks(t.Context(), "mine"))
	assert.Equal(t, []string{"a", "b", "c"}, ran)
}

func TestHookTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, Type{Name: "test"})
		a := spawn(t, m, SpawnOptions{})
		require.NoError(t, a.Hook("p", "deaf", func(context.Context) error { time.Sleep(time.Minute); return nil },
			HookOptions{Timeout: time.Second, Policy: StopChain}))
		start := time.Now()
		err := a.RunHooks(t.Context(), "p")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Contains(t, err.Error(), "hook deaf at p")
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, a.Stop(t.Context()), "waits for what was left behind")
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

func TestToolHooksDecide(t *testing.T) {
	decide := func(d ToolDecision, err error) ToolHook {
		return ToolHook{Before: func(context.Context, ToolCall) (ToolDecision, error) { return d, err }}
	}
	answer := ToolDecision{Verdict: Answer, Result: ToolResult{Text: "42"}}
	deny := ToolDecision{Verdict: Deny, Reason: "no"}
	for name, c := range map[string]struct {
		hooks []ToolHook
		opts  HookOptions
		want  Verdict
		args  string
	}{
		"nobody objects":         {nil, HookOptions{}, Allow, `{"n":1}`},
		"deny wins over allow":   {[]ToolHook{decide(ToolDecision{}, nil), decide(deny, nil), decide(ToolDecision{}, nil)}, HookOptions{}, Deny, ""},
		"deny wins over answer":  {[]ToolHook{decide(answer, nil), decide(deny, nil)}, HookOptions{}, Deny, ""},
		"answer wins over allow": {[]ToolHook{decide(ToolDecision{}, nil), decide(answer, nil)}, HookOptions{}, Answer, `{"n":1}`},
		"failure denies":         {[]ToolHook{decide(ToolDecision{}, errors.New("x"))}, HookOptions{}, Deny, ""},
		"failure passes open":    {[]ToolHook{decide(ToolDecision{}, errors.New("x"))}, HookOptions{FailOpen: true}, Allow, `{"n":1}`},
		"changes merge in order": {[]ToolHook{
			decide(ToolDecision{Args: json.RawMessage(`{"n":2}`)}, nil),
			{Before: func(_ context.Context, c ToolCall) (ToolDecision, error) {
				return ToolDecision{Args: append(c.Args[:len(c.Args)-1:len(c.Args)-1], `,"m":3}`...)}, nil
			}},
			decide(ToolDecision{}, nil),
		}, HookOptions{}, Allow, `{"n":2,"m":3}`},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, ManagerOptions{}, Type{Name: "test"})
			a := spawn(t, m, SpawnOptions{})
			for i, h := range c.hooks {
				require.NoError(t, a.ToolHook(string(rune('a'+i)), h, c.opts))
			}
			got, err := a.BeforeTool(t.Context(), ToolCall{ID: "1", Name: "add", Args: json.RawMessage(`{"n":1}`)})
			require.NoError(t, err)
			assert.Equal(t, c.want, got.Verdict)
			if c.args != "" {
				assert.Equal(t, c.args, string(got.Args))
			}
			if c.want == Deny {
				assert.NotEmpty(t, got.Reason)
			}
		})
	}
}

func TestToolResultsCanBeChanged(t *testing.T) {
	m := newManager(t, ManagerOptions{}, Type{Name: "test"})
	a := spawn(t, m, SpawnOptions{})
	require.NoError(t, a.ToolHook("fails", ToolHook{After: func(context.Context, ToolCall, ToolResult) (ToolResult, error) {
		panic("no")
	}}))
	require.NoError(t, a.ToolHook("shout", ToolHook{After: func(_ context.Context, _ ToolCall, r ToolResult) (ToolResult, error) {
		r.Text += "!"
		return r, nil
	}}))
	got, err := a.AfterTool(t.Context(), ToolCall{ID: "1"}, ToolResult{Text: "hey"}, time.Second)
	require.NoError(t, err)
	assert.Equal(t, "hey!", got.Text)
	assert.Equal(t, "hey!", bodiesOf[ToolFinished](events(a))[0].Result)
}

// A hook's policy means the same at every point.
func TestPoliciesOfHooksAroundTools(t *testing.T) {
	bad := errors.New("bad")
	call := ToolCall{ID: "1", Name: "ls"}
	for name, register := range map[string]func(a *Agent, p Point, name string, fn func() error, opts HookOptions) error{
		"plain": func(a *Agent, p Point, name string, fn func() error, opts HookOptions) error {
			return a.Hook(p, name, func(context.Context) error { return fn() }, opts)
		},
		"tool": func(a *Agent, p Point, name string, fn func() error, opts HookOptions) error {
			if p == BeforeTool {
				return a.ToolHook(name, ToolHook{Before: func(context.Context, ToolCall) (ToolDecision, error) { return ToolDecision{}, fn() }}, opts)
			}
			return a.ToolHook(name, ToolHook{After: func(_ context.Context, _ ToolCall, r ToolResult) (ToolResult, error) { return r, fn() }}, opts)
		},
	} {
		for policy, ran := range map[HookPolicy][]int{Report: {1, 2}, StopChain: {1}, AbortInput: {1}} {
			t.Run(name, func(t *testing.T) {
				m := newManager(t, ManagerOptions{}, Type{Name: "test"})
				var before, after []int
				a := spawn(t, m, SpawnOptions{})
				opts := HookOptions{Policy: policy}
				require.NoError(t, errors.Join(
					register(a, BeforeTool, "1", func() error { before = append(before, 1); return bad }, opts),
					register(a, BeforeTool, "2", func() error { before = append(before, 2); return nil }, opts),
					register(a, AfterTool, "1", func() error { after = append(after, 1); return bad }, opts),
					register(a, AfterTool, "2", func() error { after = append(after, 2); return nil }, opts)))
				d, err := a.BeforeTool(t.Context(), call)
				assert.Equal(t, Deny, d.Verdict)
				assert.Equal(t, []int{1}, before, "one that denies is enough")
				var failed *HookError
				if policy == AbortInput {
					require.ErrorAs(t, err, &failed)
					assert.True(t, failed.Abort)
				} else {
					require.NoError(t, err)
				}
				got, err := a.AfterTool(t.Context(), call, ToolResult{Text: "r"}, time.Second)
				assert.Equal(t, "r", got.Text)
				assert.Equal(t, ran, after)
				if policy == AbortInput {
					require.ErrorAs(t, err, &failed)
				} else {
					require.NoError(t, err)
				}
				assert.Len(t, bodiesOf[ToolFinished](events(a)), 1)
			})
		}
	}
}
