// Package azure talks to OpenAI's models in Azure.
//
//	provider, err := azure.New(azure.Options{})  // AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY
//	chat := provider.Chat("my-deployment")
//
// Models are named by their deployments. Tokens of Entra ID instead of a key
// are the business of the http.Client's transport.
package azure

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// Options configure a [Provider].
type Options struct {
	// Name is the provider's name in [aiclient.Model] and in errors. Empty
	// means "azure".
	Name string

	// Endpoint is the resource, such as https://my-resource.openai.azure.com.
	// Empty means the environment variable AZURE_OPENAI_ENDPOINT.
	Endpoint string

	// APIKey is sent as api-key. Empty means the environment variable
	// AZURE_OPENAI_API_KEY, unless Endpoint is given.
	APIKey string

	// APIVersion asks for a dated version of the older API, in which the
	// deployment is part of the path. Empty means the current one ("v1").
	APIVersion string

	Header     http.Header  // sent with every request
	HTTPClient *http.Client // as in openai.Options
	Logger     *slog.Logger // as in openai.Options
}

// Provider is an Azure OpenAI resource. It is safe for concurrent use.
type Provider struct {
	opts Options
	v1   *openai.Provider
}

// New returns a provider. It makes no request. An endpoint that is missing or
// no URL is an error.
func New(opts Options) (*Provider, error) {
	if opts.Endpoint == "" {
		if opts.Endpoint = os.Getenv("AZURE_OPENAI_ENDPOINT"); opts.Endpoint == "" {
			return nil, errors.New("azure: no endpoint: set Options.Endpoint or AZURE_OPENAI_ENDPOINT")
		}
		if opts.APIKey == "" {
			opts.APIKey = os.Getenv("AZURE_OPENAI_API_KEY")
		}
	}
	if u, err := url.Parse(opts.Endpoint); err != nil || u.Host == "" {
		return nil, errors.New("azure: the endpoint is not a URL such as https://my-resource.openai.azure.com")
	}
	opts.Endpoint = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(opts.Endpoint, "/"), "/v1"), "/openai")
	if opts.Name == "" {
		opts.Name = "azure"
	}
	p := &Provider{opts: opts}
	p.v1 = p.at("/openai/v1")
	return p, nil
}

// at returns a client of the API at a path of the resource.
func (p *Provider) at(path string) *openai.Provider {
	o := openai.Options{
		Name: p.opts.Name, BaseURL: p.opts.Endpoint + path, APIKey: p.opts.APIKey, KeyHeader: "Api-Key",
		Header: p.opts.Header, HTTPClient: p.opts.HTTPClient, Logger: p.opts.Logger, Dialect: &openai.OpenAI,
	}
	if p.opts.APIVersion != "" {
		o.Query = url.Values{"api-version": {p.opts.APIVersion}}
	}
	return openai.New(o)
}

// Name returns the provider's name.
func (p *Provider) Name() string { return p.opts.Name }

// Chat returns the model of the named deployment over the Chat Completions API.
func (p *Provider) Chat(deployment string) aiclient.Chat {
	if p.opts.APIVersion != "" {
		return p.at("/openai/deployments/" + url.PathEscape(deployment)).Chat(deployment)
	}
	return p.v1.Chat(deployment)
}

// Responses returns the model of the named deployment over the Responses API,
// which Azure has only in the current version of its API.
func (p *Provider) Responses(deployment string) aiclient.Chat { return p.v1.Responses(deployment) }

// Chats returns deployments for an [aiclient.ChatRegistry]. Azure lists models,
// not deployments, so that nothing is known about their status.
func (p *Provider) Chats(specs ...aiclient.ModelSpec) aiclient.Provider[aiclient.Chat] {
	out := p.v1.Chats(specs...)
	out.List = nil
	out.Open = func(spec aiclient.ModelSpec, features aiclient.Features) (aiclient.Chat, error) {
		return aiclient.Wrap(p.Chat(spec.ID), aiclient.WithFeatures(features), aiclient.WithSpec(spec)), nil
	}
	return out
}
