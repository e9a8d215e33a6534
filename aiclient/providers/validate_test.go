package providers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// oddRequests are requests that some provider cannot take, or that no program
// should make.
func oddRequests() map[string]*aiclient.Request {
	requests := map[string]*aiclient.Request{}
	add := func(name string, messages ...aiclient.Message) *aiclient.Request {
		req := &aiclient.Request{Messages: append([]aiclient.Message{aiclient.User("hi")}, messages...)}
		requests[name] = req
		return req
	}
	call := aiclient.Assistant(aiclient.ToolCallPart(aiclient.ToolCall{ID: "c1", Name: "look"}))
	for _, media := range []string{"image/png", "image/svg+xml", "application/pdf", "text/csv", "audio/wav", "video/mp4", "application/zip", ""} {
		file := aiclient.File{MediaType: media, Data: []byte("data")}
		part := aiclient.Part{Kind: aiclient.KindFile, File: &file}
		add("sent "+media, aiclient.User("see", part))
		add("by URL "+media, aiclient.User("see", aiclient.FileURL(media, "https://example.com/a")))
		add("by ID "+media, aiclient.User("see", aiclient.Part{Kind: aiclient.KindFile, File: &aiclient.File{MediaType: media, ID: "file-1"}}))
		add("in a result "+media, call, aiclient.ToolResults(aiclient.ToolResult{CallID: "c1", Name: "look", Files: []aiclient.File{file}}))
		add("from the model "+media, aiclient.Assistant(part), aiclient.User("more"))
	}
	for _, role := range []aiclient.Role{aiclient.RoleSystem, aiclient.RoleUser, aiclient.RoleAssistant, aiclient.RoleTool, "critic", ""} {
		add(fmt.Sprintf("%q says nothing", role), aiclient.Message{Role: role}, aiclient.User("more"))
		for kind := range aiclient.KindFinish + 2 {
			add(fmt.Sprintf("%q with an empty %s", role, kind), aiclient.Message{Role: role, Parts: []aiclient.Part{{Kind: kind}}}, aiclient.User("more"))
		}
	}
	requests["nothing"] = &aiclient.Request{}
	requests["an empty message alone"] = &aiclient.Request{Messages: []aiclient.Message{{Role: aiclient.RoleUser}}}
	requests["an empty text alone"] = &aiclient.Request{Messages: []aiclient.Message{aiclient.User("")}}
	requests["only rules"] = &aiclient.Request{Messages: []aiclient.Message{{Role: aiclient.RoleSystem, Parts: []aiclient.Part{aiclient.Text("x")}}}}
	add("settings").Stop = []string{"a", "b", "c", "d", "e", "f"}
	req := add("sampling")
	req.TopK, req.Seed, req.PresencePenalty, req.Temperature = new(int64(3)), new(int64(1)), new(1.0), new(1.9)
	add("a schema of a list").Output = &aiclient.OutputFormat{Schema: json.RawMessage(`{"type":"array"}`)}
	add("a broken schema").Output = &aiclient.OutputFormat{Schema: json.RawMessage(`{"type":`)}
	add("a name of an output").Output = &aiclient.OutputFormat{Name: "my output!", Schema: json.RawMessage(`{"type":"object"}`)}
	add("a broken schema of a tool").Tools = []tool.Tool{{Name: "look", Schema: json.RawMessage(`{`)}}
	add("a bad choice").ToolChoice = "perhaps"
	add("broken options").Options = map[string]json.RawMessage{"openai": json.RawMessage(`{`), "anthropic": json.RawMessage(`7`), "google": json.RawMessage(`[`)}
	req = add("thinking with a forced call")
	req.Tools, req.ToolChoice, req.Reasoning = []tool.Tool{{Name: "look"}}, aiclient.ToolRequired, aiclient.ReasoningOptions{Effort: "unheard of", Budget: 7}
	return requests
}

// TestValidateKnowsWhatIsRefused sends odd requests to every provider. What
// Validate lets through must be taken, by the adapter and by a server that refuses
// what the provider does; what it does not, must be an error and never a panic.
func TestValidateKnowsWhatIsRefused(t *testing.T) {
	clearKeys(t)
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	chats := map[string]aiclient.Chat{
		"openai responses": openai.New(openai.Options{BaseURL: server.URL, HTTPClient: client}).Responses("m"),
	}
	for _, name := range append(providers.Names(), "custom") {
		chat, _, err := providers.Chat(name+":m", providers.Options{BaseURL: server.URL, HTTPClient: client})
		require.NoError(t, err)
		chats[name] = chat
	}
	for what, req := range oddRequests() {
		for name, chat := range chats {
			invalid := aiclient.Validate(req, aiclient.RulesOf(chat))
			for _, ask := range []func() (*aiclient.Response, error){
				func() (*aiclient.Response, error) { return chat.Generate(t.Context(), req) },
				func() (*aiclient.Response, error) { return aiclient.Collect(chat.Stream(t.Context(), req)) },
			} {
				_, err := ask()
				if invalid == nil {
					assert.NoError(t, err, "%s, sent to %s", what, name)
				}
			}
		}
	}
}

// TestFilesOfToolsEndNoConversation lets a tool return files that providers do not
// take. The model is told, and the conversation goes on.
func TestFilesOfToolsEndNoConversation(t *testing.T) {
	clearKeys(t)
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply {
		switch {
		case r.LastUser() == "and now?":
			return aitest.Text("still here")
		case len(r.ToolResults()) == 0:
			return aitest.Call("files", "{}")
		}
		return aitest.Text("seen")
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	files := tool.Tool{Name: "files", Call: func(context.Context, json.RawMessage) (tool.Result, error) {
		return tool.Result{Text: "four files", Media: []tool.Media{
			{MediaType: "video/mp4", Data: []byte("x")}, {MediaType: "image/svg+xml", Data: []byte("<svg/>")},
			{Data: []byte("\x89PNG\r\n\x1a\n")}, {MediaType: "image/png"}}}, nil
	}}
	for _, name := range append(providers.Names(), "custom") {
		chat, _, err := providers.Chat(name+":m", providers.Options{BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}})
		require.NoError(t, err)
		c := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: []tool.Tool{files}})
		for _, say := range []string{"go", "and now?"} {
			_, err := c.Send(t.Context(), say)
			require.NoError(t, err, name)
			require.NoError(t, aiclient.Validate(&aiclient.Request{Messages: c.Messages()}, aiclient.RulesOf(chat)), name)
		}
		results := c.Messages()[2].Parts
		require.Len(t, results, 1)
		require.Len(t, results[0].Result.Files, 3, "a file without data is none")
		assert.Equal(t, "image/png", results[0].Result.Files[2].MediaType, "a type that the tool does not state is found out")
	}
}
