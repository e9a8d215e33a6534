package cassette

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryRecordingLoads(t *testing.T) {
	count := 0
	require.NoError(t, fs.WalkDir(os.DirFS("testdata"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		count++
		c, err := LoadFS(os.DirFS("testdata"), path)
		require.NoError(t, err)
		require.NotEmpty(t, c.Interactions, path)
		for _, in := range c.Interactions {
			assert.Equal(t, "POST", in.Method, path)
			assert.NotEmpty(t, in.RequestBody, path)
			assert.NotEmpty(t, in.ResponseBody, path)
			assert.Equal(t, 200, in.Status, path)
		}
		return nil
	}))
	assert.Equal(t, 66, count)
}

func TestParseRejects(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":      "",
		"no YAML":      "{{{",
		"old version":  "version: 1\ninteractions: []",
		"bad URL":      "version: 2\ninteractions:\n- request: {url: \"http://[\"}\n  response: {code: 200}",
		"no code":      "version: 2\ninteractions:\n- request: {url: \"http://x\"}",
		"wrong shapes": "version: 2\ninteractions: 7",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(in))
			assert.Error(t, err)
		})
	}
}

const small = `version: 2
interactions:
- request: {method: POST, url: "https://api.example.com/v1/chat?x=1", body: one}
  response: {code: 200, body: first, headers: {Content-Type: [text/plain], X-Request-Id: [r1]}}
- request: {method: GET, url: "https://api.example.com/v1/models", body: ""}
  response: {code: 429, body: second}
`

func TestServerReplaysInOrder(t *testing.T) {
	c, err := Parse([]byte(small))
	require.NoError(t, err)
	s := NewServer(c, Options{
		Compare: func(recorded, got []byte) error {
			if !bytes.Equal(recorded, got) {
				return errors.New("another body")
			}
			return nil
		},
		Body: func(i int, body []byte) []byte { return append(bytes.Clone(body), byte('0'+i)) },
	})
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	do := func(method, path, body string) (int, string, http.Header) {
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text), resp.Header
	}

	code, text, header := do("POST", "/v1/chat?x=1", "one")
	assert.Equal(t, 200, code)
	assert.Equal(t, "first0", text)
	assert.Equal(t, "r1", header.Get("X-Request-Id"))
	assert.Equal(t, 1, s.Left())

	code, text, _ = do("POST", "/v1/models", "")
	assert.Equal(t, 500, code)
	assert.Contains(t, text, "recorded was GET /v1/models")
	require.Error(t, s.Err())

	code, _, _ = do("GET", "/v1/models", "")
	assert.Equal(t, 429, code)
	code, text, _ = do("GET", "/v1/models", "")
	assert.Equal(t, 500, code)
	assert.Contains(t, text, "used up")

	s.Rewind()
	require.NoError(t, s.Err())
	code, text, _ = do("POST", "/v1/chat?x=1", "two")
	assert.Equal(t, 500, code)
	assert.Contains(t, text, "another body")
}
