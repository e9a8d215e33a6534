// Package google talks to Google's Gemini API.
//
//	chat := google.New(google.Options{}).Chat("gemini-2.5-flash") // key from GEMINI_API_KEY
//	for part, err := range chat.Stream(ctx, req) { … }
//
// Thought signatures come back as provider data of the parts they belong to and
// go back to Google with the history. Keys are sent in a header only; they
// appear neither in logs nor in errors.
package google

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

// DefaultBaseURL is the Gemini API.
const DefaultBaseURL = "https://generativelanguage.googleapis.com/v1beta"

// Options configure a [Provider]. The zero value is the Gemini API with the key
// from the environment.
type Options struct {
	// Name is the provider's name in [aiclient.Model] and in errors. It also
	// ties provider data, such as signatures, to the provider. Empty means
	// "google".
	Name string

	// BaseURL is where the API is, up to and including its version; models are
	// looked for below BaseURL + "/models". Empty means [DefaultBaseURL].
	BaseURL string

	// APIKey is sent as x-goog-api-key. Empty means the environment variable
	// GEMINI_API_KEY or else GOOGLE_API_KEY, unless BaseURL is given: a key of
	// Google is never sent to another service by accident.
	APIKey string

	// Header is sent with every request.
	Header http.Header

	// HTTPClient sends the requests. Nil means one without a time limit. Its
	// transport is the place for retries, and for the tokens of Vertex AI.
	HTTPClient *http.Client

	// Logger receives one line per request at debug level, without contents.
	// Nil means slog.Default().
	Logger *slog.Logger
}

// Provider is Google's API. It is safe for concurrent use.
type Provider struct {
	name    string
	client  *transport.Client
	needKey bool
}

// New returns a provider. It makes no request.
func New(opts Options) *Provider {
	base, key := opts.BaseURL, opts.APIKey
	if base == "" {
		base = DefaultBaseURL
		for _, name := range []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"} {
			if key == "" {
				key = os.Getenv(name)
			}
		}
	}
	p := &Provider{name: opts.Name, needKey: key == "" && opts.BaseURL == ""}
	if p.name == "" {
		p.name = "google"
	}
	p.client = transport.New(p.name, base, opts.HTTPClient, opts.Logger)
	for name, values := range opts.Header {
		p.client.Header[http.CanonicalHeaderKey(name)] = values
	}
	p.client.Secret("X-Goog-Api-Key", "", key)
	return p
}

// Name returns the provider's name.
func (p *Provider) Name() string { return p.name }

// Chat returns the named model.
func (p *Provider) Chat(model string) aiclient.Chat {
	return &chat{provider: p, model: strings.TrimPrefix(model, "models/")}
}

// path returns the path of a model's method.
func path(model, method string) string {
	return "/models/" + url.PathEscape(model) + ":" + method
}

func (p *Provider) ready(model string) error {
	if p.needKey {
		return p.client.NoKey(model, "GEMINI_API_KEY")
	}
	return nil
}

// List returns the models that the service has now.
func (p *Provider) List(ctx context.Context) ([]aiclient.Listed, error) {
	if err := p.ready(""); err != nil {
		return nil, err
	}
	return p.client.List(ctx, "/models?pageSize=1000")
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
