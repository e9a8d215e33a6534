package openai_test

import (
	"testing"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

func TestChatCompletionsConforms(t *testing.T) {
	aitest.ConformChat(t, aitest.Conformance{
		New: func(t testing.TB, script aitest.Script) aiclient.Chat {
			return openai.New(openai.Options{BaseURL: aitest.NewServer(t, script).URL, HTTPClient: newClient(t)}).Chat("m")
		},
		NoSignature: true, Streams: 500,
	})
}

func TestResponsesConforms(t *testing.T) {
	aitest.ConformChat(t, aitest.Conformance{
		New: func(t testing.TB, script aitest.Script) aiclient.Chat {
			return openai.New(openai.Options{BaseURL: aitest.NewServer(t, script).URL, HTTPClient: newClient(t)}).Responses("gpt-5")
		},
		NoCacheWrite: true,
	})
}
