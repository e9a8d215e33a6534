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
)

func TestAutoCheckpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		typ := stateful()
		typ.AutoCheckpoint = AutoCheckpoint{Events: 10, Every: time.Minute}
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, typ)
		a := spawn(t, m, SpawnOptions{})
		for range 100 {
			counterOf(a).add()
			a.Emit(Output{Text: "x"})
			synctest.Wait()
		}
		got := m.Stats().Checkpoints
		assert.GreaterOrEqual(t, got, int64(8))
		assert.LessOrEqual(t, got, int64(10))
		counterOf(a).add()
		a.Emit(Output{Text: "x"})
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		assert.Equal(t, got+1, m.Stats().Checkpoints)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, got+1, m.Stats().Checkpoints, "an idle agent takes none")
	})
}

// slow takes a second to append, or to fail.
type slow struct {
	MemoryStore
	down atomic.Bool
}

func (s *slow) Append(ctx context.Context, id string, rec Record) error {
	time.Sleep(time.Second)
	if s.down.Load() {
		return errors.New("disk full")
	}
	return s.MemoryStore.Append(ctx, id, rec)
}

// What happens while a checkpoint is under way, or while one fails, is saved by
// the next one, without anything more having to happen.
func TestAutoCheckpointsMissNothing(t *testing.T) {
	for name, policy := range map[string]AutoCheckpoint{"every": {Every: time.Minute}, "events": {Events: 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &slow{}
				typ := stateful()
				typ.AutoCheckpoint = policy
				m := newManager(t, ManagerOptions{Store: store}, typ)
				a := spawn(t, m, SpawnOptions{ID: "a"})
				work := func() {
					counterOf(a).add()
					a.Emit(Message{Text: "x"})
					a.Emit(Message{Text: "y"})
				}
				saved := func() int {
					synctest.Wait()
					other := newManager(t, ManagerOptions{Store: &store.MemoryStore}, stateful())
					b, err := other.RestoreCheckpoint(t.Context(), checkpointID("a", last(store)), SpawnOptions{})
					require.NoError(t, err)
					return counterOf(b).value()
				}
				work()
				if policy.Every > 0 {
					time.Sleep(policy.Every)
				}
				time.Sleep(time.Second / 2)
				work() // while it is being written
				time.Sleep(5 * time.Minute)
				assert.Equal(t, 2, saved())
				n := m.Stats().Checkpoints
				time.Sleep(time.Hour)
				assert.Equal(t, n, m.Stats().Checkpoints)

				if policy.Every > 0 {
					store.down.Store(true)
					work()
					time.Sleep(policy.Every + 2*time.Second)
					synctest.Wait()
					assert.EqualValues(t, 1, m.Stats().CheckpointErrors)
					store.down.Store(false)
					time.Sleep(policy.Every + 2*time.Second)
					assert.Equal(t, 3, saved())
				}
			})
		})
	}
}

func last(s *slow) uint64 {
	list := s.agents["a"]
	return list[len(list)-1].Seq
}

// The events of earlier lives do not count for the first checkpoint of this one.
func TestEventsAreCountedAnewAfterARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		typ := stateful()
		typ.AutoCheckpoint.Events = 5
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, typ)
		a := spawn(t, m, SpawnOptions{ID: "a"})
		require.NoError(t, a.Stop(t.Context()))
		a, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		before := m.Stats().Checkpoints
		for i := range 5 {
			assert.Equal(t, before, m.Stats().Checkpoints, "event %d", i)
			counterOf(a).add()
			a.Emit(Message{Text: "x"})
			synctest.Wait()
		}
		assert.Equal(t, before+1, m.Stats().Checkpoints)
	})
}
