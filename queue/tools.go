package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Tools returns the actions of this queue that a model may call.
func (m *Memory) Tools() []tool.Tool { return Tools(m) }

// Tools returns the actions on a queue that a model may call: add_task,
// list_tasks and remove_task.
func Tools(q Queue) []tool.Tool {
	type add struct {
		Name     string `json:"name,omitempty" jsonschema:"short name of the kind of work"`
		Task     string `json:"task" jsonschema:"what is to be done, complete enough to be understood on its own"`
		Key      string `json:"key,omitempty" jsonschema:"tasks with the same key run one after the other, in order"`
		Priority int    `json:"priority,omitempty" jsonschema:"higher runs first, default 0"`
		Delay    int    `json:"delay_seconds,omitempty" jsonschema:"start no sooner than in so many seconds"`
	}
	type listing struct {
		State string `json:"state,omitempty" jsonschema:"only tasks in this state: ready, delayed, blocked, leased or dead"`
		Limit int    `json:"limit,omitempty" jsonschema:"at most so many, default 20, never more than 500"`
	}
	type remove struct {
		IDs []string `json:"ids" jsonschema:"IDs as add_task and list_tasks give them"`
	}
	// Managing a queue touches neither files nor network, so the calls declare
	// that they have no effect for a policy to decide on.
	none := func(json.RawMessage) []tool.Effect { return nil }
	return []tool.Tool{
		tool.New("add_task", "Add a task to the work queue, to be done later by a worker. Returns the task's ID.",
			func(ctx context.Context, in add) (string, error) {
				if strings.TrimSpace(in.Task) == "" {
					return "", fmt.Errorf("add_task: the task is empty; say what is to be done")
				}
				item := Item{Name: in.Name, Key: in.Key, Priority: in.Priority, Payload: []byte(in.Task)}
				if in.Delay > 0 {
					item.NotBefore = time.Now().Add(time.Duration(min(in.Delay, 366*86400)) * time.Second)
				}
				ids, err := q.Enqueue(ctx, item)
				if err != nil {
					return "", err
				}
				return "added task " + ids[0], nil
			}, tool.Options{Effects: none}),
		tool.New("list_tasks", "List the tasks in the work queue in the order in which they were added.",
			func(ctx context.Context, in listing) (string, error) {
				filter := Filter{Limit: min(in.Limit, 500)}
				if in.Limit <= 0 {
					filter.Limit = 20
				}
				if in.State != "" {
					state, err := parseState(in.State)
					if err != nil {
						return "", err
					}
					filter.States = []State{state}
				}
				return listText(ctx, q, filter)
			}, tool.Options{Annotations: tool.Annotations{ReadOnly: true}}),
		tool.New("remove_task", "Remove tasks from the work queue that nobody is working on.",
			func(ctx context.Context, in remove) (string, error) {
				if len(in.IDs) == 0 {
					return "", fmt.Errorf("remove_task: name at least one ID")
				}
				if err := q.Remove(ctx, in.IDs...); err != nil {
					return "", err
				}
				return fmt.Sprintf("removed %d", len(in.IDs)), nil
			}, tool.Options{Annotations: tool.Annotations{Destructive: true}, Effects: none}),
	}
}
