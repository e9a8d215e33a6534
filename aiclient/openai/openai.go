// Package openai talks to OpenAI and to every service that speaks its API.
//
//	provider := openai.New(openai.Options{})           // key from OPENAI_API_KEY
//	chat := provider.Chat("gpt-4o")                    // Chat Completions
//	reply, err := chat.Generate(ctx, &aiclient.Request{Messages: …})
//
//	local := openai.New(openai.Options{BaseURL: "http://localhost:8080/v1"})
//
// Keys are sent in headers only; they appear neither in logs nor in errors.
package openai

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// DefaultBaseURL is OpenAI's own API.
const DefaultBaseURL = "https://api.openai.com/v1"

// Options configure a [Provider]. The zero value is OpenAI with the key from
// the environment.
type Options struct {
	// Name is the provider's name in [aiclient.Model] and in errors. It also
	// ties provider data to the provider. Empty means "openai".
	Name string

	// BaseURL is where the API is, up to and including its version. Empty means
	// the environment variable OPENAI_BASE_URL, or else [DefaultBaseURL].
	BaseURL string

	// APIKey is sent as a bearer token. Empty means the environment variable
	// OPENAI_API_KEY, unless BaseURL is given: a key of OpenAI is never sent to
	// another service by accident. Without a key no authorization is sent,
	// which local servers accept.
	APIKey string

	// KeyHeader is the header that carries the key as it is, such as "api-key".
	// Empty means a bearer token.
	KeyHeader string

	// KeyName names the environment variable in the error about a key that is
	// missing, and makes a key necessary. It is not read.
	KeyName string

	// Query is added to the URL of every request.
	Query url.Values

	// Organization and Project are OpenAI's; empty means none.
	Organization string
	Project      string

	// Header is sent with every request.
	Header http.Header

	// HTTPClient sends the requests. Nil means one without a time limit. Its
	// transport is the place for retries.
	HTTPClient *http.Client

	// Logger receives one line per request at debug level, without contents.
	// Nil means slog.Default().
	Logger *slog.Logger

	// Dialect says how the service differs from OpenAI. Nil means [OpenAI] for
	// OpenAI itself and [Compatible] for any other BaseURL.
	Dialect *Dialect
}

// Provider is a service that speaks OpenAI's API. It is safe for concurrent
// use.
type Provider struct {
	name    string
	client  *transport.Client
	dialect Dialect
	needKey string // the environment variable to name when there is no key
}

// New returns a provider. It makes no request.
func New(opts Options) *Provider {
	base, key := opts.BaseURL, opts.APIKey
	if base == "" {
		if base = os.Getenv("OPENAI_BASE_URL"); base == "" {
			base = DefaultBaseURL
		}
		if key == "" {
			key = os.Getenv("OPENAI_API_KEY")
		}
	}
	own := strings.HasPrefix(base, "https://api.openai.com/")
	p := &Provider{name: opts.Name}
	if key == "" {
		p.needKey = opts.KeyName
	}
	if p.name == "" {
		p.name = "openai"
	}
	switch {
	case opts.Dialect != nil:
		p.dialect = *opts.Dialect
	case own:
		p.dialect = OpenAI
	default:
		p.dialect = Compatible
	}
	if own && key == "" && p.needKey == "" {
		p.needKey = "OPENAI_API_KEY"
	}
	p.client = transport.New(p.name, base, opts.HTTPClient, opts.Logger)
	for name, values := range opts.Header {
		p.client.Header[http.CanonicalHeaderKey(name)] = values
	}
	p.client.Query = opts.Query
	if opts.KeyHeader != "" {
		p.client.Secret(opts.KeyHeader, "", key)
	} else {
		p.client.Secret("Authorization", "Bearer ", key)
	}
	if opts.Organization != "" {
		p.client.Header.Set("OpenAI-Organization", opts.Organization)
	}
	if opts.Project != "" {
		p.client.Header.Set("OpenAI-Project", opts.Project)
	}
	return p
}

// Name returns the provider's name.
func (p *Provider) Name() string { return p.name }

// ready reports why no request can be made.
func (p *Provider) ready(model string) error {
	if p.needKey != "" {
		return p.client.NoKey(model, p.needKey)
	}
	return nil
}

// Chat returns the named model over the Chat Completions API.
func (p *Provider) Chat(model string) aiclient.Chat {
	return &chat{provider: p, model: model}
}

// List returns the models that the service has now, in one request.
func (p *Provider) List(ctx context.Context) ([]aiclient.Listed, error) {
	if err := p.ready(""); err != nil {
		return nil, err
	}
	return p.client.List(ctx, "/models")
}

// Chats returns the provider's chat models for an [aiclient.ChatRegistry]:
// those of specs and, as far as the service lists them, any other. Models are
// opened over Chat Completions; the features of their names are applied.
func (p *Provider) Chats(specs ...aiclient.ModelSpec) aiclient.Provider[aiclient.Chat] {
	return p.chats(p.Chat, specs)
}

// ResponsesChats is Chats over the Responses API.
func (p *Provider) ResponsesChats(specs ...aiclient.ModelSpec) aiclient.Provider[aiclient.Chat] {
	return p.chats(p.Responses, specs)
}

func (p *Provider) chats(open func(string) aiclient.Chat, specs []aiclient.ModelSpec) aiclient.Provider[aiclient.Chat] {
	out := aiclient.Provider[aiclient.Chat]{
		Name: p.name, Models: specs, AnyModel: true, Timeout: transport.ListTimeout, Logger: p.client.Logger,
		Open: func(spec aiclient.ModelSpec, features aiclient.Features) (aiclient.Chat, error) {
			return aiclient.Wrap(open(spec.ID), aiclient.WithFeatures(features), aiclient.WithSpec(spec)), nil
		},
	}
	if !p.dialect.NoModelList {
		out.List = p.List
	}
	return out
}
