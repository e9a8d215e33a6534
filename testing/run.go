package testing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/task"
)

type choice struct {
	name     string
	resource Resource
}

func (s *Service) choose(opts RunOptions) ([]choice, error) {
	wanted := map[string]Resource{}
	if len(opts.Names) == 0 {
		maps.Insert(wanted, s.selection.Active())
	}
	for _, name := range opts.Names {
		if r, ok := s.resources.Get(name); ok {
			wanted[name] = r
			continue
		}
		matches, err := s.resources.Match(name)
		if err != nil {
			return nil, fmt.Errorf("testing: run %q: %w", name, err)
		}
		before := len(wanted)
		maps.Insert(wanted, matches)
		if len(wanted) == before {
			if _, err := s.resources.Require(name); err != nil {
				return nil, fmt.Errorf("testing: run: %w", err)
			}
		}
	}
	var chosen []choice
	for name, r := range s.resources.All() {
		if _, ok := wanted[name]; !ok {
			continue
		}
		if opts.FailedOnly {
			s.mu.Lock()
			last, ran := s.latest[name]
			s.mu.Unlock()
			if ran && !last.Status.Bad() {
				continue
			}
		}
		chosen = append(chosen, choice{name, r})
	}
	return chosen, nil
}

// workspace returns the generation of the workspace, 0 when it is unknown.
func (s *Service) workspace() uint64 {
	s.mu.Lock()
	generation := s.generation
	s.mu.Unlock()
	if generation == nil {
		return 0
	}
	return generation()
}

// known returns the result of a resource for a state of the workspace.
func (s *Service) known(name string, generation uint64) (Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.latest[name]
	return r, ok && generation != 0 && r.Generation == generation && (r.Status == Passed || r.Status == Failed)
}

// ended is why the context has: its error and, where that says more, its cause.
func ended(ctx context.Context) error {
	if err, cause := ctx.Err(), context.Cause(ctx); cause != err {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return ctx.Err()
}

func traitsOf(r Resource) Traits {
	if t, ok := r.(interface{ Traits() Traits }); ok {
		return t.Traits()
	}
	return Traits{}
}

func (s *Service) runOne(ctx context.Context, c choice, opts RunOptions, generation uint64) Result {
	traits := traitsOf(c.resource)
	weight := int64(1)
	if traits.Exclusive {
		weight = int64(s.opts.Parallel)
	}
	finish := func(r Result) Result {
		r.Name, r.Generation = c.name, generation
		if r.Command == "" {
			r.Command = traits.Command
		}
		return r
	}
	asked := time.Now()
	err := s.slots.Acquire(ctx, weight)
	s.stats.waitTime.Add(int64(time.Since(asked)))
	if err != nil {
		return finish(Result{Status: Canceled, Started: time.Now(), Error: "canceled before it started"})
	}
	defer s.slots.Release(weight)
	s.stats.inFlight.Add(1)
	defer s.stats.inFlight.Add(-1)
	if s.opts.Trace.Start != nil {
		s.opts.Trace.Start(ctx, c.name)
	}
	inner := ctx
	var ended func(Result)
	if s.opts.Trace.StartTest != nil {
		inner, ended = s.opts.Trace.startTest(ctx, c.name)
	}
	timeout := s.opts.Timeout
	if traits.Timeout != 0 {
		timeout = traits.Timeout
	}
	// What failed, or never ran, may fail for a reason outside of what changed.
	changed := opts.Changed
	last, ran := s.Result(c.name)
	if !ran || last.Status != Passed {
		changed = nil
	}
	started := time.Now()
	r := s.attempt(inner, c, changed, timeout)
	r.Runs = 1
	for range s.opts.Reruns {
		if !r.Status.Bad() || r.Status == Errored || ctx.Err() != nil {
			break
		}
		again := s.attempt(inner, c, changed, timeout)
		again.Runs = r.Runs + 1
		if again.Status == Passed {
			// The output of the failure is what a person wants to see.
			again.Flaky, again.Output, again.Dropped, again.Failures = true, r.Output, r.Dropped, r.Failures
			r = again
			break
		}
		if again.Status.Bad() {
			r = again
		}
	}
	r.Started, r.Duration = started, time.Since(started)
	if changed != nil && r.Status == Skipped {
		last.Cached = true // nothing that it tests has changed since
		r = finish(last)
		s.stats.cached.Add(1)
	} else {
		r = finish(r)
		s.stats.add(r)
	}
	if ended != nil {
		ended(r)
	}
	if s.opts.Trace.Done != nil {
		s.opts.Trace.Done(ctx, r)
	}
	return r
}

// attempt runs a resource once. A panic in it is an error of the resource, not
// of the host.
func (s *Service) attempt(ctx context.Context, c choice, changed []string, timeout time.Duration) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			stack := debug.Stack()
			if elsewhere, ok := p.(*task.PanicError); ok {
				p, stack = elsewhere.Value, elsewhere.Stack
			}
			s.opts.Logger.ErrorContext(ctx, "testing: resource panicked", "resource", c.name, "panic", p, "stack", string(stack))
			r = Result{Status: Errored, Error: fmt.Sprintf("the resource panicked: %v", p)}
		}
	}()
	run := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		run, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	r = c.resource.Test(run, Request{
		Name: c.name, Changed: changed, MaxOutput: s.opts.MaxOutput,
		Progress: func(e Event) {
			if s.opts.Trace.Progress != nil {
				e.Resource = c.name
				s.opts.Trace.Progress(ctx, e)
			}
		},
	})
	switch {
	case r.Status == Passed || r.Status == Skipped:
	case ctx.Err() != nil:
		r.Status, r.Error = Canceled, "canceled: "+context.Cause(ctx).Error()
	case errors.Is(run.Err(), context.DeadlineExceeded):
		r.Status, r.Error = TimedOut, fmt.Sprintf("timed out after %s", timeout)
	case r.Status == "":
		r.Status, r.Error = Errored, "the resource gave no status"
	}
	r.Output, r.Dropped = bound(r.Output, r.Dropped, s.opts.MaxOutput)
	r.Failed = max(r.Failed, len(r.Failures))
	r.Total = max(r.Total, r.Failed)
	return r
}
