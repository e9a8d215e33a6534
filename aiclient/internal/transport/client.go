// Package transport carries requests of the provider adapters over HTTP: it
// sends them, reads answers and event streams, and turns whatever goes wrong
// into an *aiclient.APIError that names the provider and never holds a key.
//
// It does not retry: that is the business of the http.Client that it is given
// and of middleware above it.
package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

// maxBody bounds an answer that is not a stream, in bytes: images come as
// base64 text, several to an answer.
const maxBody = 256 << 20

// maxErrorBody bounds how much of an error answer is read.
const maxErrorBody = 1 << 20

// Client sends the requests of one provider. It is safe for concurrent use and
// must not be changed after the first request.
type Client struct {
	Provider string // name in errors
	BaseURL  string // without a trailing slash
	HTTP     *http.Client
	Logger   *slog.Logger

	// Header is sent with every request. It may hold keys.
	Header http.Header

	// Query is added to the URL of every request.
	Query url.Values

	// Secrets are taken out of the provider's error texts.
	Secrets []string
}

// New returns a client with the defaults filled in. A nil client means one that
// is shared by all adapters, keeps connections alive and has no time limit,
// because a reply may take many minutes: contexts limit it.
func New(provider, baseURL string, client *http.Client, logger *slog.Logger) *Client {
	if client == nil {
		client = shared()
	}
	if client.CheckRedirect == nil {
		own := *client
		own.CheckRedirect = sameHost
		client = &own
	}
	if logger == nil {
		logger = slog.Default()
	}
	return &Client{
		Provider: provider, BaseURL: strings.TrimRight(baseURL, "/"), HTTP: client, Logger: logger,
		Header: http.Header{},
	}
}

var shared = sync.OnceValue(func() *http.Client {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return &http.Client{Transport: http.DefaultTransport}
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 64 // the default of 2 closes connections of parallel agents
	return &http.Client{Transport: t}
})

// sameHost keeps a redirect from carrying keys in headers to another host:
// net/http strips only those that it knows.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return fmt.Errorf("the provider redirects to another host, %s", req.URL.Host)
	}
	if len(via) >= 10 {
		return errors.New("the provider redirects more than 10 times")
	}
	return nil
}

// Secret sets a header that holds a key and remembers the key, so that it can
// be taken out of error texts. An empty key sets nothing.
func (c *Client) Secret(header, prefix, key string) {
	if key == "" {
		return
	}
	c.Header.Set(header, prefix+key)
	c.Secrets = append(c.Secrets, key)
}

// Call is one request.
type Call struct {
	Method string // empty means POST
	Path   string // appended to the base URL; a whole URL is used as it is
	Model  string // for errors
	Body   []byte
	Type   string // of the body; empty means JSON
	Accept string // empty means JSON
	Header http.Header
}

// Do sends a request and returns the whole body of its answer.
func (c *Client) Do(ctx context.Context, call Call) ([]byte, http.Header, error) {
	resp, err := c.send(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, nil, c.readError(ctx, call.Model, resp, err)
	}
	if len(body) > maxBody {
		return nil, nil, c.errorOf(call.Model, resp, aiclient.ClassProtocol, fmt.Sprintf("the answer is longer than %d bytes", maxBody), nil)
	}
	return body, PublicHeader(resp.Header), nil
}

// send sends a request and returns the answer if its status is of the 200s.
func (c *Client) send(ctx context.Context, call Call) (*http.Response, error) {
	target := call.Path
	if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") {
		target = c.BaseURL + call.Path
	}
	method := call.Method
	if method == "" {
		method = http.MethodPost
	}
	var body io.Reader
	if call.Body != nil {
		body = bytes.NewReader(call.Body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, &aiclient.APIError{Provider: c.Provider, Model: call.Model, Class: aiclient.ClassBadRequest,
			Message: "the base URL of the provider is not valid", Err: withoutURL(err)}
	}
	if len(c.Query) > 0 {
		query := req.URL.Query()
		for name, values := range c.Query {
			query[name] = values
		}
		req.URL.RawQuery = query.Encode()
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	for name, values := range call.Header {
		req.Header[name] = values
	}
	accept, kind := "application/json", "application/json"
	if call.Accept != "" {
		accept = call.Accept
	}
	if call.Type != "" {
		kind = call.Type
	}
	req.Header.Set("Accept", accept)
	if call.Body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "tokenring-go")
	}

	start := time.Now()
	resp, err := c.HTTP.Do(req)
	if err != nil {
		err = c.networkError(ctx, call.Model, req.URL.Host, err)
		c.Logger.DebugContext(ctx, "model request failed", "provider", c.Provider, "model", call.Model,
			"path", req.URL.Path, "after", time.Since(start), "error", err)
		return nil, err
	}
	c.Logger.DebugContext(ctx, "model request", "provider", c.Provider, "model", call.Model,
		"path", req.URL.Path, "status", resp.StatusCode, "after", time.Since(start), "request_id", requestID(resp.Header))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		return nil, c.StatusError(call.Model, resp.StatusCode, resp.Header, text)
	}
	return resp, nil
}

// networkError describes a request that got no answer.
func (c *Client) networkError(ctx context.Context, model, host string, err error) error {
	err = withoutURL(err)
	if ctx.Err() != nil {
		return c.contextError(ctx, model, err)
	}
	class := aiclient.ClassNetwork
	if timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && timeout.Timeout() {
		class = aiclient.ClassTimeout
	}
	return &aiclient.APIError{Provider: c.Provider, Model: model, Class: class,
		Message: "no answer from " + host, Err: err}
}

// contextError describes a request whose context ended. A passed deadline is a
// timeout of ours; a cancellation is no error of the provider at all.
func (c *Client) contextError(ctx context.Context, model string, err error) error {
	cause := context.Cause(ctx)
	if !errors.Is(err, ctx.Err()) {
		err = ctx.Err()
	}
	if cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &aiclient.APIError{Provider: c.Provider, Model: model, Class: aiclient.ClassTimeout,
			Message: "the deadline passed before the reply was complete", Err: err}
	}
	return fmt.Errorf("%s:%s: %w", c.Provider, model, err)
}

// readError describes a body that broke off.
func (c *Client) readError(ctx context.Context, model string, resp *http.Response, err error) error {
	if ctx.Err() != nil {
		return c.contextError(ctx, model, err)
	}
	return c.errorOf(model, resp, aiclient.ClassTruncated, "the connection broke before the reply was complete", err)
}

func (c *Client) errorOf(model string, resp *http.Response, class aiclient.Class, message string, err error) error {
	return &aiclient.APIError{Provider: c.Provider, Model: model, Class: class, Message: message,
		RequestID: requestID(resp.Header), Err: err}
}

// withoutURL unwraps the error of net/http that repeats the URL, which may hold
// credentials.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// PublicHeader returns the headers that callers may see: cookies are left out.
func PublicHeader(h http.Header) http.Header {
	h.Del("Set-Cookie")
	return h
}

// mediaTypeOf returns the media type of an answer in lower case.
func mediaTypeOf(h http.Header) string {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}
