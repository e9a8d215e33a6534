package peerbench

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"

	"charm.land/fantasy"
	einomodel "github.com/cloudwego/eino/components/model"
	einotool "github.com/cloudwego/eino/components/tool"
	"github.com/cloudwego/eino/components/tool/utils"
	"github.com/cloudwego/eino/compose"
	"github.com/cloudwego/eino/flow/agent/react"
	"github.com/cloudwego/eino/schema"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/budget"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

type echoArgs struct {
	Text string `json:"text"`
}

var stepCounts = []int{10, 100}

func arguments(step int) string { return fmt.Sprintf(`{"text":"%d"}`, step) }

// ours

type ourModel struct {
	steps, n int
	deltas   int
}

func (m *ourModel) Model() aiclient.Model { return aiclient.Model{Provider: "bench", ID: "m"} }

func (m *ourModel) Generate(ctx context.Context, req *aiclient.Request) (*aiclient.Response, error) {
	return aiclient.Collect(m.Stream(ctx, req))
}

func (m *ourModel) Stream(context.Context, *aiclient.Request) iter.Seq2[aiclient.Part, error] {
	return func(yield func(aiclient.Part, error) bool) {
		m.n++
		reason := aiclient.FinishToolCalls
		if m.n > m.steps {
			reason = aiclient.FinishStop
			for range max(m.deltas, 1) {
				if !yield(aiclient.Text("token "), nil) {
					return
				}
			}
		} else if !yield(aiclient.ToolCallPart(aiclient.ToolCall{ID: fmt.Sprintf("c%d", m.n), Name: "echo", Arguments: arguments(m.n)}), nil) {
			return
		}
		yield(aiclient.Part{Kind: aiclient.KindFinish, Finish: &aiclient.Finish{Reason: reason, Usage: aiclient.Usage{Input: 10, Output: 5}}}, nil)
	}
}

func runOurs(b *testing.B, steps, deltas int) {
	events := 0
	echo := tool.New("echo", "echo", func(_ context.Context, in echoArgs) (string, error) { return in.Text, nil }, tool.Options{})
	b.ReportAllocs()
	for b.Loop() {
		c := aiclient.NewConversation(&ourModel{steps: steps, deltas: deltas}, aiclient.ConversationOptions{
			Tools: []tool.Tool{echo}, MaxSteps: -1,
			Trace: aiclient.ConversationTrace{OnPart: func(context.Context, aiclient.Part) { events++ }},
		})
		ctx := budget.With(b.Context(), budget.New(budget.Limits{Tokens: 1 << 40, Steps: 1 << 40}))
		turn, err := c.Send(ctx, "go")
		if err != nil || len(turn.Steps) != steps+1 {
			b.Fatal(len(turn.Steps), err)
		}
	}
}

// Fantasy

type fantasyModel struct {
	fantasy.LanguageModel
	steps, n int
	deltas   int
}

func (m *fantasyModel) Provider() string { return "bench" }
func (m *fantasyModel) Model() string    { return "m" }

func (m *fantasyModel) Stream(context.Context, fantasy.Call) (fantasy.StreamResponse, error) {
	return func(yield func(fantasy.StreamPart) bool) {
		m.n++
		usage := fantasy.Usage{InputTokens: 10, OutputTokens: 5, TotalTokens: 15}
		reason := fantasy.FinishReasonToolCalls
		if m.n > m.steps {
			reason = fantasy.FinishReasonStop
			if !yield(fantasy.StreamPart{Type: fantasy.StreamPartTypeTextStart, ID: "0"}) {
				return
			}
			for range max(m.deltas, 1) {
				if !yield(fantasy.StreamPart{Type: fantasy.StreamPartTypeTextDelta, ID: "0", Delta: "token "}) {
					return
				}
			}
			if !yield(fantasy.StreamPart{Type: fantasy.StreamPartTypeTextEnd, ID: "0"}) {
				return
			}
		} else if !yield(fantasy.StreamPart{Type: fantasy.StreamPartTypeToolCall, ID: fmt.Sprintf("c%d", m.n), ToolCallName: "echo", ToolCallInput: arguments(m.n)}) {
			return
		}
		yield(fantasy.StreamPart{Type: fantasy.StreamPartTypeFinish, FinishReason: reason, Usage: usage})
	}, nil
}

func runFantasy(b *testing.B, steps, deltas int) {
	events := 0
	echo := fantasy.NewAgentTool("echo", "echo", func(_ context.Context, in echoArgs, _ fantasy.ToolCall) (fantasy.ToolResponse, error) {
		return fantasy.NewTextResponse(in.Text), nil
	})
	b.ReportAllocs()
	for b.Loop() {
		agent := fantasy.NewAgent(&fantasyModel{steps: steps, deltas: deltas}, fantasy.WithTools(echo))
		result, err := agent.Stream(b.Context(), fantasy.AgentStreamCall{
			Prompt: "go", StopWhen: []fantasy.StopCondition{fantasy.StepCountIs(steps + 10)},
			OnChunk: func(fantasy.StreamPart) error { events++; return nil },
		})
		if err != nil || len(result.Steps) != steps+1 {
			b.Fatal(err)
		}
	}
}

// Eino

type einoModel struct {
	steps, n int
	deltas   int
}

func (m *einoModel) WithTools([]*schema.ToolInfo) (einomodel.ToolCallingChatModel, error) {
	return m, nil
}

func (m *einoModel) Generate(context.Context, []*schema.Message, ...einomodel.Option) (*schema.Message, error) {
	m.n++
	if m.n > m.steps {
		return schema.AssistantMessage("done", nil), nil
	}
	return schema.AssistantMessage("", []schema.ToolCall{{ID: fmt.Sprintf("c%d", m.n), Function: schema.FunctionCall{Name: "echo", Arguments: arguments(m.n)}}}), nil
}

func (m *einoModel) Stream(ctx context.Context, in []*schema.Message, opts ...einomodel.Option) (*schema.StreamReader[*schema.Message], error) {
	message, err := m.Generate(ctx, in, opts...)
	if err != nil {
		return nil, err
	}
	list := []*schema.Message{message}
	if m.n > m.steps {
		for range m.deltas - 1 {
			list = append(list, schema.AssistantMessage("token ", nil))
		}
	}
	return schema.StreamReaderFromArray(list), nil
}

func runEino(b *testing.B, steps, deltas int) {
	echo, err := utils.InferTool("echo", "echo", func(_ context.Context, in echoArgs) (string, error) { return in.Text, nil })
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		agent, err := react.NewAgent(b.Context(), &react.AgentConfig{
			ToolCallingModel: &einoModel{steps: steps, deltas: deltas},
			ToolsConfig:      compose.ToolsNodeConfig{Tools: []einotool.BaseTool{echo}},
			MaxStep:          4*steps + 20,
		})
		if err != nil {
			b.Fatal(err)
		}
		stream, err := agent.Stream(b.Context(), []*schema.Message{schema.UserMessage("go")})
		if err != nil {
			b.Fatal(err)
		}
		whole, err := schema.ConcatMessageStream(stream)
		if err != nil || whole.Content == "" {
			b.Fatal(err)
		}
	}
}

// floor is what a program written for nothing else would do, over the same model
// as ours.
func runFloor(b *testing.B, steps, deltas int) {
	type message struct{ role, text, id string }
	b.ReportAllocs()
	for b.Loop() {
		history := []message{{role: "user", text: "go"}}
		for n := 1; n <= steps; n++ {
			id := fmt.Sprintf("c%d", n)
			args := arguments(n)
			var in echoArgs
			if err := json.Unmarshal([]byte(args), &in); err != nil {
				b.Fatal(err)
			}
			history = append(history, message{"assistant", args, id}, message{"tool", in.Text, id})
		}
		var answer strings.Builder
		for part := range (&ourModel{deltas: deltas}).Stream(b.Context(), nil) {
			answer.WriteString(part.Text)
		}
		history = append(history, message{role: "assistant", text: answer.String()})
		if len(history) != 2*steps+2 {
			b.Fatal("lost")
		}
	}
}

func BenchmarkSteps(b *testing.B) {
	for _, steps := range stepCounts {
		for _, peer := range []struct {
			name string
			run  func(*testing.B, int, int)
		}{{"tokenring", runOurs}, {"fantasy", runFantasy}, {"eino", runEino}, {"floor", runFloor}} {
			b.Run(fmt.Sprintf("%d/%s", steps, peer.name), func(b *testing.B) { peer.run(b, steps, 1) })
		}
	}
}

func BenchmarkDeltas(b *testing.B) {
	for _, peer := range []struct {
		name string
		run  func(*testing.B, int, int)
	}{{"tokenring", runOurs}, {"fantasy", runFantasy}, {"eino", runEino}, {"floor", runFloor}} {
		b.Run("10000/"+peer.name, func(b *testing.B) { peer.run(b, 0, 10_000) })
	}
}
