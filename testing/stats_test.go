package testing

import (
	"context"
	stdtesting "testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatsTellFailuresAndTimes(t *stdtesting.T) {
	synctest.Test(t, func(t *stdtesting.T) {
		attempts := 0
		takes := func(status Status) Resource {
			return resourceFunc(func(context.Context, Request) Result {
				<-time.After(time.Second)
				return Result{Status: status}
			})
		}
		s := newService(t, Options{Parallel: 1, Timeout: time.Minute, Reruns: 1}, map[string]Resource{
			"passes": takes(Passed), "skipped": takes(Skipped), "cannot run": takes(Errored),
			"fails": takes(Failed), // twice
			"flaky": Func(func(context.Context) error {
				if attempts++; attempts == 1 {
					return errRed
				}
				return nil
			}),
			"hangs": Func(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }), // twice
		})
		_, err := s.Run(t.Context())
		require.NoError(t, err)
		repairs := NewAutoRepair(s, AutoRepairOptions{Enqueue: func(context.Context, Repair) error { return nil }})
		require.NoError(t, repairs.AfterTesting(t.Context()))
		got := s.Stats()
		assert.Positive(t, got.WaitTime)
		got.WaitTime = 0
		assert.Equal(t, Stats{Runs: 6, Passed: 2, Failed: 3, TimedOut: 1, Errored: 1, Flaky: 1, Reports: 1,
			RunTime: 5*time.Second + 2*time.Minute, Repairs: 2, GaveUp: 1}, got)
	})
}
