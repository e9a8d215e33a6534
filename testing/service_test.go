package testing

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	stdtesting "testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func TestRunAndVerdict(t *stdtesting.T) {
	a, b := &switchable{}, &switchable{}
	s := newService(t, Options{}, nil)
	assert.False(t, s.Passed(), "nothing ran")
	assert.Equal(t, "nothing ran", s.Verdict().String())
	report, err := s.Run(t.Context())
	require.NoError(t, err)
	assert.False(t, report.Passed())

	require.NoError(t, s.Register("a", a))
	require.NoError(t, s.Register("b", b))
	require.ErrorIs(t, s.Register("a", a), registry.ErrExists)
	require.Error(t, s.Register("nil", nil))

	report, err = s.Run(t.Context(), "a")
	require.NoError(t, err)
	assert.True(t, report.Passed())
	assert.False(t, s.Passed(), "b never ran")
	assert.Equal(t, "not run: b", s.Verdict().String())

	b.set(errRed)
	report, err = s.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, []string{report.Results[0].Name, report.Results[1].Name})
	assert.Equal(t, "failed: b", s.Verdict().String())
	assert.Contains(t, report.String(), "want 5, got 7")

	b.set(nil)
	_, err = s.RunWith(t.Context(), RunOptions{FailedOnly: true})
	require.NoError(t, err)
	assert.True(t, s.Passed())
	assert.Equal(t, 2, a.runs)
	assert.Len(t, s.History(), 3)

	_, err = s.Run(t.Context(), "absent")
	require.ErrorIs(t, err, registry.ErrNotFound)
	report, err = s.Run(t.Context(), "*")
	require.NoError(t, err)
	assert.Len(t, report.Results, 2)

	require.NoError(t, s.Selection().Disable("b"))
	b.set(errRed)
	_, err = s.Run(t.Context())
	require.NoError(t, err)
	assert.True(t, s.Passed(), "b is not selected")
	assert.True(t, s.Unregister("b"))
}

func TestFuncPanicAndEmptyStatus(t *stdtesting.T) {
	s := newService(t, Options{}, map[string]Resource{
		"bad":   Func(func(context.Context) error { return errRed }),
		"panic": Func(func(context.Context) error { panic("boom") }),
		"none":  resourceFunc(func(context.Context, Request) Result { return Result{} }),
	})
	_, err := s.Run(t.Context())
	require.NoError(t, err)
	r, _ := s.Result("bad")
	assert.Equal(t, Failed, r.Status)
	r, _ = s.Result("panic")
	assert.Equal(t, Errored, r.Status)
	assert.Contains(t, r.Error, "boom")
	r, _ = s.Result("none")
	assert.Equal(t, Errored, r.Status)
}

type resourceFunc func(context.Context, Request) Result

func (f resourceFunc) Test(ctx context.Context, req Request) Result { return f(ctx, req) }

type exclusive struct{ resourceFunc }

func (exclusive) Traits() Traits { return Traits{Exclusive: true} }

// N resources of equal length under limit k take ceil(N/k) times one.
func TestParallelLimit(t *stdtesting.T) {
	synctest.Test(t, func(t *stdtesting.T) {
		var running, most atomic.Int32
		work := resourceFunc(func(context.Context, Request) Result {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-time.After(time.Second)
			return Result{Status: Passed}
		})
		s := newService(t, Options{Parallel: 3}, nil)
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			require.NoError(t, s.Register(name, work))
		}
		began := time.Now()
		_, err := s.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(began))
		assert.Equal(t, int32(3), most.Load())

		// An exclusive resource runs while no other does.
		alone := true
		require.NoError(t, s.Register("alone", exclusive{func(ctx context.Context, r Request) Result {
			alone = alone && running.Load() == 0
			res := work(ctx, r)
			alone = alone && running.Load() == 0
			return res
		}}))
		_, err = s.Run(t.Context())
		require.NoError(t, err)
		assert.True(t, alone)
	})
}

func TestTimeoutAndCancel(t *stdtesting.T) {
	synctest.Test(t, func(t *stdtesting.T) {
		wait := resourceFunc(func(ctx context.Context, _ Request) Result {
			<-ctx.Done()
			return Result{Status: Failed, Output: "partial"}
		})
		s := newService(t, Options{Timeout: time.Minute}, map[string]Resource{"slow": wait})
		_, err := s.Run(t.Context())
		require.NoError(t, err)
		r, _ := s.Result("slow")
		assert.Equal(t, TimedOut, r.Status)
		assert.Equal(t, time.Minute, r.Duration)
		assert.Equal(t, "partial", r.Output)

		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the person left")
		time.AfterFunc(time.Second, func() { cancel(why) })
		report, err := s.Run(ctx)
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, Canceled, report.Results[0].Status)
		r, _ = s.Result("slow")
		assert.Equal(t, TimedOut, r.Status, "a canceled run says nothing about the code")
	})
}

// A run that tests only what a change affects takes nothing back that is known.
func TestNarrowedRuns(t *stdtesting.T) {
	w := &tree{}
	var asked [][]string
	status := Passed
	s := newService(t, Options{Generation: w.WriteGeneration}, map[string]Resource{"r": resourceFunc(func(_ context.Context, req Request) Result {
		asked = append(asked, req.Changed)
		if req.Changed != nil {
			return Result{Status: Skipped} // they affect nothing
		}
		return Result{Status: status, Output: "output"}
	})})
	for _, step := range []struct {
		full, want Status
		narrowed   bool
	}{
		{Passed, Passed, false}, // it never ran
		{Failed, Passed, true},
		{Failed, Passed, true},
	} {
		status = step.full
		w.write("README.md")
		report, err := s.RunWith(t.Context(), RunOptions{Changed: []string{"README.md"}})
		require.NoError(t, err)
		assert.Equal(t, step.narrowed, asked[len(asked)-1] != nil)
		assert.Equal(t, step.narrowed, report.Results[0].Cached)
		assert.Equal(t, step.want, report.Results[0].Status)
		assert.True(t, s.Passed(), "of the present state")
	}
	_, err := s.Run(t.Context()) // fails
	require.NoError(t, err)
	report, err := s.RunWith(t.Context(), RunOptions{Changed: []string{"README.md"}})
	require.NoError(t, err)
	assert.Nil(t, asked[len(asked)-1], "the failure may be anywhere")
	assert.Equal(t, Failed, report.Results[0].Status)
	assert.Equal(t, int64(2), s.Stats().Cached)
}

// A function that ignores its context is left behind.
func TestFuncThatIgnoresItsContext(t *stdtesting.T) {
	synctest.Test(t, func(t *stdtesting.T) {
		release := make(chan struct{})
		s := newService(t, Options{Timeout: time.Minute}, map[string]Resource{
			"deaf": Func(func(context.Context) error { <-release; return nil }),
			"late": Func(func(ctx context.Context) error { <-ctx.Done(); <-time.After(time.Second); return errRed }),
		})
		began := time.Now()
		_, err := s.Run(t.Context(), "deaf")
		require.NoError(t, err)
		assert.Equal(t, time.Minute+funcDelay, time.Since(began))
		r, _ := s.Result("deaf")
		assert.Equal(t, TimedOut, r.Status)
		assert.Contains(t, r.Output, "ignores its context")
		close(release)

		_, err = s.Run(t.Context(), "late")
		require.NoError(t, err)
		r, _ = s.Result("late")
		assert.Equal(t, TimedOut, r.Status)
		assert.Equal(t, errRed.Error(), r.Output, "what it says in time is kept")
	})
}

func TestFlaky(t *stdtesting.T) {
	n := 0
	s := newService(t, Options{Reruns: 2}, map[string]Resource{"flaky": Func(func(context.Context) error {
		if n++; n%3 != 0 {
			return errRed
		}
		return nil
	}), "red": Func(func(context.Context) error { return errRed })})
	_, err := s.Run(t.Context())
	require.NoError(t, err)
	r, _ := s.Result("flaky")
	assert.Equal(t, Passed, r.Status)
	assert.True(t, r.Flaky)
	assert.Equal(t, 3, r.Runs)
	assert.Contains(t, r.Output, "want 5", "the failure is shown")
	assert.Contains(t, r.Summary(), "flaky")
	r, _ = s.Result("red")
	assert.False(t, r.Flaky)
	assert.Equal(t, 3, r.Runs)
}

func TestResultsAreKeyedByGeneration(t *stdtesting.T) {
	w, r := &tree{}, &switchable{}
	s := newService(t, Options{Generation: w.WriteGeneration}, map[string]Resource{"r": r})
	run := func() {
		t.Helper()
		_, err := s.RunWith(t.Context(), RunOptions{Reuse: true})
		require.NoError(t, err)
	}
	w.write("f")
	run()
	run()
	assert.Equal(t, 1, r.runs)
	assert.True(t, s.Latest().Results[0].Cached)
	assert.True(t, s.Passed())
	w.write("f")
	assert.False(t, s.Passed())
	assert.Equal(t, "out of date: r", s.Verdict().String())
	run()
	assert.Equal(t, 2, r.runs)
	_, err := s.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, r.runs, "an explicit run runs")
}

func TestStateSlice(t *stdtesting.T) {
	r := &switchable{}
	s := newService(t, Options{History: 2}, nil)
	require.NoError(t, s.Register("r", r))
	require.NoError(t, s.Register("off", r))
	require.NoError(t, s.Register("later", r))
	require.NoError(t, s.Selection().Disable("off", "later"))
	r.set(errRed)
	for range 3 {
		_, err := s.Run(t.Context())
		require.NoError(t, err)
	}
	assert.Len(t, s.History(), 2)
	gen := s.Generation()
	data, err := json.Marshal(s)
	require.NoError(t, err)
	assert.Equal(t, gen, s.Generation(), "saving changes nothing")

	b := newService(t, Options{}, nil)
	require.NoError(t, b.Register("r", r))
	require.NoError(t, b.Register("off", r))
	require.NoError(t, b.Register("new", r))
	require.NoError(t, json.Unmarshal(data, b))
	res, ok := b.Result("r")
	require.True(t, ok)
	assert.Equal(t, Failed, res.Status)
	assert.Equal(t, "want 5, got 7", res.Output)
	assert.Equal(t, "failed: r; not run: new", b.Verdict().String())
	assert.Len(t, b.Latest().Results, 1)
	require.NoError(t, b.Register("later", r))
	assert.Equal(t, []string{"r", "new"}, b.Selection().ActiveNames())

	b.Reset("settings")
	assert.ElementsMatch(t, []string{"r", "off", "new", "later"}, b.Selection().ActiveNames())
	b.Reset("history")
	assert.Empty(t, b.History())
	_, ok = b.Result("r")
	assert.True(t, ok)
	b.Reset("all")
	_, ok = b.Result("r")
	assert.False(t, ok)
	require.Error(t, json.Unmarshal([]byte(`{"latest":1}`), b))
}

func TestToolsAndCommands(t *stdtesting.T) {
	r := &switchable{err: errRed}
	s := newService(t, Options{}, nil)
	require.NoError(t, s.Register("fn", r))
	require.NoError(t, s.Register("sh", Shell{Command: "echo hello"}))
	tools := s.Tools()
	require.Len(t, tools, 2)
	effects := tools[0].EffectsOf(nil)
	require.Len(t, effects, 2)
	assert.Equal(t, "echo hello", effects[1].Target)
	out, err := tools[0].Call(t.Context(), json.RawMessage(`{}`))
	require.NoError(t, err)
	assert.Contains(t, out.Text, "want 5, got 7")
	assert.Contains(t, out.Text, "sh: passed")
	out, err = tools[1].Call(t.Context(), json.RawMessage(`{"name":"sh"}`))
	require.NoError(t, err)
	assert.Contains(t, out.Text, "hello")
	_, err = tools[1].Call(t.Context(), json.RawMessage(`{"name":"absent"}`))
	require.ErrorIs(t, err, registry.ErrNotFound)

	for _, c := range [][2]string{
		{"", "fn: failed"}, {"run sh", "sh: passed"}, {"list", "Verdict: failed: fn"}, {"failed", "fn: failed"}, {"show fn", "want 5"},
		{"history", "fn: failed"}, {"disable fn", "Selected: sh"}, {"enable fn", "Selected: fn, sh"}, {"help", "/test"},
	} {
		out, err := s.Command(t.Context(), c[0])
		require.NoError(t, err, c[0])
		assert.Contains(t, out, c[1], c[0])
	}
	for _, cmd := range []string{"nonsense", "show", "run absent", "enable absent"} {
		_, err := s.Command(t.Context(), cmd)
		assert.Error(t, err, cmd)
	}
}
