package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// Point is where hooks run. The built-in points are the constants below; a host
// may define its own and run them with [Agent.RunHooks].
type Point string

// The built-in points.
const (
	// BeforeChat runs before [Type.Handle]. An error with the policy
	// [AbortInput] keeps Handle from running.
	BeforeChat Point = "beforeChat"
	// AfterChat runs after Handle returned without error.
	AfterChat Point = "afterChat"
	// BeforeTool and AfterTool run around every tool call; see [ToolHook].
	BeforeTool Point = "beforeTool"
	AfterTool  Point = "afterTool"
	// AfterInput runs after an input that was done or failed, commands
	// included, just before it is finished.
	AfterInput Point = "afterInput"
	// AfterTesting is run by whoever runs tests, through [Agent.RunHooks].
	AfterTesting Point = "afterTesting"
	// OnError runs after an input failed.
	OnError Point = "onError"
	// OnIdle runs when no input is left.
	OnIdle Point = "onIdle"
	// OnStop runs when the agent stops, after its work ended and before its
	// last checkpoint.
	OnStop Point = "onStop"
)

// HookPolicy says what an error, panic or timeout of a hook does.
type HookPolicy int

const (
	// Report logs it as an event; the other hooks run and the input goes on.
	Report HookPolicy = iota
	// StopChain keeps the hooks after it from running. RunHooks returns the
	// error; the input goes on.
	StopChain
	// AbortInput keeps the hooks after it from running and makes the input
	// fail with the error.
	AbortInput
)

// HookOptions adjust a hook. The zero value has no timeout, reports errors, and
// denies a tool call when a hook before it fails.
type HookOptions struct {
	// Timeout ends the hook's context. A hook that ignores that is left behind
	// and counts as failed. 0 means none.
	Timeout time.Duration
	Policy  HookPolicy
	// FailOpen lets a tool call pass when this BeforeTool hook fails. The
	// default is to deny it.
	FailOpen bool
}

// HookError is the failure of a hook.
type HookError struct {
	Point Point
	Name  string
	Err   error
	// Abort says that the hook's policy makes the input fail.
	Abort bool
}

func (e *HookError) Error() string { return fmt.Sprintf("hook %s at %s: %v", e.Name, e.Point, e.Err) }
func (e *HookError) Unwrap() error { return e.Err }

// HookInfo describes a hook and what became of it so far.
type HookInfo struct {
	Point     Point         `json:"point"`
	Name      string        `json:"name"`
	Enabled   bool          `json:"enabled"`
	Runs      int64         `json:"runs"`
	Failures  int64         `json:"failures"`
	LastError string        `json:"lastError,omitempty"`
	Last      time.Duration `json:"last"`
	Total     time.Duration `json:"total"`
}

// hook is one registration.
type hook struct {
	info HookInfo
	opts HookOptions
	fn   func(context.Context) error
	tool ToolHook
}

// hookSet holds an agent's hooks in the order of registration.
type hookSet struct {
	mu       sync.Mutex
	list     []*hook
	disabled map[string]bool // by name, also of hooks that are not registered (yet)
	restored map[string]HookInfo
	initial  map[string]bool // disabled by Setup
}

func (s *hookSet) any(p Point) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.list, func(h *hook) bool { return h.info.Point == p && !s.disabled[h.info.Name] })
}

func (s *hookSet) at(p Point) []*hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*hook
	for _, h := range s.list {
		if h.info.Point == p && !s.disabled[h.info.Name] {
			found = append(found, h)
		}
	}
	return found
}

func (s *hookSet) add(h *hook) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.list {
		if other.info.Point == h.info.Point && other.info.Name == h.info.Name {
			return fmt.Errorf("hook %q at %s: %w", h.info.Name, h.info.Point, ErrDuplicate)
		}
	}
	h.restore(s.restored)
	s.list = append(s.list, h)
	return nil
}

// save returns what a checkpoint keeps: also of hooks that were saved before
// and are not registered in this life.
func (s *hookSet) save() (disabled []string, ran []HookInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	disabled = slices.Sorted(maps.Keys(s.disabled))
	absent := maps.Clone(s.restored)
	for _, h := range s.list {
		delete(absent, h.info.key())
		if h.info.Runs > 0 {
			info := h.info
			info.Enabled = !s.disabled[info.Name]
			ran = append(ran, info)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(absent)) {
		ran = append(ran, absent[key])
	}
	return disabled, ran
}

// load takes over what save returned.
func (s *hookSet) load(disabled []string, ran []HookInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range disabled {
		if s.disabled == nil {
			s.disabled = map[string]bool{}
		}
		s.disabled[name] = true
	}
	s.restored = make(map[string]HookInfo, len(ran))
	for _, info := range ran {
		s.restored[info.key()] = info
	}
	for _, h := range s.list {
		h.restore(s.restored)
	}
}

// setInitial notes which hooks are disabled; reset brings that back.
func (s *hookSet) setInitial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.initial = maps.Clone(s.disabled)
}

func (s *hookSet) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = maps.Clone(s.initial)
}

func (i HookInfo) key() string { return string(i.Point) + " " + i.Name }

func (h *hook) restore(saved map[string]HookInfo) {
	if old, ok := saved[h.info.key()]; ok {
		h.info.Runs, h.info.Failures, h.info.LastError = old.Runs, old.Failures, old.LastError
		h.info.Last, h.info.Total = old.Last, old.Total
	}
}

func (s *hookSet) note(h *hook, d time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.info.Runs++
	h.info.Last = d
	h.info.Total += d
	h.info.LastError = ""
	if err != nil {
		h.info.Failures++
		h.info.LastError = err.Error()
	}
}

// Hook registers fn to run at a point, behind those registered before. The name
// is what hooks are enabled and disabled by, and is unique at its point. For the
// points BeforeTool and AfterTool, which see the call, use [Agent.ToolHook].
func (a *Agent) Hook(point Point, name string, fn func(context.Context) error, opts ...HookOptions) error {
	if point == "" || name == "" || fn == nil {
		return fmt.Errorf("agent %s: hook %q at point %q: want a point, a name and a function", a.id, name, point)
	}
	h := &hook{info: HookInfo{Point: point, Name: name}, fn: fn}
	if len(opts) > 0 {
		h.opts = opts[0]
	}
	return a.addHook(h)
}

func (a *Agent) addHook(h *hook) error {
	if err := a.hooks.add(h); err != nil {
		return fmt.Errorf("agent %s: %w", a.id, err)
	}
	return nil
}

// Hooks lists the hooks in the order in which they run.
func (a *Agent) Hooks() []HookInfo {
	s := a.hooks
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]HookInfo, len(s.list))
	for i, h := range s.list {
		list[i] = h.info
		list[i].Enabled = !s.disabled[h.info.Name]
	}
	return list
}

// EnableHooks turns on the hooks whose names match any of the patterns, in the
// syntax of [registry.Match]. Every hook is on until it is disabled. It returns how
// many hooks match, and fails on a malformed pattern.
func (a *Agent) EnableHooks(patterns ...string) (int, error) { return a.switchHooks(false, patterns) }

// DisableHooks turns off the hooks whose names match any of the patterns; the
// others keep their state. The choice is kept in checkpoints.
func (a *Agent) DisableHooks(patterns ...string) (int, error) { return a.switchHooks(true, patterns) }

func (a *Agent) switchHooks(off bool, patterns []string) (int, error) {
	for _, p := range patterns {
		if _, err := registry.Match(p, ""); err != nil {
			return 0, fmt.Errorf("agent %s: hook pattern %q: %w", a.id, p, err)
		}
	}
	s := a.hooks
	s.mu.Lock()
	n := 0
	matches := func(name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := registry.Match(p, name); return ok })
	}
	for _, h := range s.list {
		if !matches(h.info.Name) {
			continue
		}
		n++
		if off {
			if s.disabled == nil {
				s.disabled = map[string]bool{}
			}
			s.disabled[h.info.Name] = true
		}
	}
	if !off {
		for name := range s.disabled {
			if matches(name) {
				delete(s.disabled, name)
			}
		}
	}
	s.mu.Unlock()
	a.bump()
	return n, nil
}

// RunHooks runs the enabled hooks of a point in order. The failure of one is an
// event and, unless its policy says otherwise, keeps nothing else from running.
// RunHooks returns the first failure whose policy is [StopChain] or
// [AbortInput], as a [*HookError], and the context's cause when ctx ends.
//
// The agent runs BeforeChat, AfterChat, AfterInput, OnError, OnIdle and OnStop
// itself.
func (a *Agent) RunHooks(ctx context.Context, point Point) error {
	for _, h := range a.hooks.at(point) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if h.fn == nil {
			continue
		}
		err := a.runHook(ctx, h, h.fn)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx) // it was cut short: that is no fault of its own
		}
		if err == nil || h.opts.Policy == Report {
			continue
		}
		return &HookError{Point: point, Name: h.info.Name, Err: err, Abort: h.opts.Policy == AbortInput}
	}
	return nil
}

// runPoint runs a built-in point. Only a hook whose policy says so makes the
// input fail.
func (a *Agent) runPoint(ctx context.Context, point Point) error {
	err := a.RunHooks(ctx, point)
	var failed *HookError
	if errors.As(err, &failed) && !failed.Abort {
		return nil
	}
	return err
}

// runHook runs one hook with its timeout and records what came of it.
func (a *Agent) runHook(ctx context.Context, h *hook, fn func(context.Context) error) error {
	ctx = a.enter(ctx)
	var traced func(HookRan)
	if f := a.m.trace.StartHook; f != nil {
		var inner context.Context
		inner, traced = f(ctx, a.id, h.info.Point, h.info.Name)
		ctx = derived(ctx, inner)
	}
	start := time.Now()
	var err error
	if h.opts.Timeout > 0 || h.info.Point == OnStop { // Stop returns when its context ends
		err = a.runBounded(ctx, h, fn)
	} else {
		err = guard(func() error { return fn(ctx) })
	}
	d := time.Since(start)
	a.hooks.note(h, d, err)
	ev := HookRan{Point: h.info.Point, Name: h.info.Name, Duration: d}
	if err != nil {
		ev.Error = err.Error()
		attrs := []any{"agent", a.id, "hook", h.info.Name, "point", h.info.Point, "error", err}
		var p *PanicError
		if errors.As(err, &p) {
			attrs = append(attrs, "stack", string(p.Stack))
		}
		a.m.logger.Warn("hook failed", attrs...)
		a.Emit(Message{Level: slog.LevelWarn, Text: fmt.Sprintf("hook %s at %s failed: %v", h.info.Name, h.info.Point, err)})
	}
	a.Emit(ev)
	a.m.stats.hookRan(ev)
	if traced != nil {
		traced(ev)
	}
	if f := a.m.trace.HookRan; f != nil {
		f(a.id, ev)
	}
	return err
}

// runBounded runs fn in a goroutine of its own and leaves it behind when it
// ignores its timeout or the end of ctx.
func (a *Agent) runBounded(ctx context.Context, h *hook, fn func(context.Context) error) error {
	var cancel context.CancelFunc
	if h.opts.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, h.opts.Timeout,
			fmt.Errorf("took longer than its timeout of %s: %w", h.opts.Timeout, context.DeadlineExceeded))
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	done := make(chan error, 1)
	a.mu.Lock()
	w := a.begin("hook " + h.info.Name)
	a.mu.Unlock()
	go func() {
		err := errGoexit
		defer func() {
			done <- err
			a.mu.Lock()
			a.end(w)
			a.mu.Unlock()
		}()
		err = guard(func() error { return fn(ctx) })
	}()
	select {
	case err := <-done:
		if err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
