package agent

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInputsAndEventsAreKept(t *testing.T) {
	store := &MemoryStore{}
	typ := handle(func(ctx context.Context, a *Agent, in Input) error {
		a.Emit(Output{Text: "re: " + in.Text})
		return a.Step(ctx)
	})
	typ.KeepInputs, typ.KeepEvents = 5, 7
	typ.Log.Events = 16
	m := newManager(t, ManagerOptions{Store: store}, typ)
	a := spawn(t, m, SpawnOptions{ID: "a"})
	texts := func(list []Event) []string {
		var out []string
		for _, o := range bodiesOf[Output](list) {
			out = append(out, o.Text)
		}
		return out
	}
	n := 0
	for life := range 4 {
		for range 3 {
			r, err := a.Submit(t.Context(), Input{Text: fmt.Sprint("in", n)})
			require.NoError(t, err)
			require.NoError(t, r.Wait(t.Context()))
			n++
		}
		if life == 2 {
			require.NoError(t, a.Reset("history"))
			assert.Empty(t, a.InputHistory())
		}
		info, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
		again, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
		assert.Equal(t, info, again, "its own events do not make a checkpoint differ")
		before := a.InputHistory()
		require.NoError(t, a.Stop(t.Context()))
		a, err = m.Restore(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, before, a.InputHistory())
		assert.LessOrEqual(t, len(a.PastEvents()), 7)
		switch life {
		case 1:
			assert.Equal(t, []string{"in1", "in2", "in3", "in4", "in5"}, a.InputHistory())
			assert.Equal(t, []string{"re: in4", "re: in5"}, texts(a.PastEvents()))
		case 2:
			assert.Empty(t, texts(a.PastEvents()))
		case 3:
			assert.Equal(t, []string{"in9", "in10", "in11"}, a.InputHistory())
		}
	}
}

func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, Type{Name: "test"})
		require.ErrorIs(t, m.Keep(t.Context(), "nothing", 1), ErrNotFound)
		require.NoError(t, m.Keep(t.Context(), "test", 3))
		assert.Equal(t, 3, m.Len())
		for _, a := range m.List()[:2] {
			require.NoError(t, a.Stop(t.Context()))
		}
		synctest.Wait()
		assert.Equal(t, 3, m.Len())
		require.NoError(t, m.Keep(t.Context(), "test", 0))
		require.NoError(t, m.List()[0].Stop(t.Context()))
		synctest.Wait()
		assert.Equal(t, 2, m.Len())
	})
}
