package aiclient_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// TestValidateExplains checks that a request that cannot be sent is refused with
// what is wrong, and that the same rules let a good one through.
func TestValidateExplains(t *testing.T) {
	call := aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "f"})
	image := aiclient.Image("image/png", []byte("0123456789"))
	with := func(m ...aiclient.Message) aiclient.Request {
		return aiclient.Request{Messages: append([]aiclient.Message{aiclient.User("hi")}, m...)}
	}
	set := func(change func(r *aiclient.Request)) aiclient.Request {
		r := with()
		change(&r)
		return r
	}
	for name, test := range map[string]struct {
		req   aiclient.Request
		rules aiclient.Rules
		want  string // empty means that the request is good
	}{
		"nothing":                   {aiclient.Request{}, aiclient.Rules{}, "there are no messages"},
		"a good one":                {with(aiclient.Assistant(call), aiclient.ToolResults(aiclient.ToolResult{CallID: "1"})), aiclient.Rules{}, ""},
		"the model begins":          {aiclient.Request{Messages: []aiclient.Message{aiclient.Assistant(aiclient.Text("x"))}}, aiclient.Rules{}, "speaks before the user"},
		"unknown role":              {with(aiclient.Message{Role: "critic"}), aiclient.Rules{}, `unknown role "critic"`},
		"call without result":       {with(aiclient.Assistant(call)), aiclient.Rules{}, "have no results"},
		"call, then the user":       {with(aiclient.Assistant(call), aiclient.User("x")), aiclient.Rules{}, "have no results"},
		"result of another call":    {with(aiclient.Assistant(call), aiclient.ToolResults(aiclient.ToolResult{CallID: "2"})), aiclient.Rules{}, `result of "2", which was not called`},
		"two results":               {with(aiclient.Assistant(call), aiclient.ToolResults(aiclient.ToolResult{CallID: "1"}, aiclient.ToolResult{CallID: "1"})), aiclient.Rules{}, "has 2 results"},
		"result without a call":     {with(aiclient.ToolResults(aiclient.ToolResult{CallID: "1"})), aiclient.Rules{}, "without calls before"},
		"call without an ID":        {with(aiclient.Assistant(aiclient.ToolCallPart(aiclient.ToolCall{Name: "f"})), aiclient.ToolResults(aiclient.ToolResult{})), aiclient.Rules{}, "without an ID"},
		"part out of place":         {with(aiclient.User("x", call)), aiclient.Rules{}, "has no place in a message of role"},
		"delta in a message":        {with(aiclient.User("x", aiclient.Part{Kind: aiclient.KindToolCallDelta})), aiclient.Rules{}, "has no place"},
		"file without anything":     {with(aiclient.User("x", aiclient.Part{Kind: aiclient.KindFile, File: &aiclient.File{MediaType: "image/png"}})), aiclient.Rules{}, "exactly one of Data, URL and ID, this has 0"},
		"file of no type":           {with(aiclient.User("x", aiclient.Image("", []byte("x")))), aiclient.Rules{}, "without a media type"},
		"image":                     {with(aiclient.User("x", image)), aiclient.Rules{Media: []string{"image/*"}, MaxFile: 10}, ""},
		"image too large":           {with(aiclient.User("x", image)), aiclient.Rules{MaxFile: 9}, "10 bytes; at most 9"},
		"image for a model of text": {with(aiclient.User("x", image)), aiclient.ModelSpec{Provider: "p", ID: "m", Input: []string{}}.Rules(), "cannot be sent to p:m: message 1, part 1: a file of type image/png; accepted are: none"},
		"image in a result":         {with(aiclient.Assistant(call), aiclient.ToolResults(aiclient.ToolResult{CallID: "1", Files: []aiclient.File{*image.File}})), aiclient.Rules{Media: []string{"audio/*"}}, ""},
		"no file from the model":    {with(aiclient.Assistant(aiclient.Part{Kind: aiclient.KindFile, File: &aiclient.File{MediaType: "image/png"}})), aiclient.Rules{}, "exactly one of Data, URL and ID"},
		"no image in a result":      {with(aiclient.Assistant(call), aiclient.ToolResults(aiclient.ToolResult{CallID: "1", Files: []aiclient.File{{}}})), aiclient.Rules{}, "exactly one of Data, URL and ID"},
		"file by URL":               {with(aiclient.User("x", aiclient.FileURL("image/png", "https://example.com/a"))), aiclient.Rules{URLs: []string{"audio/*"}}, "a file of type image/png by URL; give its bytes"},
		"silence":                   {aiclient.Request{Messages: []aiclient.Message{aiclient.User(" "), {Role: aiclient.RoleUser}}}, aiclient.Rules{}, "the user says nothing"},
		"tools":                     {set(func(r *aiclient.Request) { r.Tools = []tool.Tool{echo()} }), aiclient.Rules{MaxTools: 1}, ""},
		"no tools":                  {set(func(r *aiclient.Request) { r.Tools = []tool.Tool{echo()} }), aiclient.ModelSpec{NoTools: true}.Rules(), "tools are not supported"},
		"too many tools":            {set(func(r *aiclient.Request) { r.Tools = []tool.Tool{echo(), {Name: "b"}} }), aiclient.Rules{MaxTools: 1}, "2 tools; at most 1"},
		"two tools of a name":       {set(func(r *aiclient.Request) { r.Tools = []tool.Tool{echo(), echo()} }), aiclient.Rules{}, `two tools are named "echo"`},
		"a name for a tool":         {set(func(r *aiclient.Request) { r.Tools = []tool.Tool{{Name: "a b"}} }), aiclient.Rules{}, `tool name "a b"`},
		"a schema":                  {set(func(r *aiclient.Request) { r.Tools = []tool.Tool{{Name: "a", Schema: json.RawMessage("[1]")}} }), aiclient.Rules{}, "its schema is not a JSON object"},
		"choice of a missing tool":  {set(func(r *aiclient.Request) { r.ToolChoice = aiclient.UseTool("a") }), aiclient.Rules{}, "not among the tools"},
		"choice of no tool at all":  {set(func(r *aiclient.Request) { r.ToolChoice = aiclient.ToolRequired }), aiclient.Rules{}, "there are no tools"},
		"unknown choice":            {set(func(r *aiclient.Request) { r.ToolChoice = "perhaps" }), aiclient.Rules{}, "unknown tool choice"},
		"hot":                       {set(func(r *aiclient.Request) { r.Temperature = new(1.5) }), aiclient.Rules{}, ""},
		"too hot":                   {set(func(r *aiclient.Request) { r.Temperature = new(1.5) }), aiclient.Rules{MaxTemperature: 1}, "temperature is 1.5; it must be from 0 to 1"},
		"no sampling":               {set(func(r *aiclient.Request) { r.TopP = new(0.5) }), aiclient.Rules{NoSampling: true}, "cannot be set"},
		"top-k":                     {set(func(r *aiclient.Request) { r.TopK = new(int64(0)) }), aiclient.Rules{}, "top-k is 0"},
		"penalty":                   {set(func(r *aiclient.Request) { r.PresencePenalty = new(3.0) }), aiclient.Rules{}, "presence penalty is 3"},
		"too long a reply":          {set(func(r *aiclient.Request) { r.MaxTokens = 9 }), aiclient.ModelSpec{MaxOutput: 8}.Rules(), "max tokens is 9; it must be at most 8"},
		"a negative bound":          {set(func(r *aiclient.Request) { r.MaxTokens = -1 }), aiclient.Rules{}, "max tokens is -1"},
		"stop texts":                {set(func(r *aiclient.Request) { r.Stop = []string{"a", "b"} }), aiclient.Rules{MaxStop: 1}, "2 stop texts; at most 1"},
		"reasoning":                 {set(func(r *aiclient.Request) { r.Reasoning.Effort = "low" }), aiclient.Rules{NoReasoning: true}, "reasoning settings"},
		"output":                    {set(func(r *aiclient.Request) { r.Output = &aiclient.OutputFormat{} }), aiclient.Rules{NoOutput: true}, "structured output"},
		"name of the output":        {set(func(r *aiclient.Request) { r.Output = &aiclient.OutputFormat{Name: "my output"} }), aiclient.Rules{}, `the output: tool name "my output"`},
		"options":                   {set(func(r *aiclient.Request) { r.Options = map[string]json.RawMessage{"p": json.RawMessage("1")} }), aiclient.Rules{}, "options for p are not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			err := aiclient.Validate(&test.req, test.rules)
			if test.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, test.want)
			}
		})
	}
}

// strictChat is a Chat with rules.
type strictChat struct{ aiclient.Chat }

func (strictChat) Rules() aiclient.Rules { return aiclient.Rules{Name: "strict", NoTools: true} }

func TestRulesGoThroughMiddleware(t *testing.T) {
	strict := strictChat{replies()}
	var monitor aiclient.Monitor
	chat := aiclient.Wrap(strict, aiclient.WithRetry(aiclient.RetryOptions{}), monitor.Middleware, aiclient.WithLogging(nil),
		aiclient.WithCache(1), aiclient.WithRateLimit(aiclient.RateLimit{}), aiclient.WithTimeout(aiclient.Timeouts{Total: time.Minute}),
		aiclient.WithSpec(aiclient.ModelSpec{Provider: "p", ID: "m", MaxOutput: 7}), aiclient.WithFeatures(aiclient.Features{"seed": "1"}), aiclient.WithoutStreaming())
	want := aiclient.Rules{Name: "p:m", NoTools: true, MaxTokens: 7}
	assert.Equal(t, want, aiclient.RulesOf(chat), "what the provider forbids and what the model does")
	assert.Equal(t, want, aiclient.RulesOf(aiclient.Fallback(aiclient.RouteOptions{}, chat, replies())))
	assert.Zero(t, aiclient.RulesOf(replies()))

	req := hello()
	req.Tools = []tool.Tool{echo()}
	_, err := aiclient.Wrap(chat, aiclient.WithValidation(aiclient.Rules{})).Generate(t.Context(), req)
	require.ErrorIs(t, err, aiclient.ClassBadRequest)
	assert.ErrorContains(t, err, "cannot be sent to p:m: tools are not supported")
}
