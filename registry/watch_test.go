package registry_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func TestWatchYieldsStateThenChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := keyed(t, "a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		changes := make(chan string, 100)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for c := range r.Watch(ctx) {
				changes <- fmt.Sprintf("%s %s %d->%d", c.Kind, c.Name, c.Old, c.New)
			}
		}()
		synctest.Wait()
		assert.Equal(t, "added a 0->1", <-changes)
		assert.Equal(t, "added b 0->2", <-changes)
		require.NoError(t, r.Register("c", 3))
		require.Error(t, r.Register("c", 4))
		require.NoError(t, r.Replace("a", 10))
		require.True(t, r.Unregister("b"))
		require.False(t, r.Unregister("b"))
		synctest.Wait()
		assert.Equal(t, "added c 0->3", <-changes)
		assert.Equal(t, "replaced a 1->10", <-changes)
		assert.Equal(t, "removed b 2->0", <-changes)
		assert.Empty(t, changes)
		cancel()
		<-ended
	})
}

func TestWatchNeverBlocksWritersAndMissesNothing(t *testing.T) {
	r := keyed(t, "first")
	const n = 10_000
	seen := 0
	for c := range r.Watch(t.Context()) {
		if seen == 0 { // the loop stands still while all this is written
			for i := range n {
				require.NoError(t, r.Register(fmt.Sprint(i), i))
			}
		} else {
			require.Equal(t, fmt.Sprint(seen-1), c.Name)
		}
		if seen++; seen == n+1 {
			break
		}
	}
}

func TestWatchOfEndedContextYieldsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := keyed(t, "a", "b", "c")
	n := 0
	for range r.Watch(ctx) {
		n++
		cancel()
	}
	assert.Equal(t, 1, n)
	for range r.Watch(ctx) {
		n++
	}
	assert.Equal(t, 1, n)
}

// TestWatchKeepsEveryName has a loop stand still while more names come than changes
// are kept before they are merged.
func TestWatchKeepsEveryName(t *testing.T) {
	r := keyed(t, "first")
	values := map[string]int{}
	for c := range r.Watch(t.Context()) {
		if c.Name == "end" {
			break
		}
		values[c.Name] = c.New
		if c.Kind == registry.Added && c.Name == "first" {
			for i := range 30_000 {
				require.NoError(t, r.Replace(fmt.Sprint(i%3000), i))
			}
			require.NoError(t, r.Register("end", 0))
		}
	}
	delete(values, "first")
	require.Len(t, values, 3000)
	for i := range 3000 {
		assert.Equal(t, 27_000+i, values[fmt.Sprint(i)])
	}
}

func TestChangeKindNames(t *testing.T) {
	assert.Equal(t, "added replaced removed ChangeKind(0)",
		fmt.Sprint(registry.Added, " ", registry.Replaced, " ", registry.Removed, " ", registry.ChangeKind(0)))
}
