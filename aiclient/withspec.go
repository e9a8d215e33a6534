package aiclient

import (
	"fmt"
	"slices"
)

// WithSpec returns a middleware that makes use of what is known of a model. It
// puts the cost into each reply, see [WithPrice], adds what the model cannot take
// to its [RulesOf], and tells a model that takes text only about the files of tool
// results and of earlier messages of the user instead of sending them, which would
// be refused again and again.
func WithSpec(s ModelSpec) Middleware {
	return func(next Chat) Chat {
		chat := WithPrice(s.Price)(next)
		if s.textOnly() {
			chat = WithRequest(func(r *Request) { r.Messages = withoutFiles(r.Messages) })(chat)
		}
		return known{chat, s}
	}
}

// known is a Chat with the rules of its model.
type known struct {
	Chat
	spec ModelSpec
}

func (k known) Rules() Rules { return k.spec.add(RulesOf(k.Chat)) }

// withoutFiles returns messages with a note in place of each file of a tool
// result, or of a message of the user before the last. It copies what it changes.
func withoutFiles(messages []Message) []Message {
	const note = "[a file of type %s: this model takes text only]"
	out, last, copied := messages, lastUser(messages), false
	for i, m := range messages {
		replaced := func(p Part) bool {
			return p.Result != nil && len(p.Result.Files) > 0 || p.File != nil && m.Role == RoleUser && i < last
		}
		if !slices.ContainsFunc(m.Parts, replaced) {
			continue
		}
		if !copied {
			out, copied = slices.Clone(messages), true
		}
		parts := slices.Clone(m.Parts)
		for j, p := range parts {
			switch {
			case !replaced(p):
			case p.File != nil:
				parts[j] = Text(fmt.Sprintf(note, p.File.MediaType))
			default:
				result := *p.Result
				for _, f := range result.Files {
					result.Text += fmt.Sprintf("\n"+note, f.MediaType)
				}
				result.Files = nil
				parts[j].Result = &result
			}
		}
		out[i].Parts = parts
	}
	return out
}
