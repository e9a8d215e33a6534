package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInputsRunOneAfterAnother(t *testing.T) {
	var order []string // written by one input at a time: -race proves it
	m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
		order = append(order, in.Text)
		if in.Text == "2" {
			return errors.New("no")
		}
		return CurrentRun(ctx).SetResult("did " + in.Text)
	}))
	a := spawn(t, m, SpawnOptions{})
	var runs []*Run
	for i := range 4 {
		r, err := a.Submit(t.Context(), Input{Text: fmt.Sprint(i)})
		require.NoError(t, err)
		runs = append(runs, r)
	}
	for i, r := range runs {
		err := r.Wait(t.Context())
		if i == 2 {
			require.EqualError(t, err, "no")
			assert.Equal(t, Failed, r.State())
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, Done, r.State())
		assert.JSONEq(t, fmt.Sprintf(`"did %d"`, i), string(r.Result()))
	}
	assert.Equal(t, []string{"0", "1", "2", "3"}, order)
}

func TestEveryInputHasOneEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
			switch in.Text {
			case "panic":
				panic("boom")
			case "wait":
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}))
		a := spawn(t, m, SpawnOptions{})
		for _, text := range []string{"ok", "panic", "wait", "wait", "ok"} {
			_, err := a.Submit(t.Context(), Input{ID: text + fmt.Sprint(a.LastSeq()), Text: text})
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.True(t, a.Abort("enough"))
		synctest.Wait()
		require.NoError(t, a.Stop(t.Context()))
		assert.False(t, a.Abort("late"))
		_, err := a.Submit(t.Context(), Input{Text: "late"})
		require.ErrorIs(t, err, ErrStopped)

		var states []RunState
		ends := map[string]int{}
		for _, e := range bodiesOf[InputFinished](events(a)) {
			states = append(states, e.State)
			ends[e.ID]++
		}
		assert.Equal(t, []RunState{Done, Failed, Aborted, Interrupted, Interrupted}[:3], states[:3])
		assert.Len(t, ends, 5)
		for id, n := range ends {
			assert.Equal(t, 1, n, id)
		}
	})
}

// A failed assertion in a handler ends its goroutine, and nothing else.
func TestWorkThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
			if in.Text == "exit" {
				runtime.Goexit()
			}
			return nil
		}))
		a := spawn(t, m, SpawnOptions{})
		require.NoError(t, a.Hook(OnIdle, "exits", func(context.Context) error { runtime.Goexit(); return nil }))
		require.NoError(t, a.Hook("mine", "exits too", func(context.Context) error { runtime.Goexit(); return nil },
			HookOptions{Timeout: time.Hour, Policy: StopChain}))
		start := time.Now()
		for range 2 {
			for _, text := range []string{"exit", "fine", "exit", "exit"} {
				r, err := a.Submit(t.Context(), Input{Text: text})
				require.NoError(t, err)
				if text == "fine" {
					require.NoError(t, r.Wait(t.Context()))
				} else {
					require.ErrorIs(t, r.Wait(t.Context()), errGoexit)
					assert.Equal(t, Failed, r.State())
				}
			}
			synctest.Wait()
			assert.True(t, a.Idle())
		}
		list := events(a)
		assert.Equal(t, Idle{}, list[len(list)-1].Body)
		require.ErrorIs(t, a.RunHooks(t.Context(), "mine"), errGoexit)
		assert.Zero(t, time.Since(start))
		require.NoError(t, a.Stop(t.Context()))
	})
}

func TestAbortOfWorkThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
			if in.Text == "deaf" {
				time.Sleep(2 * time.Second)
			}
			if in.Text == "stuck" {
				<-release
			}
			return nil
		}))
		a := spawn(t, m, SpawnOptions{})
		start := time.Now()
		deaf, err := a.Submit(t.Context(), Input{Text: "deaf"})
		require.NoError(t, err)
		next, err := a.Submit(t.Context(), Input{Text: "next"})
		require.NoError(t, err)
		synctest.Wait()
		a.Abort("user")
		err = deaf.Wait(t.Context())
		assert.Equal(t, Aborted, deaf.State())
		require.ErrorIs(t, err, ErrAborted)
		var abort *AbortError
		require.ErrorAs(t, err, &abort)
		assert.Equal(t, "user", abort.Reason)
		assert.LessOrEqual(t, time.Since(start), 150*time.Millisecond)

		// The next input waits for the late work: one at a time.
		require.NoError(t, next.Wait(t.Context()))
		assert.Equal(t, 2*time.Second, time.Since(start))

		// Work that never ends does not poison the agent.
		stuck, err := a.Submit(t.Context(), Input{Text: "stuck"})
		require.NoError(t, err)
		synctest.Wait()
		start = time.Now()
		stuck.Abort("again")
		next, err = a.Submit(t.Context(), Input{Text: "next"})
		require.NoError(t, err)
		require.NoError(t, next.Wait(t.Context()))
		assert.Equal(t, DefaultDrainTimeout, time.Since(start))
		assert.Equal(t, 1, a.Stats().Abandoned)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = m.Delete(ctx, a.ID())
		var still *StillRunningError
		require.ErrorAs(t, err, &still)
		assert.Equal(t, []string{"input " + stuck.ID()}, still.What)
		close(release)
		require.NoError(t, a.Stop(t.Context()), "now it has ended")
	})
}

// TestAbortRightAfterSubmit aborts inputs that have hardly begun.
func TestAbortRightAfterSubmit(t *testing.T) {
	m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, _ *Agent, in Input) error {
		if in.Text == "wait" {
			<-ctx.Done()
		}
		return ctx.Err()
	}))
	a := spawn(t, m, SpawnOptions{})
	for range 1000 {
		r, err := a.Submit(t.Context(), Input{Text: "wait"})
		require.NoError(t, err)
		require.True(t, a.Abort("at once"))
		require.ErrorIs(t, r.Wait(t.Context()), ErrAborted)
	}
	r, err := a.Submit(t.Context(), Input{Text: "go on"})
	require.NoError(t, err)
	require.NoError(t, r.Wait(t.Context()))
	assert.False(t, a.Abort("nothing runs"))
}

func TestGentleAborts(t *testing.T) {
	call := ToolCall{ID: "1", Name: "ls"}
	t.Run("after the reply", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
				time.Sleep(time.Second) // the model replies
				if ctx.Err() != nil {
					return errors.New("the reply was cut")
				}
				_, err := a.BeforeTool(ctx, call)
				return err
			}))
			a := spawn(t, m, SpawnOptions{})
			r, err := a.Submit(t.Context(), Input{})
			require.NoError(t, err)
			synctest.Wait()
			a.AbortWith("stop", AbortOptions{Mode: AbortAfterReply})
			require.ErrorIs(t, r.Wait(t.Context()), ErrAborted)
			assert.Equal(t, Aborted, r.State())
		})
	})
	t.Run("after the tools", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ran := false
			m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
				if _, err := a.BeforeTool(ctx, call); err != nil {
					return err
				}
				time.Sleep(time.Second)
				ran = ctx.Err() == nil
				_, err := a.AfterTool(ctx, call, ToolResult{Text: "x"}, time.Second)
				return err
			}))
			a := spawn(t, m, SpawnOptions{})
			r, err := a.Submit(t.Context(), Input{})
			require.NoError(t, err)
			synctest.Wait()
			a.AbortWith("stop", AbortOptions{Mode: AbortAfterTools})
			require.ErrorIs(t, r.Wait(t.Context()), ErrAborted)
			assert.True(t, ran)
		})
	})
	t.Run("escalates", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}))
			a := spawn(t, m, SpawnOptions{})
			r, err := a.Submit(t.Context(), Input{})
			require.NoError(t, err)
			synctest.Wait()
			start := time.Now()
			a.AbortWith("stop", AbortOptions{Mode: AbortAfterReply, Deadline: 5 * time.Second})
			require.ErrorIs(t, r.Wait(t.Context()), ErrAborted)
			assert.Equal(t, 5*time.Second, time.Since(start))
		})
	})
}

func TestSteeringIsFoldedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		var got []string
		m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
			got = append(got, in.Text)
			if in.Text == "main" {
				<-step
				for _, s := range a.TakeSteering(ctx) {
					got = append(got, "steer "+s.Text)
				}
				<-step
			}
			return nil
		}))
		a := spawn(t, m, SpawnOptions{})
		main, _ := a.Submit(t.Context(), Input{Text: "main"})
		later, _ := a.Submit(t.Context(), Input{Text: "later"})
		synctest.Wait()
		folded, err := a.Submit(t.Context(), Input{Text: "left", Steer: true})
		require.NoError(t, err)
		step <- struct{}{}
		synctest.Wait()
		alone, err := a.Submit(t.Context(), Input{Text: "right", Steer: true})
		require.NoError(t, err)
		step <- struct{}{}
		for _, r := range []*Run{main, folded, alone, later} {
			require.NoError(t, r.Wait(t.Context()))
		}
		assert.Equal(t, []string{"main", "steer left", "right", "later"}, got)
	})
}

func TestInitialInputsAndCommands(t *testing.T) {
	var handled []string
	typ := handle(func(ctx context.Context, a *Agent, in Input) error {
		handled = append(handled, in.Text)
		return nil
	})
	typ.Initial = []string{"/greet you", "begin", "/etc/passwd is a file"}
	typ.Setup = func(ctx context.Context, a *Agent) error {
		return a.Command("greet", CommandFunc(func(ctx context.Context, args string) (string, error) {
			assert.Same(t, a, From(ctx))
			return "hello " + args, nil
		}, "Greets."), "hi")
	}
	m := newManager(t, ManagerOptions{}, typ)
	a := spawn(t, m, SpawnOptions{})
	r, err := a.Submit(t.Context(), Input{Text: "/hi there"})
	require.NoError(t, err)
	require.NoError(t, r.Wait(t.Context()))
	assert.Equal(t, []string{"begin", "/etc/passwd is a file"}, handled)
	var out []string
	for _, o := range bodiesOf[Output](events(a)) {
		out = append(out, o.Text)
	}
	assert.Equal(t, []string{"hello you", "hello there"}, out)
}

// Work that is left behind leaves an agent that is idle, and says so.
func TestIdleAfterWorkWasLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, handle(func(context.Context, *Agent, Input) error { time.Sleep(time.Hour); return nil }))
		a := spawn(t, m, SpawnOptions{})
		_, err := a.Submit(t.Context(), Input{})
		require.NoError(t, err)
		synctest.Wait()
		a.Abort("enough")
		time.Sleep(DefaultDrainTimeout + time.Second)
		assert.True(t, a.Idle())
		list := events(a)
		assert.Equal(t, Idle{}, list[len(list)-1].Body)
		time.Sleep(2 * time.Hour)
		assert.Len(t, bodiesOf[Idle](events(a)), 1)
	})
}
