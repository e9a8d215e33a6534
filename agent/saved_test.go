package agent_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// stateText is the state slice of these tests: a text.
type stateText struct{ text string }

func (s *stateText) MarshalJSON() ([]byte, error)    { return json.Marshal(s.text) }
func (s *stateText) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.text) }
func (s *stateText) Reset(string)                    { s.text = "" }

func TestReadCheckpointMakesNoAgent(t *testing.T) {
	ctx := context.Background()
	store := &agent.MemoryStore{}
	m := agent.NewManager(agent.ManagerOptions{Store: store})
	slice, setups := &stateText{}, 0
	require.NoError(t, m.RegisterType(agent.Type{Name: "writer", Setup: func(_ context.Context, a *agent.Agent) error {
		setups++
		return a.Attach("text", slice)
	}}))
	a, err := m.Spawn(ctx, "writer", agent.SpawnOptions{ID: "w", Config: agent.Config(`{"lang":"en"}`)})
	require.NoError(t, err)
	slice.text = "one"
	first, err := a.Checkpoint(ctx)
	require.NoError(t, err)
	slice.text = "two"
	second, err := a.Checkpoint(ctx)
	require.NoError(t, err)
	require.NoError(t, m.Shutdown(ctx))

	// Another manager, which does not know the type.
	reader := agent.NewManager(agent.ManagerOptions{Store: store})
	defer reader.Shutdown(ctx)
	for id, want := range map[string]string{first.ID: `"one"`, second.ID: `"two"`} {
		saved, err := reader.ReadCheckpoint(ctx, id)
		require.NoError(t, err)
		assert.Equal(t, id, saved.ID)
		assert.Equal(t, "writer", saved.Type)
		assert.JSONEq(t, `{"lang":"en"}`, string(saved.Config))
		texts := map[string]string{}
		for _, s := range saved.Slices {
			texts[s.Name] = string(s.State)
		}
		assert.Equal(t, want, texts["text"])
		assert.Contains(t, texts, ".agent")
	}
	assert.Equal(t, 1, setups)
	assert.Zero(t, reader.Len())

	for _, id := range []string{"w@999", "nobody@1", "w", "w@x", ""} {
		_, err := reader.ReadCheckpoint(ctx, id)
		assert.ErrorIs(t, err, agent.ErrNotFound, "%q", id)
	}
	_, err = agent.NewManager(agent.ManagerOptions{}).ReadCheckpoint(ctx, first.ID)
	assert.ErrorIs(t, err, agent.ErrNoStore)
}
