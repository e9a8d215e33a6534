package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dated is a diary in versions: version 1 writes every line in upper case.
type dated struct {
	diary
	version int
}

func (d *dated) Version() int { return d.version }

func (d *dated) Migrate(from int, data []byte) ([]byte, error) {
	if from != 0 {
		return nil, fmt.Errorf("nothing known of version %d", from)
	}
	return bytes.ToUpper(data), nil
}

func TestVersionsOfASlice(t *testing.T) {
	store := &MemoryStore{}
	withVersion := func(v int) *Manager {
		return newManager(t, ManagerOptions{Store: store}, Type{Name: "test", Setup: func(_ context.Context, a *Agent) error {
			return a.Attach("dated", &dated{version: v})
		}})
	}
	lines := func(a *Agent) []string { return a.Slice("dated").(*dated).all() }

	a := spawn(t, withVersion(0), SpawnOptions{ID: "a"})
	for _, line := range []string{"one", "two"} { // the second is saved as a piece
		a.Slice("dated").(*dated).add(line)
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, a.Stop(t.Context()))

	b, err := withVersion(1).Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, []string{"ONE", "TWO"}, lines(b))
	b.Slice("dated").(*dated).add("three")
	require.NoError(t, b.Stop(t.Context()))

	// An older program cannot read it, says so and keeps it.
	c, err := withVersion(0).Restore(t.Context(), "a")
	require.ErrorIs(t, err, ErrNewerVersion)
	assert.Empty(t, lines(c))
	c.Slice("dated").(*dated).add("lost on purpose")
	require.NoError(t, c.Stop(t.Context()))

	d, err := withVersion(1).Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, []string{"ONE", "TWO", "three"}, lines(d))

	require.NoError(t, d.Stop(t.Context()))
	_, err = withVersion(2).Restore(t.Context(), "a")
	require.ErrorContains(t, err, "nothing known of version 1")
}

func TestShowAndForget(t *testing.T) {
	store := &MemoryStore{}
	m := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, m, SpawnOptions{ID: "a"})
	_, saved := a.LastCheckpoint()
	assert.False(t, saved)
	notesOf(a).add("x")
	text, err := a.Show("notes")
	require.NoError(t, err)
	assert.Equal(t, "[\n  \"x\"\n]", text)
	_, err = a.Show("nothing")
	require.ErrorIs(t, err, ErrNotFound)
	assert.Equal(t, []string{"notes", "diary", "counter"}, a.Slices())
	require.Error(t, a.Reset("everything"))
	require.NoError(t, a.Reset("chat"))
	assert.Len(t, notesOf(a).all(), 1)
	require.NoError(t, a.Reset("memory"))
	assert.Empty(t, notesOf(a).all())
	notesOf(a).add("y")
	require.NoError(t, a.Stop(t.Context()))

	bare := newManager(t, ManagerOptions{Store: store}, Type{Name: "test"})
	b, err := bare.Restore(t.Context(), "a")
	require.NoError(t, err)
	b.Forget("notes")
	require.NoError(t, b.Stop(t.Context()))
	c, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	assert.Empty(t, notesOf(c).all())
	last, saved := c.LastCheckpoint()
	assert.True(t, saved)
	assert.Equal(t, "a", last.Agent)
}

func TestTwoProcessesWithOneAgent(t *testing.T) {
	store := &MemoryStore{}
	one := newManager(t, ManagerOptions{Store: store}, stateful())
	two := newManager(t, ManagerOptions{Store: store}, stateful())
	a := spawn(t, one, SpawnOptions{ID: "a"})
	_, err := a.Checkpoint(t.Context())
	require.NoError(t, err)
	b, err := two.Restore(t.Context(), "a")
	require.NoError(t, err)
	diaryOf(b).add("b")
	_, err = b.Checkpoint(t.Context())
	require.NoError(t, err)
	diaryOf(a).add("a")
	_, err = a.Checkpoint(t.Context())
	require.ErrorIs(t, err, ErrConflict, "the second writer is told")
	require.ErrorIs(t, a.Stop(t.Context()), ErrConflict)
}

func TestAForkDoesNotAliasItsOrigin(t *testing.T) {
	m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, stateful())
	a := spawn(t, m, SpawnOptions{Config: Config(`{"n":1}`)})
	diaryOf(a).add("shared")
	id, err := a.CheckpointID(t.Context())
	require.NoError(t, err)
	b, err := m.RestoreCheckpoint(t.Context(), id, SpawnOptions{Config: Config(`{"n":2}`)})
	require.NoError(t, err)
	diaryOf(b).add("b only")
	diaryOf(a).add("a only")
	assert.Equal(t, []string{"shared", "a only"}, diaryOf(a).all())
	assert.Equal(t, []string{"shared", "b only"}, diaryOf(b).all())
	var config struct{ N int }
	require.NoError(t, json.Unmarshal(b.Config(), &config))
	assert.Equal(t, 2, config.N)
	for _, bad := range []string{"", "a", "a@", "a@0", "a@x", "@1", "unknown@7"} {
		_, err := m.RestoreCheckpoint(t.Context(), bad, SpawnOptions{})
		require.ErrorIs(t, err, ErrNotFound, bad)
	}
}
