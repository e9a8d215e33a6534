package cassette_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest/cassette"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// answer is a transport that answers every request with one response.
type answer struct {
	in  cassette.Interaction
	cut int // bytes of the body that arrive
}

func (a *answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.in.Status, Header: a.in.Header.Clone(),
		Body: io.NopCloser(bytes.NewReader(a.in.ResponseBody[:a.cut]))}, nil
}

// inProcess returns our client of a format over a transport.
func inProcess(t testing.TB, format aitest.Format, transport http.RoundTripper) aiclient.Chat {
	t.Helper()
	client := &http.Client{Transport: transport}
	const base = "http://recorded.example"
	switch format {
	case aitest.OpenAI:
		return openai.New(openai.Options{BaseURL: base, HTTPClient: client}).Chat("m")
	case aitest.Responses:
		return openai.New(openai.Options{BaseURL: base, HTTPClient: client}).Responses("m")
	case aitest.Anthropic:
		return anthropic.New(anthropic.Options{BaseURL: base, HTTPClient: client}).Chat("m")
	case aitest.Gemini:
		return google.New(google.Options{BaseURL: base, HTTPClient: client}).Chat("m")
	}
	require.FailNow(t, "unknown format", format)
	return nil
}

// ask sends a request the way the recording was made.
func ask(t testing.TB, chat aiclient.Chat, stream bool) (*aiclient.Response, error) {
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}, WebSearch: &aiclient.WebSearch{}}
	if stream {
		return aiclient.Collect(chat.Stream(t.Context(), req))
	}
	return chat.Generate(t.Context(), req)
}

// said is what of a response must not depend on how much of it arrived. IDs of
// calls are left out, because adapters invent those that the provider omits.
func said(t testing.TB, resp *aiclient.Response) string {
	var calls []string
	for _, c := range resp.Calls() {
		calls = append(calls, c.Name+c.Arguments)
	}
	data, err := json.Marshal([]any{resp.Text(), resp.Message.Reasoning(), calls, resp.Usage, resp.Reason, resp.ID, len(resp.Message.Parts)})
	require.NoError(t, err)
	return string(data)
}

// TestCutRecordingsAreErrors cuts the body of every recorded response at every
// byte: the adapters must report an error, unless all that is missing is
// framing after the end of the reply. Long bodies are cut at a sample of their
// bytes; TOKENRING_LONG=1 cuts them at all.
func TestCutRecordingsAreErrors(t *testing.T) {
	const budget = 80 << 10 // bytes read per response in the short form
	cuts := 0
	for _, name := range recordings(t) {
		c, err := cassette.Load(name)
		require.NoError(t, err)
		for i, in := range c.Interactions {
			recorded, err := aitest.Decode(in.URL.Path, in.RequestBody)
			require.NoError(t, err)
			transport := &answer{in: in, cut: len(in.ResponseBody)}
			chat := inProcess(t, recorded.Format, transport)
			whole, err := ask(t, chat, recorded.Stream)
			require.NoError(t, err, "%s %d", name, i)
			want := said(t, whole)

			n := len(in.ResponseBody)
			step := 1 + n*n/2/budget
			if os.Getenv("TOKENRING_LONG") == "1" {
				step = 1
			}
			for cut := 0; cut < n; cut++ {
				if cut%step != 0 && cut < n-40 { // the end matters most
					continue
				}
				cuts++
				transport.cut = cut
				resp, err := ask(t, chat, recorded.Stream)
				if err == nil {
					require.Equal(t, want, said(t, resp), "%s %d cut at byte %d of %d is no error", name, i, cut, len(in.ResponseBody))
					continue
				}
				class := aiclient.ClassOf(err)
				require.Contains(t, []aiclient.Class{aiclient.ClassTruncated, aiclient.ClassProtocol}, class, "%v", err)
			}
		}
	}
	t.Logf("%d cuts", cuts)
	assert.Greater(t, cuts, 3_000)
}

// FuzzResponse feeds arbitrary bodies to every adapter: it must answer or fail,
// never panic.
func FuzzResponse(f *testing.F) {
	for i, name := range recordings(f) {
		if i%5 != 0 {
			continue
		}
		c, err := cassette.Load(name)
		require.NoError(f, err)
		for _, in := range c.Interactions {
			if len(in.ResponseBody) < 8000 {
				f.Add(in.ResponseBody)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, format := range []aitest.Format{aitest.OpenAI, aitest.Responses, aitest.Anthropic, aitest.Gemini} {
			for _, stream := range []bool{true, false} {
				in := cassette.Interaction{Status: 200, Header: http.Header{}, ResponseBody: body}
				resp, err := ask(t, inProcess(t, format, &answer{in: in, cut: len(body)}), stream)
				if err == nil {
					require.NotEmpty(t, resp.Reason)
					_, err = json.Marshal(resp.Message)
					require.NoError(t, err)
				}
			}
		}
	})
}

// TestErrorsThatCannotBeRead sends error documents in forms that nobody has
// seen: they must be errors all the same, and never nil ones.
func TestErrorsThatCannotBeRead(t *testing.T) {
	for _, body := range []string{`[1]`, `[]`, `{"error":{}}`, `{"error":{"x":1}}`, `{"type":"error"}`, `{"error":[1]}`, `{"error":"x"}`,
		`{"status":"failed"}`, `{"type":"response.failed","response":{}}`, `{"type":"error","error":7}`, `{}`, `null`, `7`} {
		for _, format := range []aitest.Format{aitest.OpenAI, aitest.Responses, aitest.Anthropic, aitest.Gemini} {
			for _, stream := range []bool{true, false} {
				text := body
				if stream {
					text = "data: " + body + "\n\n"
				}
				in := cassette.Interaction{Status: 200, Header: http.Header{}, ResponseBody: []byte(text)}
				_, err := ask(t, inProcess(t, format, &answer{in: in, cut: len(text)}), stream)
				require.Error(t, err, "%s %s", format, text)
				assert.NotEmpty(t, err.Error())
				assert.NotEmpty(t, aiclient.ClassOf(err))
			}
		}
	}
}
