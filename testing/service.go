package testing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tokenring-ai/tokenring-go/registry"
	"github.com/tokenring-ai/tokenring-go/utility/task"
)

// Defaults of [Options].
const (
	DefaultTimeout   = 10 * time.Minute
	DefaultMaxOutput = 64 << 10
	DefaultHistory   = 20
)

// Options configure a [Service].
type Options struct {
	// Parallel is how many resources run at once. Default: half of the
	// processors, at least 1, because tests use several themselves.
	Parallel int

	// Timeout bounds the run of each resource that does not say its own.
	// Default [DefaultTimeout]; negative means none.
	Timeout time.Duration

	// MaxOutput bounds the output that is kept of each resource, in bytes.
	// Default [DefaultMaxOutput].
	MaxOutput int

	// Reruns is how often a resource that failed is run again to find out
	// whether it is flaky. Default 0: it is not.
	Reruns int

	// History is how many reports are remembered. Default [DefaultHistory].
	History int

	// Generation returns a number that changes whenever the workspace does; 0
	// means unknown. [NewAutoTest] sets it from its workspace. With it a state is
	// not tested twice, and [Service.Verdict] tells results of an older state.
	Generation func() uint64

	Trace  Trace
	Logger *slog.Logger // nil means slog.Default()
}

// Trace observes a service. Nil functions cost nothing. They are called from the
// goroutines that run the resources.
type Trace struct {
	Start    func(ctx context.Context, name string)
	Progress func(ctx context.Context, e Event)
	Done     func(ctx context.Context, r Result)
	Repair   func(ctx context.Context, r Repair)
	GiveUp   func(ctx context.Context, r Repair, reason string)

	// StartTest is for a span: a resource begins to run. It returns a context
	// derived from ctx, in which the resource then runs, re-runs included, and a
	// function that is called with the result. Either may be nil.
	StartTest func(ctx context.Context, name string) (context.Context, func(Result))
}

// startTest calls StartTest, which is not nil. It returns what the resource runs
// in and what to call with the result, or nil.
func (t *Trace) startTest(ctx context.Context, name string) (context.Context, func(Result)) {
	inner, ended := t.StartTest(ctx, name)
	if inner == nil {
		inner = ctx
	}
	return inner, ended
}

// Event is progress within a resource.
type Event struct {
	Resource string `json:"resource"`
	Case     Case   `json:"case"` // a test that ended
}

// Request is what a resource is asked to do.
type Request struct {
	Name string

	// Changed lists the files that changed since the resource passed, as
	// slash-separated or absolute paths. Not nil means: test only what they
	// affect. Skipped then says that they affect nothing.
	Changed []string

	MaxOutput int         // bytes of output to keep
	Progress  func(Event) // never nil; safe for concurrent use
}

// Resource is something that can be tested. Test returns when the run has ended
// and left nothing behind, or soon after ctx is done. Name, Started, Duration and
// Generation of the result are filled in by the service.
type Resource interface {
	Test(ctx context.Context, req Request) Result
}

// Traits are what a resource may say about itself by a method Traits() Traits.
type Traits struct {
	Exclusive bool          // runs while no other resource does
	Timeout   time.Duration // 0 means Options.Timeout; negative none
	Command   string        // command line, for people and policies
}

// Func makes a function a resource: nil means passed, the text of an error is
// the output.
type Func func(ctx context.Context) error

// funcDelay is how long a function may take to end after its context has, like
// the time from SIGTERM to SIGKILL of a command.
const funcDelay = 2 * time.Second

// Test calls the function. One that ignores the end of its context is left
// behind: it runs on, and its result no longer counts.
func (f Func) Test(ctx context.Context, req Request) Result {
	wait, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	defer leave(nil)
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(funcDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
			leave(errors.New("the function ignores its context and runs on"))
		case <-wait.Done():
		}
	})
	defer stop()
	_, err := task.Abandon(wait, nil, "test "+req.Name, func(context.Context) (struct{}, error) { return struct{}{}, f(ctx) }, nil)
	var panicked *task.PanicError
	switch {
	case errors.As(err, &panicked):
		panic(panicked)
	case err != nil:
		return Result{Status: Failed, Output: err.Error()}
	}
	return Result{Status: Passed}
}

// Service runs test resources and remembers their results. It is a state slice
// and safe for concurrent use.
type Service struct {
	opts      Options
	slots     *semaphore.Weighted
	resources *registry.Keyed[Resource]
	selection *registry.MultiSelector[Resource]
	stats     counters

	mu         sync.Mutex
	generation func() uint64
	latest     map[string]Result
	last       Report
	history    []Report
	changes    uint64
	unselected map[string]bool // restored, and not registered yet
}

// New makes a service without resources.
func New(opts Options) *Service {
	if opts.Parallel <= 0 {
		opts.Parallel = max(runtime.GOMAXPROCS(0)/2, 1)
	}
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.MaxOutput <= 0 {
		opts.MaxOutput = DefaultMaxOutput
	}
	if opts.History <= 0 {
		opts.History = DefaultHistory
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	resources := registry.NewKeyed[Resource]("test resource")
	return &Service{
		opts:       opts,
		slots:      semaphore.NewWeighted(int64(opts.Parallel)),
		resources:  resources,
		selection:  registry.NewMultiSelector(resources),
		generation: opts.Generation,
		latest:     map[string]Result{},
	}
}

// Register adds a resource and selects it. A name that is taken is an error that
// wraps registry.ErrExists.
func (s *Service) Register(name string, r Resource) error {
	if r == nil {
		return fmt.Errorf("testing: register %q: the resource is nil", name)
	}
	if err := s.resources.Register(name, r); err != nil {
		return fmt.Errorf("testing: %w", err)
	}
	s.mu.Lock()
	off := s.unselected[name]
	delete(s.unselected, name)
	s.changes++
	s.mu.Unlock()
	if off {
		return nil
	}
	if err := s.selection.Enable(name); err != nil {
		return fmt.Errorf("testing: select %q: %w", name, err)
	}
	return nil
}

// Unregister removes a resource and its latest result.
func (s *Service) Unregister(name string) bool {
	known := s.resources.Unregister(name)
	s.mu.Lock()
	delete(s.latest, name)
	s.changes++
	s.mu.Unlock()
	return known
}

// Resources is the registry of the resources.
func (s *Service) Resources() *registry.Keyed[Resource] { return s.resources }

// Selection is what runs when no names are given: at first, everything that is
// registered. Disable takes resources out without forgetting them.
func (s *Service) Selection() *registry.MultiSelector[Resource] { return s.selection }

// Run runs the named resources, or the selected ones when no name is given, and
// returns their results. Names may be patterns as in [registry.Match]. Tests that
// fail are results, not errors: an error means that a name is unknown or that
// ctx ended first, in which case the report holds what was known by then.
func (s *Service) Run(ctx context.Context, names ...string) (Report, error) {
	return s.RunWith(ctx, RunOptions{Names: names})
}

// RunOptions select what [Service.RunWith] runs.
type RunOptions struct {
	Names []string // names or patterns; none means the selection

	FailedOnly bool // of these, only resources whose latest result is bad or missing
	Reuse      bool // take results of the present state of the workspace as they are

	// Changed, when it is not nil, lists the files that changed since the last
	// run: resources that passed then test only what these files affect, if they
	// can tell, and others everything.
	Changed []string
}

// RunWith is Run with more choices.
func (s *Service) RunWith(ctx context.Context, opts RunOptions) (Report, error) {
	chosen, err := s.choose(opts)
	if err != nil {
		return Report{}, err
	}
	report := Report{Started: time.Now(), Generation: s.workspace(), Results: make([]Result, len(chosen))}
	var wg sync.WaitGroup
	for i, c := range chosen {
		if known, ok := s.known(c.name, report.Generation); opts.Reuse && ok {
			s.stats.cached.Add(1)
			known.Cached = true
			report.Results[i] = known
			continue
		}
		wg.Go(func() { report.Results[i] = s.runOne(ctx, c, opts, report.Generation) })
	}
	wg.Wait()
	report.Duration = time.Since(report.Started)
	if len(chosen) > 0 {
		s.record(report)
	}
	if ctx.Err() != nil {
		return report, fmt.Errorf("testing: run: %w", ended(ctx))
	}
	return report, nil
}

// record keeps the results of a report.
func (s *Service) record(report Report) {
	s.stats.reports.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.last = report
	for _, r := range report.Results {
		if _, registered := s.resources.Get(r.Name); registered && r.Status != Canceled {
			s.latest[r.Name] = r
		}
	}
	s.history = append(s.history, brief(report))
	if extra := len(s.history) - s.opts.History; extra > 0 {
		s.history = slices.Delete(s.history, 0, extra)
	}
}

// brief is a report without outputs, for the history.
func brief(r Report) Report {
	r.Results = slices.Clone(r.Results)
	for i := range r.Results {
		res := &r.Results[i]
		res.Output, res.Dropped, res.Cases = "", 0, nil
		res.Failures = slices.Clone(res.Failures[:min(len(res.Failures), 20)])
		for j := range res.Failures {
			res.Failures[j].Output = ""
		}
	}
	return r
}

// Latest returns the last report; a zero one before the first run.
func (s *Service) Latest() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	report := s.last
	report.Results = slices.Clone(report.Results)
	return report
}

// Result returns the latest result of a resource.
func (s *Service) Result(name string) (Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.latest[name]
	return r, ok
}

// History returns the last reports, the oldest first, without outputs.
func (s *Service) History() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.history)
}

// Verdict judges the selected resources by their latest results.
func (s *Service) Verdict() Verdict {
	now := s.workspace()
	var v Verdict
	ran := false
	for name := range s.selection.Active() {
		r, ok := s.Result(name)
		switch {
		case !ok:
			v.NotRun = append(v.NotRun, name)
		case r.Status.Bad():
			v.Failed = append(v.Failed, name)
		case now != 0 && r.Generation != now:
			v.Stale = append(v.Stale, name)
		case r.Status == Passed:
			ran = true
		}
	}
	v.Passed = ran && len(v.Failed)+len(v.NotRun)+len(v.Stale) == 0
	return v
}

// Passed reports whether something ran, nothing failed, nothing that is selected
// was left out, and the workspace has not changed since. [Service.Verdict] says
// why not.
func (s *Service) Passed() bool { return s.Verdict().Passed }
