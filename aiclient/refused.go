package aiclient

import (
	"fmt"
	"slices"
)

// A file that a provider refuses, such as an image that is too large for it, is
// part of the history and would be refused with every later request. A
// Conversation therefore asks again without it. The history keeps the file, for
// another model.

// holdsFiles reports whether p is a file or a result with files.
func holdsFiles(p *Part) bool {
	return p.File != nil || p.Result != nil && len(p.Result.Files) > 0
}

// withoutFiles returns messages with a note in place of the files of those parts
// that replaced chooses. It copies what it changes.
func withoutFiles(messages []Message, why string, replaced func(message int, p *Part) bool) []Message {
	out, copied := messages, false
	for i, m := range messages {
		chosen := func(p Part) bool { return holdsFiles(&p) && replaced(i, &p) }
		if !slices.ContainsFunc(m.Parts, chosen) {
			continue
		}
		if !copied {
			out, copied = slices.Clone(messages), true
		}
		parts := slices.Clone(m.Parts)
		for j, p := range parts {
			switch {
			case !chosen(p):
			case p.File != nil:
				parts[j] = Text(fileNote(p.File, why))
			default:
				result := *p.Result
				for k := range result.Files {
					result.Text += "\n" + fileNote(&result.Files[k], why)
				}
				result.Files = nil
				parts[j].Result = &result
			}
		}
		out[i].Parts = parts
	}
	return out
}

func fileNote(f *File, why string) string {
	return fmt.Sprintf("[a file of type %s: %s]", f.MediaType, why)
}

// refusedKey identifies the file of a part, or the result that has it. Messages
// share them, so that they are the same in every request.
func refusedKey(p *Part) any {
	if p.File != nil {
		return p.File
	}
	return p.Result
}

// refuse leaves files out of the requests from now on: those that have come since
// the last reply, or else all. A file of a message that is yet to be answered
// stays, because its sender must learn of the error. It returns what is left out
// in addition.
func (c *Conversation) refuse() (more []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages := c.state.messages
	answered := len(messages)
	for answered > 0 && messages[answered-1].Role != RoleAssistant {
		answered--
	}
	for _, from := range []int{answered, 0} {
		for i := from; i < len(messages) && (i < len(messages)-1 || messages[i].Role != RoleUser); i++ {
			for j := range messages[i].Parts {
				if p := &messages[i].Parts[j]; holdsFiles(p) && !c.refused[refusedKey(p)] {
					more = append(more, refusedKey(p))
				}
			}
		}
		if len(more) > 0 {
			break
		}
	}
	if c.refused == nil && len(more) > 0 {
		c.refused = map[any]bool{}
	}
	for _, key := range more {
		c.refused[key] = true
	}
	return more
}

// accept undoes refuse: the files were not what was wrong.
func (c *Conversation) accept(keys []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		delete(c.refused, key)
	}
}
