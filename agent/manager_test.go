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

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

func TestIdleTimeoutMeansIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		typ := stateful()
		typ.IdleTimeout = 5 * time.Minute
		typ.Handle = func(ctx context.Context, a *Agent, in Input) error {
			time.Sleep(time.Hour) // a long silent tool call
			return nil
		}
		m := newManager(t, ManagerOptions{Store: store}, typ)
		idle := spawn(t, m, SpawnOptions{ID: "idle"})
		forever := spawn(t, m, SpawnOptions{ID: "forever", IdleTimeout: -1})
		busy := spawn(t, m, SpawnOptions{ID: "busy"})
		asking := spawn(t, m, SpawnOptions{ID: "asking"})
		_, err := busy.Submit(t.Context(), Input{})
		require.NoError(t, err)
		go func() { _, _ = asking.Ask(t.Context(), Request{ID: "q", Kind: Confirm}) }()
		notesOf(idle).add("kept")

		time.Sleep(59 * time.Minute)
		assert.True(t, idle.Stopped())
		for _, a := range []*Agent{forever, busy, asking} {
			assert.False(t, a.Stopped(), a.ID())
		}
		require.NoError(t, asking.Answer("q", Response{}))
		time.Sleep(5*time.Minute + 30*time.Second) // busy ended a minute in
		assert.True(t, asking.Stopped())
		assert.False(t, busy.Stopped())
		time.Sleep(5 * time.Minute)
		assert.True(t, busy.Stopped())
		assert.False(t, forever.Stopped())
		assert.EqualValues(t, 3, m.Stats().Expired)

		back, err := m.Restore(t.Context(), "idle")
		require.NoError(t, err)
		assert.Equal(t, []string{"kept"}, notesOf(back).all(), "an expired agent is saved, not lost")
	})
}

func TestMaximumRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, Type{Name: "test", MaxRunTime: 10 * time.Minute,
			Handle: func(ctx context.Context, a *Agent, in Input) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}})
		a := spawn(t, m, SpawnOptions{})
		b := spawn(t, m, SpawnOptions{MaxRunTime: time.Minute})
		r, err := a.Submit(t.Context(), Input{})
		require.NoError(t, err)
		time.Sleep(2*time.Minute + time.Second)
		assert.True(t, b.Stopped())
		assert.False(t, a.Stopped())
		require.ErrorIs(t, r.Wait(t.Context()), ErrInterrupted)
		assert.Equal(t, 10*time.Minute, time.Since(a.Created()).Truncate(time.Minute))
	})
}

func TestSubAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{MaxDepth: 2, MaxChildren: 2}, Type{Name: "test",
			Setup: func(ctx context.Context, a *Agent) error {
				return errors.Join(a.Attach("memory", &notes{}, AttachOptions{Inherit: true}), a.Attach("own", &notes{}))
			},
			Handle: func(ctx context.Context, a *Agent, in Input) error { <-ctx.Done(); return context.Cause(ctx) }})
		a := spawn(t, m, SpawnOptions{ID: "a"})
		a.Slice("memory").(*notes).add("shared")
		a.Slice("own").(*notes).add("private")
		b, err := a.Spawn(t.Context(), "test", SpawnOptions{ID: "b"})
		require.NoError(t, err)
		assert.Equal(t, []string{"shared"}, b.Slice("memory").(*notes).all())
		assert.Empty(t, b.Slice("own").(*notes).all())
		b.Slice("memory").(*notes).add("child's")
		assert.Equal(t, []string{"shared"}, a.Slice("memory").(*notes).all(), "a copy")
		c, err := b.Spawn(t.Context(), "test", SpawnOptions{ID: "c"})
		require.NoError(t, err)
		assert.Equal(t, 2, c.Depth())
		_, err = c.Spawn(t.Context(), "test", SpawnOptions{})
		require.ErrorIs(t, err, ErrLimit)
		_, err = a.Spawn(t.Context(), "test", SpawnOptions{})
		require.NoError(t, err)
		_, err = a.Spawn(t.Context(), "test", SpawnOptions{})
		require.ErrorIs(t, err, ErrLimit)

		r, err := c.Submit(t.Context(), Input{})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, b.Stop(t.Context()))
		require.ErrorIs(t, r.Err(), ErrInterrupted)
		assert.True(t, c.Stopped(), "sub-agents end with their parent")
		assert.Len(t, a.Children(), 1)
		var life []string
		for _, e := range bodiesOf[SubAgent](events(a)) {
			if e.ID == "b" {
				life = append(life, e.State)
			}
		}
		assert.Equal(t, []string{"spawned", "stopped"}, life)
		require.NoError(t, a.Stop(t.Context()))
		assert.Zero(t, m.Len())
	})
}

func TestFamiliesFindEachOtherAgain(t *testing.T) {
	for _, order := range [][]string{{"a", "b", "c"}, {"c", "b", "a"}, {"b", "a", "c"}} {
		store := &MemoryStore{}
		m := newManager(t, ManagerOptions{Store: store}, Type{Name: "test"})
		a := spawn(t, m, SpawnOptions{ID: "a"})
		b, err := a.Spawn(t.Context(), "test", SpawnOptions{ID: "b"})
		require.NoError(t, err)
		_, err = b.Spawn(t.Context(), "test", SpawnOptions{ID: "c"})
		require.NoError(t, err)
		require.NoError(t, m.Shutdown(t.Context()))

		m = newManager(t, ManagerOptions{Store: store}, Type{Name: "test"})
		for _, id := range order {
			_, err := m.Restore(t.Context(), id)
			require.NoError(t, err)
		}
		a, _ = m.Get("a")
		require.Len(t, a.Children(), 1)
		require.Len(t, a.Children()[0].Children(), 1)
		require.NoError(t, a.Stop(t.Context()))
		assert.Zero(t, m.Len(), "sub-agents end with their parent")
		b, err = m.Restore(t.Context(), "b")
		require.NoError(t, err)
		require.NoError(t, b.Stop(t.Context()))
		assert.Empty(t, m.orphans)
	}
}

func TestSpawnFailures(t *testing.T) {
	setups := 0
	m := newManager(t, ManagerOptions{}, Type{Name: "test"}, Type{Name: "bad", Setup: func(context.Context, *Agent) error {
		setups++
		panic("no")
	}})
	require.ErrorIs(t, m.RegisterType(Type{Name: "test"}), ErrDuplicate)
	require.Error(t, m.RegisterType(Type{}))
	_, err := m.Spawn(t.Context(), "nothing", SpawnOptions{})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = m.Spawn(t.Context(), "bad", SpawnOptions{ID: "x"})
	require.ErrorContains(t, err, "panic: no")
	assert.Equal(t, 1, setups)
	assert.Zero(t, m.Len())
	for _, id := range []string{"a@1", "x\ny", string(make([]byte, 65))} {
		_, err = m.Spawn(t.Context(), "test", SpawnOptions{ID: id})
		require.Error(t, err)
	}
	a := spawn(t, m, SpawnOptions{ID: "x"})
	_, err = m.Spawn(t.Context(), "test", SpawnOptions{ID: "x"})
	require.ErrorIs(t, err, ErrDuplicate)
	_, err = a.Checkpoint(t.Context())
	require.ErrorIs(t, err, ErrNoStore)
	require.NoError(t, a.Step(t.Context()))
	require.NoError(t, m.Delete(t.Context(), "x"))
	require.ErrorIs(t, m.Delete(t.Context(), "x"), ErrNotFound)
	require.Error(t, a.Attach("late", nil))
}

func TestShutdownSavesEveryAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		typ := stateful()
		typ.Handle = func(ctx context.Context, a *Agent, in Input) error {
			if in.Text == "deaf" {
				time.Sleep(time.Hour)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}
		m := NewManager(ManagerOptions{Store: store, Logger: quiet})
		require.NoError(t, m.RegisterType(typ))
		for i := range 10 {
			a := spawn(t, m, SpawnOptions{ID: fmt.Sprint(i)})
			counterOf(a).add()
			if i%2 == 0 {
				_, err := a.Submit(t.Context(), Input{Text: map[bool]string{true: "deaf"}[i == 4]})
				require.NoError(t, err)
			}
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := m.Shutdown(ctx)
		var still *StillRunningError
		require.ErrorAs(t, err, &still)
		assert.Equal(t, "4", still.Agent)
		assert.Equal(t, time.Second, time.Since(start))
		_, err = m.Spawn(t.Context(), "test", SpawnOptions{})
		require.ErrorIs(t, err, ErrStopped)

		m = newManager(t, ManagerOptions{Store: store}, typ)
		n := 0
		for a, err := range m.RestoreUnfinished(t.Context()) {
			require.NoError(t, err)
			assert.Len(t, a.Unfinished(), 1, a.ID())
			assert.Equal(t, 1, counterOf(a).value())
			n++
		}
		assert.Equal(t, 5, n)
		time.Sleep(2 * time.Hour) // the deaf one ends
	})
}

func TestWatchFollowsTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, Type{Name: "test"})
		spawn(t, m, SpawnOptions{ID: "first"})
		var got []string
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(done)
			for c := range m.Watch(ctx) {
				got = append(got, string(c.Kind)+" "+c.Agent.ID())
			}
		}()
		synctest.Wait()
		b := spawn(t, m, SpawnOptions{ID: "second"})
		synctest.Wait()
		require.NoError(t, b.Stop(t.Context()))
		synctest.Wait()
		cancel()
		<-done
		assert.Equal(t, []string{"added first", "added second", "removed second"}, got)
		for range m.Find(func(a *Agent) bool { return a.ID() == "first" }) {
			got = nil
		}
		assert.Nil(t, got)
	})
}

func TestRetentionKeepsTheDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}, Retention: Retention{Last: 3, Daily: 4}}, stateful())
		a := spawn(t, m, SpawnOptions{ID: "a"})
		for range 10 * 4 {
			diaryOf(a).add(time.Now().UTC().Format("02 15"))
			_, err := a.Checkpoint(t.Context())
			require.NoError(t, err)
			time.Sleep(6 * time.Hour)
		}
		time.Sleep(-6 * time.Hour)
		require.NoError(t, a.Prune(t.Context()))
		list, err := m.Checkpoints(t.Context(), "a")
		require.NoError(t, err)
		var got []string
		for _, c := range list {
			f, err := m.RestoreCheckpoint(t.Context(), c.ID, SpawnOptions{})
			require.NoError(t, err)
			lines := diaryOf(f).all()
			got = append(got, lines[len(lines)-1])
			assert.Len(t, lines, int(c.Seq))
		}
		assert.Equal(t, []string{"08 18", "09 18", "10 06", "10 12", "10 18"}, got)
	})
}

func TestAFailedSaveLosesNothing(t *testing.T) {
	store := &flaky{}
	m := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	for i := range 12 {
		diaryOf(a).add(fmt.Sprint(i))
		counterOf(a).add()
		store.mode = i % 3
		_, err := a.Checkpoint(t.Context())
		if i%3 != 0 {
			require.Error(t, err)
		} else {
			require.NoError(t, err)
		}
	}
	store.mode = 0
	require.NoError(t, a.Stop(t.Context()))
	b, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, diaryOf(a).all(), diaryOf(b).all())
	assert.Equal(t, 12, counterOf(b).value())

	notesOf(b).fail = errors.New("cannot")
	_, err = b.Checkpoint(t.Context())
	var bad *SliceError
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, "notes", bad.Slice)
	notesOf(b).fail = nil
}

// flaky fails to append, or appends and says it failed.
type flaky struct {
	MemoryStore
	mode int
}

func (f *flaky) Append(ctx context.Context, id string, rec Record) error {
	if f.mode == 1 {
		return errors.New("disk full")
	}
	err := f.MemoryStore.Append(ctx, id, rec)
	if f.mode == 2 && err == nil {
		return errors.New("connection lost")
	}
	return err
}

func TestSubAgentsShareTheBudget(t *testing.T) {
	typ := handle(func(ctx context.Context, a *Agent, in Input) error {
		_, err := budget.From(ctx).Reserve(budget.Amount{Steps: 1})
		return err
	})
	m := newManager(t, ManagerOptions{}, typ)
	a := spawn(t, m, SpawnOptions{Budget: budget.New(budget.Limits{Steps: 2})})
	b, err := a.Spawn(t.Context(), "test", SpawnOptions{})
	require.NoError(t, err)
	assert.Same(t, a.Budget(), b.Budget())
	for i, who := range []*Agent{a, b, a, b} {
		r, err := who.Submit(t.Context(), Input{})
		require.NoError(t, err)
		err = r.Wait(t.Context())
		if i < 2 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, budget.ErrExceeded)
		}
	}
}

func TestAnAgentMayStopItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		m := newManager(t, ManagerOptions{Store: store}, Type{Name: "test", Setup: func(ctx context.Context, a *Agent) error {
			return a.Command("exit", CommandFunc(func(ctx context.Context, _ string) (string, error) {
				return "bye", a.Stop(ctx)
			}, "Ends the agent."))
		}})
		a := spawn(t, m, SpawnOptions{ID: "a"})
		r, err := a.Submit(t.Context(), Input{Text: "/exit"})
		require.NoError(t, err)
		<-r.Done()
		synctest.Wait()
		assert.Zero(t, m.Len())
		assert.Equal(t, "exit", string(events(a)[len(events(a))-1].Body.Kind()))
	})
}

func TestStopHooksRunEvenWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran []Point
		m := newManager(t, ManagerOptions{}, handle(func(context.Context, *Agent, Input) error { return nil }))
		a := spawn(t, m, SpawnOptions{})
		require.NoError(t, a.Hook(OnIdle, "i", func(ctx context.Context) error { <-ctx.Done(); ran = append(ran, OnIdle); return nil }))
		require.NoError(t, a.Hook(OnStop, "s", func(ctx context.Context) error { ran = append(ran, OnStop); return ctx.Err() },
			HookOptions{Policy: AbortInput}))
		_, err := a.Submit(t.Context(), Input{})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, a.Stop(t.Context()))
		assert.Equal(t, []Point{OnIdle, OnStop}, ran)

		b := spawn(t, m, SpawnOptions{})
		require.NoError(t, b.Hook(OnStop, "s", func(ctx context.Context) error { ran = append(ran, OnStop); return ctx.Err() },
			HookOptions{Policy: AbortInput}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, b.Stop(ctx))
		assert.Len(t, ran, 3)
	})
}

// A watcher that does not look for a while costs those that change little.
func TestAStalledWatcherIsCheap(t *testing.T) {
	w := &watcher{added: map[*Agent]int{}, signal: make(chan struct{}, 1)}
	agents := make([]Agent, 100_000)
	start := time.Now()
	for i := range agents {
		w.add(Change{&agents[i], Removed}) // it saw them come
	}
	for range 10 {
		for i := range agents {
			w.add(Change{&agents[i], Added})
			w.add(Change{&agents[i], Removed})
		}
	}
	assert.Less(t, time.Since(start), 20*time.Second)
	assert.LessOrEqual(t, len(w.pending), 3*len(agents))
	assert.Empty(t, w.added)
	left := 0
	for _, c := range w.pending {
		if c.Agent != nil {
			left++
		}
	}
	assert.Equal(t, len(agents), left)
}
