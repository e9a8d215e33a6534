package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func TestCommandAndTools(t *testing.T) {
	q := queue.NewMemory(queue.Options{})
	var handled []string
	w := queue.NewWorker(q, func(_ context.Context, it queue.Item) error {
		handled = append(handled, string(it.Payload))
		if string(it.Payload) == "odd one" {
			return queue.Permanent(errors.New("odd"))
		}
		return nil
	}, queue.WorkerOptions{Logger: quiet})
	c := queue.NewCommand(q, w)
	run := func(line, want string) string {
		t.Helper()
		got, err := c.Command(t.Context(), line)
		require.NoError(t, err, line)
		assert.Contains(t, got, want, line)
		return got
	}
	run("", "no tasks")
	id := run("add write the docs", "added ")[len("added "):]
	run("add odd one", "added ")
	run("list ready", "write the docs")
	run("list dead", "no tasks in that state")
	run("show "+id, "payload (14 bytes)\nwrite the docs")
	run("pause", "paused")
	_, err := c.Command(t.Context(), "run")
	require.ErrorIs(t, err, queue.ErrPaused)
	run("resume", "resumed")
	run("run", "done 1, dead 1")
	assert.Equal(t, []string{"write the docs", "odd one"}, handled)
	run("list dead", "last error: odd")
	run("retry dead", "sent 1 dead tasks back")
	run("retry", "sent 0 dead tasks back") // all, too
	run("stats", "ready 1")
	run("clear", "removed 1")
	run("clear dead", "removed 0")
	for _, bad := range []string{"add", "show", "show x", "remove", "remove x", "list odd", "clear odd", "retry x", "nonsense"} {
		_, err := c.Command(t.Context(), bad)
		require.Error(t, err, bad)
	}
	_, err = q.Command(t.Context(), "run")
	require.ErrorContains(t, err, "no worker")
	assert.Contains(t, q.Help(), "retry")

	call := func(name, args string) (string, error) {
		for _, tl := range q.Tools() {
			if tl.Name == name {
				assert.Empty(t, tl.EffectsOf(json.RawMessage(args)))
				r, err := tl.Call(t.Context(), json.RawMessage(args))
				return r.Text, err
			}
		}
		panic(name)
	}
	text, err := call("add_task", `{"task":"from the model","key":"k","delay_seconds":60}`)
	require.NoError(t, err)
	id = text[len("added task "):]
	text, err = call("list_tasks", `{"state":"delayed"}`)
	require.NoError(t, err)
	assert.Contains(t, text, "from the model")
	_, err = call("remove_task", fmt.Sprintf(`{"ids":[%q]}`, id))
	require.NoError(t, err)
	for name, args := range map[string]string{"add_task": `{"task":" "}`, "list_tasks": `{"state":"x"}`, "remove_task": `{"ids":["x"]}`} {
		_, err := call(name, args)
		require.Error(t, err)
	}
}

// TestCommandShowsOddItems has items whose names, keys and IDs are not words.
func TestCommandShowsOddItems(t *testing.T) {
	q := queue.NewMemory(queue.Options{})
	c := queue.NewCommand(q, nil)
	_, err := q.Enqueue(t.Context(), queue.Item{ID: "0", Name: "0", Key: "a\nlist of \x1b[2J"}, queue.Item{ID: "an ID", Payload: []byte("\x1b]0;x\a")})
	require.NoError(t, err)
	shown, err := c.Command(t.Context(), "show 0")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^id +0$`, shown)
	assert.Regexp(t, `(?m)^name +0$`, shown)
	assert.NotContains(t, shown, "priority")
	shown, err = c.Command(t.Context(), "show an ID")
	require.NoError(t, err)
	assert.NotContains(t, shown, "\x1b")
	shown, err = c.Command(t.Context(), "list")
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(shown, "\n"), "a line each and the sum")
	assert.NotContains(t, shown, "\x1b")
	assert.NotContains(t, shown, "\a")
	_, err = c.Command(t.Context(), "add\nwrite\nthe docs")
	require.NoError(t, err)
	shown, err = c.Command(t.Context(), "list")
	require.NoError(t, err)
	assert.Contains(t, shown, "write the docs")
}

// taken is a queue of which somebody takes an item whenever others are removed.
type taken struct{ *queue.Memory }

func (q taken) Remove(ctx context.Context, ids ...string) error {
	_, _ = q.TryReceive(ctx)
	return q.Memory.Remove(ctx, ids...)
}

// TestClearOfManyWhileOthersWork removes all that nobody has taken meanwhile.
func TestClearOfManyWhileOthersWork(t *testing.T) {
	q := taken{queue.NewMemory(queue.Options{})}
	_, err := q.Enqueue(t.Context(), make([]queue.Item, 250)...)
	require.NoError(t, err)
	said, err := queue.NewCommand(q, nil).Command(t.Context(), "clear")
	require.NoError(t, err)
	d, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Positive(t, d.Leased)
	assert.Equal(t, queue.Depth{Leased: d.Leased}, d)
	assert.Equal(t, fmt.Sprintf("removed %d", 250-d.Leased), said)
}

// TestListOfMany asks for more than anybody reads.
func TestListOfMany(t *testing.T) {
	q := queue.NewMemory(queue.Options{})
	_, err := q.Enqueue(t.Context(), make([]queue.Item, 5000)...)
	require.NoError(t, err)
	for _, tl := range q.Tools() {
		if tl.Name == "list_tasks" {
			r, err := tl.Call(t.Context(), json.RawMessage(`{"limit":1000000000}`))
			require.NoError(t, err)
			assert.True(t, strings.HasSuffix(r.Text, "\n500 shown; the queue holds 5000 to do and 0 dead"))
		}
	}
}
