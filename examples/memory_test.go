package examples_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/memory"
)

// TestMemoriesGoWithTheAgent has memories pass to a sub-agent and through a
// checkpoint of a file store into another process's agent.
func TestMemoriesGoWithTheAgent(t *testing.T) {
	dir := t.TempDir()
	start := func() (*agent.Manager, map[string]*memory.Store) {
		store, err := agent.NewFileStore(dir, agent.FileStoreOptions{})
		require.NoError(t, err)
		m := agent.NewManager(agent.ManagerOptions{Store: store})
		notes := map[string]*memory.Store{}
		require.NoError(t, m.RegisterType(agent.Type{Name: "worker", Setup: func(_ context.Context, a *agent.Agent) error {
			notes[a.ID()] = memory.New(memory.Options{})
			return a.Attach("memory", notes[a.ID()], agent.AttachOptions{Inherit: true})
		}}))
		return m, notes
	}
	texts := func(s *memory.Store) []string { return slices.Collect(s.Context(t.Context())) }

	m, notes := start()
	parent, err := m.Spawn(t.Context(), "worker", agent.SpawnOptions{ID: "parent"})
	require.NoError(t, err)
	_, err = notes["parent"].Remember("the tests need a database")
	require.NoError(t, err)
	_, err = parent.Spawn(t.Context(), "worker", agent.SpawnOptions{ID: "child"})
	require.NoError(t, err)
	inherited := texts(notes["parent"])
	assert.NotEmpty(t, inherited)
	assert.Equal(t, inherited, texts(notes["child"]))
	_, err = notes["child"].Remember("only the child knows")
	require.NoError(t, err)
	assert.Equal(t, inherited, texts(notes["parent"]), "the child's memories are its own")
	known := texts(notes["child"])
	require.NoError(t, m.Shutdown(t.Context()))

	m, notes = start()
	for _, id := range []string{"parent", "child"} {
		_, err = m.Restore(t.Context(), id)
		require.NoError(t, err)
	}
	assert.Equal(t, inherited, texts(notes["parent"]))
	assert.Equal(t, known, texts(notes["child"]))
	require.NoError(t, m.Shutdown(t.Context()))
}
