package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// waits records what a trace is told.
type waits struct {
	mu    sync.Mutex
	begun []string
	ended []error
}

func (w *waits) start(_ context.Context, name string) func(error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = append(w.begun, name)
	return func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = append(w.ended, err)
	}
}

func TestStatsTellWhatIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var traced waits
		r := &registry.Keyed[int]{Kind: "number", Trace: registry.Trace{StartWait: traced.start}}
		require.NoError(t, r.Register("here", 1))
		_, err := r.Wait(t.Context(), "here")
		require.NoError(t, err, "what is there is not waited for")
		assert.Equal(t, registry.Stats{Items: 1, Added: 1}, r.Stats())

		ctx, cancel := context.WithCancel(t.Context())
		for name, ctx := range map[string]context.Context{"never": ctx, "soon": t.Context()} {
			for range 2 {
				go func() { _, _ = r.Wait(ctx, name) }()
			}
		}
		go func() {
			for range r.Watch(ctx) {
			}
		}()
		synctest.Wait()
		assert.Equal(t, registry.Stats{
			Items: 1, Watchers: 1, Added: 1, Waiting: map[string]int{"never": 2, "soon": 2},
		}, r.Stats())

		time.Sleep(time.Second)
		require.NoError(t, r.Register("soon", 2))
		synctest.Wait()
		assert.Equal(t, map[string]int{"never": 2}, r.Stats().Waiting)
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		require.NoError(t, r.Replace("soon", 3))
		require.True(t, r.Unregister("soon"))
		assert.Equal(t, registry.Stats{
			Items: 1, Added: 2, Replaced: 1, Removed: 1,
			Waiting: map[string]int{}, Waits: 4, WaitsFailed: 2, WaitTime: 6 * time.Second,
		}, r.Stats())

		assert.ElementsMatch(t, []string{"never", "never", "soon", "soon"}, traced.begun)
		require.Len(t, traced.ended, 4)
		assert.Equal(t, []error{nil, nil}, traced.ended[:2])
		require.ErrorIs(t, traced.ended[2], context.Canceled)
		assert.ErrorContains(t, traced.ended[3], `number "never"`, "the error of the call")
	})
}

func TestCloneKeepsKindAndTraceButNotCounts(t *testing.T) {
	var traced waits
	r := &registry.Keyed[int]{Kind: "number", Trace: registry.Trace{StartWait: traced.start}}
	require.NoError(t, r.Register("a", 1))
	require.NoError(t, r.Replace("a", 2))
	clone := r.Clone()
	assert.Equal(t, registry.Stats{Items: 1, Added: 1}, clone.Stats())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := clone.Wait(ctx, "b")
	require.Error(t, err)
	assert.Equal(t, []string{"b"}, traced.begun)
}

func TestTypedStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A trace that does not care how a wait ends.
		begun := 0
		typed := registry.Typed{Trace: registry.Trace{
			StartWait: func(context.Context, string) func(error) { begun++; return nil },
		}}
		go func() { _, _ = registry.WaitFor[io.Reader](t.Context(), &typed) }()
		synctest.Wait()
		time.Sleep(time.Minute)
		assert.Equal(t, registry.Stats{Waiting: map[string]int{"io.Reader": 1}}, typed.Stats())
		require.NoError(t, registry.Put(&typed, strings.NewReader("")))
		synctest.Wait()
		_, err := registry.WaitFor[io.Reader](t.Context(), &typed)
		require.NoError(t, err)
		assert.Equal(t, registry.Stats{
			Items: 1, Added: 1, Waiting: map[string]int{}, Waits: 1, WaitTime: time.Minute,
		}, typed.Stats())
		assert.Equal(t, 1, begun)
	})
}

func TestBalancerStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := keyed(t, "a", "b")
		b := registry.NewBalancer(r.All, registry.BalancerOptions[int]{
			Unhealthy: func(error) time.Duration { return time.Minute },
		})
		assert.Equal(t, []registry.MemberStats{{Name: "a"}, {Name: "b"}}, b.Stats().Members)
		held, err := b.Pick()
		require.NoError(t, err)
		require.Equal(t, "a", held.Name)
		bad := errors.New("bad")
		require.ErrorIs(t, b.Do(t.Context(), func(context.Context, string, int) error { return bad }), bad)
		marked := time.Now().Add(time.Minute)
		assert.Equal(t, registry.BalancerStats{Picks: 2, Failed: 1, Members: []registry.MemberStats{
			{Name: "a", InFlight: 1, Picks: 1},
			{Name: "b", Picks: 1, Failed: 1, Unhealthy: marked},
		}}, b.Stats())

		held.Done(nil)
		b.MarkUnhealthy("a", time.Second)
		_, err = b.Pick()
		require.ErrorIs(t, err, registry.ErrUnavailable)
		time.Sleep(time.Minute)
		require.True(t, r.Unregister("a"))
		assert.Equal(t, registry.BalancerStats{Picks: 2, Failed: 1, Unavailable: 1, Members: []registry.MemberStats{
			{Name: "b", Picks: 1, Failed: 1},
		}}, b.Stats())

		text, err := json.Marshal(b.Stats())
		require.NoError(t, err)
		assert.JSONEq(t, `{"picks":2,"failed":1,"unavailable":1,"members":[{"name":"b","inFlight":0,"picks":1,"failed":1}]}`, string(text))
	})
}
