package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cenkalti/backoff/v4"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/tokenring-ai/tokenring-go/utility/httpretry"
	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

var calls int

// succeed is not inlined, so that every peer pays for a call.
//
//go:noinline
func succeed(context.Context) error { calls++; return nil }

func BenchmarkRetry(b *testing.B) {
	ctx := context.Background()
	b.Run("success/bare-call", func(b *testing.B) {
		for b.Loop() {
			_ = succeed(ctx)
		}
	})
	b.Run("success/tokenring", func(b *testing.B) {
		for b.Loop() {
			_ = retry.Do(ctx, retry.Policy{}, succeed)
		}
	})
	b.Run("success/backoff", func(b *testing.B) {
		for b.Loop() {
			policy := backoff.WithContext(backoff.WithMaxRetries(backoff.NewExponentialBackOff(), 3), ctx)
			_ = backoff.Retry(func() error { return succeed(ctx) }, policy)
		}
	})
	b.Run("success/failsafe-go", func(b *testing.B) {
		executor := failsafe.With(retrypolicy.NewWithDefaults[any]())
		for b.Loop() {
			_ = executor.WithContext(ctx).Run(func() error { return succeed(ctx) })
		}
	})
}

// answer is a server without a network.
type answer struct{}

func (answer) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader("ok")),
		Request:    req,
	}, nil
}

func BenchmarkHTTPRetry(b *testing.B) {
	get := func(b *testing.B, client *http.Client) {
		for b.Loop() {
			res, err := client.Get("http://model.invalid/")
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	}
	b.Run("200/net-http", func(b *testing.B) { get(b, &http.Client{Transport: answer{}}) })
	b.Run("200/tokenring", func(b *testing.B) {
		get(b, &http.Client{Transport: &httpretry.Transport{Base: answer{}}})
	})
	b.Run("200/failsafe-go", func(b *testing.B) {
		get(b, &http.Client{Transport: failsafehttp.NewRoundTripper(answer{}, failsafehttp.NewRetryPolicyBuilder().Build())})
	})
	b.Run("200/go-retryablehttp", func(b *testing.B) {
		client := retryablehttp.NewClient()
		client.HTTPClient = &http.Client{Transport: answer{}}
		client.Logger = nil
		get(b, client.StandardClient())
	})
}
