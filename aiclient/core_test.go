package aiclient_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts is a stream of the given parts that ends with err, if any.
func parts(err error, list ...aiclient.Part) func(func(aiclient.Part, error) bool) {
	return func(yield func(aiclient.Part, error) bool) {
		for _, p := range list {
			if !yield(p, nil) {
				return
			}
		}
		if err != nil {
			yield(aiclient.Part{}, err)
		}
	}
}

func finish(reason aiclient.FinishReason) aiclient.Part {
	return aiclient.Part{Kind: aiclient.KindFinish, Finish: &aiclient.Finish{
		Reason: reason, Usage: aiclient.Usage{Input: 10, Output: 5},
	}}
}

func TestCollect(t *testing.T) {
	text := func(s string) aiclient.Part { return aiclient.Text(s) }
	at := func(i int32, p aiclient.Part) aiclient.Part { p.Index = i; return p }
	start := func(i int32, id, name string) aiclient.Part {
		return aiclient.Part{Kind: aiclient.KindToolCallStart, Index: i, Call: &aiclient.ToolCall{ID: id, Name: name}}
	}
	args := func(i int32, s string) aiclient.Part {
		return aiclient.Part{Kind: aiclient.KindToolCallDelta, Index: i, Text: s}
	}
	call := func(id, name, args string) aiclient.Part {
		return aiclient.ToolCallPart(aiclient.ToolCall{ID: id, Name: name, Arguments: args})
	}
	signature := aiclient.NewProviderData("acme", map[string]string{"signature": "s1"})

	for name, test := range map[string]struct {
		stream []aiclient.Part
		want   []aiclient.Part
	}{
		"nothing":          {nil, []aiclient.Part{}},
		"text is joined":   {[]aiclient.Part{text("a"), text("b"), text("c")}, []aiclient.Part{text("abc")}},
		"empty text":       {[]aiclient.Part{text(""), text("")}, []aiclient.Part{}},
		"blocks by index":  {[]aiclient.Part{at(1, text("a")), at(2, text("b")), at(1, text("c"))}, []aiclient.Part{text("ac"), text("b")}},
		"text after calls": {[]aiclient.Part{text("a"), call("1", "x", "{}"), text("b")}, []aiclient.Part{text("a"), call("1", "x", "{}"), text("b")}},
		"signature in a delta of its own": {
			[]aiclient.Part{aiclient.Reasoning("hm"), {Kind: aiclient.KindReasoning, Provider: signature}, text("a")},
			[]aiclient.Part{{Kind: aiclient.KindReasoning, Text: "hm", Provider: signature}, text("a")},
		},
		"signature alone": {
			[]aiclient.Part{{Kind: aiclient.KindReasoning, Provider: signature}},
			[]aiclient.Part{{Kind: aiclient.KindReasoning, Provider: signature}},
		},
		"calls in pieces": {
			[]aiclient.Part{start(0, "c1", "read"), args(0, `{"p`), start(1, "c2", "write"), args(1, `{}`), args(0, `":1}`)},
			[]aiclient.Part{call("c1", "read", `{"p":1}`), call("c2", "write", `{}`)},
		},
		"calls by ID without index": {
			[]aiclient.Part{start(0, "c1", "read"), args(0, `{}`), start(0, "c2", "read"), args(0, `{"a":2}`)},
			[]aiclient.Part{call("c1", "read", `{}`), call("c2", "read", `{"a":2}`)},
		},
		"whole call replaces its pieces": {
			[]aiclient.Part{start(3, "c1", "read"), args(3, `{"p"`), at(3, call("c1", "read", `{"p":1}`))},
			[]aiclient.Part{call("c1", "read", `{"p":1}`)},
		},
		"call without arguments": {
			[]aiclient.Part{start(0, "c1", "now")},
			[]aiclient.Part{call("c1", "now", "")},
		},
		"malformed arguments are kept": {
			[]aiclient.Part{start(0, "c1", "now"), args(0, `{"a":`)},
			[]aiclient.Part{call("c1", "now", `{"a":`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := aiclient.Collect(parts(nil, append(test.stream, finish(aiclient.FinishStop))...))
			require.NoError(t, err)
			assert.Equal(t, test.want, got.Message.Parts)
			assert.Equal(t, aiclient.FinishStop, got.Reason)
			assert.Equal(t, aiclient.RoleAssistant, got.Message.Role)
			assert.Positive(t, got.Timing.Total)
		})
	}
}

func TestCollectOfABrokenStream(t *testing.T) {
	got, err := aiclient.Collect(parts(io.ErrUnexpectedEOF, aiclient.Text("half")))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "half", got.Text(), "what had arrived is not lost")

	got, err = aiclient.Collect(parts(nil, aiclient.Text("half")))
	require.ErrorIs(t, err, aiclient.ClassTruncated)
	assert.Equal(t, "half", got.Text())
	assert.Empty(t, got.Reason)
}

func TestMessageJSONKeepsEverything(t *testing.T) {
	data := aiclient.NewProviderData("acme", map[string]any{"signature": "a<b>&c", "n": 12345678901234567})
	messages := []aiclient.Message{
		aiclient.System("be brief"),
		aiclient.User("look <here> & \u2028there", aiclient.Image("image/png", []byte{0, 1, 255}), aiclient.FileURL("application/pdf", "https://x.test/a?b=1&c=2")),
		{Role: aiclient.RoleAssistant, Interrupted: true, Cache: aiclient.CacheLong, Provider: data, Parts: []aiclient.Part{
			{Kind: aiclient.KindReasoning, Text: "hm", Provider: data},
			aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "x", Arguments: `{"broken": `}),
			{Kind: aiclient.KindSource, Source: &aiclient.Source{URL: "https://x.test", Title: "t", Text: "p", Start: 1, End: 4}},
			{Kind: aiclient.KindOpaque, Provider: data},
		}},
		aiclient.ToolResults(aiclient.ToolResult{CallID: "1", Name: "x", Text: "no", IsError: true, Files: []aiclient.File{{MediaType: "image/png", Data: []byte("x")}}}),
	}
	raw, err := json.Marshal(messages)
	require.NoError(t, err)
	var got []aiclient.Message
	require.NoError(t, json.Unmarshal(raw, &got))
	again, err := json.Marshal(got)
	require.NoError(t, err)
	assert.Equal(t, string(raw), string(again))
	assert.Equal(t, `{"broken": `, got[2].Parts[1].Call.Arguments)
	var signature struct{ Signature string }
	assert.True(t, got[2].Parts[0].Provider.For("acme", &signature))
	assert.Equal(t, "a<b>&c", signature.Signature)
	assert.False(t, got[2].Parts[0].Provider.For("other", &signature), "another provider never sees it")
}

func TestCallInput(t *testing.T) {
	for args, want := range map[string]string{
		"":          `{}`,
		" null ":    `{}`,
		` {"a":1} `: `{"a":1}`,
		`{"a":`:     `{"malformed_arguments":"{\"a\":"}`,
		`[1]`:       `{"malformed_arguments":"[1]"}`,
		"{\"\xff\"": "{\"malformed_arguments\":\"{\\\"\\ufffd\\\"\"}",
	} {
		call := aiclient.ToolCall{Arguments: args}
		assert.Equal(t, want, string(call.Input()), "%q", args)
	}
}

func TestAPIError(t *testing.T) {
	err := fmt.Errorf("step 3: %w", &aiclient.APIError{
		Provider: "acme", Model: "m1", Class: aiclient.ClassRateLimit, Status: 429, Code: "slow_down",
		Message: "too many requests", RequestID: "r-1", RetryAfter: 3 * time.Second, Err: io.EOF,
	})
	assert.EqualError(t, err, "step 3: acme:m1: rate-limit (HTTP 429, slow_down): too many requests: EOF [request r-1]; retry after 3s")
	assert.ErrorIs(t, err, aiclient.ClassRateLimit)
	assert.NotErrorIs(t, err, aiclient.ClassAuth)
	assert.ErrorIs(t, err, io.EOF)
	assert.Equal(t, aiclient.ClassRateLimit, aiclient.ClassOf(err))
	assert.True(t, aiclient.ClassOf(err).Retryable())
	assert.Empty(t, aiclient.ClassOf(errors.New("other")))
}

func TestPriceAndUsage(t *testing.T) {
	price := aiclient.Price{Input: 3, CachedRead: 0.3, Output: 15}
	usage := aiclient.Usage{Input: 1_000_000, CachedRead: 1_000_000, CacheWrite: 1_000_000, Output: 1_000_000, Reasoning: 500_000}
	assert.InDelta(t, 3+0.3+3+15, price.Cost(usage), 1e-9)
	assert.EqualValues(t, 4_000_000, usage.Total())
	assert.EqualValues(t, 3_000_000, usage.Prompt())
}
