package aiclient_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// sized answers with calls of echo and says how many tokens the request had.
func sized(steps int, output string) *script {
	n := 0
	return &script{reply: func(_ context.Context, _ int, req *aiclient.Request) ([]aiclient.Part, error) {
		if strings.HasPrefix(req.System, "Summarise") {
			return says("SUMMARY"), nil
		}
		tokens := 0
		for _, m := range req.Messages {
			for _, p := range m.Parts {
				tokens += len(p.Text) / 4
				if p.Result != nil {
					tokens += len(p.Result.Text) / 4
				}
				if p.Call != nil {
					tokens += len(p.Call.Arguments) / 4
				}
			}
		}
		end := aiclient.Part{Kind: aiclient.KindFinish, Finish: &aiclient.Finish{Usage: aiclient.Usage{Input: int64(tokens), Output: 10}}}
		if n++; n > steps {
			return []aiclient.Part{aiclient.Text("done"), end}, nil
		}
		args := fmt.Sprintf(`{"text":"%s%d"}`, output, n)
		return []aiclient.Part{aiclient.ToolCallPart(aiclient.ToolCall{ID: "c", Name: "echo", Arguments: args}), end}, nil
	}}
}

func TestCompactionDropsOldOutput(t *testing.T) {
	long := tool.New("echo", "", func(context.Context, textArgs) (string, error) { return strings.Repeat("y", 4000), nil }, tool.Options{})
	chat := sized(40, "")
	var before, after []int64
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		Tools: []tool.Tool{long}, ContextLimit: 20_000, LoopLimit: -1,
		Trace: aiclient.ConversationTrace{Compacted: func(_ context.Context, b, a int64) { before, after = append(before, b), append(after, a) }},
	})
	_, err := c.Send(t.Context(), "the task")
	require.NoError(t, err)
	require.NotEmpty(t, before)
	for i := range before {
		assert.Less(t, after[i], before[i]/2)
	}
	dropped := 0
	for _, m := range c.Messages() {
		for _, p := range m.Parts {
			if p.Result != nil && strings.Contains(p.Result.Text, "4000 bytes of output were dropped") {
				dropped++
			}
		}
	}
	assert.Greater(t, dropped, 10)
	assert.Equal(t, "the task", c.Messages()[0].Text(), "no summary was needed")
	require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages()}, aiclient.Rules{}))
	assert.EqualValues(t, 4000, len(lastResults(c.Messages())[0].Text), "recent output stays")
}

func TestCompactionSummarises(t *testing.T) {
	for name, summarize := range map[string]func(context.Context, []aiclient.Message) (string, error){
		"by the model": nil,
		"by the program": func(_ context.Context, m []aiclient.Message) (string, error) {
			return "SUMMARY of " + m[0].Text()[:8], nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			chat := sized(60, strings.Repeat("x", 2000)) // the arguments are long, which stay
			c := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}, ContextLimit: 20_000, Summarize: summarize})
			turn, err := c.Send(t.Context(), "the task")
			require.NoError(t, err)
			assert.Equal(t, "done", turn.Text)
			assert.Contains(t, c.Messages()[0].Text(), "SUMMARY")
			for _, req := range chat.requests {
				require.NoError(t, aiclient.Validate(&req, aiclient.Rules{}))
			}
			assert.Less(t, c.Stats().Context, int64(20_000))
		})
	}
}

func TestTooLongIsAnsweredWithACompaction(t *testing.T) {
	tooLong := &aiclient.APIError{Provider: "script", Class: aiclient.ClassContextLength}
	chat := &script{reply: func(_ context.Context, n int, req *aiclient.Request) ([]aiclient.Part, error) {
		if len(req.Messages) > 12 {
			return nil, tooLong
		}
		return says("ok"), nil
	}}
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{
		Summarize: func(context.Context, []aiclient.Message) (string, error) { return "SUMMARY", nil },
	})
	for range 20 {
		_, err := c.Send(t.Context(), "hello")
		require.NoError(t, err)
	}
	assert.Contains(t, c.Messages()[0].Text(), "SUMMARY")

	c = aiclient.NewConversation(&script{reply: func(context.Context, int, *aiclient.Request) ([]aiclient.Part, error) { return nil, tooLong }}, aiclient.ConversationOptions{})
	_, err := c.Send(t.Context(), "hello")
	require.ErrorIs(t, err, aiclient.ClassContextLength)
}

func TestTranscriptOfPartsThatHoldNothingToRead(t *testing.T) {
	text := aiclient.Transcript([]aiclient.Message{aiclient.User("hi", aiclient.Part{Kind: aiclient.KindFile}, aiclient.FileURL("image/png", "data:image/png;base64,AAAA")),
		aiclient.Assistant(aiclient.Part{Kind: aiclient.KindToolCall}, aiclient.Text("ho")),
		{Role: aiclient.RoleTool, Parts: []aiclient.Part{{Kind: aiclient.KindToolResult}}}})
	assert.Equal(t, "[user] hi\n[user] (a file: image/png )\n[assistant] ho\n", text)
}

func TestCompactOnRequest(t *testing.T) {
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{
		KeepRecent: 2,
		Summarize: func(_ context.Context, m []aiclient.Message) (string, error) {
			if len(m) > 3 {
				return "", errors.New("no")
			}
			return "SUMMARY", nil
		},
	})
	changed, err := c.Compact(t.Context())
	require.NoError(t, err)
	assert.False(t, changed)
	for range 2 {
		_, err = c.Send(t.Context(), "hello")
		require.NoError(t, err)
	}
	changed, err = c.Compact(t.Context())
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Len(t, c.Messages(), 3)
	_, err = c.Send(t.Context(), "hello")
	require.NoError(t, err)
	_, err = c.Send(t.Context(), "hello")
	require.NoError(t, err)
	_, err = c.Compact(t.Context())
	require.ErrorContains(t, err, "summarising the conversation: no")
	assert.Len(t, c.Messages(), 7, "a failed summary loses nothing")
	turn, err := c.Continue(t.Context())
	require.NoError(t, err)
	assert.Equal(t, aiclient.StopNothing, turn.Stop)
	assert.EqualValues(t, 4, c.Stats().Turns, "neither a compaction nor nothing is a turn")
}

// TestARecentOutputThatIsTooLong checks that output too long for the model does
// not end the conversation, however recent it is.
func TestARecentOutputThatIsTooLong(t *testing.T) {
	chat := &script{reply: func(_ context.Context, n int, req *aiclient.Request) ([]aiclient.Part, error) {
		size := 0
		for _, r := range lastResults(req.Messages) {
			size += len(r.Text)
		}
		switch {
		case size > 1000:
			return nil, &aiclient.APIError{Provider: "script", Class: aiclient.ClassContextLength}
		case n == 0:
			return calls("echo", `{"text":"`+strings.Repeat("x", 2000)+`"}`), nil
		}
		return says("that was long"), nil
	}}
	c := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{echo()}})
	turn, err := c.Send(t.Context(), "read it")
	require.NoError(t, err)
	assert.Equal(t, "that was long", turn.Text)
	assert.Contains(t, lastResults(c.Messages())[0].Text, "were dropped to save context")
	assert.Equal(t, "read it", c.Messages()[0].Text())
	require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages()}, aiclient.Rules{}))
}

// TestAMessageThatIsTooLong sends more than the model takes, at first and within
// a conversation. That message is refused, and no later one.
func TestAMessageThatIsTooLong(t *testing.T) {
	const most = 5000
	for name, said := range map[string]int{"at first": 0, "later": 3} {
		t.Run(name, func(t *testing.T) {
			tooLong := 0
			chat := &script{reply: func(_ context.Context, _ int, req *aiclient.Request) ([]aiclient.Part, error) {
				if size := len(req.System) + len(aiclient.Transcript(req.Messages)); size > most {
					tooLong++
					return nil, &aiclient.APIError{Provider: "script", Class: aiclient.ClassContextLength}
				}
				if strings.HasPrefix(req.System, "Summarise") {
					text := req.Messages[0].Text()
					assert.True(t, utf8.ValidString(text))
					if strings.Contains(text, "ő") {
						assert.Contains(t, text, "BEGIN")
						assert.Contains(t, text, "END")
						assert.Contains(t, text, "bytes were left out")
					}
					return says("SUMMARY"), nil
				}
				return says("ok"), nil
			}}
			c := aiclient.NewConversation(chat, aiclient.ConversationOptions{})
			for range said {
				_, err := c.Send(t.Context(), "hello")
				require.NoError(t, err)
			}
			_, err := c.Send(t.Context(), "BEGIN"+strings.Repeat("ő", 50*most)+"END")
			require.ErrorIs(t, err, aiclient.ClassContextLength)
			turn, err := c.Send(t.Context(), "shorter, then")
			require.NoError(t, err)
			assert.Equal(t, "ok", turn.Text)
			assert.Contains(t, c.Messages()[0].Text(), "SUMMARY")
			assert.Less(t, tooLong, 30)
		})
	}
}
