package aiclient

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// unknownTool tells the model that a name is unknown and which it may mean.
func (c *Conversation) unknownTool(name string) string {
	if len(c.opts.Tools) == 0 {
		return fmt.Sprintf("There is no tool %q; there are no tools at all.", name)
	}
	names := make([]string, len(c.opts.Tools))
	for i := range c.opts.Tools {
		names[i] = c.opts.Tools[i].Name
	}
	return fmt.Sprintf("There is no tool %q. The tools are: %s.", name, strings.Join(names, ", "))
}

// malformed tells the model that arguments are not a JSON object, and what they
// should be.
func malformed(t *tool.Tool, args string) string {
	why := "they are not a JSON object"
	var object map[string]any
	if err := json.Unmarshal([]byte(args), &object); err != nil {
		why = err.Error()
	}
	if n := len(args); n > 200 {
		args = fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(args[:200], ""), n)
	}
	schema := string(t.Schema)
	if schema == "" {
		schema = "{}"
	}
	return fmt.Sprintf("The arguments for tool %s cannot be read: %s. Got: %s\nSend a JSON object that fits this schema: %s", t.Name, why, args, schema)
}
