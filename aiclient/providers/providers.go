// Package providers opens any provider of chat models by its name, with the key
// from its conventional environment variable and what the catalogue knows of its
// models. It is for programs whose users choose the model:
//
//	chat, spec, err := providers.Chat("anthropic:claude-sonnet-4-6?effort=high", providers.Options{})
//
// It imports every adapter. A program that talks to one provider imports that
// provider's package alone.
package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/azure"
	"github.com/tokenring-ai/tokenring-go/aiclient/catalogue"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/registry"
)

// Custom is the name of the provider at [Options.BaseURL] when a model's name
// does not say which provider's API is spoken there.
const Custom = "custom"

// Options say how to reach providers. The zero value takes everything from the
// environment.
type Options struct {
	// BaseURL is where the API is, instead of the provider's own place. Keys
	// from the environment are not sent there.
	BaseURL string

	// APIKey is sent instead of the key from the environment.
	APIKey string

	// Catalogue is what is known of models. Nil means [catalogue.Default].
	Catalogue *catalogue.Catalogue

	HTTPClient *http.Client // as in the options of the adapters
	Logger     *slog.Logger // as in the options of the adapters
}

func (o Options) facts() *catalogue.Catalogue {
	if o.Catalogue == nil {
		return catalogue.Default()
	}
	return o.Catalogue
}

// Names returns the names of the providers, those with models of their own
// first.
func Names() []string {
	names := []string{"openai", "anthropic", "google", "azure"}
	for _, p := range openai.Presets() {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// KeyEnv returns the environment variables that may hold the key of a provider,
// nil when it needs none or is not known.
func KeyEnv(provider string) []string {
	switch provider {
	case "anthropic":
		return []string{"ANTHROPIC_API_KEY"}
	case "google":
		return []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"}
	case "azure":
		return []string{"AZURE_OPENAI_API_KEY"}
	}
	for _, p := range openai.Presets() {
		if p.Name == provider {
			return p.KeyEnv
		}
	}
	return nil
}

// hasKey reports whether the environment holds what a provider needs.
func hasKey(provider string) bool {
	if provider == "azure" && os.Getenv("AZURE_OPENAI_ENDPOINT") == "" {
		return false
	}
	keys := KeyEnv(provider)
	return len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool { return os.Getenv(key) != "" })
}

// Open returns the chat models of the named provider for an
// [aiclient.ChatRegistry]. OpenAI's own are opened over its Responses API, which
// has all of them.
//
// With a base URL "anthropic" and "google" mean their APIs at that place, and
// every other name OpenAI's Chat Completions, in the dialect of the provider
// that has the name. Without one, a name that is not known is an error that wraps
// [registry.ErrNotFound], and a missing key is one of [aiclient.ClassAuth].
func Open(provider string, opts Options) (aiclient.Provider[aiclient.Chat], error) {
	var none aiclient.Provider[aiclient.Chat]
	known := slices.Contains(Names(), provider)
	if opts.BaseURL == "" && !known {
		return none, fmt.Errorf("provider %q: %w; there are %s", provider, registry.ErrNotFound, strings.Join(Names(), ", "))
	}
	if opts.BaseURL == "" && opts.APIKey == "" && !hasKey(provider) {
		missing := strings.Join(KeyEnv(provider), " or ")
		if provider == "azure" {
			missing = "AZURE_OPENAI_ENDPOINT and " + missing
		}
		return none, &aiclient.APIError{Provider: provider, Class: aiclient.ClassAuth, Message: "no API key: set " + missing}
	}
	models := opts.facts().Models(provider)
	var out aiclient.Provider[aiclient.Chat]
	switch provider {
	case "anthropic":
		out = anthropic.New(anthropic.Options{BaseURL: opts.BaseURL, APIKey: opts.APIKey, HTTPClient: opts.HTTPClient, Logger: opts.Logger}).Chats(models...)
	case "google":
		out = google.New(google.Options{BaseURL: opts.BaseURL, APIKey: opts.APIKey, HTTPClient: opts.HTTPClient, Logger: opts.Logger}).Chats(models...)
	case "azure":
		p, err := azure.New(azure.Options{Endpoint: opts.BaseURL, APIKey: opts.APIKey, HTTPClient: opts.HTTPClient, Logger: opts.Logger})
		if err != nil {
			return none, err
		}
		out = p.Chats(models...)
	default:
		o := openai.Options{Name: provider, BaseURL: opts.BaseURL, APIKey: opts.APIKey, HTTPClient: opts.HTTPClient, Logger: opts.Logger}
		switch {
		case !known: // someone else's service
			out = openai.New(o).Chats(models...)
		case provider == "openai" && opts.BaseURL == "" && os.Getenv("OPENAI_BASE_URL") == "":
			out = openai.New(o).ResponsesChats(models...)
		case provider == "openai":
			out = openai.New(o).Chats(models...)
		default:
			p, err := openai.NewPreset(provider, o)
			if err != nil {
				return none, err
			}
			out = p.Chats(models...)
		}
	}
	return out, nil
}

// Available returns a registry of the providers that can be used: those whose
// keys are in the environment and the local servers, which need none. With a base
// URL it has the provider [Custom] alone. The registry must be closed.
func Available(opts Options) (*aiclient.ChatRegistry, error) {
	names := []string{Custom}
	if opts.BaseURL == "" {
		names = slices.DeleteFunc(Names(), func(name string) bool { return !hasKey(name) })
	}
	return Registry(opts, names...)
}

// Registry returns a registry of the named providers, which must be closed. A
// provider that cannot be opened is an error.
func Registry(opts Options, names ...string) (*aiclient.ChatRegistry, error) {
	reg := new(aiclient.ChatRegistry)
	for _, name := range names {
		p, err := Open(name, opts)
		if err != nil {
			return nil, err
		}
		if err := reg.Add(p); err != nil {
			return nil, err
		}
	}
	return reg, nil
}

// Chat opens the model that name refers to and returns what is known of it.
// name is "provider:model?feature=value"; see [aiclient.ChatFeatures] for the
// features. The provider may be left out when only one of those that can be
// used lists the model, or with a base URL.
func Chat(name string, opts Options) (aiclient.Chat, aiclient.ModelSpec, error) {
	provider, model, _, err := aiclient.SplitName(name)
	if err != nil {
		return nil, aiclient.ModelSpec{}, err
	}
	base, features, _ := strings.Cut(name, "?")
	switch {
	case slices.Contains(Names(), provider):
	case opts.BaseURL != "": // what looks like a provider is a part of the model's name, as in "qwen3:8b"
		provider, model = Custom, strings.TrimPrefix(base, Custom+":")
	default:
		available, err := Available(opts)
		if err != nil {
			return nil, aiclient.ModelSpec{}, err
		}
		ref, err := available.Parse(base)
		if err != nil {
			return nil, aiclient.ModelSpec{}, err
		}
		provider, model = ref.Spec.Provider, ref.Spec.ID
	}
	p, err := Open(provider, opts)
	if err != nil {
		return nil, aiclient.ModelSpec{}, err
	}
	if !slices.ContainsFunc(p.Models, func(s aiclient.ModelSpec) bool { return s.ID == model }) {
		spec, ok := opts.facts().Find(provider, model)
		if !ok { // it may well think
			spec = aiclient.ModelSpec{ID: model, Features: aiclient.ChatFeatures(aiclient.ModelSpec{Reasons: true})}
		}
		p.Models = append(p.Models, spec)
	}
	reg := new(aiclient.ChatRegistry)
	if err := reg.Add(p); err != nil {
		return nil, aiclient.ModelSpec{}, err
	}
	full := provider + ":" + model
	if features != "" {
		full += "?" + features
	}
	ref, err := reg.Parse(full)
	if err != nil {
		return nil, aiclient.ModelSpec{}, err
	}
	chat, err := reg.Get(full)
	return chat, ref.Spec, err
}

// Default returns the name of a model to use when the user names none: the one
// that the catalogue recommends for hard work, of the first provider in the order
// of [Names] whose key is in the environment. With a base URL it is the model that
// is served there, which must be the only one.
func Default(ctx context.Context, opts Options) (string, error) {
	if opts.BaseURL != "" {
		return served(ctx, opts)
	}
	recommended := opts.facts().Providers()
	for _, name := range Names() {
		i := slices.IndexFunc(recommended, func(p catalogue.Provider) bool { return p.ID == name })
		if i >= 0 && recommended[i].Large != "" && len(KeyEnv(name)) > 0 && hasKey(name) {
			return name + ":" + recommended[i].Large, nil
		}
	}
	return "", &aiclient.APIError{Provider: "any provider", Class: aiclient.ClassAuth,
		Message: "no API key: set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or that of another provider"}
}

// served returns the only model that is served at the base URL.
func served(ctx context.Context, opts Options) (string, error) {
	p, err := Open(Custom, opts)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, transport.ListTimeout)
	defer cancel()
	list, err := p.List(ctx)
	if err != nil {
		return "", fmt.Errorf("which model is served at %s: %w", opts.BaseURL, err)
	}
	switch len(list) {
	case 0:
		return "", errors.New("no model is served at " + opts.BaseURL)
	case 1:
		return Custom + ":" + list[0].ID, nil
	}
	var names []string
	for _, l := range list[:min(len(list), 10)] {
		names = append(names, l.ID)
	}
	return "", fmt.Errorf("%d models are served at %s: %w; name one, such as %s", len(list), opts.BaseURL, aiclient.ErrAmbiguous, strings.Join(names, ", "))
}
