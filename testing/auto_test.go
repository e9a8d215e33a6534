package testing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdtesting "testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAutoTestRunsOncePerState(t *stdtesting.T) {
	w, r := &tree{}, &switchable{}
	s := newService(t, Options{}, map[string]Resource{"r": r})
	after := 0
	auto := NewAutoTest(s, AutoTestOptions{Workspace: w, AfterTesting: func(context.Context) error { after++; return nil }})
	chat := func() {
		t.Helper()
		require.NoError(t, auto.AfterChat(t.Context()))
	}
	chat()
	assert.Zero(t, r.runs, "nothing changed")
	w.write("f")
	chat()
	chat()
	assert.Equal(t, 1, r.runs)
	assert.Equal(t, 1, after)
	assert.True(t, s.Passed())

	// What is written during a run stays dirty.
	during := resourceFunc(func(context.Context, Request) Result { w.write("during"); return Result{Status: Passed} })
	require.NoError(t, s.Register("writes", during))
	w.write("f")
	chat()
	assert.True(t, w.Dirty())
	assert.False(t, s.Passed(), "the result is out of date already")
	require.True(t, s.Unregister("writes"))
	chat()
	assert.False(t, w.Dirty())
	assert.True(t, s.Passed())

	auto.SetDisabled(true)
	data, err := json.Marshal(auto)
	require.NoError(t, err)
	again := NewAutoTest(s, AutoTestOptions{Workspace: w})
	require.NoError(t, json.Unmarshal(data, again))
	w.write("f")
	require.NoError(t, again.AfterChat(t.Context()))
	assert.True(t, w.Dirty(), "disabled")
	again.Reset("all")
	require.NoError(t, again.AfterChat(t.Context()))
	assert.False(t, w.Dirty())
}

func TestAutoTestErrors(t *stdtesting.T) {
	w := &tree{}
	s := newService(t, Options{}, nil)
	hook := errors.New("hook")
	auto := NewAutoTest(s, AutoTestOptions{Workspace: w, AfterTesting: func(context.Context) error { return hook }})
	w.write("f")
	require.NoError(t, auto.AfterChat(t.Context()), "nothing to run")
	assert.True(t, w.Dirty(), "nothing was tested")
	require.NoError(t, s.Register("r", &switchable{}))
	require.ErrorIs(t, auto.AfterChat(t.Context()), hook)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.write("f")
	require.ErrorIs(t, auto.AfterChat(ctx), context.Canceled)
	assert.True(t, w.Dirty(), "a canceled run leaves the workspace dirty")
}

func TestAutoTestChangedOnly(t *stdtesting.T) {
	w, r := &tree{}, &switchable{}
	s := newService(t, Options{}, map[string]Resource{"r": r})
	auto := NewAutoTest(s, AutoTestOptions{Workspace: w, ChangedOnly: true})
	for _, step := range []struct {
		err  error
		file string
		want []string
	}{{nil, "a", nil}, {errRed, "b", []string{"b"}}, {nil, "c", nil}, {nil, "d", []string{"d"}}} {
		r.set(step.err)
		w.write(step.file)
		require.NoError(t, auto.AfterChat(t.Context()))
		assert.Equal(t, step.want, r.seen[len(r.seen)-1].Changed, step.file)
	}
}

// A green run of something else says nothing about a resource.
func TestAutoTestNarrowsOnlyWhatPassed(t *stdtesting.T) {
	w, a, b := &tree{}, &switchable{}, &switchable{}
	s := newService(t, Options{}, map[string]Resource{"a": a, "b": b})
	auto := NewAutoTest(s, AutoTestOptions{Workspace: w, ChangedOnly: true})
	chat := func(file string) []string {
		t.Helper()
		w.write(file)
		require.NoError(t, auto.AfterChat(t.Context()))
		return a.seen[len(a.seen)-1].Changed
	}
	assert.Nil(t, chat("1"))
	assert.Equal(t, []string{"2"}, chat("2"))
	a.set(errRed)
	assert.Equal(t, []string{"3"}, chat("3"))
	_, err := s.Run(t.Context(), "b")
	require.NoError(t, err)
	assert.Nil(t, chat("4"), "a is red, although the last report is green")
	a.set(nil)
	assert.Nil(t, chat("5"))
	assert.Equal(t, []string{"6"}, chat("6"))

	// While it is not selected, it misses a state.
	require.NoError(t, s.Selection().Disable("a"))
	chat("7")
	require.NoError(t, s.Selection().Enable("a"))
	assert.Nil(t, chat("8"))

	// A run that a person starts in between sees changes that are counted later.
	w.write("9")
	_, err = s.Run(t.Context())
	require.NoError(t, err)
	assert.Nil(t, chat("10"))
}

func TestAutoTestWaitIsCancellable(t *stdtesting.T) {
	w := &tree{}
	running, release := make(chan struct{}), make(chan struct{})
	s := newService(t, Options{}, map[string]Resource{"r": Func(func(context.Context) error { close(running); <-release; return nil })})
	auto := NewAutoTest(s, AutoTestOptions{Workspace: w})
	w.write("f")
	done := make(chan error, 1)
	go func() { done <- auto.AfterChat(context.Background()) }()
	<-running
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errRed)
	err := auto.AfterChat(ctx)
	require.ErrorIs(t, err, errRed)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	require.NoError(t, <-done)
}

// loop is AutoRepair with a service whose one resource fails as told.
type loop struct {
	*AutoRepair
	t        stdtesting.TB
	s        *Service
	r        *switchable
	repairs  []Repair
	gaveUp   []string
	enqueued error
}

func newLoop(t stdtesting.TB) *loop {
	l := &loop{t: t, r: &switchable{}}
	l.s = newService(t, Options{}, map[string]Resource{"unit": l.r})
	l.AutoRepair = NewAutoRepair(l.s, AutoRepairOptions{
		Enqueue: func(_ context.Context, r Repair) error {
			if l.enqueued == nil {
				l.repairs = append(l.repairs, r)
			}
			return l.enqueued
		},
		Checkpoint: func(context.Context) (string, error) { return "cp-1", nil },
		Diff:       func(context.Context) (string, error) { return "+broken ``` line", nil },
		OnGiveUp:   func(_ context.Context, _ Repair, reason string) { l.gaveUp = append(l.gaveUp, reason) },
	})
	return l
}

func (l *loop) fails(output string) {
	l.t.Helper()
	if output == "" {
		l.r.set(nil)
	} else {
		l.r.set(errors.New(output))
	}
	_, err := l.s.Run(l.t.Context())
	require.NoError(l.t, err)
	err = l.AfterTesting(l.t.Context())
	if l.enqueued != nil {
		require.ErrorIs(l.t, err, l.enqueued)
		return
	}
	require.NoError(l.t, err)
}

func TestRepairCarriesTheFailure(t *stdtesting.T) {
	l := newLoop(t)
	l.fails("")
	assert.Empty(t, l.repairs)
	l.fails("calc_test.go:12: want 5, got 7")
	require.Len(t, l.repairs, 1)
	r := l.repairs[0]
	assert.Equal(t, "cp-1", r.Checkpoint)
	assert.Equal(t, 1, r.Attempt)
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back Repair
	require.NoError(t, json.Unmarshal(data, &back))
	prompt := back.Prompt()
	for _, want := range []string{`"unit" failed`, "command: check", "attempt 1 of 3", "want 5, got 7", "````diff\n+broken ``` line"} {
		assert.Contains(t, prompt, want)
	}
	assert.NotContains(t, prompt, "undefined")
	assert.Contains(t, Repair{Resource: "x", Status: TimedOut}.Prompt(), "no output")
}

func TestRepairStops(t *stdtesting.T) {
	for name, c := range map[string]struct {
		failures []string
		repairs  int
		reason   string
	}{
		"nothing changes":               {[]string{"A", "A", "A", "A", "A"}, 2, "changed nothing"},
		"only times change":             {[]string{"A in 0.1s", "A in 0.22s", "A in 3s"}, 2, "changed nothing"},
		"failures alternate":            {[]string{"A", "B", "A", "B"}, 2, "alternate"},
		"alternation over three states": {[]string{"A", "B", "C", "A"}, 3, "alternate"},
		"ever new failures":             {numbered(20), 12, "12 attempts"},
		"progress goes on":              {[]string{"A", "A", "B", "B", "C"}, 5, ""},
		"passes, and fails again":       {[]string{"A", "A", "", "A", "A"}, 4, ""},
	} {
		t.Run(name, func(t *stdtesting.T) {
			l := newLoop(t)
			for _, f := range c.failures {
				l.fails(f)
			}
			assert.Len(t, l.repairs, c.repairs)
			reason, gaveUp := l.GaveUp()
			assert.Equal(t, c.reason != "", gaveUp)
			assert.Contains(t, reason, c.reason)
			if gaveUp {
				assert.Len(t, l.gaveUp, 1, "a person is asked once")
			}
		})
	}
}

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("failure %d", i))
	}
	return out
}

func TestRepairAttemptLimit(t *stdtesting.T) {
	l := newLoop(t)
	l.opts.MaxAttempts = 1
	l.fails("A")
	l.fails("A")
	l.fails("A")
	assert.Len(t, l.repairs, 1)
	reason, _ := l.GaveUp()
	assert.Contains(t, reason, "1 attempts")
	l.fails("B")
	assert.Len(t, l.repairs, 2, "a new failure is a new case")
	_, gaveUp := l.GaveUp()
	assert.False(t, gaveUp)
	l.fails("B")
	out, err := l.Command(t.Context(), "retry unit")
	require.NoError(t, err)
	assert.Contains(t, out, "Nothing")
	out, err = l.Command(t.Context(), "now")
	require.NoError(t, err)
	assert.Contains(t, out, "1 repairs")
	assert.Len(t, l.repairs, 3)
}

// Looking again at a report whose repair is under way is no attempt. A report of
// the same result, known from before, is: the attempt changed nothing.
func TestRepairOfOneReportIsEnqueuedOnce(t *stdtesting.T) {
	l := newLoop(t)
	l.fails("A")
	for range 3 {
		require.NoError(t, l.AfterTesting(t.Context()))
	}
	assert.Len(t, l.repairs, 1)
	data, err := json.Marshal(l.AutoRepair)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, l.AutoRepair))
	require.NoError(t, l.AfterTesting(t.Context()))
	assert.Len(t, l.repairs, 1)
	l.s.generation = func() uint64 { return 1 }
	l.fails("A")
	assert.Equal(t, 2, l.repairs[1].Attempt)
	report, err := l.s.RunWith(t.Context(), RunOptions{Reuse: true})
	require.NoError(t, err)
	require.True(t, report.Results[0].Cached)
	require.NoError(t, l.AfterTesting(t.Context()))
	reason, _ := l.GaveUp()
	assert.Contains(t, reason, "changed nothing")
}

func TestRepairStateSurvives(t *stdtesting.T) {
	l := newLoop(t)
	l.fails("A")
	l.fails("A")
	data, err := json.Marshal(l.AutoRepair)
	require.NoError(t, err)
	m := newLoop(t)
	gen := m.AutoRepair.Generation()
	require.NoError(t, json.Unmarshal(data, m.AutoRepair))
	assert.NotEqual(t, gen, m.AutoRepair.Generation())
	m.fails("A")
	assert.Empty(t, m.repairs)
	_, gaveUp := m.GaveUp()
	assert.True(t, gaveUp)
	m.AutoRepair.Reset("memory")
	_, gaveUp = m.GaveUp()
	assert.True(t, gaveUp)
	m.AutoRepair.Reset("chat")
	_, gaveUp = m.GaveUp()
	assert.False(t, gaveUp)
	require.NoError(t, json.Unmarshal([]byte(`{"streaks":{"unit":null}}`), m.AutoRepair))
	m.fails("A")
	assert.Len(t, m.repairs, 1)
	require.Error(t, json.Unmarshal([]byte(`[]`), m.AutoRepair))

	// A state that does not fit together is no reason to panic.
	r, _ := m.s.Result("unit")
	require.NoError(t, json.Unmarshal(fmt.Appendf(nil, `{"streaks":{"unit":{"attempts":{%q:1}},"x":null}}`, Fingerprint(r)), m.AutoRepair))
	m.fails("A")
	assert.Equal(t, 2, m.repairs[len(m.repairs)-1].Attempt)
}

func TestRepairErrors(t *stdtesting.T) {
	l := newLoop(t)
	l.enqueued = errors.New("queue is full")
	l.fails("A")
	l.fails("A")
	l.fails("A")
	l.enqueued = nil
	l.fails("A")
	assert.Len(t, l.repairs, 1, "what was never enqueued is no attempt")
	assert.Equal(t, 1, l.repairs[0].Attempt)

	l.opts.Enqueue = nil
	require.Error(t, l.AfterTesting(t.Context()))
	l.SetDisabled(true)
	require.NoError(t, l.AfterTesting(t.Context()))
	for _, cmd := range []string{"on", "off", "status", "help", ""} {
		_, err := l.Command(t.Context(), cmd)
		require.NoError(t, err)
	}
	_, err := l.Command(t.Context(), "nonsense")
	require.Error(t, err)

	// What cannot be run is for a person.
	l = newLoop(t)
	require.True(t, l.s.Unregister("unit"))
	require.NoError(t, l.s.Register("gone", Shell{Argv: []string{"/nonexistent/program"}}))
	for range 2 {
		_, err := l.s.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.AfterTesting(t.Context()))
	}
	assert.Empty(t, l.repairs)
	assert.Len(t, l.gaveUp, 1)
}

// A person is asked once, also when the results are looked at again before.
func TestRepairIsGivenUpOnce(t *stdtesting.T) {
	l := newLoop(t)
	require.True(t, l.s.Unregister("unit"))
	require.NoError(t, l.s.Register("gone", Shell{Argv: []string{"/nonexistent/program"}}))
	_, err := l.s.Run(t.Context())
	require.NoError(t, err)
	checkpoints := 0
	l.opts.Checkpoint = func(ctx context.Context) (string, error) {
		if checkpoints++; checkpoints == 1 {
			require.NoError(t, l.AfterTesting(ctx))
		}
		return "cp", nil
	}
	require.NoError(t, l.AfterTesting(t.Context()))
	assert.Len(t, l.gaveUp, 1)
	assert.Equal(t, 1, checkpoints)
}

func TestFingerprint(t *stdtesting.T) {
	fp := func(out string) string { return Fingerprint(Result{Status: Failed, Output: out}) }
	assert.Equal(t, fp("a 12:00:01 took 1.5s at 0xc000123 in /tmp/x1/y"), fp("a 13:10:59 took 17ms at 0xc0f in /tmp/zz/q"))
	assert.Equal(t, fp("one\ntwo\n"), fp("two\none"))
	assert.NotEqual(t, fp("want 5, got 7"), fp("want 5, got 9"))
	c := func(name, out string) string {
		return Fingerprint(Result{Status: Failed, Output: name, Failures: []Case{{Name: name, Output: out, Status: Failed}}})
	}
	assert.NotEqual(t, c("TestA", "x"), c("TestB", "x"))
	assert.Equal(t, c("TestA", "--- FAIL: TestA (0.00s)"), c("TestA", "--- FAIL: TestA (0.15s)"))
}

// A host may do the repair within Enqueue: then testing comes back to AutoRepair
// before Enqueue has returned.
func TestRepairWithinEnqueue(t *stdtesting.T) {
	w, r := &tree{}, &switchable{err: errRed}
	s := newService(t, Options{}, map[string]Resource{"unit": r})
	var auto *AutoTest
	var attempts []int
	repair := NewAutoRepair(s, AutoRepairOptions{Enqueue: func(ctx context.Context, rep Repair) error {
		attempts = append(attempts, rep.Attempt)
		if rep.Attempt == 2 {
			r.set(nil)
		}
		w.write("f")
		return auto.AfterChat(ctx)
	}})
	auto = NewAutoTest(s, AutoTestOptions{Workspace: w, AfterTesting: repair.AfterTesting})
	w.write("f")
	require.NoError(t, auto.AfterChat(t.Context()))
	assert.Equal(t, []int{1, 2}, attempts)
	assert.True(t, s.Passed())
}
