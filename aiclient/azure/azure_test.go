package azure_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/azure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t testing.TB, version string, script aitest.Script) (*azure.Provider, *aitest.Server) {
	server := aitest.NewServer(t, script)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p, err := azure.New(azure.Options{Endpoint: server.URL + "/", APIKey: "azure-secret", APIVersion: version,
		HTTPClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	return p, server
}

func TestConforms(t *testing.T) {
	aitest.ConformChat(t, aitest.Conformance{NoSignature: true, Streams: 20,
		New: func(t testing.TB, script aitest.Script) aiclient.Chat {
			p, _ := newProvider(t, "", script)
			return p.Chat("deployment")
		},
	})
}

func TestPathsAndKey(t *testing.T) {
	for version, path := range map[string]string{
		"": "/openai/v1/chat/completions", "2024-10-21": "/openai/deployments/my-gpt/chat/completions",
	} {
		p, server := newProvider(t, version, func(aitest.Request) aitest.Reply { return aitest.Text("ok") })
		_, err := p.Chat("my-gpt").Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}})
		require.NoError(t, err)
		r := server.Requests()[0]
		assert.Equal(t, path, r.Path)
		assert.Equal(t, "azure-secret", r.Header.Get("Api-Key"))
		assert.Empty(t, r.Header.Get("Authorization"))
	}
}

func TestEndpointIsNeeded(t *testing.T) {
	t.Setenv("AZURE_OPENAI_ENDPOINT", "")
	_, err := azure.New(azure.Options{})
	require.ErrorContains(t, err, "AZURE_OPENAI_ENDPOINT")
	_, err = azure.New(azure.Options{Endpoint: "my-resource"})
	require.Error(t, err)
}
