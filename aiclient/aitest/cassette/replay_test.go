package cassette_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest/cassette"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// recordings returns the names of all cassettes.
func recordings(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(t, err)
	require.Len(t, names, 66)
	return names
}

func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// chatFor returns our client of the service that a cassette was recorded with.
func chatFor(t testing.TB, server *cassette.Server, path, model string) aiclient.Chat {
	t.Helper()
	client := newClient(t)
	dir, end := path[:strings.LastIndexByte(path, '/')], path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case end == "completions":
		return openai.New(openai.Options{BaseURL: server.URL + strings.TrimSuffix(dir, "/chat"), HTTPClient: client}).Chat(model)
	case end == "responses":
		return openai.New(openai.Options{BaseURL: server.URL + dir, HTTPClient: client}).Responses(model)
	case end == "messages":
		return anthropic.New(anthropic.Options{BaseURL: server.URL, HTTPClient: client}).Chat(model)
	default:
		return google.New(google.Options{BaseURL: server.URL + strings.TrimSuffix(dir, "/models"), HTTPClient: client}).Chat(model)
	}
}

var base64Data = regexp.MustCompile(`(?:"data": ?"|base64,)([A-Za-z0-9+/=]+)"`)

// requestOf rebuilds the request that a recorded body was made from.
func requestOf(t testing.TB, recorded aitest.Request) *aiclient.Request {
	t.Helper()
	req := &aiclient.Request{}
	for _, m := range recorded.Messages {
		switch m.Role {
		case "system":
			req.System = m.Text
		case "user":
			user := aiclient.User(m.Text)
			for _, mediaType := range m.Files {
				match := base64Data.FindSubmatch(recorded.Body)
				require.NotNil(t, match)
				data, err := base64.StdEncoding.DecodeString(string(match[1]))
				require.NoError(t, err)
				user.Parts = append(user.Parts, aiclient.Image(mediaType, data))
			}
			req.Messages = append(req.Messages, user)
		}
	}
	for _, tl := range recorded.Tools {
		if tl.Name == "web_search" {
			req.WebSearch = &aiclient.WebSearch{}
			continue
		}
		schema := []byte(strings.NewReplacer(`"OBJECT"`, `"object"`, `"INTEGER"`, `"integer"`, `"STRING"`, `"string"`).Replace(string(tl.Schema)))
		req.Tools = append(req.Tools, tool.Tool{Name: tl.Name, Description: tl.Description, Schema: schema})
	}
	var body object
	require.NoError(t, json.Unmarshal(recorded.Body, &body))
	req.MaxTokens = max(num(body, "max_tokens"), num(body, "max_completion_tokens"), num(body, "max_output_tokens"),
		num(body, "generationConfig", "maxOutputTokens"))
	req.Reasoning.Effort = str(body, "reasoning_effort")
	req.Reasoning.Budget = max(num(body, "thinking", "budget_tokens"), num(body, "generationConfig", "thinkingConfig", "thinkingBudget"))
	if schema := at(body, "response_format", "json_schema", "schema"); schema != nil {
		raw, err := json.Marshal(schema)
		require.NoError(t, err)
		req.Output = &aiclient.OutputFormat{Name: str(body, "response_format", "json_schema", "name"), Schema: raw}
	}
	return req
}

// sameMeaning compares what two requests say to the model.
func sameMeaning(path string) func(recorded, got []byte) error {
	return func(recorded, got []byte) error {
		want, err := aitest.Decode(path, recorded)
		if err != nil {
			return fmt.Errorf("the recorded request: %w", err)
		}
		have, err := aitest.Decode(path, got)
		if err != nil {
			return err
		}
		if want.Model != have.Model || want.Stream != have.Stream {
			return fmt.Errorf("model or streaming differs: %s %t, recorded %s %t", have.Model, have.Stream, want.Model, want.Stream)
		}
		if a, b := meaning(want), meaning(have); !reflect.DeepEqual(a, b) {
			return fmt.Errorf("the request differs:\n got      %s\n recorded %s", b, a)
		}
		return nil
	}
}

func meaning(r aitest.Request) []string {
	var lines []string
	ids := map[string]int{}
	id := func(s string) int {
		if _, ok := ids[s]; !ok {
			ids[s] = len(ids) + 1
		}
		return ids[s]
	}
	for _, m := range r.Messages {
		line := fmt.Sprintf("%s %q %q %q %v", m.Role, m.Text, m.Reasoning, m.Signature, m.Files)
		for _, c := range m.ToolCalls {
			line += fmt.Sprintf(" call %d %s(%s)", id(c.ID), c.Name, canonical(c.Arguments))
		}
		if m.Role == "tool" {
			line += fmt.Sprintf(" of call %d", id(m.ToolCallID))
		}
		lines = append(lines, line)
	}
	for _, tl := range r.Tools {
		lines = append(lines, fmt.Sprintf("tool %s %q %s", tl.Name, tl.Description, canonical(strings.ToLower(string(tl.Schema)))))
	}
	return lines
}

func canonical(text string) string {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	data, _ := json.Marshal(v)
	return string(data)
}

// TestEveryRecordingReplays sends, through our adapters, the requests of every
// recording and checks that they mean what was recorded and that we read the
// response as it is.
func TestEveryRecordingReplays(t *testing.T) {
	streamed, whole := 0, 0
	for _, name := range recordings(t) {
		t.Run(strings.TrimPrefix(name, "testdata/"), func(t *testing.T) {
			c, err := cassette.Load(name)
			require.NoError(t, err)
			path := c.Interactions[0].URL.Path
			server := cassette.NewServer(c, cassette.Options{Compare: sameMeaning(path)})
			defer server.Close()
			first, err := aitest.Decode(path, c.Interactions[0].RequestBody)
			require.NoError(t, err)
			chat := chatFor(t, server, path, first.Model)
			req := requestOf(t, first)

			for i, in := range c.Interactions {
				recorded, err := aitest.Decode(path, in.RequestBody)
				require.NoError(t, err)
				if i > 0 { // our own reply is there; what was recorded after it follows
					addTurn(t, req, recorded)
				}
				var resp *aiclient.Response
				if recorded.Stream {
					streamed++
					resp, err = aiclient.Collect(chat.Stream(t.Context(), req))
				} else {
					whole++
					resp, err = chat.Generate(t.Context(), req)
				}
				require.NoError(t, err)
				want := expect(t, recorded.Format, in.ResponseBody)
				check(t, want, resp)
				req.Messages = append(req.Messages, resp.Message)
			}
			require.NoError(t, server.Err())
			assert.Zero(t, server.Left())
		})
	}
	assert.Equal(t, 54, streamed)
	assert.Equal(t, 53, whole)
}

func check(t *testing.T, want expectation, got *aiclient.Response) {
	t.Helper()
	assert.Equal(t, want.text, got.Text())
	assert.Equal(t, want.reasoning, got.Message.Reasoning())
	assert.Equal(t, want.usage, got.Usage)
	assert.Equal(t, want.finish, got.Reason)
	assert.Equal(t, want.model, got.Model)
	assert.NotEmpty(t, got.ID)
	assert.Len(t, got.Sources(), want.citations)
	calls := got.Calls()
	require.Len(t, calls, len(want.calls))
	for i, call := range calls {
		assert.Equal(t, want.calls[i].Name, call.Name)
		assert.JSONEq(t, want.calls[i].Arguments, call.Arguments)
		if want.calls[i].ID != "" {
			assert.Equal(t, want.calls[i].ID, call.ID)
		}
		assert.NotEmpty(t, call.ID)
	}

	// What was read survives a round trip through JSON.
	data, err := json.Marshal(got.Message)
	require.NoError(t, err)
	var back aiclient.Message
	require.NoError(t, json.Unmarshal(data, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	assert.JSONEq(t, string(data), string(again))
}

func addTurn(t *testing.T, req *aiclient.Request, recorded aitest.Request) {
	t.Helper()
	calls := req.Messages[len(req.Messages)-1].Calls()
	results := recorded.ToolResults()
	if len(results) == 0 {
		req.Messages = append(req.Messages, aiclient.User(recorded.LastUser()))
		return
	}
	require.Len(t, results, len(calls))
	var out []aiclient.ToolResult
	for i, r := range results {
		out = append(out, aiclient.ToolResult{CallID: calls[i].ID, Name: calls[i].Name, Text: r.Text})
	}
	req.Messages = append(req.Messages, aiclient.ToolResults(out...))
}
