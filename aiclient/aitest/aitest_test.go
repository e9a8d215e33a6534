package aitest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A scripted server stands in for a model: in tests, and in programs that show
// themselves without one.
func ExampleNewServer() {
	server := aitest.NewServer(nil, func(r aitest.Request) aitest.Reply {
		if results := r.ToolResults(); len(results) > 0 {
			return aitest.Text("It is " + results[0].Text + " in Lisbon.")
		}
		return aitest.Call("weather", `{"city":"Lisbon"}`)
	})
	defer server.Close()

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}}).Chat("any-model")
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("What is the weather?")}}
	reply, err := chat.Generate(context.Background(), req)
	if err != nil {
		fmt.Println(err)
		return
	}
	call := reply.Calls()[0]
	fmt.Println(call.Name, call.Arguments)

	req.Messages = append(req.Messages, reply.Message,
		aiclient.ToolResults(aiclient.ToolResult{CallID: call.ID, Name: call.Name, Text: "sunny"}))
	for part, err := range chat.Stream(context.Background(), req) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(part.Text)
	}
	fmt.Println()
	// Output:
	// weather {"city":"Lisbon"}
	// It is sunny in Lisbon.
}

func TestDecodeRefusesWhatProvidersRefuse(t *testing.T) {
	for _, tt := range []struct{ path, body, want string }{
		{"/v1/chat/completions", `{`, "unexpected end"},
		{"/v1/chat/completions", `{"messages":[]}`, "no messages"},
		{"/v1/chat/completions", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f"}}]},{"role":"user","content":"x"}]}`, "have no result"},
		{"/v1/chat/completions", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f"}}]}]}`, "have no result"},
		{"/v1/chat/completions", `{"messages":[{"role":"tool","tool_call_id":"a","content":"x"}]}`, "not open"},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":""}]}]}`, "non-empty"},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"user","content":[]}]}`, "must not be empty"},
		{"/v1/messages", `{"messages":[{"role":"user","content":"x"}]}`, "max_tokens"},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"media_type":"image/svg+xml"}}]}]}`, "not image/svg+xml"},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"image","source":{"media_type":"image/png"}}]}]}`, "not permitted"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":[]}]}`, "empty array"},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"text","text":"x"},{"type":"tool_result","tool_use_id":"a"}]}]}`, "before other content"},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"f:0","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"f:0"}]}]}`, "match pattern"},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}]}`, "unique"},
		{"/v1/chat/completions", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f.g"}}]},{"role":"tool","tool_call_id":"a","content":"x"}]}`, "letter, digit"},
		{"/v1/chat/completions", `{"messages":[{"role":"assistant","tool_calls":[{"id":"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde","content":"x"}]}`, "1 to 40 bytes"},
		{"/v1/responses", `{"input":[{"type":"function_call_output","call_id":"a","output":"x"}]}`, "not open"},
		{"/models/m:generateContent", `{"contents":[{"role":"user","parts":[]}]}`, "no parts"},
		{"/models/m:generateContent", `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}}]}]}`, "have no result"},
		{"/elsewhere", `{}`, "no wire format"},
	} {
		_, err := aitest.Decode(tt.path, []byte(tt.body))
		assert.ErrorContains(t, err, tt.want, "%s %s", tt.path, tt.body)
	}
}

func TestServerKeepsWhatItWasAsked(t *testing.T) {
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply { return aitest.Text(fmt.Sprint(r.Index)) })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range 3 {
		resp, err := client.Post(server.URL+"/v1/chat/completions", "application/json",
			strings.NewReader(fmt.Sprintf(`{"model":"m","messages":[{"role":"system","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"q%d"}]}`, i)))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Contains(t, string(body), fmt.Sprintf(`"content":"%d"`, i))
	}
	requests := server.Requests()
	require.Len(t, requests, 3)
	assert.Equal(t, "q2", requests[2].LastUser())
	assert.Equal(t, "a\nb", requests[2].System())
	assert.Empty(t, requests[2].ToolResults())

	resp, err := client.Get(server.URL + "/nothing")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	resp, err = client.Post(server.URL+"/chat/completions", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
}

// TestCloseEndsReplies closes a server in the middle of a reply that would not
// end by itself.
func TestCloseEndsReplies(t *testing.T) {
	started := make(chan struct{})
	server := aitest.NewServer(nil, func(aitest.Request) aitest.Reply {
		close(started)
		return aitest.Reply{Text: strings.Repeat("word ", 100), Pause: time.Hour}
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}}).Chat("m")
	done := make(chan error)
	go func() {
		_, err := aiclient.Collect(chat.Stream(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}}))
		done <- err
	}()
	<-started
	server.Close()
	server.Close()
	require.Error(t, <-done)
}

// TestCloseWaitsForScripts closes a server whose script is at work: a script that
// outlived its test would write to a log that is gone.
func TestCloseWaitsForScripts(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	server := aitest.NewServer(nil, func(aitest.Request) aitest.Reply {
		close(started)
		<-release
		ended.Store(true)
		return aitest.Text("late")
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	chat := openai.New(openai.Options{BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}}).Chat("m")
	failed := make(chan error)
	go func() {
		_, err := chat.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hi")}})
		failed <- err
	}()
	<-started
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	server.Close()
	assert.True(t, ended.Load())
	require.Error(t, <-failed)
	server.Close()
}
