package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPooledAgentsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setups := 0
		typ := stateful()
		attach := typ.Setup
		typ.Setup = func(ctx context.Context, a *Agent) error {
			setups++
			return errors.Join(attach(ctx, a),
				a.Hook(AfterChat, "mine", func(context.Context) error { return nil }),
				a.Hook(AfterChat, "off", func(context.Context) error { return errors.New("is off") }))
		}
		typ.Handle = func(ctx context.Context, a *Agent, in Input) error {
			notesOf(a).add(in.Text)
			return nil
		}
		typ.Initial = []string{"begin"}
		typ.Pool, typ.IdleTimeout = 1, 10*time.Minute
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, typ)

		a, err := m.Acquire(t.Context(), "test")
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []string{"begin"}, notesOf(a).all())
		_, err = a.DisableHooks("mine")
		require.NoError(t, err)
		child, err := a.Spawn(t.Context(), "test", SpawnOptions{})
		require.NoError(t, err)
		r, err := a.Submit(t.Context(), Input{Text: "work"})
		require.NoError(t, err)
		require.ErrorIs(t, m.Release(t.Context(), a), ErrBusy)
		require.NoError(t, r.Wait(t.Context()))
		synctest.Wait()
		require.NoError(t, m.Release(t.Context(), a))
		require.ErrorIs(t, m.Release(t.Context(), a), ErrNotFound, "nobody gives an agent back twice")
		assert.True(t, child.Stopped())
		assert.Empty(t, notesOf(a).all())

		b, err := m.Acquire(t.Context(), "test")
		require.NoError(t, err)
		assert.Same(t, a, b)
		assert.Equal(t, 2, setups, "its own and the child's")
		assert.True(t, b.Hooks()[0].Enabled)
		synctest.Wait()
		assert.Equal(t, []string{"begin"}, notesOf(b).all())

		// Only one waits; the other ends.
		c, err := m.Acquire(t.Context(), "test")
		require.NoError(t, err)
		assert.NotSame(t, b, c)
		synctest.Wait()
		require.NoError(t, m.Release(t.Context(), b))
		require.NoError(t, m.Release(t.Context(), c))
		assert.True(t, c.Stopped())
		assert.False(t, b.Stopped())

		// One that waited too long is not handed out.
		time.Sleep(20 * time.Minute)
		assert.True(t, b.Stopped())
		d, err := m.Acquire(t.Context(), "test")
		require.NoError(t, err)
		assert.NotSame(t, b, d)
		require.NoError(t, d.Stop(t.Context()))
		require.NoError(t, m.Release(t.Context(), d), "there is nothing left to do")
		_, err = m.Acquire(t.Context(), "nothing")
		require.ErrorIs(t, err, ErrNotFound)
		require.ErrorIs(t, m.Release(t.Context(), spawn(t, m, SpawnOptions{})), ErrNotFound)
	})
}

func TestAnAgentThatCannotBeResetIsNotUsedAgain(t *testing.T) {
	m := newManager(t, ManagerOptions{}, Type{Name: "test", Pool: 5, Setup: func(_ context.Context, a *Agent) error {
		return a.Attach("stubborn", &stubborn{})
	}})
	a, err := m.Acquire(t.Context(), "test")
	require.NoError(t, err)
	var bad *SliceError
	require.ErrorAs(t, m.Release(t.Context(), a), &bad)
	assert.True(t, a.Stopped())
	assert.Zero(t, m.Len())
}

type stubborn struct{ notes }

func (*stubborn) Reset(string) { panic("no") }

// No two users ever hold one agent.
func TestPoolConcurrently(t *testing.T) {
	m := newManager(t, ManagerOptions{}, Type{Name: "test", Pool: 3})
	var mu sync.Mutex
	held := map[*Agent]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				a, err := m.Acquire(context.Background(), "test")
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				assert.False(t, held[a])
				held[a] = true
				mu.Unlock()
				mu.Lock()
				held[a] = false
				mu.Unlock()
				assert.NoError(t, m.Release(context.Background(), a))
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, m.Len(), 3)
	stats := m.Stats()
	assert.Less(t, stats.Spawned, int64(800))
}

// Whoever has waited for the input may give the agent back: what the agent does
// after it is waited for.
func TestReleaseRightAfterTheInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		typ := handle(func(ctx context.Context, a *Agent, in Input) error {
			if in.Text == "deaf" {
				time.Sleep(time.Hour)
			}
			return nil
		})
		typ.Pool = 1
		m := newManager(t, ManagerOptions{}, typ)
		a, err := m.Acquire(t.Context(), "test")
		require.NoError(t, err)
		require.NoError(t, a.Hook(OnIdle, "tidy", func(ctx context.Context) error {
			assert.ErrorIs(t, m.Release(ctx, a), ErrBusy)
			time.Sleep(time.Second)
			return nil
		}))
		for range 3 {
			r, err := a.Submit(t.Context(), Input{})
			require.NoError(t, err)
			require.NoError(t, r.Wait(t.Context()))
			require.NoError(t, m.Release(t.Context(), a))
			b, err := m.Acquire(t.Context(), "test")
			require.NoError(t, err)
			require.Same(t, a, b)
		}
		// Late work must not touch what the next user has.
		r, err := a.Submit(t.Context(), Input{Text: "deaf"})
		require.NoError(t, err)
		synctest.Wait()
		r.Abort("enough")
		require.ErrorIs(t, r.Wait(t.Context()), ErrAborted)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var still *StillRunningError
		require.ErrorAs(t, m.Release(ctx, a), &still)
		require.NoError(t, m.Release(t.Context(), a), "it is still handed out; its work ends some time")
	})
}
