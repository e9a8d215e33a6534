package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a steering input asked for is done when the input is that took it: no
// checkpoint says otherwise, and one that was aborted alone does not run again.
func TestFoldedInputsEndWithTheirRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		typ := handle(func(ctx context.Context, a *Agent, in Input) error {
			<-step
			a.TakeSteering(ctx)
			<-step
			return a.Step(ctx)
		})
		typ.AutoCheckpoint.AfterInput = true
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, typ)
		a := spawn(t, m, SpawnOptions{ID: "a"})
		saved := func() (ids []string) {
			info, ok := a.LastCheckpoint()
			require.True(t, ok)
			f, err := m.RestoreCheckpoint(t.Context(), info.ID, SpawnOptions{})
			require.NoError(t, err)
			for _, in := range f.Unfinished() {
				ids = append(ids, in.ID)
			}
			require.NoError(t, m.Delete(t.Context(), f.ID()))
			return ids
		}
		main, err := a.Submit(t.Context(), Input{ID: "main"})
		require.NoError(t, err)
		synctest.Wait()
		_, err = a.Submit(t.Context(), Input{ID: "left", Steer: true})
		require.NoError(t, err)
		aborted, err := a.Submit(t.Context(), Input{ID: "right", Steer: true})
		require.NoError(t, err)
		step <- struct{}{}
		synctest.Wait()
		aborted.Abort("not this")
		require.ErrorIs(t, aborted.Wait(t.Context()), ErrAborted)
		_, err = a.Checkpoint(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"main", "left"}, saved())
		step <- struct{}{}
		require.NoError(t, main.Wait(t.Context()))
		assert.Empty(t, saved())
	})
}

// However long it takes to tell of the end of an input, a checkpoint knows it.
func TestInterruptedInputsAreInTheLastCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace := Trace{InputFinished: func(string, InputFinished) { time.Sleep(time.Second) }}
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}, Trace: trace}, handle(func(ctx context.Context, a *Agent, in Input) error {
			for len(a.TakeSteering(ctx)) == 0 {
				time.Sleep(time.Millisecond)
			}
			<-ctx.Done()
			time.Sleep(150 * time.Millisecond) // longer than the grace
			return nil
		}))
		a := spawn(t, m, SpawnOptions{ID: "a"})
		for _, in := range []Input{{ID: "main"}, {ID: "folded", Steer: true}, {ID: "waits"}} {
			_, err := a.Submit(t.Context(), in)
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.NoError(t, a.Stop(t.Context()))
		b, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		var ids []string
		for _, in := range b.Unfinished() {
			ids = append(ids, in.ID)
		}
		assert.Equal(t, []string{"main", "folded", "waits"}, ids)
		time.Sleep(time.Minute)
	})
}

// Inputs keep the order of their acceptance over any number of lives.
func TestResumedInputsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var ran []string
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, handle(func(ctx context.Context, a *Agent, in Input) error {
			select {
			case <-release:
				ran = append(ran, in.ID)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}))
		a := spawn(t, m, SpawnOptions{ID: "a"})
		for _, id := range []string{"1", "2", "3", "4"} {
			_, err := a.Submit(t.Context(), Input{ID: id})
			require.NoError(t, err)
		}
		for life := range 3 {
			synctest.Wait()
			require.NoError(t, a.Stop(t.Context()))
			var err error
			a, err = m.Restore(t.Context(), "a")
			require.NoError(t, err)
			_, err = a.Submit(t.Context(), Input{ID: fmt.Sprint("new", life)})
			require.NoError(t, err)
			synctest.Wait() // it begins
			for _, in := range a.Unfinished() {
				_, err := a.Resume(t.Context(), in.ID)
				require.NoError(t, err)
			}
			_, err = a.Resume(t.Context(), "1")
			require.ErrorIs(t, err, ErrNotFound)
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		assert.Equal(t, []string{"new2", "1", "2", "3", "4", "new0", "new1"}, ran)
		require.NoError(t, a.Stop(t.Context()))
		_, err := a.Resume(t.Context(), "1")
		require.Error(t, err)
	})
}

// Hooks after an input that are cut short make no failure of it.
func TestTheEndDuringHooksAfterAnInput(t *testing.T) {
	for _, c := range []struct {
		text  string
		abort bool
		state RunState
		again []string // what runs when it is resumed
	}{
		{"work", true, Aborted, nil},
		{"work", false, Interrupted, []string{"hook"}},
		{"/work", true, Aborted, nil},
		{"/work", false, Interrupted, []string{"hook"}},
	} {
		t.Run(fmt.Sprint(c.text, c.abort), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ran []string
				life := 0
				typ := handle(func(context.Context, *Agent, Input) error { ran = append(ran, "work"); return nil })
				typ.Setup = func(_ context.Context, a *Agent) error {
					life++
					return errors.Join(
						a.Command("work", CommandFunc(func(context.Context, string) (string, error) { ran = append(ran, "work"); return "", nil }, "Works.")),
						a.Hook(AfterInput, "hook", func(ctx context.Context) error {
							ran = append(ran, "hook")
							if life == 1 {
								<-ctx.Done()
							}
							return ctx.Err()
						}))
				}
				m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, typ)
				a := spawn(t, m, SpawnOptions{ID: "a"})
				r, err := a.Submit(t.Context(), Input{ID: "i", Text: c.text})
				require.NoError(t, err)
				synctest.Wait()
				if c.abort {
					r.Abort("enough")
					require.ErrorIs(t, r.Wait(t.Context()), ErrAborted)
				}
				require.NoError(t, a.Stop(t.Context()))
				assert.Equal(t, c.state, r.State())
				assert.Equal(t, []string{"work", "hook"}, ran)
				ran = nil
				b, err := m.Restore(t.Context(), "a")
				require.NoError(t, err)
				for _, in := range b.Unfinished() {
					r, err := b.Resume(t.Context(), in.ID)
					require.NoError(t, err)
					require.NoError(t, r.Wait(t.Context()))
				}
				assert.Equal(t, c.again, ran)
			})
		})
	}
}
