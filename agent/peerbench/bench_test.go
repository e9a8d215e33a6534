// Package peerbench measures what agent does beside the nearest that Eino has.
// It is a module of its own, so that nobody else sees Eino's dependencies:
//
//	GOWORK=off go test -bench . -benchmem
//
// Eino has no log of events; the nearest is a stream that is copied for each
// reader. It takes a checkpoint when a graph is interrupted, so a checkpoint
// after each step is an interrupt and a resume there. Fantasy has neither.
package peerbench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/cloudwego/eino/compose"
	"github.com/cloudwego/eino/schema"

	"github.com/tokenring-ai/tokenring-go/agent"
)

const batch = 10_000

// BenchmarkAgentEvents passes tokens to readers that keep up with what is there.
func BenchmarkAgentEvents(b *testing.B) {
	for _, readers := range []int{1, 100} {
		b.Run(fmt.Sprintf("readers=%d/tokenring", readers), func(b *testing.B) {
			m := newManager(b, nil)
			a, err := m.Spawn(b.Context(), "bench", agent.SpawnOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				start := a.LastSeq()
				end := start + batch
				var wg sync.WaitGroup
				for range readers {
					wg.Go(func() {
						for ev := range a.Events(context.Background(), start) {
							if ev.Seq >= end {
								break
							}
						}
					})
				}
				for range batch {
					a.Emit(agent.Output{Text: "token "})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/event")
		})
		b.Run(fmt.Sprintf("readers=%d/eino", readers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, w := schema.Pipe[*schema.Message](agent.DefaultLogEvents)
				var wg sync.WaitGroup
				for _, r := range r.Copy(readers) {
					wg.Go(func() {
						defer r.Close()
						for {
							if _, err := r.Recv(); err != nil {
								return
							}
						}
					})
				}
				for range batch {
					w.Send(schema.AssistantMessage("token ", nil), nil)
				}
				w.Close()
				wg.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/event")
		})
	}
}

// text is what a step adds.
var text = strings.Repeat("some words and ", 40)

// BenchmarkAgentSteps takes a checkpoint after each of a conversation's steps. The
// metrics are the bytes written over the bytes of the final transcript, and the
// time for each step.
func BenchmarkAgentSteps(b *testing.B) {
	for _, steps := range []int{100, 1000} {
		b.Run(fmt.Sprintf("steps=%d/tokenring", steps), func(b *testing.B) {
			var written, transcript int
			for b.Loop() {
				store := &counting{}
				m := newManager(b, store)
				a, err := m.Spawn(b.Context(), "bench", agent.SpawnOptions{})
				if err != nil {
					b.Fatal(err)
				}
				t := a.Slice("transcript").(*talk)
				for i := range steps {
					t.add(message{"assistant", fmt.Sprint(i, text)})
					if err := a.Step(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				data, err := t.MarshalJSON()
				if err != nil {
					b.Fatal(err)
				}
				written, transcript = store.written, len(data)
			}
			report(b, steps, written, transcript)
		})
		b.Run(fmt.Sprintf("steps=%d/eino", steps), func(b *testing.B) {
			var written, transcript int
			for b.Loop() {
				store := &einoStore{}
				run := einoLoop(b, store, steps)
				var final []*schema.Message
				for range steps + 1 {
					out, err := run.Invoke(b.Context(), nil, compose.WithCheckPointID("a"))
					if err == nil {
						final = out
						break
					}
					if _, interrupted := compose.ExtractInterruptInfo(err); !interrupted {
						b.Fatal(err)
					}
				}
				if len(final) != steps {
					b.Fatal(len(final))
				}
				data, err := json.Marshal(final)
				if err != nil {
					b.Fatal(err)
				}
				written, transcript = store.written, len(data)
			}
			report(b, steps, written, transcript)
		})
	}
}

func report(b *testing.B, steps, written, transcript int) {
	b.ReportMetric(float64(written)/float64(transcript), "written/transcript")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*steps), "µs/step")
}

// BenchmarkAgentRestore brings a conversation of some 10 MiB back.
func BenchmarkAgentRestore(b *testing.B) {
	const steps = 10 << 20 / 640
	b.Run("10MiB/tokenring", func(b *testing.B) {
		m := newManager(b, &counting{})
		a, err := m.Spawn(b.Context(), "bench", agent.SpawnOptions{})
		if err != nil {
			b.Fatal(err)
		}
		t := a.Slice("transcript").(*talk)
		for i := range steps {
			t.add(message{"assistant", fmt.Sprint(i, text)})
		}
		saved, err := a.Checkpoint(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(saved.Bytes)
		for b.Loop() {
			f, err := m.RestoreCheckpoint(b.Context(), saved.ID, agent.SpawnOptions{})
			if err != nil || len(f.Slice("transcript").(*talk).messages) != steps {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := m.Delete(b.Context(), f.ID()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("10MiB/eino", func(b *testing.B) {
		store := &einoStore{}
		first := make([]*schema.Message, steps-1)
		for i := range first {
			first[i] = schema.AssistantMessage(fmt.Sprint(i, text), nil)
		}
		run := einoLoop(b, store, steps)
		if _, err := run.Invoke(b.Context(), first, compose.WithCheckPointID("a")); err == nil {
			b.Fatal("the first step did not interrupt")
		}
		b.SetBytes(int64(store.written))
		for b.Loop() {
			out, err := run.Invoke(b.Context(), nil, compose.WithCheckPointID("a"))
			if err != nil || len(out) != steps {
				b.Fatal(len(out), err)
			}
		}
	})
}

// einoLoop is a graph that adds a message in each step and is interrupted after
// each.
func einoLoop(b *testing.B, store compose.CheckPointStore, steps int) compose.Runnable[[]*schema.Message, []*schema.Message] {
	g := compose.NewGraph[[]*schema.Message, []*schema.Message]()
	step := compose.InvokableLambda(func(_ context.Context, list []*schema.Message) ([]*schema.Message, error) {
		return append(list, schema.AssistantMessage(fmt.Sprint(len(list), text), nil)), nil
	})
	next := func(_ context.Context, list []*schema.Message) (string, error) {
		if len(list) < steps {
			return "step", nil
		}
		return "done", nil
	}
	done := compose.InvokableLambda(func(_ context.Context, list []*schema.Message) ([]*schema.Message, error) { return list, nil })
	for _, err := range []error{
		g.AddLambdaNode("step", step), g.AddLambdaNode("done", done), g.AddEdge(compose.START, "step"), g.AddEdge("done", compose.END),
		g.AddBranch("step", compose.NewGraphBranch(next, map[string]bool{"step": true, "done": true})),
	} {
		if err != nil {
			b.Fatal(err)
		}
	}
	run, err := g.Compile(b.Context(), compose.WithCheckPointStore(store), compose.WithInterruptAfterNodes([]string{"step"}),
		compose.WithMaxRunSteps(2*steps+10))
	if err != nil {
		b.Fatal(err)
	}
	return run
}

// einoStore keeps checkpoints in memory and counts their bytes.
type einoStore struct {
	last    map[string][]byte
	written int
}

func (s *einoStore) Get(_ context.Context, id string) ([]byte, bool, error) {
	data, ok := s.last[id]
	return data, ok, nil
}

func (s *einoStore) Set(_ context.Context, id string, data []byte) error {
	if s.last == nil {
		s.last = map[string][]byte{}
	}
	s.last[id] = data
	s.written += len(data)
	return nil
}

// counting does the same for ours.
type counting struct {
	agent.MemoryStore
	written int
}

func (s *counting) Append(ctx context.Context, id string, rec agent.Record) error {
	s.written += len(rec.Data)
	return s.MemoryStore.Append(ctx, id, rec)
}

func newManager(b *testing.B, store agent.Store) *agent.Manager {
	m := agent.NewManager(agent.ManagerOptions{Store: store, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	err := m.RegisterType(agent.Type{Name: "bench", Setup: func(_ context.Context, a *agent.Agent) error {
		return a.Attach("transcript", &talk{})
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return m
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// talk is a slice that grows.
type talk struct {
	mu       sync.Mutex
	messages []message
}

func (t *talk) add(m message) {
	t.mu.Lock()
	t.messages = append(t.messages, m)
	t.mu.Unlock()
}

func (t *talk) Generation() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uint64(len(t.messages))
}

func (t *talk) MarshalJSON() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return json.Marshal(t.messages)
}

func (t *talk) UnmarshalJSON(data []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return json.Unmarshal(data, &t.messages)
}

func (t *talk) Reset(string) {
	t.mu.Lock()
	t.messages = nil
	t.mu.Unlock()
}

func (t *talk) Delta(mark uint64) ([]byte, uint64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := uint64(len(t.messages))
	if mark > now {
		return nil, now, false
	}
	data, err := json.Marshal(t.messages[mark:])
	return data, now, err == nil
}

func (t *talk) ApplyDelta(delta []byte) error {
	var more []message
	if err := json.Unmarshal(delta, &more); err != nil {
		return err
	}
	t.mu.Lock()
	t.messages = append(t.messages, more...)
	t.mu.Unlock()
	return nil
}
