package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/utility/httpretry"
)

// scriptedModel is the -model of the demonstration.
const scriptedModel = "scripted"

// defaultModels are used, in this order, when their key is in the environment.
var defaultModels = []struct{ key, model string }{
	{"OPENAI_API_KEY", "openai:gpt-5.1"},
	{"ANTHROPIC_API_KEY", "anthropic:claude-sonnet-4-5"},
	{"GEMINI_API_KEY", "google:gemini-2.5-pro"},
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
	for _, candidate := range defaultModels {
		if os.Getenv(candidate.key) != "" {
			c.Model = candidate.model
			return nil
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
	if c.BaseURL != "" {
		// A key is sent only where the user has said that it belongs.
		provider := openai.New(openai.Options{BaseURL: c.BaseURL, APIKey: os.Getenv("CODER_API_KEY"), HTTPClient: client})
		return provider.Chat(c.Model), none, nil
	}
	name, model, ok := strings.Cut(c.Model, ":")
	if !ok || name == "" || model == "" {
		return nil, none, setupFailure(fmt.Errorf("-model %s: want provider:model, such as %s", c.Model, defaultModels[0].model))
	}
	switch name {
	case "openai":
		chat = openai.New(openai.Options{HTTPClient: client}).Chat(model)
	case "anthropic":
		chat = anthropic.New(anthropic.Options{HTTPClient: client}).Chat(model)
	case "google", "gemini":
		chat = google.New(google.Options{HTTPClient: client}).Chat(model)
	default:
		return nil, none, setupFailure(fmt.Errorf("-model %s: provider %q is not known; known are openai, anthropic and google, and with -base-url every OpenAI-compatible one", c.Model, name))
	}
	return chat, none, requireKey(name)
}

// requireKey says which variable is missing before a request fails for it.
func requireKey(provider string) error {
	for _, candidate := range defaultModels {
		if known, _, _ := strings.Cut(candidate.model, ":"); known == provider && os.Getenv(candidate.key) == "" {
			return setupFailure(fmt.Errorf("no API key: set %s", candidate.key))
		}
	}
	return nil
}
