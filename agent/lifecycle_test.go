package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

// Whoever is deleted while it is set up does not come to life after that.
func TestDeletedWhileItIsSetUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, Type{Name: "test", Setup: func(_ context.Context, a *Agent) error {
			time.Sleep(time.Second)
			assert.False(t, a.ID() == "kept" && a.Stopped())
			return a.Hook(OnStop, "close", func(context.Context) error { closed++; return nil })
		}})
		go func() {
			time.Sleep(time.Millisecond)
			assert.NoError(t, m.Delete(t.Context(), "a"))
		}()
		a, err := m.Spawn(t.Context(), "test", SpawnOptions{ID: "a"})
		require.ErrorIs(t, err, ErrStopped)
		assert.Nil(t, a)
		assert.Zero(t, m.Len())
		assert.Equal(t, 1, closed, "what Setup opened is closed")

		kept := spawn(t, m, SpawnOptions{ID: "kept"})
		go func() {
			time.Sleep(time.Millisecond)
			assert.NoError(t, kept.Stop(t.Context()))
		}()
		_, err = kept.Spawn(t.Context(), "test", SpawnOptions{})
		require.ErrorIs(t, err, ErrStopped)
		assert.Equal(t, 3, closed)
	})
}

func TestWhatCannotLiveIsNotSetUpOrIsClosed(t *testing.T) {
	setups, closed := 0, 0
	m := newManager(t, ManagerOptions{MaxChildren: 1}, Type{Name: "test", Setup: func(_ context.Context, a *Agent) error {
		setups++
		return errors.Join(a.Attach("memory", &notes{fail: errors.New("no")}, AttachOptions{Inherit: true}),
			a.Hook(OnStop, "close", func(context.Context) error { closed++; return nil }))
	}}, Type{Name: "plain"})
	a := spawn(t, m, SpawnOptions{})
	var bad *SliceError
	_, err := a.Spawn(t.Context(), "test", SpawnOptions{})
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, 1, closed)
	assert.Equal(t, 2, setups)
	_, err = a.Spawn(t.Context(), "plain", SpawnOptions{})
	require.NoError(t, err)
	_, err = a.Spawn(t.Context(), "test", SpawnOptions{})
	require.ErrorIs(t, err, ErrLimit)
	assert.Equal(t, 2, setups)
	assert.Equal(t, 2, m.Len())
}

// The context of Spawn bounds the setup only.
func TestInitialInputsDoNotDependOnTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newManager(t, ManagerOptions{}, Type{Name: "test", Initial: []string{"begin"}, Pool: 1,
		Setup:  func(context.Context, *Agent) error { cancel(); return nil },
		Handle: func(context.Context, *Agent, Input) error { return nil }})
	a, err := m.Spawn(ctx, "test", SpawnOptions{})
	require.NoError(t, err)
	assert.Len(t, bodiesOf[InputReceived](events(a)), 1)
}

// Hooks are the agent's own work: one that stops it waits for nothing.
func TestHooksMayStopTheirAgent(t *testing.T) {
	for _, point := range []Point{OnIdle, OnStop, AfterChat, "mine"} {
		t.Run(string(point), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, handle(func(context.Context, *Agent, Input) error { return nil }))
				a := spawn(t, m, SpawnOptions{ID: "a"})
				require.NoError(t, a.Hook(point, "stop", func(ctx context.Context) error { return a.Stop(context.WithoutCancel(ctx)) },
					HookOptions{Timeout: time.Hour}))
				start := time.Now()
				r, err := a.Submit(t.Context(), Input{})
				require.NoError(t, err)
				require.NoError(t, r.Wait(t.Context()), "an input that stops its agent is done nevertheless")
				synctest.Wait()
				if point == "mine" {
					require.NoError(t, a.RunHooks(t.Context(), point))
				}
				synctest.Wait()
				require.NoError(t, a.Stop(t.Context()))
				assert.Zero(t, time.Since(start))
				assert.Zero(t, m.Len())
				b, err := m.Restore(t.Context(), "a")
				require.NoError(t, err)
				assert.Empty(t, b.Unfinished())
			})
		})
	}
}

// What runs on after its agent has ended writes no checkpoint: it would undo a
// deletion, or get in the way of the agent's next life.
func TestNoCheckpointAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		typ := stateful()
		typ.Handle = func(ctx context.Context, a *Agent, in Input) error {
			time.Sleep(time.Hour)
			counterOf(a).add()
			_, err := a.Checkpoint(context.WithoutCancel(ctx))
			assert.ErrorIs(t, err, ErrStopped)
			assert.ErrorIs(t, a.Prune(context.WithoutCancel(ctx)), ErrStopped)
			return nil
		}
		m := newManager(t, ManagerOptions{Store: store}, typ)
		for _, end := range []func(ctx context.Context, a *Agent) error{
			func(ctx context.Context, a *Agent) error { return m.Delete(ctx, a.ID()) },
			func(ctx context.Context, a *Agent) error { return a.Stop(ctx) },
		} {
			a := spawn(t, m, SpawnOptions{ID: "a"})
			_, err := a.Submit(t.Context(), Input{})
			require.NoError(t, err)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			var still *StillRunningError
			require.ErrorAs(t, end(ctx, a), &still)
			cancel()
			before := len(store.agents["a"])
			time.Sleep(2 * time.Hour)
			assert.Len(t, store.agents["a"], before)
		}
		b, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.NoError(t, b.Stop(t.Context()))
	})
}

// A hook that takes all the time there is leaves some for the last checkpoint,
// and one that does not end is named.
func TestDeafStopHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, stateful())
		a := spawn(t, m, SpawnOptions{ID: "a"})
		require.NoError(t, a.Hook(OnStop, "deaf", func(context.Context) error { time.Sleep(time.Hour); return nil }))
		counterOf(a).add()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := a.Stop(ctx)
		assert.Equal(t, time.Second, time.Since(start))
		var still *StillRunningError
		require.ErrorAs(t, err, &still)
		assert.Equal(t, []string{"hook deaf"}, still.What)
		b, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, counterOf(b).value())
		require.NoError(t, a.Stop(t.Context()))
		assert.Equal(t, time.Hour, time.Since(start))
	})
}

// Shutdown waits for a replacement that is being set up no longer than it may.
func TestShutdownDuringAReplacement(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var setups atomic.Int32
			release := make(chan struct{})
			m := NewManager(ManagerOptions{Logger: quiet})
			require.NoError(t, m.RegisterType(Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
				if setups.Add(1) == 1 {
					return nil
				}
				if deaf {
					<-release
				}
				<-ctx.Done()
				return context.Cause(ctx)
			}}))
			require.NoError(t, m.RegisterType(Type{Name: "other"}))
			require.NoError(t, m.Keep(t.Context(), "test", 1))
			require.NoError(t, m.List()[0].Stop(t.Context()))
			synctest.Wait()
			require.EqualValues(t, 2, setups.Load())
			require.NoError(t, m.Keep(t.Context(), "other", 1), "one type does not wait for another")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			require.ErrorIs(t, m.Keep(ctx, "test", 3), context.DeadlineExceeded, "its turn does not come")
			assert.Equal(t, time.Second, time.Since(start))
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.NoError(t, m.Shutdown(ctx))
			if deaf {
				assert.Equal(t, 2*time.Second, time.Since(start))
			} else {
				assert.Equal(t, time.Second, time.Since(start))
			}
			close(release)
			synctest.Wait()
			assert.Zero(t, m.Len())
		})
	}
}

// A replacement that could not be set up is tried again.
func TestReplacementsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var setups atomic.Int32
		m := newManager(t, ManagerOptions{}, Type{Name: "test", Setup: func(context.Context, *Agent) error {
			if n := setups.Add(1); n == 2 || n == 3 {
				return errors.New("the network is down")
			}
			return nil
		}})
		require.NoError(t, m.Keep(t.Context(), "test", 1))
		require.NoError(t, m.List()[0].Stop(t.Context()))
		time.Sleep(DefaultSweep + time.Second)
		assert.Zero(t, m.Len())
		time.Sleep(DefaultSweep)
		assert.Equal(t, 1, m.Len())
		time.Sleep(time.Hour)
		assert.EqualValues(t, 4, setups.Load())
	})
}

// What an agent runs may spend its budget, whoever makes it run.
func TestTheBudgetIsInEveryContext(t *testing.T) {
	mine := budget.New(budget.Limits{Steps: 2})
	seen := 0
	look := func(ctx context.Context) error {
		assert.Same(t, mine, budget.From(ctx))
		seen++
		return nil
	}
	m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
		return errors.Join(look(ctx), a.Hook(OnStop, "s", look), a.Hook("mine", "m", look),
			a.Command("c", CommandFunc(func(ctx context.Context, _ string) (string, error) { return "", look(ctx) }, "Looks.")))
	}})
	a := spawn(t, m, SpawnOptions{Budget: mine})
	_, err := a.RunCommand(t.Context(), "/c")
	require.NoError(t, err)
	require.NoError(t, a.RunHooks(t.Context(), "mine"))
	b, err := a.Spawn(t.Context(), "test", SpawnOptions{ID: "b"})
	require.NoError(t, err)
	require.NoError(t, b.Stop(t.Context()))
	b, err = m.Restore(t.Context(), "b")
	require.NoError(t, err)
	assert.Same(t, mine, b.Budget(), "its parent's, as before")
	require.NoError(t, a.Stop(t.Context()))
	assert.Equal(t, 8, seen)
}

// hung never answers.
type hung struct {
	MemoryStore
	release chan struct{}
}

func (h *hung) Append(context.Context, string, Record) error {
	<-h.release
	return errors.New("too late")
}

// Whoever waits for a checkpoint that hangs waits no longer than its context.
func TestAHungStoreHoldsNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hung{release: make(chan struct{})}
		m := newManager(t, ManagerOptions{Store: store}, Type{Name: "test"})
		a := spawn(t, m, SpawnOptions{ID: "a"})
		go func() { _, _ = a.Checkpoint(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := a.Checkpoint(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "waiting for")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, a.Stop(ctx), context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(start))
		close(store.release)
	})
}

// A checkpoint of what is not set up yet would say that it is empty.
func TestNoCheckpointBeforeTheBeginning(t *testing.T) {
	store := &MemoryStore{}
	m := newManager(t, ManagerOptions{Store: store}, Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
		_, err := a.Checkpoint(ctx)
		assert.ErrorIs(t, err, errStarting)
		return nil
	}})
	a := spawn(t, m, SpawnOptions{ID: "a"})
	assert.Empty(t, store.agents)
	require.NoError(t, a.Stop(t.Context()))
	_, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
}

// An agent's own work may delete it: it is not waited for.
func TestAnAgentMayDeleteItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		var m *Manager
		var err error
		m = newManager(t, ManagerOptions{Store: store}, handle(func(ctx context.Context, a *Agent, in Input) error {
			_, saveErr := a.Checkpoint(ctx)
			err = m.Delete(context.WithoutCancel(ctx), a.ID())
			return saveErr
		}))
		a := spawn(t, m, SpawnOptions{ID: "a"})
		r, submitErr := a.Submit(t.Context(), Input{})
		require.NoError(t, submitErr)
		<-r.Done()
		require.NoError(t, a.Stop(t.Context()))
		var still *StillRunningError
		require.ErrorAs(t, err, &still)
		assert.Equal(t, []string{"input " + r.ID()}, still.What)
		assert.Zero(t, m.Len())
		assert.Empty(t, store.agents)
	})
}
