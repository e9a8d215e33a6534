package cache_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/cache"
)

type models struct{ Models []string }

func jsonServer(t *testing.T, handler http.HandlerFunc) (*http.Client, string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Client(), server.URL
}

func TestJSONAsksOnlyForWhatHasChanged(t *testing.T) {
	for _, validator := range []string{"ETag", "Last-Modified"} {
		t.Run(validator, func(t *testing.T) {
			version := atomic.Int64{}
			version.Store(1)
			var full, unchanged atomic.Int64
			client, url := jsonServer(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "Bearer x", r.Header.Get("Authorization"))
				assert.Equal(t, "application/json", r.Header.Get("Accept"))
				tag := fmt.Sprintf(`"v%d"`, version.Load())
				if validator == "Last-Modified" {
					tag = time.Unix(version.Load(), 0).UTC().Format(http.TimeFormat)
				}
				if r.Header.Get(map[string]string{"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}[validator]) == tag {
					unchanged.Add(1)
					w.WriteHeader(http.StatusNotModified)
					return
				}
				full.Add(1)
				w.Header().Set(validator, tag)
				fmt.Fprintf(w, `{"models":["m%d"]}`, version.Load())
			})
			docs := &cache.JSON[models]{Client: client, Header: http.Header{"Authorization": {"Bearer x"}}}
			for i := range 4 {
				if i == 2 {
					version.Store(2)
				}
				got, err := docs.Load(t.Context(), url)
				require.NoError(t, err)
				assert.Equal(t, models{[]string{fmt.Sprint("m", 1+i/2)}}, got)
			}
			assert.EqualValues(t, 2, full.Load())
			assert.EqualValues(t, 2, unchanged.Load())
		})
	}
}

func TestJSONOfAnyLength(t *testing.T) {
	client, url := jsonServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"models":["m"]}`) })
	got, err := (&cache.JSON[models]{Client: client, MaxBytes: math.MaxInt64}).Load(t.Context(), url)
	require.NoError(t, err)
	assert.Equal(t, models{[]string{"m"}}, got)
}

func TestJSONWithoutValidatorsAndWithErrors(t *testing.T) {
	var conditional atomic.Int64
	client, url := jsonServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			conditional.Add(1)
		}
		switch r.URL.Path {
		case "/plain":
			fmt.Fprint(w, `{"models":[]}`)
		case "/busy":
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, " slow down ", strings.Repeat("x", 1000))
		case "/syntax":
			fmt.Fprint(w, `{"models":[}`)
		case "/type":
			fmt.Fprint(w, `{"models":5}`)
		case "/long":
			fmt.Fprint(w, `{"models":["`, strings.Repeat("x", 100), `"]}`)
		case "/unasked":
			w.WriteHeader(http.StatusNotModified)
		}
	})
	docs := &cache.JSON[models]{Client: client, MaxBytes: 50, MaxDocuments: 1}
	for range 2 {
		_, err := docs.Load(t.Context(), url+"/plain")
		require.NoError(t, err)
	}
	assert.Zero(t, conditional.Load())

	_, err := docs.Load(t.Context(), url+"/busy")
	var status *cache.StatusError
	require.ErrorAs(t, err, &status)
	assert.Equal(t, 429, status.Status)
	assert.Equal(t, "3", status.Header.Get("Retry-After"))
	assert.Len(t, status.Body, 500)
	assert.ErrorContains(t, err, "/busy: 429 Too Many Requests: slow down")

	for path, want := range map[string]string{
		"/syntax":  "malformed JSON at byte 12",
		"/type":    "unexpected JSON",
		"/long":    "longer than 50 bytes",
		"/unasked": "304",
		"\x00":     "invalid control character",
	} {
		_, err := docs.Load(t.Context(), url+path)
		assert.ErrorContains(t, err, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = docs.Load(ended, url+"/plain")
	require.ErrorIs(t, err, context.Canceled)
}

func ExampleJSON() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"models":["large","small"]}`)
	}))
	defer server.Close()

	var docs cache.JSON[models]
	documents := cache.New(docs.Load, cache.Options{TTL: time.Minute, Timeout: 10 * time.Second})
	defer documents.Close(context.Background())

	list, err := documents.Get(context.Background(), server.URL)
	fmt.Println(list.Models, err)
	// Output: [large small] <nil>
}

func ExampleValue() {
	online := cache.NewValue(func(ctx context.Context) (bool, error) {
		// Ask the provider, with ctx.
		return true, nil
	}, cache.Options{NegativeTTL: 5 * time.Second})
	defer online.Close(context.Background())

	fmt.Println(online.Get(context.Background()))
	fmt.Println(online.Get(context.Background()))
	stats := online.Stats()
	fmt.Println(stats.Loads, "load,", stats.Hits, "hit")
	// Output:
	// true <nil>
	// true <nil>
	// 1 load, 1 hit
}

func TestValue(t *testing.T) {
	n := 0
	v := cache.NewValue(func(context.Context) (int, error) { n++; return n, nil }, cache.Options{Timeout: time.Minute})
	got, err := v.Refresh(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, got)
	entry, ok := v.Peek()
	assert.True(t, ok && entry.Value == 1)
	v.Invalidate()
	_, ok = v.Peek()
	assert.False(t, ok)
	require.NoError(t, v.Close(t.Context()))
	_, err = v.Get(t.Context())
	require.ErrorIs(t, err, cache.ErrClosed)
}
