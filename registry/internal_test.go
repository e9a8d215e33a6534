package registry

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCancelledWaitersLeaveNothingBehind(t *testing.T) {
	r := NewKeyed[int]("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		_, err := r.Wait(ctx, "a")
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.Empty(t, r.store.waiters)
}

func TestEndedWatchesLeaveNothingBehind(t *testing.T) {
	r := NewKeyed[int]("")
	require.NoError(t, r.Register("a", 1))
	for range r.Watch(t.Context()) {
		require.NoError(t, r.Replace("a", 2))
		break
	}
	assert.Zero(t, r.store.watchers)
	assert.Nil(t, r.store.tail)
}

func TestOrderDoesNotGrowWithoutBound(t *testing.T) {
	r := NewKeyed[int]("")
	require.NoError(t, r.Register("stays", 0))
	for i := range 10_000 {
		require.NoError(t, r.Register("churn", i))
		require.True(t, r.Unregister("churn"))
	}
	assert.Less(t, len(r.store.order), 100)
}

func TestSelectorsListenOnlyWhileObserved(t *testing.T) {
	r := NewKeyed[int]("")
	single, multi := NewSingleSelector(r), NewMultiSelector(r)
	assert.Empty(t, r.store.listeners)
	stops := []func(){single.OnChange(func() {}), single.OnChange(func() {}), multi.OnChange(func() {})}
	assert.Len(t, r.store.listeners, 2)
	for _, stop := range stops {
		stop()
		stop()
	}
	assert.Empty(t, r.store.listeners)
}

func TestBalancerForgetsFormerMembers(t *testing.T) {
	r := NewKeyed[int]("")
	b := NewBalancer(r.All, BalancerOptions[int]{})
	for i := range 1000 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		require.NoError(t, r.Register(name, i))
		b.MarkUnhealthy(name, 1)
		p, err := b.Pick()
		if err == nil {
			p.Done(nil)
		}
		r.Unregister(name)
	}
	assert.Less(t, len(b.states), 20)
}
