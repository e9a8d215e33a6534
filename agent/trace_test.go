package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type spanKey struct{}

// spans records what a trace's Start functions and ends are called with, as a
// tracer that nests spans by their contexts would.
type spans struct {
	mu   sync.Mutex
	open []string
	done []string // "parent > span = outcome"
}

func (s *spans) start(ctx context.Context, name string) (context.Context, func(outcome string)) {
	parent, _ := ctx.Value(spanKey{}).(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, name)
	return context.WithValue(ctx, spanKey{}, name), func(outcome string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := slices.Index(s.open, name)
		if i < 0 {
			s.done = append(s.done, name+" ended twice")
			return
		}
		s.open = slices.Delete(s.open, i, i+1)
		s.done = append(s.done, fmt.Sprintf("%s > %s = %s", parent, name, outcome))
	}
}

func (s *spans) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.done
	s.done = nil
	return done
}

func (s *spans) trace() Trace {
	return Trace{
		StartInput: func(ctx, submitted context.Context, _ string, in Input) (context.Context, func(InputFinished)) {
			parent, _ := submitted.Value(spanKey{}).(string)
			ctx, end := s.start(context.WithValue(ctx, spanKey{}, parent), "input "+in.ID)
			return ctx, func(ev InputFinished) { end(string(ev.State)) }
		},
		StartHook: func(ctx context.Context, _ string, point Point, name string) (context.Context, func(HookRan)) {
			ctx, end := s.start(ctx, name)
			return ctx, func(ev HookRan) { end(string(ev.Point) + ev.Error) }
		},
		ToolFinished: func(ctx context.Context, _ string, ev ToolFinished) {
			_, end := s.start(ctx, "tool")
			end(ev.Result)
		},
		StartAsk: func(ctx context.Context, _ string, req Request) func(Answered) {
			_, end := s.start(ctx, "ask")
			return func(ev Answered) { end(ev.Response.Text + ev.Error) }
		},
		StartCheckpoint: func(ctx context.Context, _ string) (context.Context, func(CheckpointInfo, error)) {
			ctx, end := s.start(ctx, "checkpoint")
			return ctx, func(info CheckpointInfo, err error) { end(fmt.Sprint(info.Seq, err)) }
		},
	}
}

func TestTraceNestsFromAnInputToWhatItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &spans{}
		typ := handle(func(ctx context.Context, a *Agent, in Input) error {
			call := ToolCall{ID: "1", Name: "ls"}
			if _, err := a.BeforeTool(ctx, call); err != nil {
				return err
			}
			if _, err := a.AfterTool(ctx, call, ToolResult{Text: "out"}, time.Second); err != nil {
				return err
			}
			_, err := a.Ask(ctx, Request{ID: "q", Kind: Password, Timeout: time.Second, Default: &Response{Text: "secret"}})
			return errors.Join(err, a.Step(ctx))
		})
		typ.Setup = func(_ context.Context, a *Agent) error {
			return errors.Join(
				a.ToolHook("check", ToolHook{Before: func(ctx context.Context, _ ToolCall) (ToolDecision, error) {
					assert.Equal(t, "check", ctx.Value(spanKey{}))
					return ToolDecision{Args: json.RawMessage(`{}`)}, nil
				}}),
				a.Hook(AfterChat, "test", func(ctx context.Context) error { return a.RunHooks(ctx, AfterTesting) },
					HookOptions{Timeout: time.Minute}),
				a.Hook(AfterTesting, "commit", func(ctx context.Context) error { return errors.New("!") }))
		}
		m := newManager(t, ManagerOptions{Trace: s.trace(), Store: &MemoryStore{}}, typ)
		a := spawn(t, m, SpawnOptions{})
		r, err := a.Submit(context.WithValue(t.Context(), spanKey{}, "request"), Input{ID: "i"})
		require.NoError(t, err)
		require.NoError(t, r.Wait(t.Context()))
		assert.Equal(t, []string{
			"input i > check = beforeTool",
			"input i > tool = out",
			"input i > ask = ",
			"input i > checkpoint = 1 <nil>",
			"test > commit = afterTesting!",
			"input i > test = afterChat",
			"request > input i = done",
		}, s.take())
		assert.Empty(t, s.open)
		stats := m.Stats()
		assert.EqualValues(t, 1, stats.Inputs)
		assert.Equal(t, time.Second, stats.InputTime)
		assert.EqualValues(t, 1, stats.Tools)
		assert.Equal(t, time.Second, stats.ToolTime)
		assert.EqualValues(t, 3, stats.HookRuns)
		assert.EqualValues(t, 1, stats.HookFailures)
		assert.EqualValues(t, 1, stats.Requests)
		assert.Zero(t, stats.RequestsAnswered, "it timed out")
		assert.Equal(t, time.Second, stats.RequestTime)
	})
}

// Every span that was begun ends once, however its input ends.
func TestTraceEndsEveryInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &spans{}
		trace := s.trace()
		var a *Agent
		start := trace.StartInput
		trace.StartInput = func(ctx, submitted context.Context, id string, in Input) (context.Context, func(InputFinished)) {
			ctx, end := start(ctx, submitted, id, in)
			if in.ID == "early" {
				go func() { a.Abort("early") }() // while the trace begins
				time.Sleep(time.Second)
			}
			return ctx, end
		}
		finished := map[string]RunState{}
		trace.InputFinished = func(_ string, ev InputFinished) {
			s.mu.Lock()
			finished[ev.ID] = ev.State
			s.mu.Unlock()
		}
		m := newManager(t, ManagerOptions{Trace: trace, Store: &MemoryStore{}}, handle(func(ctx context.Context, a *Agent, in Input) error {
			switch in.Text {
			case "panic":
				panic("no")
			case "deaf":
				time.Sleep(time.Minute)
			case "wait":
				<-ctx.Done()
			}
			a.TakeSteering(ctx)
			return ctx.Err()
		}))
		a = spawn(t, m, SpawnOptions{ID: "a"})
		submit := func(in Input) *Run {
			r, err := a.Submit(t.Context(), in)
			require.NoError(t, err)
			synctest.Wait()
			return r
		}
		submit(Input{ID: "panic", Text: "panic"})
		submit(Input{ID: "deaf", Text: "deaf"})
		submit(Input{ID: "steer", Steer: true})
		queued := submit(Input{ID: "queued"})
		queued.Abort("not needed")
		a.Abort("enough")
		time.Sleep(time.Minute)
		last := submit(Input{ID: "early"})
		require.ErrorIs(t, last.Wait(t.Context()), ErrAborted)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{" > input panic = failed", " > input deaf = aborted", " > input steer = done"}, s.take()[:3])
		assert.Empty(t, s.open)
		assert.Equal(t, map[string]RunState{"panic": Failed, "deaf": Aborted, "steer": Done, "queued": Aborted, "early": Aborted}, finished)
		stats := m.Stats()
		assert.EqualValues(t, 5, stats.Inputs)
		assert.EqualValues(t, 1, stats.InputsFailed)
		assert.EqualValues(t, 3, stats.InputsAborted)
	})
}

// BenchmarkNilTrace is what a trace that observes nothing costs an input, which
// asks it twice.
func BenchmarkNilTrace(b *testing.B) {
	a := &Agent{m: &Manager{}}
	r := &Run{agent: a}
	ctx := context.Background()
	for range b.N { // Loop itself takes longer than the call
		r.submittedWith(ctx)
		ctx = a.startTrace(ctx, r)
	}
}
