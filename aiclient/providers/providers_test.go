package providers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/catalogue"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
	"github.com/tokenring-ai/tokenring-go/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clearKeys empties every variable that a provider looks at.
func clearKeys(t *testing.T) {
	for _, name := range providers.Names() {
		for _, key := range providers.KeyEnv(name) {
			t.Setenv(key, "")
		}
	}
	for _, name := range []string{"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "AZURE_OPENAI_ENDPOINT"} {
		t.Setenv(name, "")
	}
}

func TestEveryProviderOpensWithItsKey(t *testing.T) {
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			clearKeys(t)
			keys := providers.KeyEnv(name)
			if len(keys) > 0 {
				_, err := providers.Open(name, providers.Options{})
				require.ErrorIs(t, err, aiclient.ClassAuth)
				assert.ErrorContains(t, err, keys[0])
				t.Setenv(keys[len(keys)-1], "sk-secret")
			}
			if name == "azure" {
				t.Setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
			}
			p, err := providers.Open(name, providers.Options{})
			require.NoError(t, err)
			assert.Equal(t, name, p.Name)
			assert.Equal(t, catalogue.Default().Models(name), p.Models)
			chat, err := p.Open(aiclient.ModelSpec{ID: "m"}, nil)
			require.NoError(t, err)
			assert.Equal(t, aiclient.Model{Provider: name, ID: "m"}, chat.Model())
		})
	}
}

func TestUnknownProvider(t *testing.T) {
	_, err := providers.Open("nobody", providers.Options{})
	require.ErrorIs(t, err, registry.ErrNotFound)
	assert.ErrorContains(t, err, "anthropic, google")
	assert.Nil(t, providers.KeyEnv("nobody"))
}

func TestChatFindsTheModel(t *testing.T) {
	clearKeys(t)
	t.Setenv("ANTHROPIC_API_KEY", "sk-secret")
	t.Setenv("OPENAI_API_KEY", "sk-secret")
	for name, want := range map[string]string{
		"anthropic:claude-sonnet-4-6":             "anthropic:claude-sonnet-4-6",
		"anthropic:claude-sonnet-4-6?effort=high": "anthropic:claude-sonnet-4-6",
		"claude-sonnet-4-6?temperature=0":         "anthropic:claude-sonnet-4-6",
		"anthropic:not-yet-known?effort=low":      "anthropic:not-yet-known",
		"openai:gpt-4o-2024-08-06":                "openai:gpt-4o-2024-08-06",
		"ollama:qwen3:8b?effort=low":              "ollama:qwen3:8b",
	} {
		chat, spec, err := providers.Chat(name, providers.Options{})
		require.NoError(t, err, name)
		assert.Equal(t, want, chat.Model().String(), name)
		assert.Equal(t, chat.Model(), spec.Model(), name)
	}
	_, dated, err := providers.Chat("openai:gpt-4o-2024-08-06", providers.Options{})
	require.NoError(t, err)
	assert.False(t, dated.Price.IsZero(), "a dated name has the facts of its model")

	for name, want := range map[string]string{
		"":                                "the name of the model is missing",
		"anthropic:":                      "the name of the model is missing",
		"gemini-2.5-flash":                "no provider lists it",
		"google:gemini-2.5-flash":         "GEMINI_API_KEY or GOOGLE_API_KEY",
		"anthropic:claude-sonnet-4-6?x=1": `unknown feature "x"`,
		"anthropic:claude-sonnet-4-6?effort=absurd": "one of low",
	} {
		_, _, err := providers.Chat(name, providers.Options{})
		assert.ErrorContains(t, err, want, name)
	}
}

// TestBaseURL checks that a base URL takes the API that the name asks for and
// that no key from the environment goes there.
func TestBaseURL(t *testing.T) {
	clearKeys(t)
	for _, key := range []string{"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY"} {
		t.Setenv(key, "sk-of-another-service")
	}
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply { return aitest.Text("hello") })
	server.SetModels("qwen3:8b")
	for _, test := range []struct {
		name, model string
		format      aitest.Format
	}{
		{"anthropic:claude-sonnet-4-6", "claude-sonnet-4-6", aitest.Anthropic},
		{"google:gemini-2.5-flash", "gemini-2.5-flash", aitest.Gemini},
		{"openai:gpt-4o", "gpt-4o", aitest.OpenAI},
		{"groq:openai/gpt-oss-120b", "openai/gpt-oss-120b", aitest.OpenAI},
		{"custom:qwen3:8b", "qwen3:8b", aitest.OpenAI},
		{"qwen3:8b", "qwen3:8b", aitest.OpenAI},
		{"llama", "llama", aitest.OpenAI},
		{"", "qwen3:8b", aitest.OpenAI},
	} {
		opts := providers.Options{BaseURL: server.URL + "/v1", APIKey: "sk-own"}
		name := test.name
		if name == "" {
			var err error
			name, err = providers.Default(t.Context(), opts)
			require.NoError(t, err)
		}
		chat, _, err := providers.Chat(name, opts)
		require.NoError(t, err, name)
		reply, err := chat.Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hi")}})
		require.NoError(t, err, name)
		assert.Equal(t, "hello", reply.Text())

		requests := server.Requests()
		last := requests[len(requests)-1]
		assert.Equal(t, test.format, last.Format, name)
		assert.Equal(t, test.model, last.Model, name)
		assert.True(t, slices.ContainsFunc(slices.Collect(headerValues(last.Header)), func(v string) bool { return strings.Contains(v, "sk-own") }), name)
		for v := range headerValues(last.Header) {
			assert.NotContains(t, v, "sk-of-another-service", name)
		}
	}
	server.SetModels("a", "b")
	_, err := providers.Default(t.Context(), providers.Options{BaseURL: server.URL + "/v1"})
	require.ErrorIs(t, err, aiclient.ErrAmbiguous)
	assert.ErrorContains(t, err, "a, b")
	server.SetModels()
	_, err = providers.Default(t.Context(), providers.Options{BaseURL: server.URL + "/v1"})
	assert.ErrorContains(t, err, "no model is served")
	_, err = providers.Default(t.Context(), providers.Options{BaseURL: "http://127.0.0.1:1/v1"})
	assert.ErrorIs(t, err, aiclient.ClassNetwork)
}

func headerValues(h map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, values := range h {
			for _, v := range values {
				if !yield(v) {
					return
				}
			}
		}
	}
}

func TestDefault(t *testing.T) {
	clearKeys(t)
	_, err := providers.Default(t.Context(), providers.Options{})
	require.ErrorIs(t, err, aiclient.ClassAuth)

	for _, key := range []string{"XAI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_API_KEY"} { // each goes before the last
		t.Setenv(key, "sk-secret")
		name, err := providers.Default(t.Context(), providers.Options{})
		require.NoError(t, err)
		_, spec, err := providers.Chat(name, providers.Options{})
		require.NoError(t, err)
		assert.Contains(t, providers.KeyEnv(spec.Provider), key)
		assert.NotZero(t, spec.Context)
	}
}

func TestAvailable(t *testing.T) {
	clearKeys(t)
	t.Setenv("GROQ_API_KEY", "sk-secret")
	reg, err := providers.Available(providers.Options{})
	require.NoError(t, err)
	defer reg.Close(t.Context())
	names := slices.Collect(reg.Providers())
	assert.Contains(t, names, "groq")
	assert.Contains(t, names, "ollama")
	assert.NotContains(t, names, "openai")
	assert.NotContains(t, names, "azure")

	server := aitest.NewServer(t, nil)
	server.SetModels("m")
	own, err := providers.Available(providers.Options{BaseURL: server.URL + "/v1"})
	require.NoError(t, err)
	defer own.Close(t.Context())
	list := own.List(t.Context())
	require.Len(t, list, 1)
	assert.Equal(t, aiclient.StatusOnline, list[0].Status)

	_, err = providers.Registry(providers.Options{}, "groq", "openai")
	assert.ErrorIs(t, err, aiclient.ClassAuth)
}

// TestCost checks that a reply costs what the catalogue says, whatever the API.
func TestCost(t *testing.T) {
	clearKeys(t)
	server := aitest.NewServer(t, func(aitest.Request) aitest.Reply {
		return aitest.Reply{Text: "hi", Usage: aitest.Usage{Input: 1_000_000, CachedRead: 1_000_000, Output: 1_000_000}}
	})
	for _, name := range []string{"anthropic:claude-sonnet-4-6", "google:gemini-2.5-flash", "openai:gpt-4o", "azure:gpt-5"} {
		chat, spec, err := providers.Chat(name, providers.Options{BaseURL: server.URL})
		require.NoError(t, err, name)
		require.False(t, spec.Price.IsZero(), name)
		request := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("hi")}}
		for _, ask := range []func() (*aiclient.Response, error){
			func() (*aiclient.Response, error) { return chat.Generate(t.Context(), request) },
			func() (*aiclient.Response, error) { return aiclient.Collect(chat.Stream(t.Context(), request)) },
		} {
			reply, err := ask()
			require.NoError(t, err, name)
			assert.InDelta(t, spec.Price.Input+spec.Price.CachedRead+spec.Price.Output, reply.Cost, 1e-9, name)
		}
	}
}
