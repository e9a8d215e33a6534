package anthropic_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client whose connections end with the test.
func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func newChat(t testing.TB, script aitest.Script) (aiclient.Chat, *aitest.Server) {
	server := aitest.NewServer(t, script)
	return anthropic.New(anthropic.Options{BaseURL: server.URL, APIKey: "sk-ant-secret", HTTPClient: newClient(t)}).Chat("claude-test"), server
}

func TestMessagesConforms(t *testing.T) {
	aitest.ConformChat(t, aitest.Conformance{
		New: func(t testing.TB, script aitest.Script) aiclient.Chat {
			chat, _ := newChat(t, script)
			return chat
		},
		NoReasoningUse: true,
	})
}
