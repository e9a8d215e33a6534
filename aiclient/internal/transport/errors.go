package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

// maxMessage bounds what is kept of a provider's message, in bytes.
const maxMessage = 4000

// StatusError describes an answer whose status is an error.
func (c *Client) StatusError(model string, status int, header http.Header, body []byte) *aiclient.APIError {
	e := c.BodyError(model, body)
	if e == nil {
		e = &aiclient.APIError{Provider: c.Provider, Model: model, Message: strings.TrimSpace(c.excerpt(body, 300))}
		if e.Message == "" {
			e.Message = http.StatusText(status)
		}
	}
	e.Status = status
	e.Class = classify(status, e.Code, e.Message)
	if id := requestID(header); id != "" {
		e.RequestID = id
	}
	if d := retryAfter(header, time.Now()); d > 0 {
		e.RetryAfter = d
	}
	return e
}

// BodyError reads the error that a JSON document reports, in any of the forms
// that providers use. It returns nil when data reports none.
func (c *Client) BodyError(model string, data []byte) *aiclient.APIError {
	s := jsonscan.New(data)
	body := errorBody{}
	switch s.Kind() {
	case jsonscan.Object:
		body.read(&s, 0)
	case jsonscan.Array: // Google wraps errors of streams
		for s.Array(); s.Item(); {
			body.read(&s, 0)
		}
	}
	if s.Err() != nil || !body.found {
		return nil
	}
	if body.code == "" {
		body.code = body.kind
	}
	message := body.message
	if body.raw != "" {
		message = strings.TrimPrefix(message+": "+body.raw, ": ")
	}
	e := &aiclient.APIError{Provider: c.Provider, Model: model, Code: c.redact(body.code),
		Message: c.excerpt([]byte(message), maxMessage), RequestID: body.requestID, RetryAfter: body.retryAfter}
	status, _ := strconv.Atoi(body.code)
	if body.status != 0 {
		status = int(body.status)
	}
	e.Class = classify(status, body.code+" "+body.kind, message)
	return e
}

// errorBody collects the fields in which providers put what went wrong.
type errorBody struct {
	found      bool
	code, kind string
	message    string
	raw        string // what a provider behind the provider said
	requestID  string
	status     int64
	retryAfter time.Duration
}

// read reads an error document: {"error":{…}}, {"error":"…"}, {"detail":…} or
// {"object":"error","message":…}.
func (b *errorBody) read(s *jsonscan.Scanner, depth int) {
	for s.Object(); s.Key(); {
		switch name := string(s.Name()); name {
		case "error", "detail", "errors":
			b.value(s, depth)
		case "message":
			if s.Kind() == jsonscan.String {
				if text := s.Text(); text != "" && (depth > 0 || b.message == "") {
					b.message = text
				}
				b.found = b.found || depth > 0
			} else {
				s.Skip()
			}
		case "msg":
			if text := s.Text(); len(b.message) < maxMessage {
				b.message = strings.TrimPrefix(b.message+"; "+text, "; ")
			}
		case "type", "object":
			text := s.Text()
			if depth == 0 && text == "error" {
				b.found = true
			} else if name == "type" && depth > 0 {
				b.kind = text
			}
		case "code", "status":
			switch s.Kind() {
			case jsonscan.Number:
				if n := s.Int(); n >= 400 && n <= 599 {
					b.status = n
				}
			case jsonscan.String:
				b.code = s.Text()
			default:
				s.Skip()
			}
		case "request_id":
			b.requestID = s.Text()
		case "details": // Google: a list of typed details
			for s.Array(); s.Item(); {
				for s.Object(); s.Key(); {
					switch string(s.Name()) {
					case "retryDelay":
						b.retryAfter, _ = time.ParseDuration(s.Text())
					case "reason":
						b.kind = s.Text()
					default:
						s.Skip()
					}
				}
			}
		case "metadata": // OpenRouter: what the provider behind it said
			for s.Object(); s.Key(); {
				if string(s.Name()) == "raw" && s.Kind() == jsonscan.String {
					b.raw = s.Text()
				} else {
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
}

// maxErrorDepth bounds how deep errors are looked for in lists and objects, so
// that hostile ones cannot exhaust the stack.
const maxErrorDepth = 5

// value reads the value of an error field.
func (b *errorBody) value(s *jsonscan.Scanner, depth int) {
	kind := s.Kind()
	if depth >= maxErrorDepth && kind != jsonscan.String {
		b.found = b.found || kind == jsonscan.Object
		s.Skip()
		return
	}
	switch kind {
	case jsonscan.String:
		if text := s.Text(); text != "" {
			b.found, b.message = true, text
		}
	case jsonscan.Object:
		b.found = true
		b.read(s, depth+1)
	case jsonscan.Array:
		for s.Array(); s.Item(); {
			b.value(s, depth+1)
		}
	default:
		s.Skip()
	}
}

// excerpt returns the first n bytes of what a provider sent. Keys are taken out
// before it is cut, so that no piece of one stays.
func (c *Client) excerpt(data []byte, n int) string {
	text := c.redact(strings.ToValidUTF8(string(data[:min(len(data), maxErrorBody)]), "\uFFFD"))
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "") + "…"
	}
	return text
}

func (c *Client) redact(text string) string {
	for _, secret := range c.Secrets {
		if utf8.RuneCountInString(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "[key]")
		}
	}
	return text
}

// words of codes and messages by which errors of the same status differ, in the
// order in which they are tried.
var words = []struct {
	class aiclient.Class
	any   []string
}{
	{aiclient.ClassContextLength, []string{
		"context_length_exceeded", "context_length", "maximum context length", "context window", "prompt is too long",
		"input is too long", "input token count", "request_too_large", "exceeds the maximum number of tokens",
		"exceed context limit", "exceeds the available context size", "too many tokens", "string_above_max_length",
	}},
	{aiclient.ClassContentFilter, []string{
		"content_filter", "content_policy", "responsibleaipolicyviolation", "content management policy", "moderation",
		"safety system", "prohibited_content", "data_inspection_failed",
	}},
	{aiclient.ClassQuota, []string{
		"insufficient_quota", "credit balance", "billing_hard_limit", "billing_error", "insufficient balance",
		"insufficient credits", "payment required", "exceeded_current_quota", "arrearage",
	}},
	{aiclient.ClassAuth, []string{
		"invalid_api_key", "api_key_invalid", "authentication_error", "permission_error", "unauthenticated",
		"permission_denied", "incorrect api key", "invalid api key", "api key not valid",
	}},
	{aiclient.ClassOverloaded, []string{"overloaded", "engine_overloaded", "unavailable", "at capacity", "over capacity"}},
	{aiclient.ClassRateLimit, []string{"rate_limit", "rate limit", "resource_exhausted", "too many requests", "too_many_requests"}},
	{aiclient.ClassTimeout, []string{"timeout_error", "deadline_exceeded", "timed out"}},
	{aiclient.ClassNotFound, []string{"model_not_found", "not_found_error", "does not exist", "deploymentnotfound", "model not found"}},
	{aiclient.ClassServer, []string{"server_error", "internal_error", "api_error", "internal server error"}},
	{aiclient.ClassBadRequest, []string{"invalid_request_error", "invalid_argument"}},
}

// classify sorts an error. The code is trusted over the status, and the status
// over the words of the message, which users can influence.
func classify(status int, code, message string) aiclient.Class {
	code = strings.ToLower(code)
	message = strings.ToLower(message)
	matches := func(class aiclient.Class, text string) bool {
		for _, w := range words {
			if w.class == class {
				for _, word := range w.any {
					if strings.Contains(text, word) {
						return true
					}
				}
			}
		}
		return false
	}
	switch status {
	case 0:
		for _, w := range words {
			if matches(w.class, code) {
				if w.class == aiclient.ClassBadRequest && matches(aiclient.ClassContextLength, message) {
					return aiclient.ClassContextLength
				}
				return w.class
			}
		}
		for _, w := range words {
			if matches(w.class, message) {
				return w.class
			}
		}
		return aiclient.ClassServer
	case http.StatusUnauthorized:
		return aiclient.ClassAuth
	case http.StatusPaymentRequired:
		return aiclient.ClassQuota
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return aiclient.ClassTimeout
	case http.StatusRequestEntityTooLarge:
		return aiclient.ClassContextLength
	case http.StatusTooManyRequests:
		if matches(aiclient.ClassQuota, code) || matches(aiclient.ClassQuota, message) {
			return aiclient.ClassQuota
		}
		if matches(aiclient.ClassOverloaded, code) {
			return aiclient.ClassOverloaded
		}
		return aiclient.ClassRateLimit
	case http.StatusServiceUnavailable, 529:
		return aiclient.ClassOverloaded
	case http.StatusForbidden:
		for _, class := range []aiclient.Class{aiclient.ClassContentFilter, aiclient.ClassQuota} {
			if matches(class, code) || matches(class, message) {
				return class
			}
		}
		return aiclient.ClassAuth
	case http.StatusNotFound:
		return aiclient.ClassNotFound
	}
	if status >= 500 {
		if matches(aiclient.ClassOverloaded, code) || matches(aiclient.ClassOverloaded, message) {
			return aiclient.ClassOverloaded
		}
		return aiclient.ClassServer
	}
	for _, class := range []aiclient.Class{aiclient.ClassContextLength, aiclient.ClassContentFilter,
		aiclient.ClassQuota, aiclient.ClassAuth, aiclient.ClassNotFound} {
		if matches(class, code) || matches(class, message) {
			return class
		}
	}
	return aiclient.ClassBadRequest
}

// requestID returns the ID by which the provider knows the request.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "Apim-Request-Id", "X-Goog-Request-Id", "X-Fal-Request-Id", "Cf-Ray"} {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return ""
}

// retryAfter returns how long the provider asks to wait: RFC 9110 section
// 10.2.3, and the header in milliseconds that OpenAI and Azure add.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 && ms < 1e12 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	text := h.Get("Retry-After")
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if seconds > 0 && seconds < 1e9 {
			return time.Duration(seconds * float64(time.Second))
		}
		return 0
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
