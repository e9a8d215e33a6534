package aiclient_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

// A host appends what each process adds to the steps that the processes before
// it saved, and restores by replaying all of them.
func TestStepsOfSeveralLivesFollowEachOther(t *testing.T) {
	c := aiclient.NewConversation(replies(), aiclient.ConversationOptions{})
	saved, err := json.Marshal(c)
	require.NoError(t, err)
	var steps [][]byte
	for life := range 4 {
		c = aiclient.NewConversation(replies(), aiclient.ConversationOptions{})
		require.NoError(t, c.UnmarshalJSON(saved))
		for i, step := range steps {
			require.NoError(t, c.ApplyDelta(step), "life %d, step %d", life, i)
		}
		assert.Len(t, c.Messages(), 4*life)
		_, mark, _ := c.Delta(0)
		for range 2 {
			_, err := c.Send(t.Context(), "more")
			require.NoError(t, err)
			step, next, ok := c.Delta(mark)
			require.True(t, ok)
			steps, mark = append(steps, step), next
		}
	}

	other := aiclient.NewConversation(replies(), aiclient.ConversationOptions{})
	require.NoError(t, other.UnmarshalJSON(saved))
	require.NoError(t, other.ApplyDelta(steps[0]))
	require.Error(t, other.ApplyDelta(steps[2]), "the first life's last step is missing")
	require.NoError(t, other.ApplyDelta(steps[1]))
	require.NoError(t, other.ApplyDelta(steps[2]))
}
