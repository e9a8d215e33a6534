package httpretry_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tokenring-ai/tokenring-go/utility/httpretry"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestDelay(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		name   string
		status int // 0: 429
		header http.Header
		want   time.Duration
		none   bool
	}{
		{name: "nothing", header: header(), none: true},
		{name: "seconds", header: header("Retry-After", "120"), want: 2 * time.Minute},
		{name: "seconds with a fraction", header: header("Retry-After", "1.5"), want: 1500 * time.Millisecond},
		{name: "spaces", header: header("Retry-After", " 3 "), want: 3 * time.Second},
		{name: "negative", header: header("Retry-After", "-5"), want: 0},
		{name: "for ever", header: header("Retry-After", "1e300"), want: year},
		{name: "infinite", header: header("Retry-After", "Inf"), want: year},
		{name: "not a number", header: header("Retry-After", "NaN"), none: true},
		{name: "words", header: header("Retry-After", "soon"), none: true},
		{name: "date", header: header("Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT"), want: 30 * time.Second},
		{name: "date of RFC 850", header: header("Retry-After", "Sunday, 01-Mar-26 12:00:30 GMT"), want: 30 * time.Second},
		{name: "date of asctime", header: header("Retry-After", "Sun Mar  1 12:00:30 2026"), want: 30 * time.Second},
		{name: "past date", header: header("Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT"), want: 0},
		{name: "milliseconds first", header: header("Retry-After-Ms", "250", "Retry-After", "1"), want: 250 * time.Millisecond},

		{name: "duration", header: header("X-Ratelimit-Reset-Requests", "6m0s"), want: 6 * time.Minute},
		{name: "short duration", header: header("X-Ratelimit-Reset-Tokens", "20ms"), want: 20 * time.Millisecond},
		{name: "RFC 3339", header: header("Vendor-Ratelimit-Tokens-Reset", "2026-03-01T12:00:07Z"), want: 7 * time.Second},
		{name: "RFC 3339 elsewhere", header: header("Vendor-Ratelimit-Tokens-Reset", "2026-03-01T13:00:07+01:00"), want: 7 * time.Second},
		{name: "delta seconds", header: header("RateLimit-Reset", "9"), want: 9 * time.Second},
		{name: "Unix time", header: header("X-RateLimit-Reset", "1772366410"), want: 10 * time.Second},
		{name: "Unix time in milliseconds", header: header("X-RateLimit-Reset", "1772366410500"), want: 10500 * time.Millisecond},
		{name: "nonsense", header: header("X-RateLimit-Reset", "tomorrow"), none: true},
		{name: "Retry-After wins", header: header("Retry-After", "2", "X-Ratelimit-Reset", "9"), want: 2 * time.Second},
		{name: "the latest of the exhausted", header: header(
			"X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "1s",
			"X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "3s",
			"X-Ratelimit-Remaining-Images", "5", "X-Ratelimit-Reset-Images", "1h"), want: 3 * time.Second},
		{name: "none is exhausted", header: header("X-Ratelimit-Remaining-Tokens", "149984", "X-Ratelimit-Reset-Tokens", "6ms"), none: true},
		{name: "a limit has nothing to do with a 500", status: 500, header: header("X-Ratelimit-Reset", "9"), none: true},
		{name: "Retry-After counts for a 500", status: 500, header: header("Retry-After", "9"), want: 9 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.status == 0 {
				c.status = http.StatusTooManyRequests
			}
			got, ok := httpretry.Delay(c.status, c.header, noon)
			assert.Equal(t, !c.none, ok)
			assert.Equal(t, c.want, got)
		})
	}
}

func FuzzDelay(f *testing.F) {
	for _, s := range []string{"120", "1.5", "-1", "1e300", "NaN", "6m0s", "20ms", "2026-03-01T12:00:07Z", "Sun, 01 Mar 2026 12:00:30 GMT",
		"1772366410", "1772366410500", "0x1p-2", "", " ", "9999999999h", "-9223372036854775808ns", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		f.Add(s, 429)
	}
	f.Fuzz(func(t *testing.T, value string, status int) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Ratelimit-Reset-Tokens"} {
			d, ok := httpretry.Delay(status, http.Header{name: {value}}, noon)
			if !ok {
				assert.Zero(t, d)
			}
			assert.GreaterOrEqual(t, d, time.Duration(0))
			assert.LessOrEqual(t, d, 365*24*time.Hour)
		}
	})
}
