package testing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultMaxAttempts is how often one failure is repaired before a person is
// asked.
const DefaultMaxAttempts = 3

// AutoRepairOptions configure [NewAutoRepair].
type AutoRepairOptions struct {
	// Enqueue hands a repair to whoever does it, usually a work queue. It is
	// needed.
	Enqueue func(ctx context.Context, r Repair) error

	// Checkpoint saves the agent's state and returns the ID, so that a repair
	// can be taken back. When it fails the repair goes without.
	Checkpoint func(ctx context.Context) (string, error)

	// Diff returns what has changed, for the repair's prompt.
	Diff func(ctx context.Context) (string, error)

	// MaxAttempts bounds the repairs of one failure, told by its fingerprint.
	// Default [DefaultMaxAttempts]. A resource that shows ever new failures is
	// given up after four times as many.
	MaxAttempts int

	// OnGiveUp is called once when the repairs of a resource end without
	// success: a person is needed.
	OnGiveUp func(ctx context.Context, r Repair, reason string)

	Disabled bool // off until SetDisabled(false)
}

// AutoRepair enqueues a repair for each failing resource after testing. It stops
// when an attempt limit is reached, when two attempts in a row change nothing
// and when failures alternate. It is a state slice, so that attempts are counted
// across a resume, and safe for concurrent use.
type AutoRepair struct {
	s    *Service
	opts AutoRepairOptions

	mu  sync.Mutex
	st  repairState
	gen uint64
}

type repairState struct {
	Streaks  map[string]*streak `json:"streaks,omitempty"` // by resource, since it last passed
	Disabled bool               `json:"disabled,omitempty"`
}

// streak is what happened to a resource since it last passed.
type streak struct {
	Seen     []string       `json:"seen"`          // fingerprints, one per repair that was enqueued
	Attempts map[string]int `json:"attempts"`      // by fingerprint
	Last     time.Time      `json:"last,omitzero"` // when the report began that the last repair was for
	GaveUp   string         `json:"gaveUp,omitempty"`
	Final    bool           `json:"final,omitempty"` // no new failure opens it again
}

// NewAutoRepair makes the hook.
func NewAutoRepair(s *Service, opts AutoRepairOptions) *AutoRepair {
	if opts.MaxAttempts <= 0 {
		opts.MaxAttempts = DefaultMaxAttempts
	}
	return &AutoRepair{s: s, opts: opts, st: repairState{Disabled: opts.Disabled}}
}

// AfterTesting looks at the latest report and enqueues what is to be repaired.
// Register it to run after testing.
func (a *AutoRepair) AfterTesting(ctx context.Context) error {
	a.mu.Lock()
	disabled := a.st.Disabled
	a.mu.Unlock()
	if disabled {
		return nil
	}
	if a.opts.Enqueue == nil {
		return errors.New("testing: auto-repair: AutoRepairOptions.Enqueue is not set: nobody would do the repair")
	}
	var errs []error
	report := a.s.Latest()
	shared := &shared{a: a, report: report.Started}
	for _, r := range report.Results {
		switch {
		case r.Status == Passed:
			a.forget(r.Name)
		case r.Status.Bad():
			if err := a.repair(ctx, r, shared); err != nil {
				errs = append(errs, fmt.Errorf("testing: auto-repair of %q: %w", r.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (a *AutoRepair) forget(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.st.Streaks[name]; ok {
		delete(a.st.Streaks, name)
		a.gen++
	}
}

// shared is made once for all repairs of one report.
type shared struct {
	a                *AutoRepair
	report           time.Time // when it began
	done             bool
	checkpoint, diff string
}

func (s *shared) fill(ctx context.Context, r *Repair) {
	if !s.done {
		s.done = true
		log := s.a.s.opts.Logger
		if f := s.a.opts.Checkpoint; f != nil {
			id, err := f(ctx)
			if err != nil {
				log.WarnContext(ctx, "testing: auto-repair goes without a checkpoint", "error", err)
			}
			s.checkpoint = id
		}
		if f := s.a.opts.Diff; f != nil {
			diff, err := f(ctx)
			if err != nil {
				log.WarnContext(ctx, "testing: auto-repair goes without a diff", "error", err)
			}
			s.diff, _ = bound(diff, 0, repairDiff)
		}
	}
	r.Checkpoint, r.Diff = s.checkpoint, s.diff
}

func (a *AutoRepair) repair(ctx context.Context, res Result, shared *shared) error {
	r := Repair{
		Resource: res.Name, Command: res.Command, Status: res.Status, Fingerprint: Fingerprint(res),
		MaxAttempts: a.opts.MaxAttempts, Error: res.Error, Time: time.Now(),
	}
	r.Output, _ = bound(res.Output, 0, repairOutput)
	for _, c := range res.Failures {
		r.Failing = append(r.Failing, c.ID())
	}
	reason, attempt := a.decide(res, r.Fingerprint, shared.report)
	r.Attempt = attempt
	if attempt == 0 && reason == "" {
		return nil
	}
	if reason != "" {
		r.Attempt = a.attempts(res.Name, r.Fingerprint)
		shared.fill(ctx, &r)
		a.giveUp(ctx, r, reason)
		return nil
	}
	shared.fill(ctx, &r)
	if err := a.opts.Enqueue(ctx, r); err != nil {
		a.withdraw(res.Name, r.Fingerprint)
		return fmt.Errorf("enqueue: %w", err)
	}
	a.s.stats.repairs.Add(1)
	if a.s.opts.Trace.Repair != nil {
		a.s.opts.Trace.Repair(ctx, r)
	}
	return nil
}

// withdraw takes back the attempt that decide counted last: it was never made.
func (a *AutoRepair) withdraw(name, fingerprint string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.streak(name)
	s.Last = time.Time{}
	for i := len(s.Seen) - 1; i >= 0; i-- {
		if s.Seen[i] == fingerprint {
			s.Seen = slices.Delete(s.Seen, i, i+1)
			if s.Attempts[fingerprint]--; s.Attempts[fingerprint] == 0 {
				delete(s.Attempts, fingerprint)
			}
			break
		}
	}
	a.gen++
}

// streak returns the streak of a resource. The caller holds the lock.
func (a *AutoRepair) streak(name string) *streak {
	if a.st.Streaks == nil {
		a.st.Streaks = map[string]*streak{}
	}
	s := a.st.Streaks[name]
	if s == nil {
		s = &streak{}
		a.st.Streaks[name] = s
	}
	if s.Attempts == nil {
		s.Attempts = map[string]int{}
	}
	return s
}

func (a *AutoRepair) attempts(name, fingerprint string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streak(name).Attempts[fingerprint]
}

// decide counts the next attempt and returns its number, or the reason to give
// up, or neither when nothing is to be done. It notes either before anything is
// told, so that a host that does the repair within Enqueue, tests and comes back
// here finds it counted.
func (a *AutoRepair) decide(res Result, fingerprint string, report time.Time) (reason string, attempt int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.streak(res.Name)
	n := len(s.Seen)
	attempts := s.Attempts[fingerprint]
	switch {
	case report.Equal(s.Last) && !report.IsZero():
		return "", 0 // its repair is under way
	case s.GaveUp != "" && (s.Final || attempts > 0 || res.Status == Errored):
		return "", 0
	case res.Status == Errored:
		reason = "it could not be run: " + res.Error
	case attempts >= a.opts.MaxAttempts:
		reason = fmt.Sprintf("%d attempts were made", attempts)
	case n >= 2 && s.Seen[n-1] == fingerprint && s.Seen[n-2] == fingerprint:
		reason = "the last two attempts changed nothing"
	case attempts > 0 && n > 0 && s.Seen[n-1] != fingerprint:
		reason = "the failures alternate: an attempt brought an earlier failure back"
	case n >= 4*a.opts.MaxAttempts:
		reason, s.Final = fmt.Sprintf("%d attempts were made, and each failure led to another", n), true
	}
	if reason != "" {
		s.GaveUp = reason
		a.gen++
		return reason, 0
	}
	s.Seen = append(s.Seen, fingerprint)
	s.Attempts[fingerprint]++
	s.GaveUp, s.Last = "", report
	a.gen++
	return "", attempts + 1
}

func (a *AutoRepair) giveUp(ctx context.Context, r Repair, reason string) {
	a.s.stats.gaveUp.Add(1)
	a.s.opts.Logger.WarnContext(ctx, "testing: auto-repair gave up", "resource", r.Resource, "reason", reason, "attempts", r.Attempt)
	if a.s.opts.Trace.GiveUp != nil {
		a.s.opts.Trace.GiveUp(ctx, r, reason)
	}
	if a.opts.OnGiveUp != nil {
		a.opts.OnGiveUp(ctx, r, reason)
	}
}

// GaveUp reports whether repairs have ended without success, and why, resource
// by resource. It is false again once the tests pass or Retry is called.
func (a *AutoRepair) GaveUp() (reason string, gaveUp bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(a.st.Streaks)) {
		if s := a.st.Streaks[name]; s.GaveUp != "" {
			reasons = append(reasons, name+": "+s.GaveUp)
		}
	}
	return strings.Join(reasons, "; "), len(reasons) > 0
}

// Retry forgets the attempts of a resource, or of all when name is "": after a
// person has helped.
func (a *AutoRepair) Retry(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name == "" {
		a.st.Streaks = nil
	} else {
		delete(a.st.Streaks, name)
	}
	a.gen++
}

// SetDisabled turns AutoRepair off or on.
func (a *AutoRepair) SetDisabled(disabled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.st.Disabled != disabled {
		a.st.Disabled = disabled
		a.gen++
	}
}

// MarshalJSON returns the attempts.
func (a *AutoRepair) MarshalJSON() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return json.Marshal(a.st)
}

// UnmarshalJSON restores what MarshalJSON returned.
func (a *AutoRepair) UnmarshalJSON(data []byte) error {
	var st repairState
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("testing: auto-repair: restore: %w", err)
	}
	for name, s := range st.Streaks {
		if s == nil {
			delete(st.Streaks, name)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.st = st
	a.gen++
	return nil
}

// Reset forgets the attempts for the scopes "chat", "history" and "all", and
// goes back to the options for "settings" and "all".
func (a *AutoRepair) Reset(scope string) {
	switch scope {
	case "chat", "history", "all":
		a.Retry("")
	}
	switch scope {
	case "settings", "all":
		a.SetDisabled(a.opts.Disabled)
	}
}

// Generation changes whenever the state does.
func (a *AutoRepair) Generation() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gen
}
