package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken")

// attempts returns a function that fails with errs one after the other and then
// succeeds, and the times at which it was called, from the first call on.
func attempts(errs ...error) (fn func(context.Context) error, times *[]time.Duration) {
	times = new([]time.Duration)
	var began time.Time
	return func(context.Context) error {
		if len(*times) == 0 {
			began = time.Now()
		}
		*times = append(*times, time.Since(began))
		if n := len(*times); n <= len(errs) {
			return errs[n-1]
		}
		return nil
	}, times
}

func ms(n ...int) []time.Duration {
	d := make([]time.Duration, len(n))
	for i := range n {
		d[i] = time.Duration(n[i]) * time.Millisecond
	}
	return d
}

func TestDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy retry.Policy
		errs   []error
		times  []time.Duration
		err    string // empty: success
		is     error
	}{
		{name: "success", times: ms(0)},
		{name: "default pauses", errs: []error{errBroken, errBroken, errBroken}, times: ms(0, 500, 1500, 3500)},
		{name: "default number of attempts", errs: slices.Repeat([]error{errBroken}, 9), times: ms(0, 500, 1500, 3500),
			err: "after 4 attempts: broken", is: errBroken},
		{name: "no retries", policy: retry.Policy{Retries: -1}, errs: []error{errBroken}, times: ms(0),
			err: "after 1 attempt: broken", is: errBroken},
		{name: "own pauses up to a limit", policy: retry.Policy{Retries: 4, Initial: 10 * time.Millisecond, Multiplier: 3, MaxDelay: 50 * time.Millisecond},
			errs: slices.Repeat([]error{errBroken}, 4), times: ms(0, 10, 40, 90, 140)},
		{name: "shrinking is constant", policy: retry.Policy{Multiplier: 0.5}, errs: slices.Repeat([]error{errBroken}, 3), times: ms(0, 500, 1000, 1500)},
		{name: "NaN is constant", policy: retry.Policy{Multiplier: math.NaN()}, errs: slices.Repeat([]error{errBroken}, 3), times: ms(0, 500, 1000, 1500)},
		{name: "permanent", errs: []error{errBroken, retry.Permanent(io.EOF)}, times: ms(0, 500), err: "EOF", is: io.EOF},
		{name: "wrapped permanent keeps its context", errs: []error{fmt.Errorf("login: %w", retry.Permanent(io.EOF))}, times: ms(0), err: "login: EOF", is: io.EOF},
		{name: "not retryable", policy: retry.Policy{Retryable: func(err error) bool { return err != io.EOF }},
			errs: []error{errBroken, io.EOF}, times: ms(0, 500), err: "EOF", is: io.EOF},
		{name: "asked to wait longer", errs: []error{fmt.Errorf("busy: %w", retry.After(errBroken, 7*time.Second))}, times: ms(0, 7000)},
		{name: "asked to wait shorter", errs: []error{retry.After(errBroken, time.Millisecond)}, times: ms(0, 500)},
		{name: "asked to wait too long", errs: []error{retry.After(errBroken, time.Hour)}, times: ms(0),
			err: "after 1 attempt (no time for another attempt: asked to wait 1h0m0s, longer than the limit of 1m0s): broken", is: errBroken},
		{name: "limited time", policy: retry.Policy{MaxElapsed: 1600 * time.Millisecond}, errs: slices.Repeat([]error{errBroken}, 9), times: ms(0, 500, 1500),
			err: "after 3 attempts (no time for another attempt: the pause of 2s would pass the limit of 1.6s): broken", is: retry.ErrNoTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.policy.Jitter == 0 {
					c.policy.Jitter = -1
				}
				fn, times := attempts(c.errs...)
				err := retry.Do(t.Context(), c.policy, fn)
				assert.Equal(t, c.times, *times)
				if c.err == "" {
					require.NoError(t, err)
					return
				}
				require.EqualError(t, err, c.err)
				require.ErrorIs(t, err, c.is)
			})
		})
	}
}

func TestContextEndsTheRetries(t *testing.T) {
	cause := errors.New("escape")
	t.Run("before the first attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		fn, times := attempts()
		err := retry.Do(ctx, retry.Policy{}, fn)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		assert.Empty(t, *times)
		_, err = retry.DoValue(ctx, retry.Policy{}, func(context.Context) (int, error) { return 1, nil })
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("in a pause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(700*time.Millisecond, func() { cancel(cause) })
			fn, times := attempts(errBroken, errBroken, errBroken)
			began := time.Now()
			err := retry.Do(ctx, retry.Policy{Jitter: -1}, fn)
			assert.Equal(t, 700*time.Millisecond, time.Since(began))
			assert.Equal(t, ms(0, 500), *times)
			for _, is := range []error{context.Canceled, cause, errBroken} {
				require.ErrorIs(t, err, is)
			}
		})
	})
	t.Run("in an attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := retry.Do(ctx, retry.Policy{}, func(ctx context.Context) error {
			calls++
			cancel()
			return fmt.Errorf("query: %w", ctx.Err())
		})
		require.EqualError(t, err, "query: context canceled")
		assert.Equal(t, 1, calls)
		ctx, cancel = context.WithCancel(t.Context())
		err = retry.Do(ctx, retry.Policy{}, func(context.Context) error { cancel(); return errBroken })
		require.ErrorIs(t, err, errBroken)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("an attempt's own time limit is an ordinary error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			fn, times := attempts(context.DeadlineExceeded)
			require.NoError(t, retry.Do(t.Context(), retry.Policy{}, fn))
			assert.Len(t, *times, 2)
		})
	})
	t.Run("no pause that the deadline would cut short", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
			defer cancel()
			fn, times := attempts(errBroken, errBroken, errBroken)
			began := time.Now()
			err := retry.Do(ctx, retry.Policy{Jitter: -1}, fn)
			require.ErrorIs(t, err, retry.ErrNoTime)
			require.ErrorIs(t, err, errBroken)
			assert.Equal(t, 500*time.Millisecond, time.Since(began))
			assert.Equal(t, ms(0, 500), *times)
		})
	})
}

func TestJitterSpreadsPausesAndKeepsTheBounds(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 200 {
		i := 0
		for d := range (retry.Policy{MaxDelay: 1100 * time.Millisecond}).Delays() {
			base := min(500*time.Millisecond<<i, 1100*time.Millisecond)
			assert.GreaterOrEqual(t, d, base*3/4)
			assert.LessOrEqual(t, d, min(base*5/4+1, 1100*time.Millisecond))
			seen[d] = true
			i++
		}
		assert.Equal(t, retry.DefaultRetries, i)
	}
	assert.Greater(t, len(seen), 100)

	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			fn, times := attempts(retry.After(errBroken, 10*time.Second))
			require.NoError(t, retry.Do(t.Context(), retry.Policy{Jitter: 1}, fn))
			assert.GreaterOrEqual(t, (*times)[1], 10*time.Second, "never earlier than asked")
			assert.LessOrEqual(t, (*times)[1], 11*time.Second)
		}
	})
}

func TestHugePausesDoNotOverflow(t *testing.T) {
	for range 100 {
		for d := range (retry.Policy{Initial: math.MaxInt64, MaxDelay: math.MaxInt64, Multiplier: math.Inf(1), Jitter: 0.5}).Delays() {
			assert.Greater(t, d, 1000*time.Hour)
		}
		for d := range (retry.Policy{Initial: math.MaxInt64, Jitter: 1, MaxDelay: time.Hour}).Delays() {
			assert.GreaterOrEqual(t, d, time.Duration(0))
			assert.LessOrEqual(t, d, time.Hour)
		}
	}
}

func TestOnFailureSeesEveryFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures []retry.Failure
		fn, _ := attempts(retry.After(errBroken, time.Second), errBroken, retry.Permanent(io.EOF))
		err := retry.Do(t.Context(), retry.Policy{Jitter: -1, OnFailure: func(_ context.Context, f retry.Failure) {
			failures = append(failures, f)
		}}, fn)
		require.Equal(t, io.EOF, err, "marks are taken off")
		assert.Equal(t, []retry.Failure{
			{Attempt: 1, Err: errBroken, Delay: time.Second},
			{Attempt: 2, Err: errBroken, Delay: time.Second},
			{Attempt: 3, Err: io.EOF, Final: true},
		}, failures)
	})
}

func TestDoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		got, err := retry.DoValue(t.Context(), retry.Policy{MaxElapsed: time.Minute}, func(context.Context) (string, error) {
			if calls++; calls < 3 {
				return "", errBroken
			}
			return "value", nil
		})
		require.NoError(t, err)
		assert.Equal(t, "value", got)
		assert.Equal(t, 3, calls)

		got, err = retry.DoValue(t.Context(), retry.Policy{}, func(context.Context) (string, error) { return "partial", errBroken })
		var all *retry.Error
		require.ErrorAs(t, err, &all)
		assert.Equal(t, 4, all.Attempts)
		assert.Equal(t, "partial", got)
	})
}

func TestMarksOfNilAreNil(t *testing.T) {
	require.NoError(t, retry.Permanent(nil))
	require.NoError(t, retry.After(nil, time.Second))
}

func TestSuccessAllocatesNothing(t *testing.T) {
	ctx, n := t.Context(), 0
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = retry.Do(ctx, retry.Policy{}, func(context.Context) error { n++; return nil })
		_, _ = retry.DoValue(ctx, retry.Policy{}, func(context.Context) (int, error) { return n, nil })
	}))
}

//go:noinline
func work(ctx context.Context) error { return ctx.Err() }

func BenchmarkBareCall(b *testing.B) {
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = work(ctx)
	}
}

func BenchmarkDoSuccess(b *testing.B) {
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = retry.Do(ctx, retry.Policy{}, work)
	}
}
