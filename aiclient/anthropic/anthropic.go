// Package anthropic talks to Anthropic's Messages API and to services that
// speak it.
//
//	chat := anthropic.New(anthropic.Options{}).Chat("claude-sonnet-4-5") // key from ANTHROPIC_API_KEY
//	for part, err := range chat.Stream(ctx, req) { … }
//
// Thinking comes back as reasoning parts that carry their signatures, searches
// that Anthropic runs as opaque parts; both go back to it unchanged with the
// history. Keys are sent in a header only; they appear neither in logs nor in
// errors.
package anthropic

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// DefaultBaseURL is Anthropic's own API.
const DefaultBaseURL = "https://api.anthropic.com"

// Version is the version of the API that the package speaks.
const Version = "2023-06-01"

// Options configure a [Provider]. The zero value is Anthropic with the key from
// the environment.
type Options struct {
	// Name is the provider's name in [aiclient.Model] and in errors. It also
	// ties provider data, such as signatures, to the provider. Empty means
	// "anthropic".
	Name string

	// BaseURL is where the API is, with or without "/v1" at its end. Empty
	// means the environment variable ANTHROPIC_BASE_URL, or else
	// [DefaultBaseURL].
	BaseURL string

	// APIKey is sent as x-api-key. Empty means the environment variable
	// ANTHROPIC_API_KEY, unless BaseURL is given: a key of Anthropic is never
	// sent to another service by accident.
	APIKey string

	// Bearer sends the key as a bearer token instead, as some services that
	// speak the API want it.
	Bearer bool

	// Beta names beta features to switch on.
	Beta []string

	// MaxTokens bounds replies to requests that set no bound, which the API
	// demands. 0 means 4,096 for Claude 3, 8,192 for Claude 3.5 and 16,384 for
	// any other model, besides what it may think.
	MaxTokens int64

	// Header is sent with every request.
	Header http.Header

	// HTTPClient sends the requests. Nil means one without a time limit. Its
	// transport is the place for retries.
	HTTPClient *http.Client

	// Logger receives one line per request at debug level, without contents.
	// Nil means slog.Default().
	Logger *slog.Logger
}

// Provider is a service that speaks Anthropic's API. It is safe for concurrent
// use.
type Provider struct {
	name      string
	client    *transport.Client
	maxTokens int64
	needKey   bool
}

// New returns a provider. It makes no request.
func New(opts Options) *Provider {
	base, key := opts.BaseURL, opts.APIKey
	if base == "" {
		if base = os.Getenv("ANTHROPIC_BASE_URL"); base == "" {
			base = DefaultBaseURL
		}
		if key == "" {
			key = os.Getenv("ANTHROPIC_API_KEY")
		}
	}
	p := &Provider{name: opts.Name, maxTokens: opts.MaxTokens}
	if p.name == "" {
		p.name = "anthropic"
	}
	base = strings.TrimSuffix(strings.TrimRight(base, "/"), "/v1")
	p.needKey = key == "" && base == DefaultBaseURL
	p.client = transport.New(p.name, base+"/v1", opts.HTTPClient, opts.Logger)
	p.client.Header.Set("Anthropic-Version", Version)
	if len(opts.Beta) > 0 {
		p.client.Header.Set("Anthropic-Beta", strings.Join(opts.Beta, ","))
	}
	for name, values := range opts.Header {
		p.client.Header[http.CanonicalHeaderKey(name)] = values
	}
	if opts.Bearer {
		p.client.Secret("Authorization", "Bearer ", key)
	} else {
		p.client.Secret("X-Api-Key", "", key)
	}
	return p
}

// Name returns the provider's name.
func (p *Provider) Name() string { return p.name }

// Chat returns the named model.
func (p *Provider) Chat(model string) aiclient.Chat {
	return &chat{provider: p, model: model}
}

// defaultMaxTokens returns the bound on a reply whose request sets none.
func (p *Provider) defaultMaxTokens(model string) int64 {
	switch {
	case p.maxTokens > 0:
		return p.maxTokens
	case strings.Contains(model, "claude-3-5"):
		return 8192
	case strings.Contains(model, "claude-3-7"):
		return 16384
	case strings.Contains(model, "claude-3"), strings.Contains(model, "claude-2"):
		return 4096
	}
	return 16384
}

// List returns the models that the service has now.
func (p *Provider) List(ctx context.Context) ([]aiclient.Listed, error) {
	if p.needKey {
		return nil, p.client.NoKey("", "ANTHROPIC_API_KEY")
	}
	return p.client.List(ctx, "/models?limit=1000")
}

// Chats returns the provider's chat models for an [aiclient.ChatRegistry]:
// those of specs and, as far as the service lists them, any other. The features
// of their names are applied.
func (p *Provider) Chats(specs ...aiclient.ModelSpec) aiclient.Provider[aiclient.Chat] {
	return aiclient.Provider[aiclient.Chat]{
		Name: p.name, Models: specs, AnyModel: true, List: p.List, Timeout: transport.ListTimeout, Logger: p.client.Logger,
		Open: func(spec aiclient.ModelSpec, features aiclient.Features) (aiclient.Chat, error) {
			return aiclient.Wrap(p.Chat(spec.ID), aiclient.WithFeatures(features), aiclient.WithSpec(spec)), nil
		},
	}
}
