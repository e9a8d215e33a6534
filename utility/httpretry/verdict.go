package httpretry

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

// verdict decides whether an attempt is followed by another one, and after what
// pause.
func (t *Transport) verdict(req *http.Request, a attempt, pauses *pauses) (time.Duration, bool) {
	ctx := req.Context()
	if ctx.Err() != nil {
		return 0, false
	}
	var asked time.Duration
	if a.err != nil {
		if !t.retryError(req, a.err) {
			return 0, false
		}
	} else {
		if !retryStatus(a.resp) || !t.repeatable(req) {
			return 0, false
		}
		asked, _ = Delay(a.resp.StatusCode, a.resp.Header, time.Now())
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return 0, false
	}
	pause, ok := pauses.next()
	if !ok {
		return 0, false
	}
	if asked > pause {
		if asked > t.maxDelay() {
			return 0, false
		}
		pause = asked
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return 0, false
	}
	if pauses.late(pause) {
		return 0, false
	}
	return pause, true
}

func (t *Transport) maxDelay() time.Duration {
	if t.Policy.MaxDelay > 0 {
		return t.Policy.MaxDelay
	}
	return retry.DefaultMaxDelay
}

// retryStatus reports whether an answer is one that a later attempt can improve.
// X-Should-Retry is how some services say so themselves: a quota that is used
// up for good answers 429 as well as a limit that passes in a second.
func retryStatus(resp *http.Response) bool {
	switch resp.Header.Get("X-Should-Retry") {
	case "true":
		return resp.StatusCode >= 400
	case "false":
		return false
	}
	switch status := resp.StatusCode; status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false // will not change
	default:
		return status >= 500 && status <= 599
	}
}

// repeatable reports whether sending req twice does no harm.
func (t *Transport) repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return t.NonIdempotent || req.Header.Get("Idempotency-Key") != "" || req.Header.Get("X-Idempotency-Key") != ""
}

// retryError reports whether a request that failed with err may be sent again.
func (t *Transport) retryError(req *http.Request, err error) bool {
	if t.Policy.Retryable != nil && !t.Policy.Retryable(err) {
		return false
	}
	if isFinal(err) {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true // nothing was sent
	}
	return t.repeatable(req)
}

// isFinal reports whether err is a mistake in the request or a refusal of trust,
// which stay as they are. net/http has no types for the former.
func isFinal(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	text := err.Error()
	for _, mistake := range []string{
		"unsupported protocol scheme", "no Host in request URL", "nil Request", "net/http: invalid ",
		"server gave HTTP response to HTTPS client",
	} {
		if strings.Contains(text, mistake) {
			return true
		}
	}
	return false
}
