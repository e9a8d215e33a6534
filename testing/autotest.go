package testing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Workspace is what AutoTest needs to know of the files. When it also has
// WriteGeneration() uint64 and MarkClean(uint64), a state of the workspace is
// tested once, and what is written during a run stays dirty.
type Workspace interface{ Dirty() bool }

// AutoTestOptions configure [NewAutoTest].
type AutoTestOptions struct {
	// Workspace says whether there is anything to test. Nil means always.
	Workspace Workspace

	// AfterTesting is called after each run that ended, whatever its outcome.
	AfterTesting func(ctx context.Context) error

	// Names are the resources to run. None means the service's selection.
	Names []string

	// ChangedOnly tests only what the changed files affect, where Workspace has
	// Changed() []string and the resource can tell.
	ChangedOnly bool

	Disabled bool // off until SetDisabled(false)

	Trace func(ctx context.Context, r Report) // observes each run
}

// AutoTest runs tests after a chat that changed the workspace. It is a state
// slice and safe for concurrent use.
type AutoTest struct {
	s    *Service
	opts AutoTestOptions

	run      *semaphore.Weighted // one run at a time
	mu       sync.Mutex
	disabled bool
	gen      uint64

	clean uint64 // generation at which the workspace was last marked clean; run guards it
}

// NewAutoTest makes the hook. A workspace with generations becomes the service's
// own, unless Options.Generation names another.
func NewAutoTest(s *Service, opts AutoTestOptions) *AutoTest {
	if g, ok := opts.Workspace.(interface{ WriteGeneration() uint64 }); ok {
		s.mu.Lock()
		if s.generation == nil {
			s.generation = g.WriteGeneration
		}
		s.mu.Unlock()
	}
	return &AutoTest{s: s, opts: opts, run: semaphore.NewWeighted(1), disabled: opts.Disabled}
}

// AfterChat tests a dirty workspace and then calls AfterTesting. Register it to
// run after each chat. Tests that fail are no error. It does nothing while no
// resource is selected.
func (a *AutoTest) AfterChat(ctx context.Context) error {
	report, err := a.test(ctx)
	if err != nil || len(report.Results) == 0 {
		return err
	}
	if a.opts.Trace != nil {
		a.opts.Trace(ctx, report)
	}
	if a.opts.AfterTesting != nil {
		if err := a.opts.AfterTesting(ctx); err != nil {
			return fmt.Errorf("testing: auto-test: after testing: %w", err)
		}
	}
	return nil
}

// test runs what is due. One run at a time; what follows it may chat and test
// again.
func (a *AutoTest) test(ctx context.Context) (Report, error) {
	if a.run.Acquire(ctx, 1) != nil {
		return Report{}, fmt.Errorf("testing: auto-test: %w", ended(ctx))
	}
	defer a.run.Release(1)
	a.mu.Lock()
	disabled := a.disabled
	a.mu.Unlock()
	if disabled || a.opts.Workspace != nil && !a.opts.Workspace.Dirty() {
		return Report{}, nil
	}
	var generation uint64
	if g, ok := a.opts.Workspace.(interface{ WriteGeneration() uint64 }); ok {
		generation = g.WriteGeneration() // before the run: later writes stay dirty
	}
	opts := RunOptions{Names: a.opts.Names, Reuse: true}
	if c, ok := a.opts.Workspace.(interface{ Changed() []string }); ok && a.opts.ChangedOnly && a.narrows() {
		opts.Changed = append([]string{}, c.Changed()...)
	}
	report, err := a.s.RunWith(ctx, opts)
	if err != nil {
		return report, fmt.Errorf("testing: auto-test: %w", err)
	}
	if m, ok := a.opts.Workspace.(interface{ MarkClean(uint64) }); ok && len(report.Results) > 0 {
		m.MarkClean(generation)
		a.clean = generation
	}
	return report, nil
}

// narrows reports whether all that is due passed on the state that the workspace
// counts changes from, so that what has not changed since need not be tested.
func (a *AutoTest) narrows() bool {
	due, err := a.s.choose(RunOptions{Names: a.opts.Names})
	if err != nil || a.clean == 0 {
		return false
	}
	return !slices.ContainsFunc(due, func(c choice) bool {
		r, ran := a.s.Result(c.name)
		return !ran || r.Status != Passed || r.Generation != a.clean
	})
}

// SetDisabled turns AutoTest off or on.
func (a *AutoTest) SetDisabled(disabled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.disabled != disabled {
		a.disabled = disabled
		a.gen++
	}
}

type autoTestState struct {
	Disabled bool `json:"disabled"`
}

// MarshalJSON returns whether AutoTest is on.
func (a *AutoTest) MarshalJSON() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return json.Marshal(autoTestState{a.disabled})
}

// UnmarshalJSON restores what MarshalJSON returned.
func (a *AutoTest) UnmarshalJSON(data []byte) error {
	var st autoTestState
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("testing: auto-test: restore: %w", err)
	}
	a.SetDisabled(st.Disabled)
	return nil
}

// Reset goes back to the options for the scopes "settings" and "all".
func (a *AutoTest) Reset(scope string) {
	if scope == "settings" || scope == "all" {
		a.SetDisabled(a.opts.Disabled)
	}
}

// Generation changes whenever the state does.
func (a *AutoTest) Generation() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gen
}
