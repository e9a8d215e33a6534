package aiclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// shell is a tool that declares the command line as its effect.
func shell(ran *atomic.Int64) tool.Tool {
	return tool.New("shell", "runs a command", func(_ context.Context, in textArgs) (string, error) {
		ran.Add(1)
		return "ran " + in.Text, nil
	}, tool.Options{
		Effects: func(args json.RawMessage) []tool.Effect {
			var in textArgs
			_ = json.Unmarshal(args, &in)
			return []tool.Effect{{Kind: tool.Exec, Target: in.Text}}
		},
		Preview: func(_ context.Context, args json.RawMessage) (string, error) { return "$ " + string(args), nil },
	})
}

func TestApproval(t *testing.T) {
	var ran, asked, at atomic.Int64
	approve := func(d aiclient.Decision, err error) func(context.Context, aiclient.Approval) (aiclient.Decision, error) {
		return func(_ context.Context, a aiclient.Approval) (aiclient.Decision, error) {
			asked.Add(1)
			assert.EqualValues(t, 1, at.Add(1), "one question at a time")
			defer at.Add(-1)
			assert.Equal(t, []tool.Effect{{Kind: tool.Exec, Target: "ls"}}, a.Effects)
			assert.Equal(t, `$ {"text":"ls"}`, a.Preview)
			return d, err
		}
	}
	panics := func(context.Context, aiclient.Approval) (aiclient.Decision, error) {
		asked.Add(1)
		panic("no terminal")
	}
	for name, test := range map[string]struct {
		policy  aiclient.Policy
		approve func(context.Context, aiclient.Approval) (aiclient.Decision, error)
		asked   int64
		ran     int64
		want    string
	}{
		"nobody to ask":     {aiclient.Policy{}, nil, 0, 2, "ran ls"},
		"allowed":           {aiclient.Policy{}, approve(aiclient.Decision{Allow: true}, nil), 2, 2, "ran ls"},
		"allowed for good":  {aiclient.Policy{}, approve(aiclient.Decision{Allow: true, Remember: true}, nil), 1, 2, "ran ls"},
		"denied":            {aiclient.Policy{}, approve(aiclient.Decision{Reason: "not now"}, nil), 2, 0, "The call was denied: not now"},
		"failed":            {aiclient.Policy{}, approve(aiclient.Decision{Allow: true}, errors.New("offline")), 2, 0, "The call was denied: nobody could be asked: offline"},
		"panicked":          {aiclient.Policy{}, panics, 2, 0, "The call was denied: nobody could be asked: the program failed: no terminal"},
		"denied by rule":    {aiclient.Policy{Rules: []aiclient.Rule{{Kind: tool.Exec, Target: "l*", Verdict: aiclient.Deny}}}, approve(aiclient.Decision{Allow: true}, nil), 0, 0, "The call was denied: the policy"},
		"allowed by rule":   {aiclient.Policy{Rules: []aiclient.Rule{{Tool: "sh*", Verdict: aiclient.Allow}}}, approve(aiclient.Decision{}, nil), 0, 2, "ran ls"},
		"another's rule":    {aiclient.Policy{Rules: []aiclient.Rule{{Kind: tool.Write, Verdict: aiclient.Allow}}}, approve(aiclient.Decision{}, nil), 2, 0, "The call was denied."},
		"ask, nobody":       {aiclient.Policy{Default: aiclient.Ask}, nil, 0, 0, "The call was denied: it needs a person's approval and there is nobody to ask."},
		"verdict not known": {aiclient.Policy{Default: "perhaps"}, nil, 0, 0, "The call was denied: the policy"},
	} {
		t.Run(name, func(t *testing.T) {
			ran.Store(0)
			asked.Store(0)
			chat := replies(calls("shell", `{"text":"ls"}`, "shell", `{"text":"ls"}`))
			c := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{shell(&ran)}, Policy: test.policy, Approve: test.approve, Logger: slog.New(slog.DiscardHandler)})
			_, err := c.Send(t.Context(), "go")
			require.NoError(t, err)
			assert.Equal(t, test.asked, asked.Load())
			assert.Equal(t, test.ran, ran.Load())
			for _, r := range lastResults(c.Messages()) {
				assert.Contains(t, r.Text, test.want)
			}
		})
	}
}

// TestPolicyOnEveryKindOfEffect gives one policy calls of every kind.
func TestPolicyOnEveryKindOfEffect(t *testing.T) {
	policy := aiclient.Policy{Rules: []aiclient.Rule{
		{Kind: tool.Write, Target: "src/*", Verdict: aiclient.Allow},
		{Kind: tool.Write, Target: "*/.git/*", Verdict: aiclient.Deny},
		{Kind: tool.Exec, Target: "go test*", Verdict: aiclient.Allow},
		{Kind: tool.Exec, Target: "rm *", Verdict: aiclient.Deny},
		{Kind: tool.Network, Target: "*.example.com", Verdict: aiclient.Allow},
		{Kind: tool.SQLWrite, Target: "main: DROP*", Verdict: aiclient.Deny},
	}}
	for _, test := range []struct {
		effects []tool.Effect
		want    aiclient.Verdict
	}{
		{[]tool.Effect{{Kind: tool.Read, Target: "/etc/passwd"}}, aiclient.Allow},
		{[]tool.Effect{{Kind: tool.Write, Target: "src/a.go"}}, aiclient.Allow},
		{[]tool.Effect{{Kind: tool.Write, Target: "a.go"}}, aiclient.Ask},
		{[]tool.Effect{{Kind: tool.Write, Target: "x/.git/config"}}, aiclient.Deny},
		{[]tool.Effect{{Kind: tool.Exec, Target: "go test ./..."}}, aiclient.Allow},
		{[]tool.Effect{{Kind: tool.Exec, Target: "make"}}, aiclient.Ask},
		{[]tool.Effect{{Kind: tool.Exec, Target: "rm -rf /"}}, aiclient.Deny},
		{[]tool.Effect{{Kind: tool.Network, Target: "api.example.com"}}, aiclient.Allow},
		{[]tool.Effect{{Kind: tool.Network, Target: "evil.example"}}, aiclient.Ask},
		{[]tool.Effect{{Kind: tool.SQLWrite, Target: "main: UPDATE t SET a = 1"}}, aiclient.Ask},
		{[]tool.Effect{{Kind: tool.SQLWrite, Target: "main: DROP TABLE t"}}, aiclient.Deny},
		{[]tool.Effect{{Kind: tool.Unknown}}, aiclient.Ask},
		{[]tool.Effect{{Kind: tool.Read, Target: "a"}, {Kind: tool.Write, Target: "src/b"}, {Kind: tool.Network, Target: "evil.example"}}, aiclient.Ask},
		{[]tool.Effect{{Kind: tool.Write, Target: "src/b"}, {Kind: tool.Exec, Target: "rm x"}}, aiclient.Deny},
	} {
		var asked *aiclient.Approval
		ran := false
		work := tool.Tool{Name: "work", Effects: func(json.RawMessage) []tool.Effect { return test.effects },
			Call: func(context.Context, json.RawMessage) (tool.Result, error) { ran = true; return tool.Text("ok"), nil }}
		c := aiclient.NewConversation(replies(calls("work", "")), aiclient.ConversationOptions{Tools: []tool.Tool{work}, Policy: policy,
			Approve: func(_ context.Context, a aiclient.Approval) (aiclient.Decision, error) {
				asked = &a
				return aiclient.Decision{Allow: true}, nil
			}})
		_, err := c.Send(t.Context(), "go")
		require.NoError(t, err)
		assert.Equal(t, test.want == aiclient.Ask, asked != nil, "%v", test.effects)
		assert.Equal(t, test.want != aiclient.Deny, ran, "%v", test.effects)
		if asked != nil {
			assert.Equal(t, test.effects, asked.Effects)
		}
	}
}

func TestGrantsAreSavedAndReset(t *testing.T) {
	var ran, asked atomic.Int64
	open := func() *aiclient.Conversation {
		return aiclient.NewConversation(&script{reply: func(_ context.Context, _ int, req *aiclient.Request) ([]aiclient.Part, error) {
			if req.Messages[len(req.Messages)-1].Role == aiclient.RoleTool {
				return says("ok"), nil
			}
			return calls("shell", `{"text":"ls"}`), nil
		}}, aiclient.ConversationOptions{Tools: []tool.Tool{shell(&ran)}, Approve: func(context.Context, aiclient.Approval) (aiclient.Decision, error) {
			asked.Add(1)
			return aiclient.Decision{Allow: true, Remember: true}, nil
		}})
	}
	c := open()
	for range 2 {
		_, err := c.Send(t.Context(), "go")
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, asked.Load())
	saved, err := json.Marshal(c)
	require.NoError(t, err)
	c = open()
	require.NoError(t, json.Unmarshal(saved, c))
	_, err = c.Send(t.Context(), "go")
	require.NoError(t, err)
	assert.EqualValues(t, 1, asked.Load())
	c.Reset("history")
	_, err = c.Send(t.Context(), "go")
	require.NoError(t, err)
	assert.EqualValues(t, 1, asked.Load(), "what a person allowed outlives the history")
	c.Reset("memory")
	assert.Len(t, c.Messages(), 4)
	c.Reset("settings")
	_, err = c.Send(t.Context(), "go")
	require.NoError(t, err)
	assert.EqualValues(t, 2, asked.Load())
	assert.Len(t, c.Messages(), 8)
	c.Reset("all")
	assert.Empty(t, c.Messages())
	assert.Zero(t, c.Usage())
}

func TestToolHooks(t *testing.T) {
	var ran atomic.Int64
	chat := replies(calls("shell", `{"text":"rm"}`, "shell", `{"text":"ls"}`, "shell", `{"text":"id"}`))
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		Tools: []tool.Tool{shell(&ran)},
		BeforeTool: func(_ context.Context, call aiclient.ToolCall) error {
			if call.ID == "id0" {
				return errors.New("never remove")
			}
			return nil
		},
		AfterTool: func(_ context.Context, call aiclient.ToolCall, r *aiclient.ToolResult) error {
			if call.ID == "id2" {
				return errors.New("secret")
			}
			r.Text, r.CallID = fmt.Sprintf("<%s>", r.Text), "changed"
			return nil
		},
	})
	_, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	results := lastResults(c.Messages())
	assert.Equal(t, "The call was denied: never remove", results[0].Text)
	assert.Equal(t, aiclient.ToolResult{CallID: "id1", Name: "shell", Text: "<ran ls>"}, results[1])
	assert.Equal(t, "secret", results[2].Text)
	assert.True(t, results[2].IsError)
	assert.EqualValues(t, 2, ran.Load())
}

func TestApproveThatExits(t *testing.T) {
	var ran atomic.Int64
	c := aiclient.NewConversation(replies(calls("shell", `{"text":"ls"}`)), aiclient.ConversationOptions{
		Tools: []tool.Tool{shell(&ran)},
		Approve: func(context.Context, aiclient.Approval) (aiclient.Decision, error) {
			runtime.Goexit()
			return aiclient.Decision{Allow: true}, nil
		},
	})
	turn, err := c.Send(t.Context(), "go")
	require.NoError(t, err)
	assert.Equal(t, "done", turn.Text)
	assert.Contains(t, lastResults(c.Messages())[0].Text, "nobody could be asked")
	assert.Zero(t, ran.Load())
}

func TestRulesAboutToolsWithoutEffects(t *testing.T) {
	for name, test := range map[string]struct {
		rule aiclient.Rule
		want []string
	}{
		"all denied":    {aiclient.Rule{Verdict: aiclient.Deny}, []string{"The call was denied", "The call was denied"}},
		"denied":        {aiclient.Rule{Tool: "ec*", Verdict: aiclient.Deny}, []string{"The call was denied", "The call was denied"}},
		"another tool":  {aiclient.Rule{Tool: "x", Verdict: aiclient.Deny}, []string{"echo 1", "echo 2"}},
		"about effects": {aiclient.Rule{Kind: tool.Write, Verdict: aiclient.Deny}, []string{"echo 1", "echo 2"}},
		"asked once":    {aiclient.Rule{Tool: "echo", Verdict: aiclient.Ask}, []string{"echo 1", "echo 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			c := aiclient.NewConversation(replies(calls("echo", `{"text":"1"}`, "echo", `{"text":"2"}`)), aiclient.ConversationOptions{
				Tools: []tool.Tool{echo()}, Policy: aiclient.Policy{Rules: []aiclient.Rule{test.rule}},
				Approve: func(context.Context, aiclient.Approval) (aiclient.Decision, error) {
					asked++
					return aiclient.Decision{Allow: true, Remember: true}, nil
				},
			})
			_, err := c.Send(t.Context(), "go")
			require.NoError(t, err)
			for i, r := range lastResults(c.Messages()) {
				assert.Contains(t, r.Text, test.want[i])
			}
			assert.Equal(t, test.rule.Verdict == aiclient.Ask, asked == 1)
		})
	}
}
