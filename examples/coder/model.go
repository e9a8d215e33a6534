package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
	"github.com/tokenring-ai/tokenring-go/utility/httpretry"
)

// scriptedModel is the -model of the demonstration.
const scriptedModel = "scripted"

// chooseModel completes the configuration with the model to use.
func chooseModel(ctx context.Context, c *config) error {
	switch {
	case c.Model != "":
		return nil
	case c.BaseURL != "":
		c.Model = "default" // local servers serve what they have loaded
		return nil
	}
	name, err := providers.Default(ctx, providers.Options{})
	switch {
	case err == nil:
		c.Model = name
		return nil
	case c.Dir == "":
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
	opts := providers.Options{BaseURL: c.BaseURL, HTTPClient: client}
	if c.BaseURL != "" {
		opts.APIKey = os.Getenv("CODER_API_KEY")
	}
	chat, _, err = providers.Chat(c.Model, opts)
	if err != nil {
		return nil, none, setupFailure(fmt.Errorf("-model %s: %w", c.Model, err))
	}
	return chat, none, nil
}
