package memory

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Tools returns the actions that a model may call: remember, recall,
// edit_memory and forget.
func (s *Store) Tools() []tool.Tool {
	type remember struct {
		Text string   `json:"text" jsonschema:"the fact to remember, short and understandable on its own"`
		Tags []string `json:"tags,omitempty" jsonschema:"words that group memories"`
		Pin  bool     `json:"pin,omitempty" jsonschema:"true keeps it whatever else is evicted"`
	}
	type recall struct {
		Query string `json:"query,omitempty" jsonschema:"words to search for; empty lists all memories"`
		Limit int    `json:"limit,omitempty" jsonschema:"at most so many, default 10"`
	}
	type edit struct {
		ID   string `json:"id" jsonschema:"ID as remember and recall give it"`
		Text string `json:"text" jsonschema:"the new text"`
	}
	type forget struct {
		IDs []string `json:"ids" jsonschema:"IDs as remember and recall give them"`
	}
	// Memories are the agent's own: no call has an effect for a policy to
	// decide on.
	none := func(json.RawMessage) []tool.Effect { return nil }
	return []tool.Tool{
		tool.New("remember", "Keep a fact in memory for the rest of the work. Returns its ID. Memories are shown with every call.",
			func(ctx context.Context, in remember) (string, error) {
				ids, err := s.Add(Item{Text: in.Text, Tags: in.Tags, Pinned: in.Pin, Source: "model"})
				if err != nil {
					return "", err
				}
				return "remembered as " + ids[0], nil
			}, tool.Options{Effects: none, Annotations: tool.Annotations{Idempotent: !s.opts.AllowDuplicates}}),
		tool.New("recall", "Search the memories, or list them, with their IDs.",
			func(ctx context.Context, in recall) (string, error) {
				if in.Query == "" {
					return s.list(in.Limit), nil
				}
				found, err := s.Search(ctx, in.Query, in.Limit)
				if err != nil {
					return "", err
				}
				return matchList(found), nil
			}, tool.Options{Annotations: tool.Annotations{ReadOnly: true}}),
		tool.New("edit_memory", "Replace the text of a memory.",
			func(ctx context.Context, in edit) (string, error) {
				if err := s.Edit(in.ID, func(it *Item) { it.Text = in.Text }); err != nil {
					return "", err
				}
				return "changed " + in.ID, nil
			}, tool.Options{Effects: none, Annotations: tool.Annotations{Idempotent: true}}),
		tool.New("forget", "Remove memories that are no longer true or needed.",
			func(ctx context.Context, in forget) (string, error) {
				if len(in.IDs) == 0 {
					return "", fmt.Errorf("forget: name at least one ID")
				}
				if err := s.Remove(in.IDs...); err != nil {
					return "", err
				}
				return fmt.Sprintf("forgot %d", len(in.IDs)), nil
			}, tool.Options{Effects: none, Annotations: tool.Annotations{Destructive: true}}),
	}
}
