package aitest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// talk runs one conversation with a tool, and returns what was said last.
func talk(ctx context.Context, chat aiclient.Chat, tools []tool.Tool, question string) (string, error) {
	conv := aiclient.NewConversation(chat, aiclient.ConversationOptions{System: "be brief", Tools: tools})
	if _, err := conv.Send(ctx, question); err != nil {
		return "", err
	}
	messages := conv.Messages()
	return messages[len(messages)-1].Text(), nil
}

func TestTape(t *testing.T) {
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply {
		if results := r.ToolResults(); len(results) > 0 {
			return aitest.Text(results[0].Text + results[1].Text)
		}
		return aitest.Reply{ToolCalls: []aitest.ToolCall{{Name: "count", Arguments: `{"n":1}`}, {Name: "count", Arguments: `{"n":2}`}}}
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}}).Chat("m")
	calls := 0
	count := tool.Tool{Name: "count", Annotations: tool.Annotations{Exclusive: true}, Call: func(_ context.Context, args json.RawMessage) (tool.Result, error) {
		calls++
		if calls == 2 {
			return tool.Result{}, errors.New("the second call fails")
		}
		return tool.Text("first "), nil
	}}

	tape := aitest.NewTape()
	now, id := tape.Now(func() time.Time { return time.Unix(1_700_000_000, 5).UTC() }), tape.ID(func() string { return "id-1" })
	said, err := talk(t.Context(), tape.Chat(chat), tape.Tools([]tool.Tool{count}), "count")
	require.NoError(t, err)
	at, name := now(), id()
	require.NoError(t, tape.Err())
	var file bytes.Buffer
	require.NoError(t, tape.Save(&file))
	saved := file.String()
	asked := len(server.Requests())

	t.Run("plays", func(t *testing.T) {
		tape, err := aitest.LoadTape(strings.NewReader(saved))
		require.NoError(t, err)
		again, err := talk(t.Context(), tape.Chat(nil), tape.Tools([]tool.Tool{count}), "count")
		require.NoError(t, err)
		assert.Equal(t, said, again)
		require.Error(t, tape.Err(), "time and ID have not been asked for")
		assert.Equal(t, at, tape.Now(nil)())
		assert.Equal(t, name, tape.ID(nil)())
		require.NoError(t, tape.Err())
		assert.Equal(t, "openai:m", tape.Chat(nil).Model().String())
		assert.Equal(t, 2, calls, "no tool has run again")
		assert.Len(t, server.Requests(), asked, "no model has been asked again")
	})
	t.Run("shows the first difference", func(t *testing.T) {
		tape, err := aitest.LoadTape(strings.NewReader(saved))
		require.NoError(t, err)
		_, err = talk(t.Context(), tape.Chat(nil), tape.Tools([]tool.Tool{count}), "count backwards")
		require.Error(t, err)
		assert.ErrorContains(t, tape.Err(), `-           "text": "count"`)
		assert.ErrorContains(t, tape.Err(), `+           "text": "count backwards"`)
	})
	t.Run("broken file", func(t *testing.T) {
		_, err := aitest.LoadTape(strings.NewReader(saved[:len(saved)/2]))
		assert.Error(t, err)
	})
}

func TestTapeKeepsErrors(t *testing.T) {
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.RateLimited(3 * time.Second) })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}}
	tape := aitest.NewTape()
	_, want := tape.Chat(openai.New(openai.Options{BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}}).Chat("m")).Generate(t.Context(), req)
	require.Error(t, want)
	var file bytes.Buffer
	require.NoError(t, tape.Save(&file))
	tape, err := aitest.LoadTape(&file)
	require.NoError(t, err)
	_, got := tape.Chat(nil).Generate(t.Context(), req)
	assert.EqualError(t, got, want.Error())
	assert.ErrorIs(t, got, aiclient.ClassRateLimit)
}

// TestTapeOfInvalidCalls plays a run that was stopped because the model kept
// sending invalid arguments: it must be stopped for the same reason.
func TestTapeOfInvalidCalls(t *testing.T) {
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Call("count", `{"m":1}`) })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}}).Chat("m")
	count := tool.New("count", "", func(context.Context, struct{ N int }) (string, error) { return "", nil }, tool.Options{})
	tape := aitest.NewTape()
	_, recorded := talk(t.Context(), tape.Chat(chat), tape.Tools([]tool.Tool{count}), "count")
	require.ErrorContains(t, recorded, "invalid-calls")
	var file bytes.Buffer
	require.NoError(t, tape.Save(&file))
	tape, err := aitest.LoadTape(&file)
	require.NoError(t, err)
	_, played := talk(t.Context(), tape.Chat(nil), tape.Tools([]tool.Tool{count}), "count")
	require.EqualError(t, played, recorded.Error())
	require.NoError(t, tape.Err())
}
