package retry_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/retry"
)

func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counter retry.Counter
		p := retry.Policy{Retries: 2, Initial: time.Second, Jitter: -1, Counter: &counter}
		fails := func(times int) func(context.Context) error {
			return func(context.Context) error {
				if times--; times >= 0 {
					return io.ErrUnexpectedEOF
				}
				return nil
			}
		}
		require.NoError(t, retry.Do(t.Context(), p, fails(0)))
		assert.Equal(t, retry.Stats{Calls: 1}, counter.Stats())
		require.NoError(t, retry.Do(t.Context(), p, fails(1)))
		require.ErrorIs(t, retry.Do(t.Context(), p, fails(3)), io.ErrUnexpectedEOF)
		assert.Equal(t, retry.Stats{Calls: 3, Retries: 3, Failed: 1, PauseTime: 4 * time.Second}, counter.Stats())

		_, err := retry.DoValue(t.Context(), p, func(context.Context) (int, error) { return 0, retry.Permanent(io.EOF) })
		require.ErrorIs(t, err, io.EOF)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, cancel)
		_, err = retry.DoValue(ctx, p, func(context.Context) (int, error) { return 0, io.EOF })
		require.ErrorIs(t, err, context.Canceled)
		require.Error(t, retry.Do(ctx, p, fails(0)), "no attempt, so no call")
		assert.Equal(t, retry.Stats{Calls: 5, Retries: 3, Failed: 3, PauseTime: 4500 * time.Millisecond}, counter.Stats())
	})
}
