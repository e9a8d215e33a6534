package aiclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/budget"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// prepared is a Chat whose replies were made beforehand, so that a benchmark
// sees the conversation alone. It takes the replies in turn.
type prepared struct {
	list [][]aiclient.Part
	next int
}

// stepScript calls a tool n times and then says done.
func stepScript(n int) *prepared {
	p := &prepared{}
	for i := range n {
		p.list = append(p.list, calls("echo", fmt.Sprintf(`{"text":"%d"}`, i)))
	}
	p.list = append(p.list, says("done"))
	return p
}

func (p *prepared) Model() aiclient.Model { return aiclient.Model{Provider: "prepared", ID: "test"} }

func (p *prepared) Stream(context.Context, *aiclient.Request) iter.Seq2[aiclient.Part, error] {
	list := p.list[p.next%len(p.list)]
	p.next++
	return func(yield func(aiclient.Part, error) bool) {
		for i := range list {
			if !yield(list[i], nil) {
				return
			}
		}
	}
}

func (p *prepared) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
	return aiclient.Collect(p.Stream(ctx, req))
}

// plainEcho is a tool without a schema, so that the tool's own work is small.
func plainEcho() tool.Tool {
	return tool.Tool{Name: "echo", Annotations: tool.Annotations{ReadOnly: true}, Call: func(_ context.Context, args json.RawMessage) (tool.Result, error) {
		return tool.Text(string(args)), nil
	}}
}

func runSteps(tb testing.TB, chat *prepared) {
	ctx := budget.With(tb.Context(), budget.New(budget.Limits{Tokens: 1 << 40}))
	parts := 0
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		System: "be brief", Tools: []tool.Tool{plainEcho()}, MaxSteps: -1,
		Trace: aiclient.ConversationTrace{OnPart: func(context.Context, aiclient.Part) { parts++ }},
	})
	turn, err := c.Send(ctx, "go")
	require.NoError(tb, err)
	require.Equal(tb, len(chat.list), len(turn.Steps))
}

// BenchmarkConversation runs turns of tool steps over a model in this process,
// with history, a budget and events on.
func BenchmarkConversation(b *testing.B) {
	for _, steps := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("steps=%d", steps), func(b *testing.B) {
			chat := stepScript(steps)
			b.ReportAllocs()
			for b.Loop() {
				runSteps(b, chat)
			}
		})
	}
}

// BenchmarkDeltas collects 10,000 deltas, beside a plain loop.
func BenchmarkDeltas(b *testing.B) {
	stream := deltas(10_000)
	b.Run("collect", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := aiclient.Collect(parts(nil, stream...)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("conversation", func(b *testing.B) {
		b.ReportAllocs()
		chat := &prepared{list: [][]aiclient.Part{stream}}
		for b.Loop() {
			if _, err := aiclient.NewConversation(chat, aiclient.ConversationOptions{}).Send(b.Context(), "go"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plainLoop(stream)
		}
	})
}

func deltas(n int) []aiclient.Part {
	stream := make([]aiclient.Part, 0, n+1)
	for range n {
		stream = append(stream, aiclient.Text("token "))
	}
	return append(stream, finish(aiclient.FinishStop))
}

var sink string

func plainLoop(stream []aiclient.Part) {
	var text strings.Builder
	for _, p := range stream {
		text.WriteString(p.Text)
	}
	sink = text.String()
}

// allocated returns the bytes that a call of f allocates.
func allocated(f func()) uint64 {
	const runs = 20
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}

func TestDeltasCostWhatAPlainLoopCosts(t *testing.T) {
	stream := deltas(10_000)
	plain := allocated(func() { plainLoop(stream) })
	chat := &prepared{list: [][]aiclient.Part{stream}}
	ours := allocated(func() {
		_, _ = aiclient.NewConversation(chat, aiclient.ConversationOptions{}).Send(t.Context(), "go")
	})
	t.Logf("%d bytes, a plain loop takes %d", ours, plain)
	assert.LessOrEqual(t, ours, 2*plain)
}

// TestStepsGrowLinearly compares the bytes of 10 and 100 steps, which unlike
// the time do not depend on the machine's load.
func TestStepsGrowLinearly(t *testing.T) {
	bytes := func(steps int) uint64 {
		chat := stepScript(steps)
		return allocated(func() { runSteps(t, chat) })
	}
	ten, hundred := bytes(10), bytes(100)
	t.Logf("%d bytes for 10 steps, %d for 100", ten, hundred)
	assert.LessOrEqual(t, float64(hundred), 11*float64(ten))
}
