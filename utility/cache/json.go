package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// JSON loads JSON documents over HTTP. Its Load method is a load function for
// [New], whose keys are then URLs. It remembers the validators (ETag and
// Last-Modified) of each URL, asks the server only for what has changed, and
// returns the value it has when the server says that nothing did.
//
// The zero value is ready for use. Its fields must not be changed once it is in
// use. It is safe for concurrent use.
type JSON[V any] struct {
	// Client sends the requests. Nil means http.DefaultClient.
	Client *http.Client

	// Header is sent with each request, for authentication for instance.
	Header http.Header

	// MaxBytes bounds a document. 0 means 16 MiB.
	MaxBytes int64

	// MaxDocuments bounds how many URLs are remembered. 0 means 1,000.
	MaxDocuments int

	mu        sync.Mutex
	documents *simplelru.LRU[string, document[V]]
}

type document[V any] struct {
	etag, modified string
	value          V
}

// StatusError reports an answer other than 200 or 304.
type StatusError struct {
	URL    string
	Status int
	Header http.Header
	Body   string // its first 500 bytes
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("GET %s: %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if body := strings.TrimSpace(e.Body); body != "" {
		text += ": " + body
	}
	return text
}

// Load returns the document at url.
func (j *JSON[V]) Load(ctx context.Context, url string) (V, error) {
	var none V
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return none, err
	}
	if j.Header != nil {
		req.Header = j.Header.Clone()
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	known, ok := j.known(url)
	if ok {
		if known.etag != "" {
			req.Header.Set("If-None-Match", known.etag)
		}
		if known.modified != "" {
			req.Header.Set("If-Modified-Since", known.modified)
		}
	}
	client := j.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return none, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotModified && ok:
		return known.value, nil
	case res.StatusCode != http.StatusOK:
		start, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return none, &StatusError{URL: url, Status: res.StatusCode, Header: res.Header, Body: string(start)}
	}
	fresh := document[V]{etag: res.Header.Get("ETag"), modified: res.Header.Get("Last-Modified")}
	if err := j.decode(res.Body, &fresh.value); err != nil {
		return none, fmt.Errorf("GET %s: %w", url, err)
	}
	j.keep(url, fresh)
	return fresh.value, nil
}

func (j *JSON[V]) decode(body io.Reader, v *V) error {
	limit := j.MaxBytes
	if limit <= 0 {
		limit = 16 << 20
	}
	limit = min(limit, math.MaxInt64-1)
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > limit {
		return fmt.Errorf("the document is longer than %d bytes", limit)
	}
	if err := json.Unmarshal(data, v); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("malformed JSON at byte %d: %w (it begins with %.80q)", syntax.Offset, err, data)
		}
		return fmt.Errorf("unexpected JSON: %w", err)
	}
	return nil
}

func (j *JSON[V]) known(url string) (document[V], bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.documents == nil {
		return document[V]{}, false
	}
	return j.documents.Get(url)
}

// keep remembers a document that has validators; of others only the value would
// be kept, which nothing could use.
func (j *JSON[V]) keep(url string, d document[V]) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.documents == nil {
		size := j.MaxDocuments
		if size <= 0 {
			size = 1000
		}
		j.documents, _ = simplelru.NewLRU[string, document[V]](size, nil)
	}
	if d.etag == "" && d.modified == "" {
		j.documents.Remove(url)
		return
	}
	j.documents.Add(url, d)
}
