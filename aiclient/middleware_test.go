package aiclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func hello() *aiclient.Request {
	return &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hello")}}
}

func apiError(class aiclient.Class) *aiclient.APIError {
	return &aiclient.APIError{Provider: "script", Class: class}
}

// flaky fails n times with err, after the given parts, and then answers.
func flaky(n int, err error, first ...aiclient.Part) *script {
	return &script{reply: func(_ context.Context, i int, _ *aiclient.Request) ([]aiclient.Part, error) {
		if i < n {
			return first, err
		}
		return says("ok"), nil
	}}
}

func TestRetry(t *testing.T) {
	slow := apiError(aiclient.ClassRateLimit)
	slow.RetryAfter = 20 * time.Second
	for name, test := range map[string]struct {
		chat     *script
		requests int
		min, max time.Duration
		fails    bool
	}{
		"network":              {flaky(2, apiError(aiclient.ClassNetwork)), 3, 1125 * time.Millisecond, 1500 * time.Millisecond, false},
		"retry-after":          {flaky(1, slow), 2, 20 * time.Second, 20 * time.Second, false},
		"for ever":             {flaky(99, apiError(aiclient.ClassOverloaded)), 4, 0, 4 * time.Second, true},
		"auth":                 {flaky(1, apiError(aiclient.ClassAuth)), 1, 0, 0, true},
		"another error":        {flaky(1, errors.New("no")), 1, 0, 0, true},
		"after the first part": {flaky(1, apiError(aiclient.ClassNetwork), aiclient.Text("half")), 1, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r, err := aiclient.Collect(aiclient.Wrap(test.chat, aiclient.WithRetry(aiclient.RetryOptions{})).Stream(t.Context(), hello()))
				assert.Equal(t, test.fails, err != nil)
				assert.Len(t, test.chat.requests, test.requests)
				took := time.Since(began)
				assert.True(t, took >= test.min && took <= test.max, "%s", took)
				assert.NotContains(t, r.Text(), "halfok")
			})
		})
	}
	t.Run("the deadline is kept", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			_, err := aiclient.Wrap(flaky(1, slow), aiclient.WithRetry(aiclient.RetryOptions{})).Generate(ctx, hello())
			require.ErrorIs(t, err, aiclient.ClassRateLimit)
			assert.Zero(t, time.Since(began), "a wait that cannot end in time is not begun")
		})
	})
	t.Run("cancel while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(errors.New("ctrl-c")) })
			began := time.Now()
			_, err := aiclient.Wrap(flaky(1, slow), aiclient.WithRetry(aiclient.RetryOptions{})).Generate(ctx, hello())
			require.ErrorIs(t, err, aiclient.ClassRateLimit)
			require.ErrorIs(t, err, context.Canceled, "the caller must see what ended the wait")
			require.ErrorContains(t, err, "ctrl-c")
			assert.Equal(t, time.Second, time.Since(began))
		})
	})
	t.Run("a day is too long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			daily := apiError(aiclient.ClassRateLimit)
			daily.RetryAfter = 24 * time.Hour
			began := time.Now()
			chat := aiclient.Wrap(flaky(1, daily), aiclient.WithRetry(aiclient.RetryOptions{}))
			_, err := chat.Generate(t.Context(), hello())
			require.ErrorIs(t, err, aiclient.ClassRateLimit)
			assert.Zero(t, time.Since(began))
			chat = aiclient.Wrap(flaky(1, daily), aiclient.WithRetry(aiclient.RetryOptions{MaxDelay: 24 * time.Hour}))
			_, err = chat.Generate(t.Context(), hello())
			require.NoError(t, err)
			assert.Equal(t, 24*time.Hour, time.Since(began), "unless the program says so")
		})
	})
}

func TestManyLongRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat := aiclient.Wrap(flaky(29, apiError(aiclient.ClassServer)), aiclient.WithRetry(aiclient.RetryOptions{Attempts: 30, Delay: 3 * time.Hour, MaxDelay: 3 * time.Hour}))
		_, err := chat.Generate(t.Context(), hello())
		require.NoError(t, err)
	})
}

func TestWithFallback(t *testing.T) {
	chat := aiclient.Wrap(flaky(9, apiError(aiclient.ClassAuth)), aiclient.WithFallback(aiclient.RouteOptions{}, flaky(9, apiError(aiclient.ClassQuota)), replies(says("third"))))
	for range 2 { // also when the first two are passed over
		reply, err := chat.Generate(t.Context(), hello())
		require.NoError(t, err)
		assert.NotEmpty(t, reply.Text())
	}
}

func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := flaky(1, apiError(aiclient.ClassOverloaded)), replies()
		var switches []error
		chat := aiclient.Fallback(aiclient.RouteOptions{OnSwitch: func(_ context.Context, _, _ aiclient.Model, err error) { switches = append(switches, err) }}, first, second)
		for range 2 {
			r, err := chat.Generate(t.Context(), hello())
			require.NoError(t, err)
			assert.Equal(t, "done", r.Text())
		}
		assert.Len(t, first.requests, 1, "the one that failed is passed over")
		require.Len(t, switches, 1)
		require.ErrorIs(t, switches[0], aiclient.ClassOverloaded)
		time.Sleep(31 * time.Second)
		r, err := chat.Generate(t.Context(), hello())
		require.NoError(t, err)
		assert.Equal(t, "ok", r.Text(), "and comes back")

		broken := flaky(9, io.ErrUnexpectedEOF, aiclient.Text("half"))
		r, err = aiclient.Collect(aiclient.Fallback(aiclient.RouteOptions{}, broken, second).Stream(t.Context(), hello()))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, "half", r.Text(), "never after the first part")

		_, err = aiclient.Fallback(aiclient.RouteOptions{}, flaky(9, apiError(aiclient.ClassAuth)), flaky(9, io.ErrUnexpectedEOF)).Generate(t.Context(), hello())
		require.ErrorIs(t, err, aiclient.ClassAuth)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)

		_, err = aiclient.Fallback(aiclient.RouteOptions{}, flaky(9, apiError(aiclient.ClassContentFilter)), second).Generate(t.Context(), hello())
		require.ErrorIs(t, err, aiclient.ClassContentFilter)
	})
}

func TestBalance(t *testing.T) {
	a, b, c := replies(), replies(), flaky(1, apiError(aiclient.ClassServer))
	chat := aiclient.Balance(aiclient.RouteOptions{}, a, b, c)
	for range 12 {
		_, err := chat.Generate(t.Context(), hello())
		require.NoError(t, err)
	}
	assert.Len(t, c.requests, 1)
	assert.Equal(t, 12, len(a.requests)+len(b.requests))
	assert.InDelta(t, 6, len(a.requests), 3)
}

// TestBalanceAfterPanics has readers that panic. The Chat that they read is not
// taken to be busy for ever.
func TestBalanceAfterPanics(t *testing.T) {
	a, b := replies(), replies()
	chat := aiclient.Balance(aiclient.RouteOptions{}, a, b)
	assert.Panics(t, func() {
		for range chat.Stream(t.Context(), hello()) {
			panic("reader")
		}
	})
	for range 10 {
		_, err := chat.Generate(t.Context(), hello())
		require.NoError(t, err)
	}
	assert.InDelta(t, len(a.requests), len(b.requests), 2)
}

// slowChat answers after a delay and notices when it is cancelled.
type slowChat struct {
	script
	delay     time.Duration
	err       error
	cancelled atomic.Int64
	started   atomic.Int64
}

func (s *slowChat) Stream(ctx context.Context, _ *aiclient.Request) iter.Seq2[aiclient.Part, error] {
	return func(yield func(aiclient.Part, error) bool) {
		s.started.Add(1)
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			s.cancelled.Add(1)
			yield(aiclient.Part{}, context.Cause(ctx))
			return
		}
		if s.err != nil {
			yield(aiclient.Part{}, s.err)
			return
		}
		if yield(aiclient.Text(s.delay.String()), nil) {
			yield(finish(aiclient.FinishStop), nil)
		}
	}
}

func TestHedge(t *testing.T) {
	for name, test := range map[string]struct {
		chats     []*slowChat
		want      string
		took      time.Duration
		started   []int64
		cancelled []int64
	}{
		"the first is quick":  {[]*slowChat{{delay: 10 * time.Millisecond}, {}}, "10ms", 10 * time.Millisecond, []int64{1, 0}, []int64{0, 0}},
		"the second is":       {[]*slowChat{{delay: time.Minute}, {delay: time.Second}}, "1s", 2 * time.Second, []int64{1, 1}, []int64{1, 0}},
		"the first after all": {[]*slowChat{{delay: 1500 * time.Millisecond}, {delay: time.Minute}}, "1.5s", 1500 * time.Millisecond, []int64{1, 1}, []int64{0, 1}},
		"the first fails":     {[]*slowChat{{delay: 10 * time.Millisecond, err: io.EOF}, {delay: time.Second}}, "1s", 1010 * time.Millisecond, []int64{1, 1}, []int64{0, 0}},
		"all fail":            {[]*slowChat{{err: io.EOF}, {err: io.EOF}}, "", 0, []int64{1, 1}, []int64{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var chats []aiclient.Chat
				for _, c := range test.chats {
					chats = append(chats, c)
				}
				began := time.Now()
				r, err := aiclient.Hedge(time.Second, aiclient.RouteOptions{}, chats...).Generate(t.Context(), hello())
				assert.Equal(t, test.took, time.Since(began))
				if test.want == "" {
					require.ErrorIs(t, err, io.EOF)
				} else {
					require.NoError(t, err)
					assert.Equal(t, test.want, r.Text())
				}
				synctest.Wait()
				for i, c := range test.chats {
					assert.Equal(t, test.started[i], c.started.Load())
					assert.Equal(t, test.cancelled[i], c.cancelled.Load())
				}
			})
		})
	}
	t.Run("abandoned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(1500*time.Millisecond, cancel)
			a, b := &slowChat{delay: time.Hour}, &slowChat{delay: time.Hour}
			_, err := aiclient.Hedge(time.Second, aiclient.RouteOptions{}, a, b).Generate(ctx, hello())
			require.ErrorIs(t, err, context.Canceled)
			synctest.Wait()
			assert.EqualValues(t, 2, a.cancelled.Load()+b.cancelled.Load())
		})
	})
	t.Run("the reader stops", func(t *testing.T) {
		for range aiclient.Hedge(time.Second, aiclient.RouteOptions{}, &slowChat{}).Stream(t.Context(), hello()) {
			break
		}
	})
}

// TestHedgeOfAChatThatPanics lets the caller recover, as it can without a hedge.
func TestHedgeOfAChatThatPanics(t *testing.T) {
	broken := aiclient.ChatFunc{Func: func(context.Context, *aiclient.Request) iter.Seq2[aiclient.Part, error] {
		return func(func(aiclient.Part, error) bool) { panic("broken") }
	}}
	unmade := aiclient.ChatFunc{Func: func(context.Context, *aiclient.Request) iter.Seq2[aiclient.Part, error] { panic("unmade") }}
	synctest.Test(t, func(t *testing.T) {
		slow := &slowChat{delay: time.Minute}
		require.PanicsWithValue(t, "broken", func() {
			_, _ = aiclient.Hedge(time.Second, aiclient.RouteOptions{}, slow, broken).Generate(t.Context(), hello())
		})
		require.PanicsWithValue(t, "unmade", func() {
			_, _ = aiclient.Hedge(time.Second, aiclient.RouteOptions{}, unmade, slow).Generate(t.Context(), hello())
		})
	})
}

func TestTimeouts(t *testing.T) {
	stream := func(first, gap time.Duration) aiclient.Chat {
		return aiclient.ChatFunc{Name: aiclient.Model{Provider: "p", ID: "m"}, Func: func(ctx context.Context, _ *aiclient.Request) iter.Seq2[aiclient.Part, error] {
			return func(yield func(aiclient.Part, error) bool) {
				for i := range 5 {
					wait := gap
					if i == 0 {
						wait = first
					}
					select {
					case <-time.After(wait):
					case <-ctx.Done():
						yield(aiclient.Part{}, ctx.Err())
						return
					}
					if !yield(aiclient.Text("x"), nil) {
						return
					}
				}
				yield(finish(aiclient.FinishStop), nil)
			}
		}}
	}
	limits := aiclient.Timeouts{FirstPart: 5 * time.Second, Idle: 2 * time.Second, Total: 10 * time.Second}
	for name, test := range map[string]struct {
		chat aiclient.Chat
		want string
		took time.Duration
	}{
		"in time":    {stream(4*time.Second, time.Second), "", 8 * time.Second},
		"first part": {stream(6*time.Second, 0), "the first part took longer than 5s", 5 * time.Second},
		"idle":       {stream(time.Second, 3*time.Second), "the next part took longer than 2s", 3 * time.Second},
		"total":      {stream(4*time.Second, 1900*time.Millisecond), "the reply took longer than 10s", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := aiclient.Wrap(test.chat, aiclient.WithTimeout(limits)).Generate(t.Context(), hello())
				assert.Equal(t, test.took, time.Since(began))
				if test.want == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, aiclient.ClassTimeout)
				require.ErrorContains(t, err, test.want)
			})
		})
	}
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat := aiclient.Wrap(replies(), aiclient.WithRateLimit(aiclient.RateLimit{Requests: 60}))
		began := time.Now()
		for range 65 {
			_, err := chat.Generate(t.Context(), hello())
			require.NoError(t, err)
		}
		assert.InDelta(t, 5, time.Since(began).Seconds(), 0.01)

		chat = aiclient.Wrap(replies(), aiclient.WithRateLimit(aiclient.RateLimit{Tokens: 60}))
		began = time.Now()
		for range 5 { // 15 tokens each
			_, err := chat.Generate(t.Context(), hello())
			require.NoError(t, err)
		}
		took := time.Since(began).Seconds()
		assert.True(t, took > 3 && took < 30, "%v", took)

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := chat.Generate(ctx, hello())
		require.ErrorIs(t, err, aiclient.ClassRateLimit)

		chat = aiclient.Wrap(replies(), aiclient.WithRateLimit(aiclient.RateLimit{Tokens: 60}))
		long := hello()
		long.MaxTokens = 600
		began = time.Now()
		_, err = chat.Generate(t.Context(), long)
		require.NoError(t, err)
		assert.Zero(t, time.Since(began), "more than a minute's worth waits for a full bucket and no longer")
	})
}

func TestCache(t *testing.T) {
	chat := replies(says("one"), says("two"), []aiclient.Part{aiclient.Text("cut")}, says("three"))
	cached := aiclient.Wrap(chat, aiclient.WithCache(10))
	for range 3 {
		r, err := cached.Generate(t.Context(), hello())
		require.NoError(t, err)
		assert.Equal(t, "one", r.Text())
	}
	r, err := cached.Generate(t.Context(), hello())
	require.NoError(t, err)
	assert.Zero(t, r.Usage, "what costs nothing counts nothing")
	assert.Len(t, chat.requests, 1)
	other := hello()
	other.Temperature = new(0.0)
	r, err = cached.Generate(t.Context(), other)
	require.NoError(t, err)
	assert.Equal(t, "two", r.Text())
	other.Seed = new(int64(1))
	_, err = cached.Generate(t.Context(), other)
	require.ErrorIs(t, err, aiclient.ClassTruncated)
	r, err = cached.Generate(t.Context(), other)
	require.NoError(t, err)
	assert.Equal(t, "three", r.Text(), "half a reply is not remembered")
}

func TestRecordAndReplay(t *testing.T) {
	var file bytes.Buffer
	chat := aiclient.Wrap(replies(says("a <b> & c"), calls("x", `{"broken`)), aiclient.WithRecording(&file))
	fails := aiclient.Wrap(flaky(1, &aiclient.APIError{Provider: "script", Model: "test", Class: aiclient.ClassRateLimit, Status: 429, Message: "slow"}, aiclient.Text("half")), aiclient.WithRecording(&file))
	one, err := chat.Generate(t.Context(), hello())
	require.NoError(t, err)
	two, err := chat.Generate(t.Context(), hello())
	require.NoError(t, err)
	_, err = fails.Generate(t.Context(), hello())
	require.Error(t, err)

	replay, err := aiclient.Replay(bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, chat.Model(), replay.Model())
	got, err := replay.Generate(t.Context(), hello())
	require.NoError(t, err)
	assert.Equal(t, one.Message, got.Message)
	assert.Equal(t, one.Usage, got.Usage)
	got, err = replay.Generate(t.Context(), hello())
	require.NoError(t, err)
	assert.Equal(t, two.Message, got.Message)
	got, err = replay.Generate(t.Context(), hello())
	require.ErrorIs(t, err, aiclient.ClassRateLimit)
	assert.Equal(t, "half", got.Text())
	_, err = replay.Generate(t.Context(), hello())
	require.ErrorContains(t, err, "request 4, but the recording has 3")

	replay, err = aiclient.Replay(bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	_, err = replay.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hullo")}})
	require.ErrorContains(t, err, "request 1 differs from the recording: line 8:")
	require.ErrorContains(t, err, "-           \"text\": \"hello\"\n+           \"text\": \"hullo\"")
	for _, bad := range []string{"", "{", "\n"} {
		_, err = aiclient.Replay(strings.NewReader(bad))
		require.Error(t, err)
	}
}

func TestLoggingAndValidation(t *testing.T) {
	var log bytes.Buffer
	chat := aiclient.Wrap(flaky(1, apiError(aiclient.ClassServer)), aiclient.WithLogging(slog.New(slog.NewTextHandler(&log, nil))), aiclient.WithValidation(aiclient.Rules{Name: "this model", NoTools: true}))
	_, err := chat.Generate(t.Context(), hello())
	require.Error(t, err)
	_, err = chat.Generate(t.Context(), hello())
	require.NoError(t, err)
	assert.Contains(t, log.String(), "model request failed")
	assert.Contains(t, log.String(), "input=10 output=5")
	assert.NotContains(t, log.String(), "hello", "contents are not logged")
	_, err = chat.Generate(t.Context(), &aiclient.Request{})
	require.ErrorIs(t, err, aiclient.ClassBadRequest)
	require.ErrorContains(t, err, "the request cannot be sent to this model: there are no messages")
}

func TestWithoutStreaming(t *testing.T) {
	second := aiclient.Text("second")
	second.Index = 1
	model := replies([]aiclient.Part{
		aiclient.Reasoning("hm"), aiclient.Text("first"), second,
		aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "echo", Arguments: `{"text":"x"}`}),
		finish(aiclient.FinishToolCalls),
	})
	whole, err := model.Generate(t.Context(), hello())
	require.NoError(t, err)
	require.Len(t, whole.Message.Parts, 4)

	model.requests = nil
	chat := aiclient.Wrap(model, aiclient.WithoutStreaming())
	parts := 0
	for _, err := range chat.Stream(t.Context(), hello()) {
		require.NoError(t, err)
		if parts++; parts == 2 {
			break
		}
	}
	assert.Equal(t, 2, parts, "a consumer may stop")

	model.requests = nil
	again, err := aiclient.Collect(chat.Stream(t.Context(), hello()))
	require.NoError(t, err)
	assert.Equal(t, whole.Message, again.Message)
	assert.Equal(t, whole.Finish, again.Finish)

	_, err = aiclient.Collect(aiclient.Wrap(flaky(1, apiError(aiclient.ClassAuth)), aiclient.WithoutStreaming()).Stream(t.Context(), hello()))
	assert.ErrorIs(t, err, aiclient.ClassAuth)
}

// TestAModelOfTextIsToldOfFiles checks that a file which a tool returned does not
// reach a model that would refuse it.
func TestAModelOfTextIsToldOfFiles(t *testing.T) {
	photo := tool.Tool{Name: "photo", Call: func(context.Context, json.RawMessage) (tool.Result, error) {
		return tool.Result{Text: "click", Media: []tool.Media{{MediaType: "image/png", Data: []byte("x")}}}, nil
	}}
	for name, test := range map[string]struct {
		input []string
		want  aiclient.ToolResult
	}{
		"text only": {[]string{}, aiclient.ToolResult{CallID: "id0", Name: "photo", Text: "click\n[a file of type image/png: this model takes text only]"}},
		"not known": {nil, aiclient.ToolResult{CallID: "id0", Name: "photo", Text: "click", Files: []aiclient.File{{MediaType: "image/png", Data: []byte("x")}}}},
	} {
		t.Run(name, func(t *testing.T) {
			model := replies(calls("photo", ""))
			c := aiclient.NewConversation(aiclient.Wrap(model, aiclient.WithSpec(aiclient.ModelSpec{Input: test.input, Price: aiclient.Price{Input: 1e6}})),
				aiclient.ConversationOptions{Tools: []tool.Tool{photo}})
			turn, err := c.Send(t.Context(), "go")
			require.NoError(t, err)
			assert.EqualValues(t, turn.Usage.Input, turn.Cost)
			assert.Equal(t, test.want, lastResults(model.requests[1].Messages)[0])
			assert.Len(t, lastResults(c.Messages())[0].Files, 1, "the history keeps it, for another model")
		})
	}
}

// TestFilesThatAreRefused sends files that the model does not take, or nobody.
// The user is told, and the conversation is not refused for ever.
func TestFilesThatAreRefused(t *testing.T) {
	model := replies()
	spec := aiclient.ModelSpec{Provider: "p", ID: "m", Input: []string{}}
	c := aiclient.NewConversation(aiclient.Wrap(model, aiclient.WithValidation(aiclient.Rules{}), aiclient.WithSpec(spec)), aiclient.ConversationOptions{})
	for name, parts := range map[string][]aiclient.Part{
		"nothing":        {{Kind: aiclient.KindFile}},
		"an empty file":  {aiclient.Image("image/png", nil)},
		"no type":        {aiclient.Image("", []byte("x"))},
		"a call":         {aiclient.ToolCallPart(aiclient.ToolCall{ID: "1", Name: "x"})},
		"an empty call":  {{Kind: aiclient.KindToolCall}},
		"no kind at all": {{Text: "hi"}},
	} {
		_, err := c.SendMessage(t.Context(), aiclient.User("see", parts...))
		require.ErrorIs(t, err, aiclient.ClassBadRequest, name)
		assert.Empty(t, c.Messages(), "%s: what can never be sent does not become part of the history", name)
	}
	_, err := c.SendMessage(t.Context(), aiclient.User("see", aiclient.Image("image/png", []byte("x"))))
	require.ErrorContains(t, err, "a file of type image/png; accepted are: none")
	for range 2 {
		turn, err := c.Send(t.Context(), "never mind")
		require.NoError(t, err)
		assert.Equal(t, "done", turn.Text)
		assert.Equal(t, aiclient.Text("[a file of type image/png: this model takes text only]"), model.requests[0].Messages[0].Parts[1])
	}
	assert.Equal(t, aiclient.KindFile, c.Messages()[0].Parts[1].Kind, "the history keeps it, for another model")
}

// TestFilesThatOnlyTheProviderRefuses has a provider that refuses what its adapter
// sends, such as an image that is too large. It would refuse it with the history
// again and again.
func TestFilesThatOnlyTheProviderRefuses(t *testing.T) {
	photo := tool.Tool{Name: "photo", Call: func(context.Context, json.RawMessage) (tool.Result, error) {
		return tool.Result{Text: "click", Media: []tool.Media{{MediaType: "image/png", Data: []byte("x")}}}, nil
	}}
	refuses := true
	files := func(messages []aiclient.Message) (n int) {
		for _, m := range messages {
			for _, p := range m.Parts {
				if p.File != nil || p.Result != nil && len(p.Result.Files) > 0 {
					n++
				}
			}
		}
		return n
	}
	model := &script{reply: func(_ context.Context, _ int, req *aiclient.Request) ([]aiclient.Part, error) {
		last := req.Messages[len(req.Messages)-1]
		switch {
		case last.Text() == "no", refuses && files(req.Messages) > 0:
			return nil, apiError(aiclient.ClassBadRequest)
		case last.Text() == "take a photo":
			return calls("photo", ""), nil
		}
		return says("done"), nil
	}}
	c := aiclient.NewConversation(model, aiclient.ConversationOptions{Tools: []tool.Tool{photo}})

	turn, err := c.Send(t.Context(), "take a photo")
	require.NoError(t, err)
	assert.Equal(t, "done", turn.Text)
	assert.Contains(t, lastResults(model.requests[2].Messages)[0].Text, "click\n[a file of type image/png: the model's provider refused it]")

	_, err = c.SendMessage(t.Context(), aiclient.User("see", aiclient.Image("image/png", []byte("x"))))
	require.ErrorIs(t, err, aiclient.ClassBadRequest, "the person is told")
	for range 2 {
		_, err = c.Send(t.Context(), "never mind")
		require.NoError(t, err)
	}
	assert.Equal(t, 2, files(c.Messages()), "the history keeps them, for another model")

	// An error that has nothing to do with the files leaves them alone.
	refuses = false
	c = aiclient.NewConversation(model, aiclient.ConversationOptions{Tools: []tool.Tool{photo}})
	_, err = c.SendMessage(t.Context(), aiclient.User("no", aiclient.Image("image/png", []byte("x"))))
	require.ErrorIs(t, err, aiclient.ClassBadRequest)
	_, err = c.Send(t.Context(), "no")
	require.ErrorIs(t, err, aiclient.ClassBadRequest)
	_, err = c.Send(t.Context(), "yes")
	require.NoError(t, err)
	assert.Equal(t, 1, files(model.requests[len(model.requests)-1].Messages))
}

func TestWithPrice(t *testing.T) {
	price := aiclient.Price{Input: 1e6, Output: 2e6}
	said := finish(aiclient.FinishStop)
	said.Finish.Cost = 0.5
	for name, test := range map[string]struct {
		last aiclient.Part
		want float64
	}{
		"computed": {finish(aiclient.FinishStop), 20},
		"stated":   {said, 0.5},
		"unknown":  {aiclient.Part{Kind: aiclient.KindFinish, Finish: &aiclient.Finish{}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.last.Finish.Cost
			chat := aiclient.Wrap(&script{reply: func(context.Context, int, *aiclient.Request) ([]aiclient.Part, error) {
				return []aiclient.Part{test.last}, nil
			}}, aiclient.WithPrice(price))
			whole, err := chat.Generate(t.Context(), hello())
			require.NoError(t, err)
			assert.Equal(t, test.want, whole.Cost)
			streamed, err := aiclient.Collect(chat.Stream(t.Context(), hello()))
			require.NoError(t, err)
			assert.Equal(t, test.want, streamed.Cost)
			assert.Equal(t, before, test.last.Finish.Cost, "the model's own part is not changed")
		})
	}
}
