package httpretry

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxParsed bounds what a header can say; whoever means longer means never.
const maxParsed = 365 * 24 * time.Hour

// Delay returns how long a server wants its client to wait before the next
// attempt, going by the status and headers of its answer and the present time:
//
//   - Retry-After-Ms, in milliseconds
//   - Retry-After, in seconds (also with a fraction) or as an HTTP date
//   - for 429 alone, the reset header of a rate limit that is exhausted, such as
//     X-Ratelimit-Reset-Requests: 6m0s beside X-Ratelimit-Remaining-Requests: 0,
//     of several the latest. The time may be a Go duration, seconds, a Unix time
//     or a date (RFC 3339 or HTTP). A reset header whose limit still has
//     something left is ignored: it tells when the limit will be full again.
//
// It reports false when the headers do not say. A time that has passed is 0.
func Delay(status int, h http.Header, now time.Time) (time.Duration, bool) {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After-Ms")), 64); err == nil && !math.IsNaN(ms) {
		return seconds(ms / 1000), true
	}
	if d, ok := parseRetryAfter(h.Get("Retry-After"), now); ok {
		return d, true
	}
	if status != http.StatusTooManyRequests {
		return 0, false
	}
	var longest time.Duration
	found := false
	for name := range h {
		if d, ok := limitReset(h, name, now); ok {
			longest, found = max(longest, d), true
		}
	}
	return longest, found
}

// parseRetryAfter reads a Retry-After header.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if s, err := strconv.ParseFloat(value, 64); err == nil && !math.IsNaN(s) {
		return seconds(s), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return until(at, now), true
	}
	return 0, false
}

// limitReset reads the header called name if it tells when an exhausted rate
// limit resets. The names that services use differ in order and prefix:
// X-Ratelimit-Reset, X-Ratelimit-Reset-Tokens, Someone-Ratelimit-Tokens-Reset.
func limitReset(h http.Header, name string, now time.Time) (time.Duration, bool) {
	if !strings.Contains(name, "Ratelimit") || !strings.Contains(name, "Reset") {
		return 0, false
	}
	left := strings.TrimSpace(h.Get(strings.Replace(name, "Reset", "Remaining", 1)))
	if n, err := strconv.ParseFloat(left, 64); err == nil && n > 0 {
		return 0, false
	}
	return parseReset(h.Get(name), now)
}

// parseReset reads the value of a reset header.
func parseReset(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if n, err := strconv.ParseFloat(value, 64); err == nil && !math.IsNaN(n) {
		switch {
		case n >= 1e12 && n < 1e15: // Unix time in milliseconds
			return until(time.UnixMilli(int64(n)), now), true
		case n >= 1e9 && n < 1e12: // Unix time
			return until(time.Unix(int64(n), 0), now), true
		}
		return seconds(n), true
	}
	if d, err := time.ParseDuration(value); err == nil {
		return min(max(d, 0), maxParsed), true
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return until(at, now), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return until(at, now), true
	}
	return 0, false
}

func seconds(s float64) time.Duration {
	return time.Duration(min(max(s, 0), maxParsed.Seconds()) * float64(time.Second))
}

func until(at, now time.Time) time.Duration { return min(max(at.Sub(now), 0), maxParsed) }
