package aiclient_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/budget"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func endless() *script {
	return &script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
		return calls("echo", fmt.Sprintf(`{"text":"%d"}`, n)), nil
	}}
}

func TestBudgetsStopTheTurn(t *testing.T) {
	for name, test := range map[string]struct {
		limits budget.Limits
		max    int // calls of the model
	}{
		"steps":  {budget.Limits{Steps: 3}, 3},
		"tokens": {budget.Limits{Tokens: 1200}, 11},
		"money":  {budget.Limits{Money: 0.002}, 70},
	} {
		t.Run(name, func(t *testing.T) {
			b := budget.New(test.limits)
			chat := endless()
			c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
				Tools: []tool.Tool{echo()}, MaxSteps: -1,
				Price: aiclient.Price{Input: 1, Output: 1},
			})
			turn, err := c.Send(budget.With(t.Context(), b), "go")
			require.ErrorIs(t, err, budget.ErrExceeded)
			assert.Equal(t, aiclient.StopBudget, turn.Stop)
			assert.NotEmpty(t, chat.requests)
			assert.LessOrEqual(t, len(chat.requests), test.max)
			assert.EqualValues(t, len(chat.requests), b.Used().Steps)
			assert.Equal(t, turn.Usage.Total(), b.Used().Tokens, "what was used is charged, not what was set aside")
			require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages()}, aiclient.Rules{}))
		})
	}
}

func TestSubAgentsShareTheBudget(t *testing.T) {
	b := budget.New(budget.Limits{Steps: 5})
	inner := endless()
	sub := tool.New("sub", "asks a sub-agent", func(ctx context.Context, _ struct{}) (string, error) {
		turn, err := aiclient.NewConversation(inner, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}}).Send(ctx, "go")
		return string(turn.Stop), err
	}, tool.Options{})
	outer := replies(calls("sub", ""))
	_, err := aiclient.NewConversation(outer, aiclient.ConversationOptions{Tools: []tool.Tool{sub}}).Send(budget.With(t.Context(), b), "go")
	require.ErrorIs(t, err, budget.ErrExceeded)
	assert.Len(t, inner.requests, 4)
	assert.Len(t, outer.requests, 1)
}

// TestParallelSubAgentsShareTheBudget lets sub-agents spend at the same time. What
// is set aside before each call keeps them within the limit together.
func TestParallelSubAgentsShareTheBudget(t *testing.T) {
	b := budget.New(budget.Limits{Steps: 10, Money: 0.02})
	inner := endless()
	sub := tool.New("sub", "asks a sub-agent", func(ctx context.Context, _ struct{}) (string, error) {
		turn, err := aiclient.NewConversation(inner, aiclient.ConversationOptions{
			Tools: []tool.Tool{echo()}, LoopLimit: -1, Price: aiclient.Price{Input: 1, Output: 1},
		}).Send(ctx, "go")
		if turn.Stop != aiclient.StopBudget {
			t.Errorf("stopped by %s: %v", turn.Stop, err)
		}
		return "spent", nil
	}, tool.Options{})
	var list []string
	for range 6 {
		list = append(list, "sub", "")
	}
	outer := replies(calls(list...))
	_, err := aiclient.NewConversation(outer, aiclient.ConversationOptions{Tools: []tool.Tool{sub}}).Send(budget.With(t.Context(), b), "go")
	require.ErrorIs(t, err, budget.ErrExceeded)
	assert.EqualValues(t, len(inner.requests)+len(outer.requests), b.Used().Steps)
	assert.LessOrEqual(t, b.Used().Steps, int64(10))
	assert.LessOrEqual(t, b.Used().Money, 0.02)
	assert.NotEmpty(t, inner.requests)
}

func TestBrokenRepliesAreCharged(t *testing.T) {
	b := budget.New(budget.Limits{Tokens: 10_000})
	ctx := budget.With(t.Context(), b)
	chat := &script{reply: func(_ context.Context, n int, _ *aiclient.Request) ([]aiclient.Part, error) {
		if n == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return []aiclient.Part{aiclient.Text("half")}, io.ErrUnexpectedEOF
	}}
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{})
	_, err := c.Send(ctx, "go")
	require.Error(t, err)
	assert.Zero(t, b.Used(), "a request that failed at once costs nothing")
	_, err = c.Continue(ctx)
	require.Error(t, err)
	assert.Greater(t, b.Used().Tokens, int64(1000), "a reply that nobody counted counts as what was set aside")
}

// TestTheSystemPromptAndToolsCount checks that a first request is known to be
// large before any provider has counted it.
func TestTheSystemPromptAndToolsCount(t *testing.T) {
	b := budget.New(budget.Limits{Tokens: 3000})
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{System: strings.Repeat("rules ", 2000)})
	_, err := c.Send(budget.With(t.Context(), b), "hi")
	require.ErrorIs(t, err, budget.ErrExceeded)
}
