package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/catalogue"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/utility/httpretry"
)

// scriptedModel is the -model of the demonstration.
const scriptedModel = "scripted"

// keyed are the providers that are used when their key is in the environment,
// in this order, with the model that the catalogue recommends for hard work.
var keyed = []struct{ provider, key string }{
	{"openai", "OPENAI_API_KEY"},
	{"anthropic", "ANTHROPIC_API_KEY"},
	{"google", "GEMINI_API_KEY"},
}

// chooseModel completes the configuration with the model to use.
func chooseModel(c *config) error {
	switch {
	case c.Model != "":
		return nil
	case c.BaseURL != "":
		c.Model = "default" // local servers serve what they have loaded
		return nil
	}
	for _, k := range keyed {
		if os.Getenv(k.key) == "" {
			continue
		}
		for _, p := range catalogue.Default().Providers() {
			if p.ID == k.provider {
				c.Model = p.ID + ":" + p.Large
				return nil
			}
		}
	}
	if c.Dir == "" {
		c.Model = scriptedModel
		return nil
	}
	return setupFailure(errors.New("no model: set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, or name an OpenAI-compatible endpoint with -base-url, such as -base-url http://localhost:11434/v1 -model qwen3-coder"))
}

// openModel returns the model that the configuration names, and what releases
// it.
func openModel(c config) (chat aiclient.Chat, release func(), err error) {
	none := func() {}
	// A model's answer that was not delivered can be asked for again.
	client := &http.Client{Transport: &httpretry.Transport{NonIdempotent: true}}
	if c.Model == scriptedModel && c.BaseURL == "" {
		server := aitest.NewServer(nil, script)
		provider := openai.New(openai.Options{Name: scriptedModel, BaseURL: server.URL + "/v1", HTTPClient: client})
		return provider.Chat(scriptedModel), server.Close, nil
	}
	name, model, ok := strings.Cut(c.Model, ":")
	if c.BaseURL != "" {
		if !ok {
			name, model = "custom", c.Model
		}
		// The conventional keys are not sent to an endpoint of the user's own.
		provider := openai.New(openai.Options{Name: name, BaseURL: c.BaseURL, APIKey: os.Getenv("CODER_API_KEY"), HTTPClient: client})
		return provider.Chat(model), none, nil
	}
	if !ok || name == "" || model == "" {
		return nil, none, setupFailure(fmt.Errorf("-model %s: want provider:model, such as anthropic:claude-sonnet-4-6", c.Model))
	}
	if err := requireKey(name); err != nil {
		return nil, none, err
	}
	switch name {
	case "anthropic":
		return anthropic.New(anthropic.Options{HTTPClient: client}).Chat(model), none, nil
	case "google":
		return google.New(google.Options{HTTPClient: client}).Chat(model), none, nil
	}
	provider, err := openai.NewPreset(name, openai.Options{HTTPClient: client})
	if err != nil {
		return nil, none, setupFailure(fmt.Errorf("-model %s: %w; anthropic and google; and -base-url takes every other OpenAI-compatible service", c.Model, err))
	}
	return provider.Chat(model), none, nil
}

// requireKey says which variable is missing before a request fails for it.
func requireKey(provider string) error {
	var keys []string
	for _, k := range keyed {
		if k.provider == provider {
			keys = []string{k.key}
		}
	}
	for _, p := range openai.Presets() {
		if p.Name == provider {
			keys = p.KeyEnv
		}
	}
	if len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool { return os.Getenv(key) != "" }) {
		return nil
	}
	return setupFailure(fmt.Errorf("no API key for %s: set %s", provider, strings.Join(keys, " or ")))
}
