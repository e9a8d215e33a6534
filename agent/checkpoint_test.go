package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stores runs a test on each store of this package.
func stores(t *testing.T, test func(t *testing.T, store Store)) {
	t.Run("memory", func(t *testing.T) { test(t, &MemoryStore{}) })
	t.Run("file", func(t *testing.T) {
		s, err := NewFileStore(t.TempDir(), FileStoreOptions{Logger: quiet})
		require.NoError(t, err)
		test(t, s)
	})
}

// stateful is a type with one slice of each sort.
func stateful() Type {
	return Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
		return errors.Join(a.Attach("notes", &notes{}), a.Attach("diary", &diary{}), a.Attach("counter", &counter{}))
	}}
}

func notesOf(a *Agent) *notes     { return a.Slice("notes").(*notes) }
func diaryOf(a *Agent) *diary     { return a.Slice("diary").(*diary) }
func counterOf(a *Agent) *counter { return a.Slice("counter").(*counter) }

func TestCheckpointAndRestore(t *testing.T) {
	stores(t, func(t *testing.T, store Store) {
		m := newManager(t, ManagerOptions{Store: store}, stateful())
		a := spawn(t, m, SpawnOptions{ID: "Agent 7/ü", Config: Config(`{"model":"m"}`)})
		var ids []string
		for i := range 20 {
			diaryOf(a).add(fmt.Sprint("day ", i))
			counterOf(a).add()
			if i == 10 {
				diaryOf(a).rewrite("summary")
			}
			if i%3 == 0 {
				notesOf(a).add(fmt.Sprint(i))
			}
			info, err := a.Checkpoint(t.Context())
			require.NoError(t, err)
			ids = append(ids, info.ID)
		}
		again, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
		assert.Equal(t, ids[19], again.ID, "nothing changed")
		last := a.LastSeq()
		require.NoError(t, a.Stop(t.Context()))

		b, err := m.Restore(t.Context(), a.ID())
		require.NoError(t, err)
		assert.Equal(t, diaryOf(a).all(), diaryOf(b).all())
		assert.Equal(t, notesOf(a).all(), notesOf(b).all())
		assert.Equal(t, counterOf(a).value(), counterOf(b).value())
		assert.JSONEq(t, `{"model":"m"}`, string(b.Config()))
		assert.True(t, a.Created().Equal(b.Created()))
		b.Emit(Output{Text: "x"})
		assert.Greater(t, b.LastSeq(), last, "event numbers go on rising")

		// It goes on incrementally.
		diaryOf(b).add("after")
		info, err := b.Checkpoint(t.Context())
		require.NoError(t, err)
		assert.Less(t, info.Bytes, int64(400))

		// Time travel: any checkpoint into a new agent.
		for i, id := range ids {
			f, err := m.RestoreCheckpoint(t.Context(), id, SpawnOptions{})
			require.NoError(t, err)
			assert.Equal(t, i+1, counterOf(f).value())
			assert.NotEqual(t, a.ID(), f.ID())
			_, err = f.Checkpoint(t.Context())
			require.NoError(t, err)
			require.NoError(t, f.Stop(t.Context()))
			g, err := m.Restore(t.Context(), f.ID())
			require.NoError(t, err)
			assert.Equal(t, diaryOf(f).all(), diaryOf(g).all())
			require.NoError(t, m.Delete(t.Context(), g.ID()))
		}
		require.NoError(t, m.Delete(t.Context(), b.ID()))
		_, err = m.Restore(t.Context(), b.ID())
		require.ErrorIs(t, err, ErrNotFound)
	})
}

func TestSetBackInPlace(t *testing.T) {
	store := &MemoryStore{}
	m := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	for i := range 3 {
		diaryOf(a).add(fmt.Sprint(i))
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, a.Stop(t.Context()))
	b, err := m.RestoreCheckpoint(t.Context(), "a@2", SpawnOptions{ID: "a"})
	require.NoError(t, err)
	assert.Equal(t, []string{"0", "1"}, diaryOf(b).all())
	diaryOf(b).add("other")
	_, err = b.Checkpoint(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Stop(t.Context()))
	c, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, []string{"0", "1", "other"}, diaryOf(c).all())
}

func TestUnchangedSlicesAreNotMarshalled(t *testing.T) {
	m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, stateful())
	a := spawn(t, m, SpawnOptions{})
	for range 5 {
		notesOf(a).add("x")
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
	}
	assert.Equal(t, 1, counterOf(a).marshalled)
	assert.Equal(t, 1, diaryOf(a).marshalled)
}

func TestUnknownSlicesSurvive(t *testing.T) {
	store := &MemoryStore{}
	m := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	notesOf(a).add("kept")
	diaryOf(a).add("kept too")
	_, err := a.Checkpoint(t.Context())
	require.NoError(t, err)
	diaryOf(a).add("and this")
	require.NoError(t, a.Stop(t.Context()))

	bare := newManager(t, ManagerOptions{Store: store}, Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
		return a.Attach("counter", &counter{})
	}})
	b, err := bare.Restore(t.Context(), "a")
	require.NoError(t, err)
	counterOf(b).add()
	_, err = b.Checkpoint(t.Context())
	require.NoError(t, err)
	late := &notes{}
	require.NoError(t, b.Attach("notes", late), "attached late, filled at once")
	assert.Equal(t, []string{"kept"}, late.all())
	fork, err := bare.RestoreCheckpoint(t.Context(), "a@2", SpawnOptions{ID: "fork"})
	require.NoError(t, err)
	require.NoError(t, fork.Stop(t.Context()))
	require.NoError(t, b.Stop(t.Context()))

	for _, id := range []string{"a", "fork"} {
		c, err := m.Restore(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, []string{"kept too", "and this"}, diaryOf(c).all())
		assert.Equal(t, []string{"kept"}, notesOf(c).all())
	}
}

func TestACorruptSliceDoesNotTakeTheOthersAlong(t *testing.T) {
	store := &MemoryStore{}
	m := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	counterOf(a).add()
	require.NoError(t, a.Stop(t.Context()))
	other := newManager(t, ManagerOptions{Store: store}, Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
		return errors.Join(a.Attach("counter", &counter{}), a.Attach("notes", &broken{}))
	}})
	b, err := other.Restore(t.Context(), "a")
	var partial *PartialError
	require.ErrorAs(t, err, &partial)
	var slice *SliceError
	require.ErrorAs(t, err, &slice)
	assert.Equal(t, "notes", slice.Slice)
	require.NotNil(t, b)
	assert.Equal(t, 1, counterOf(b).value())
}

type broken struct{ notes }

func (b *broken) UnmarshalJSON([]byte) error { panic("cannot read this") }

func TestATornFileIsDetectedAndThePreviousCheckpointUsed(t *testing.T) {
	dir := t.TempDir()
	open := func() *FileStore {
		s, err := NewFileStore(dir, FileStoreOptions{Logger: quiet, NoSync: true})
		require.NoError(t, err)
		return s
	}
	m := newManager(t, ManagerOptions{Store: open()}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	defer os.Remove(filepath.Join(dir, "a.ckpt"))
	var ends []int64
	path := filepath.Join(dir, "a.ckpt")
	for i := range 5 {
		diaryOf(a).add(strings.Repeat("x", 100*i))
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
		info, err := os.Stat(path)
		require.NoError(t, err)
		ends = append(ends, info.Size())
	}
	whole, err := os.ReadFile(path)
	require.NoError(t, err)

	stride := int64(3) // every byte in the long form
	if long() {
		stride = 1
	}
	for size := int64(0); size <= ends[4]; size += stride {
		require.NoError(t, os.WriteFile(path, whole[:size], 0o600))
		n := 0
		for n < len(ends) && ends[n] <= size {
			n++
		}
		m := NewManager(ManagerOptions{Store: open(), Logger: quiet})
		require.NoError(t, m.RegisterType(stateful()))
		b, err := m.Restore(t.Context(), "a")
		if n == 0 {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Len(t, diaryOf(b).all(), n, "cut at %d", size)
		diaryOf(b).add("next")
		_, err = b.Checkpoint(t.Context())
		require.NoError(t, err)
		require.NoError(t, b.Stop(t.Context()))
		c, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Len(t, diaryOf(c).all(), n+1)
		require.Empty(t, c.Skipped())
		require.NoError(t, m.Shutdown(t.Context()))
	}
}

func TestUnfinishedInputsAreResumed(t *testing.T) {
	stores(t, func(t *testing.T, store Store) {
		synctest.Test(t, func(t *testing.T) {
			var log []string
			typ := stateful()
			typ.AutoCheckpoint = AutoCheckpoint{BeforeInput: true, AfterInput: true}
			crash := true
			typ.Handle = func(ctx context.Context, a *Agent, in Input) error {
				log = append(log, fmt.Sprint(in.Text, " ", in.Resumed))
				if in.Text == "long" && crash {
					if err := a.Step(ctx); err != nil {
						return err
					}
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}
			m := newManager(t, ManagerOptions{Store: store}, typ)
			a := spawn(t, m, SpawnOptions{ID: "a"})
			done, _ := a.Submit(t.Context(), Input{Text: "done"})
			require.NoError(t, done.Wait(t.Context()))
			long, _ := a.Submit(t.Context(), Input{Text: "long"})
			waiting, _ := a.Submit(t.Context(), Input{Text: "waiting"})
			synctest.Wait()
			require.NoError(t, m.Shutdown(t.Context()))
			require.ErrorIs(t, long.Err(), ErrInterrupted)
			require.ErrorIs(t, waiting.Err(), ErrInterrupted)
			crash = false

			m = newManager(t, ManagerOptions{Store: store}, typ)
			var back []*Agent
			for b, err := range m.RestoreUnfinished(t.Context()) {
				require.NoError(t, err)
				back = append(back, b)
			}
			require.Len(t, back, 1)
			b := back[0]
			open := b.Unfinished()
			require.Len(t, open, 2)
			assert.Equal(t, long.ID(), open[0].ID)
			assert.True(t, open[0].Resumed)
			assert.False(t, open[1].Resumed)
			log = nil
			r, err := b.Resume(t.Context(), long.ID())
			require.NoError(t, err)
			require.NoError(t, r.Wait(t.Context()))
			require.NoError(t, b.Discard(waiting.ID(), "not needed"))
			require.ErrorIs(t, b.Discard(waiting.ID(), "again"), ErrNotFound)
			assert.Equal(t, []string{"long true"}, log)
			assert.Empty(t, b.Unfinished())
		})
	})
}

func TestWhatRanToItsEndDoesNotRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		handled, hooked := 0, 0
		typ := Type{Name: "test",
			Handle: func(context.Context, *Agent, Input) error { handled++; return nil },
			Setup: func(ctx context.Context, a *Agent) error {
				return a.Hook(AfterChat, "test", func(ctx context.Context) error {
					hooked++
					if hooked == 1 {
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				})
			}}
		m := newManager(t, ManagerOptions{Store: store}, typ)
		a := spawn(t, m, SpawnOptions{ID: "a"})
		r, err := a.Submit(t.Context(), Input{ID: "in"})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, a.Stop(t.Context()))
		require.ErrorIs(t, r.Err(), ErrInterrupted)
		b, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		r, err = b.Resume(t.Context(), "in")
		require.NoError(t, err)
		require.NoError(t, r.Wait(t.Context()))
		assert.Equal(t, 1, handled)
		assert.Equal(t, 2, hooked)
	})
}

// An agent whose newest checkpoint turns out to be damaged builds no others on it.
func TestADamagedCheckpointOfALivingAgent(t *testing.T) {
	dir := t.TempDir()
	store, err := NewFileStore(dir, FileStoreOptions{Logger: quiet})
	require.NoError(t, err)
	m := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	for range 3 {
		counterOf(a).add()
		diaryOf(a).add("line")
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
	}
	path := filepath.Join(dir, "a.ckpt")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)-2] ^= 0xff
	require.NoError(t, os.WriteFile(path, data, 0o600))
	require.NoError(t, a.Prune(t.Context()))
	counterOf(a).add()
	_, err = a.Checkpoint(t.Context())
	require.NoError(t, err)
	require.NoError(t, a.Stop(t.Context()))
	b, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, 4, counterOf(b).value())
	assert.Len(t, diaryOf(b).all(), 3)
}

// A program that spawns anew what it should restore is told so.
func TestSpawningASavedAgentAnew(t *testing.T) {
	store := &MemoryStore{}
	m := newManager(t, ManagerOptions{Store: store, Retention: Retention{Last: -1}}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	for range 10 {
		counterOf(a).add()
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
	}
	assert.Empty(t, a.saver.room.window, "what is kept for ever is not counted")
	require.NoError(t, a.Stop(t.Context()))
	a = spawn(t, m, SpawnOptions{ID: "a"})
	_, err := a.Checkpoint(t.Context())
	require.ErrorIs(t, err, ErrConflict)
	require.ErrorContains(t, err, "Restore")
	require.NoError(t, m.Delete(t.Context(), "a"))
}

// No two lives of an agent share event numbers, whichever checkpoint they begin
// with, and whether or not they came to take one.
func TestEventNumbersOfSeveralLives(t *testing.T) {
	store := &MemoryStore{}
	highest := uint64(0)
	live := func(restore func(m *Manager) (*Agent, error), save bool) string {
		m := newManager(t, ManagerOptions{Store: store}, stateful())
		a, err := restore(m)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, a.LastSeq(), highest)
		for range 3 {
			highest = a.Emit(Message{Text: "x"})
		}
		if !save {
			m.withdraw(a) // as after a crash
			return ""
		}
		id, err := a.CheckpointID(t.Context())
		require.NoError(t, err)
		require.NoError(t, a.Stop(t.Context()))
		highest = a.LastSeq()
		return id
	}
	again := func(m *Manager) (*Agent, error) { return m.Restore(t.Context(), "a") }
	first := live(func(m *Manager) (*Agent, error) { return m.Spawn(t.Context(), "test", SpawnOptions{ID: "a"}) }, true)
	live(again, true)
	live(again, false)
	live(again, false)
	live(func(m *Manager) (*Agent, error) {
		return m.RestoreCheckpoint(t.Context(), first, SpawnOptions{ID: "a"})
	}, true)
	live(again, true)
}
