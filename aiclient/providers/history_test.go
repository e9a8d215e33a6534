package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// misbehaving is a model that does to a history what models do: it thinks, calls
// several tools at once, calls what does not exist with names that no tool can
// have, sends arguments that are no JSON, says nothing, and breaks off.
func misbehaving(r aitest.Request) aitest.Reply {
	switch replies := len(r.Messages) - len(r.ToolResults()); {
	case strings.HasSuffix(r.LastUser(), "next"):
		return aitest.Text("done")
	case strings.HasSuffix(r.LastUser(), "break"):
		return aitest.Reply{Text: "I will do that at once, and so on", Fault: aitest.Fault{Kind: aitest.End, After: 5}}
	case strings.HasSuffix(r.LastUser(), "say nothing"):
		return aitest.Reply{}
	case len(r.Calls("")) == 0:
		return aitest.Reply{Reasoning: "Let me look.", Signature: "c2ln", Text: "Looking.", ToolCalls: []aitest.ToolCall{
			{ID: "call_1", Name: "look", Arguments: `{"at":"a"}`}, {ID: "call_2", Name: "look", Arguments: `{"at":"b"}`}}}
	case replies < 6:
		return aitest.Reply{ToolCalls: []aitest.ToolCall{
			{ID: "call_1", Name: `functions.look" />`, Arguments: `{"at":"c"}`}, {ID: "functions.look:3", Name: "look", Arguments: `{"at":`}}}
	}
	return aitest.Text("That is all.")
}

// TestKilledHistoriesAreValidForEveryProvider cuts a saved conversation at every
// byte. What is left must go on with every provider: its next request passes
// Validate, and a server that refuses what the providers refuse takes it.
func TestKilledHistoriesAreValidForEveryProvider(t *testing.T) {
	clearKeys(t)
	server := aitest.NewServer(t, misbehaving)
	open := func(name string) aiclient.Chat {
		chat, _, err := providers.Chat(name, providers.Options{BaseURL: server.URL})
		require.NoError(t, err, name)
		return chat
	}
	look := tool.New("look", "looks", func(_ context.Context, in struct {
		At string `json:"at"`
	}) (tool.Result, error) {
		return tool.Result{Text: "seen " + in.At, Media: []tool.Media{{MediaType: "image/png", Data: []byte("\x89PNG")}}}, nil
	}, tool.Options{})

	writers := []string{"anthropic:claude-sonnet-4-6?effort=low", "google:gemini-2.5-flash", "openrouter:m"}
	if os.Getenv("TOKENRING_LONG") == "" {
		writers = writers[:1]
	}
	for _, writer := range writers {
		log := saved(t, open(writer), look)
		histories := map[string]*aiclient.Request{}
		for cut := range len(log) + 1 {
			capture := &capturing{}
			c := aiclient.NewConversation(capture.chat(), aiclient.ConversationOptions{System: "be brief", Tools: []tool.Tool{look}})
			for i, line := range strings.Split(string(log[:cut]), "\n") {
				load := c.ApplyDelta
				if i == 0 {
					load = c.UnmarshalJSON
				}
				if load([]byte(line)) != nil {
					break
				}
			}
			_, err := c.Send(t.Context(), "next")
			require.NoError(t, err, "cut at byte %d of the log of %s", cut, writer)
			key, err := json.Marshal(capture.request)
			require.NoError(t, err)
			histories[string(key)] = capture.request
		}
		assert.Greater(t, len(histories), 10, "the cuts leave different histories")

		for _, name := range append(providers.Names(), "custom") {
			if name == "azure" {
				continue // openai's code with another path
			}
			chat := open(name + ":m")
			for _, req := range histories {
				require.NoError(t, aiclient.Validate(req, aiclient.RulesOf(chat)), name)
				reply, err := chat.Generate(t.Context(), req)
				require.NoError(t, err, name)
				assert.Equal(t, "done", reply.Text(), name)
			}
		}
	}
}

// saved returns the log of a conversation, one step to a line.
func saved(t *testing.T, chat aiclient.Chat, tools ...tool.Tool) []byte {
	t.Helper()
	var c *aiclient.Conversation
	var log []byte
	var mark uint64
	c = aiclient.NewConversation(chat, aiclient.ConversationOptions{
		System: "be brief", Tools: tools, MaxSteps: 3,
		Checkpoint: func(context.Context) error {
			delta, next, ok := c.Delta(mark)
			if !ok {
				delta, _ = json.Marshal(c)
			}
			mark = next
			log = append(append(log, delta...), '\n')
			return nil
		},
	})
	for _, text := range []string{"look around", "say nothing", "break", "break"} {
		_, err := c.Send(t.Context(), text)
		if text == "break" {
			require.ErrorIs(t, err, aiclient.ClassTruncated)
		} else if stop, ok := errors.AsType[*aiclient.StopError](err); !ok || stop.Reason != aiclient.StopMaxSteps {
			require.NoError(t, err)
		}
	}
	return log
}

// capturing keeps the request that it is sent.
type capturing struct{ request *aiclient.Request }

func (c *capturing) chat() aiclient.Chat {
	return aiclient.ChatFunc{Name: aiclient.Model{Provider: "p", ID: "m"}, Func: func(_ context.Context, req *aiclient.Request) iter.Seq2[aiclient.Part, error] {
		c.request = req
		return func(yield func(aiclient.Part, error) bool) {
			_ = yield(aiclient.Text("ok"), nil) && yield(aiclient.Part{Kind: aiclient.KindFinish, Finish: &aiclient.Finish{Reason: aiclient.FinishStop}}, nil)
		}
	}}
}
